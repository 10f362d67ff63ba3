/** One deployment: how it stands, what has happened, who reads along, and which signatures it waits for. */
import { EdgePlugError } from "../errors.js";
import { edgeplug } from "../generated/messages.js";
import type { CommandSignature, RemoteSigner, WantedSignature } from "../session/board-session.js";
import {
  DeploymentState,
  isOver,
  type DeployEvent,
  type DeploymentOrder,
  type DeploymentRecord,
} from "./deployments-store.js";
import { toErrorDetail, type EventBody } from "./wire.js";

/** Sequences that may be told before the next one is reserved on disk. */
const SEQUENCES_RESERVED = 1_000;
/** Events kept of one deployment; of more, the oldest interruptions go. */
const EVENTS_KEPT = 100;
/** How long an operator may take to sign, milliseconds. */
export const SIGNATURE_PATIENCE_MS = 120_000;

type BodyName = Exclude<keyof EventBody, "body">;
/** Of these only the latest says anything. */
const PROGRESS: readonly BodyName[] = ["queued", "sending", "shadow", "trial"];

interface PendingSignature {
  resolve: (signature: CommandSignature) => void;
}

export class Deployment implements RemoteSigner {
  readonly record: DeploymentRecord;
  /** Aborted with the reason when it is cancelled or the gateway stops. */
  stopping = new AbortController();
  /** Resolves when it is over. */
  readonly ended: Promise<void>;
  /** Whoever cancelled waits for what becomes of it. */
  onCancelRefused: ((error: EdgePlugError) => void) | undefined;
  private readonly log: DeployEvent[];
  private readonly readers = new Set<() => void>();
  private readonly signatures = new Map<number, PendingSignature>();
  private sequence: number;
  private beganAt: number | undefined;
  private settle!: () => void;

  private constructor(
    record: DeploymentRecord,
    readonly packageBytes: Uint8Array,
    private readonly signaturePatienceMs: number,
    sequence: number,
  ) {
    this.ended = new Promise((resolve) => (this.settle = resolve));
    this.log = [...record.events];
    this.sequence = sequence;
    this.record = record;
    if (isOver(record)) this.settle();
  }

  static accepted(
    order: DeploymentOrder,
    packageBytes: Uint8Array,
    signaturePatienceMs = SIGNATURE_PATIENCE_MS,
  ): Deployment {
    const record: DeploymentRecord = {
      order,
      state: DeploymentState.DEPLOYMENT_STATE_QUEUED,
      swapNumber: 0,
      slot: 0,
      cancelledBy: "",
      sequenceLimit: SEQUENCES_RESERVED,
      endedMs: 0,
      error: null,
      events: [],
    };
    return new Deployment(record, packageBytes, signaturePatienceMs, 0);
  }

  /** One that an earlier process left; to be saved before anything more is told of it. */
  static restored(
    record: DeploymentRecord,
    packageBytes: Uint8Array,
    signaturePatienceMs = SIGNATURE_PATIENCE_MS,
  ): Deployment {
    // What was told after the last save is not known any more, but was never above the limit.
    const sequence = record.sequenceLimit;
    record.sequenceLimit += SEQUENCES_RESERVED;
    record.state = DeploymentState.DEPLOYMENT_STATE_QUEUED;
    return new Deployment(record, packageBytes, signaturePatienceMs, sequence);
  }

  /** One that is over, to read in. */
  static over(record: DeploymentRecord): Deployment {
    return new Deployment(record, new Uint8Array(), SIGNATURE_PATIENCE_MS, record.sequenceLimit);
  }

  get id(): string {
    return this.record.order.id;
  }

  get isOver(): boolean {
    return isOver(this.record);
  }

  /** Its turn has come. */
  begin(): void {
    this.record.state = DeploymentState.DEPLOYMENT_STATE_RUNNING;
    this.beganAt = performance.now();
  }

  /** Since its turn, in this process; 0 before. */
  get elapsedMs(): number {
    return this.beganAt === undefined ? 0 : performance.now() - this.beganAt;
  }

  /** Payload that went over the line, repeated bytes included. */
  get bytesSent(): number {
    return this.log.reduce((sum, event) => sum + (event.sending?.sent ?? 0), 0);
  }

  /** "doubler 1.2.0 of maria" */
  get title(): string {
    const { name, version, login } = this.record.order;
    return `${name} ${version} of ${login}`;
  }

  /** What has happened. Tells whether it has to be saved before more is told. */
  tell(body: EventBody): boolean {
    const name = Object.keys(body)[0] as BodyName;
    const event = { ...body, deployment: this.id, sequence: ++this.sequence, timeMs: Date.now() };
    const last = this.log.at(-1);
    if (last !== undefined && PROGRESS.includes(name) && last[name]) this.log.pop();
    this.log.push(event);
    this.shorten();
    this.record.events = this.log;
    for (const wake of [...this.readers]) wake();
    if (this.sequence < this.record.sequenceLimit) return false;
    this.record.sequenceLimit = this.sequence + SEQUENCES_RESERVED;
    return true;
  }

  succeed(result: edgeplug.gateway.v1.DeployResult.$Properties): void {
    this.end(DeploymentState.DEPLOYMENT_STATE_DONE, { result });
  }

  fail(error: EdgePlugError): void {
    this.record.error = toErrorDetail(error);
    this.end(DeploymentState.DEPLOYMENT_STATE_FAILED, { failure: this.record.error });
  }

  /** Events behind `after`, until it is over or the signal. A slow reader sees of progress the latest only. */
  async *read(after: number, signal: AbortSignal): AsyncGenerator<DeployEvent, void, void> {
    let seen = after;
    let wake = (): void => undefined;
    const poke = (): void => wake();
    this.readers.add(poke);
    signal.addEventListener("abort", poke);
    try {
      while (!signal.aborted) {
        const next = this.log.find((event) => (event.sequence ?? 0) > seen);
        if (next !== undefined) {
          seen = next.sequence ?? seen;
          yield next;
        } else if (this.isOver) {
          return;
        } else {
          await new Promise<void>((resolve) => (wake = resolve));
        }
      }
    } finally {
      this.readers.delete(poke);
      signal.removeEventListener("abort", poke);
    }
  }

  view(position: number): edgeplug.gateway.v1.Deployment.$Properties {
    return viewOf(this.record, position);
  }

  // ---- signatures --------------------------------------------------------------------------------

  /** Asks whoever watches. Throws LOCKED if nobody signs in time, or the reason why the deployment stops. */
  async signCommand(wanted: WantedSignature): Promise<CommandSignature> {
    const request = this.sequence + 1; // of its event: no restart asks by the same number for something else
    const { signal } = this.stopping;
    let give: (act: () => void) => void = () => undefined;
    const stopped = (): void => give(() => undefined);
    const signature = new Promise<CommandSignature>((resolve, reject) => {
      const seconds = this.signaturePatienceMs / 1000;
      const timer = setTimeout(
        () =>
          reject(new EdgePlugError("LOCKED", `The board is locked, and nobody signed within ${seconds} s.`)),
        this.signaturePatienceMs,
      );
      const abort = (): void => reject(EdgePlugError.from(signal.reason));
      signal.addEventListener("abort", abort);
      if (signal.aborted) abort();
      give = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
      };
      this.signatures.set(request, { resolve });
    });
    const { boardId, nonce, encoded } = wanted;
    this.tell({ signatureWanted: { request, boardId, nonce, command: encoded } });
    try {
      return await signature;
    } finally {
      stopped();
      this.signatures.delete(request);
    }
  }

  /** Throws GATEWAY_REQUEST if nobody waits for this signature. */
  provide(request: number, signature: CommandSignature): void {
    const pending = this.signatures.get(request);
    if (pending === undefined) {
      throw new EdgePlugError("GATEWAY_REQUEST", `Deployment ${this.id} waits for no signature ${request}.`, {
        action: "Sign what the last SignatureWanted asks for; it is void after two minutes.",
      });
    }
    this.signatures.delete(request);
    pending.resolve(signature);
  }

  // ---- inside ------------------------------------------------------------------------------------

  private end(state: edgeplug.gateway.v1.DeploymentState, body: EventBody): void {
    this.record.state = state;
    this.record.endedMs = Date.now();
    this.tell(body);
    this.settle();
  }

  private shorten(): void {
    if (this.log.length <= EVENTS_KEPT) return;
    const oldest = this.log.findIndex((event) => event.interrupted);
    this.log.splice(oldest >= 0 ? oldest : 1, 1);
  }
}

export function viewOf(
  record: DeploymentRecord,
  position: number,
): edgeplug.gateway.v1.Deployment.$Properties {
  const { id, device, login, name, version, createdMs } = record.order;
  const { state, endedMs, error } = record;
  return { id, device, login, state, name, version, createdMs, endedMs, error, position };
}
