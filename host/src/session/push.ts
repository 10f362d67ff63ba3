/**
 * A push from Begin to the end of the trial. The board's status is the truth about where it stands; events
 * only make this side look sooner. Success is told when the new agent is confirmed, not before.
 */
import { EdgePlugError, type ErrorName } from "../errors.js";
import { edgeplug } from "../generated/messages.js";
import { decodeManifest, type AgentManifest } from "../manifest.js";
import { sha512 } from "../signing.js";
import type { SessionPushOptions } from "./board-session.js";
import { interrupted, type RequestOptions } from "./connection.js";
import { carryOut } from "./execute.js";
import { reasonName, toBeginReply, type DeviceEvent, type SlotInfo, type Status } from "./messages.js";
import type { DeviceSession } from "./session.js";
import { Transfer } from "./transfer.js";
import { vectorRequests } from "./vectors.js";

/** What a push needs of a package. */
export interface Deliverable {
  manifestBytes: Uint8Array;
  keyId: Uint8Array;
  signature: Uint8Array;
  payload: Uint8Array;
}

export interface PushOptions {
  signal?: AbortSignal | undefined;
  /** For all of it, trial included, milliseconds. Default: what wire, flash and the manifest's trial may take. */
  timeoutMs?: number | undefined;
  /** No valid frame or acknowledgement for so long ends the push, milliseconds. Default 15,000. */
  silenceMs?: number | undefined;
  /** Also a lower release or security version; on a locked board an operator has to allow it. */
  allowDowngrade?: boolean | undefined;
  /** Unix seconds for the slot record. Default: now. */
  timestamp?: number | undefined;
  /** An earlier push has activated the package already, in this swap: only wait out its trial. */
  activated?: { swapNumber: number; slot: number } | undefined;
  /** Confirm a trial that waits for the host once it has been healthy long enough. Default true. */
  confirm?: boolean | undefined;
  /**
   * Requests to serve during a request agent's trial, which counts those. Default: the requests of the package's
   * own test vectors; an empty list leaves it to others.
   */
  trialRequests?: readonly Uint8Array[] | undefined;
}

/** One thing that happened, in order. */
export type PushStep =
  /** Behind a gateway: others come first. `position` 1 is next; `behind` says what runs now. */
  | { step: "queued"; position: number; behind: string }
  | { step: "begin"; offset: number; size: number; resumed: boolean; slot: number; swapNumber: number }
  | {
      step: "sending";
      acknowledged: number;
      size: number;
      sent: number;
      chunkSize: number;
      page: number;
      pages: number;
    }
  | { step: "interrupted"; error: EdgePlugError }
  | { step: "verifying" }
  | { step: "staged" }
  | { step: "activated"; swapNumber: number; scan: number; handedOver: number }
  | { step: "trial"; scans: number; needed: number }
  | { step: "confirmed"; swapNumber: number; scan: number };

export interface PushResult {
  swapNumber: number;
  slot: number;
  /** The agent that runs now. */
  active: SlotInfo;
  /** Where the first Begin told to start. */
  offset: number;
  resumed: boolean;
  /** Payload bytes that went over the line, repeated ones included. */
  payloadBytesSent: number;
  /** How often the board lost the session in between and was resumed. */
  restarts: number;
  /** Begin's first byte to all bytes acknowledged, and to staged; milliseconds. */
  transferMs: number;
  stagedMs: number;
  totalMs: number;
}

const DEFAULT_SILENCE_MS = 15_000;
const BEGIN_ATTEMPT_MS = 600;
/** Until a request without an answer gives way to a shorter one. */
const ROUND_MS = 3_000;
const SIGN_OF_LIFE = { chunk: { offset: 0, data: new Uint8Array() } };
const SIGN_ATTEMPT_MS = 300;
const ACTIVATE_ATTEMPT_MS = 1_500;
const POLL_MS = 150;
const EVENT_PATIENCE_MS = 300;
const EVENT_POLL_MS = 5;
const MOST_RESTARTS = 8;
const ABORT_TIMEOUT_MS = 1_500;
const ABORT_ATTEMPT_MS = 400;
/** For verification and everything else that is not wire or trial. */
const DEFAULT_SLACK_MS = 90_000;
const DEFAULT_TRIAL_SCANS = 60_000;
const TRIAL_REQUESTS_PER_POLL = 8;
const DIGEST_SIZE = 16;
/** No operator's word will come of asking again. */
const ENDS_CONFIRMING: ReadonlySet<string> = new Set<ErrorName>([
  "LOCKED",
  "SIGNER",
  "PASSPHRASE",
  "KEY_FILE",
  "KEY_UNKNOWN",
  "KEY_ROLE",
  "SIGNATURE",
  "NONCES",
]);
const { UpdatePhase, SlotState, Reason, EventKind } = edgeplug;

export async function* pushPackage(
  session: DeviceSession,
  pkg: Deliverable,
  options: SessionPushOptions = {},
): AsyncGenerator<PushStep, PushResult, void> {
  const push = new Push(session, pkg, options);
  try {
    return yield* push.run();
  } finally {
    await push.leave();
  }
}

/** How a stage ended: go on, or begin anew because the board no longer knows the session. */
type Outcome = { ok: true } | { ok: false; error: EdgePlugError };

class Push {
  private readonly manifest: AgentManifest;
  private readonly deadline: number;
  private readonly start: number;
  private readonly silenceMs: number;
  private readonly result = {
    swapNumber: 0,
    slot: 0,
    offset: 0,
    resumed: false,
    payloadBytesSent: 0,
    restarts: 0,
  };
  private transferMs = 0;
  private stagedMs = 0;
  private stage: "before" | "staging" | "activated" | "over" = "before";
  private activation: DeviceEvent | undefined;
  /** Part of the payload is what the board had kept of an earlier session. */
  private goesOn = false;
  /** The boot in which an operator allowed this package although it is older. */
  private allowedInBoot: number | undefined;

  constructor(
    private readonly session: DeviceSession,
    private readonly pkg: Deliverable,
    private readonly options: SessionPushOptions,
  ) {
    this.manifest = decodeManifest(pkg.manifestBytes);
    this.silenceMs = options.silenceMs ?? DEFAULT_SILENCE_MS;
    this.start = this.now();
    this.deadline = this.start + (options.timeoutMs ?? this.defaultTimeout());
  }

  async *run(): AsyncGenerator<PushStep, PushResult, void> {
    const off = this.session.connection.onEvent((event) => {
      if (event.kind === EventKind.EVENT_KIND_ACTIVATED) this.activation = event;
    });
    try {
      if (this.options.activated === undefined) yield* this.stageAndActivate();
      else this.takeUp(this.options.activated);
      const active = yield* this.trial();
      const totalMs = this.now() - this.start;
      this.stage = "over";
      return { ...this.result, active, transferMs: this.transferMs, stagedMs: this.stagedMs, totalMs };
    } catch (error) {
      throw this.stage === "activated" ? duringTrial(EdgePlugError.from(error)) : error;
    } finally {
      off();
    }
  }

  /** What an earlier push has activated is this one's to wait for. */
  private takeUp({ swapNumber, slot }: { swapNumber: number; slot: number }): void {
    Object.assign(this.result, { swapNumber, slot });
    this.stage = "activated";
  }

  /** Tidies up after an early end: before activation the board forgets the session and keeps the bytes. */
  async leave(): Promise<void> {
    if (this.stage !== "staging" || this.session.connection.lossReason !== undefined) return;
    try {
      await this.session.connection.request(
        { abort: {} },
        { timeoutMs: ABORT_TIMEOUT_MS, attemptMs: ABORT_ATTEMPT_MS },
      );
    } catch {
      // The board drops a stalled session by itself after 30 s.
    }
  }

  private now(): number {
    return this.session.connection.transport.clock.now();
  }

  private defaultTimeout(): number {
    const trial = (this.manifest.trial.deadlineScans || DEFAULT_TRIAL_SCANS) * 3;
    return DEFAULT_SLACK_MS + 8 * this.session.connection.lineTime(this.pkg.payload.length) + trial;
  }

  /** Options of a request that may take until the deadline, but no longer than silence is borne. */
  private request(attemptMs?: number): RequestOptions {
    const left = this.deadline - this.now();
    if (this.options.signal?.aborted === true) throw interrupted(this.options.signal);
    if (left <= 0) throw this.outOfTime();
    return { signal: this.options.signal, timeoutMs: Math.min(left, this.silenceMs), attemptMs };
  }

  /**
   * Asks until the deadline. On a bad line a long frame seldom gets through (at 1 % of bytes corrupted one Begin in
   * twenty does), so what counts as silence is that the board doesn't answer the shortest of requests either: an
   * empty chunk, which changes nothing.
   */
  private async insist<T>(ask: (options: RequestOptions) => Promise<T>, attemptMs?: number): Promise<T> {
    for (;;) {
      const options = this.request(attemptMs);
      const timeoutMs = Math.min(options.timeoutMs ?? ROUND_MS, ROUND_MS);
      try {
        return await ask({ ...options, timeoutMs });
      } catch (error) {
        const left = this.silenceMs - timeoutMs;
        if (EdgePlugError.from(error).code !== "TIMEOUT" || left <= 0) throw error;
        await this.awaitSign(left);
      }
    }
  }

  private status(): Promise<Status> {
    return this.insist((options) => this.session.status(options));
  }

  private async awaitSign(silenceMs: number): Promise<void> {
    const options = this.request(SIGN_ATTEMPT_MS);
    try {
      const timeoutMs = Math.min(options.timeoutMs ?? silenceMs, silenceMs);
      await this.session.connection.ask(SIGN_OF_LIFE, { ...options, timeoutMs });
    } catch (error) {
      if (EdgePlugError.from(error).code !== "TIMEOUT") throw error;
      const seconds = (this.silenceMs / 1000).toFixed(0);
      throw new EdgePlugError("TIMEOUT", `The board has answered nothing for ${seconds} s.`, {
        cause: error,
      });
    }
  }

  private outOfTime(): EdgePlugError {
    const seconds = ((this.now() - this.start) / 1000).toFixed(0);
    if (this.stage !== "activated") {
      return new EdgePlugError("TIMEOUT", `The package was not on the board within ${seconds} s.`, {
        action: "Push again with a longer --timeout: what was received is resumed.",
      });
    }
    return new EdgePlugError("TIMEOUT", `The trial was not over within ${seconds} s; it goes on by itself.`, {
      action: "See how it ends with --status, or take it back with --rollback.",
    });
  }

  private async *stageAndActivate(): AsyncGenerator<PushStep, void, void> {
    for (;;) {
      const outcome = yield* this.attempt();
      if (outcome.ok) return;
      if (++this.result.restarts > MOST_RESTARTS) throw outcome.error;
      yield { step: "interrupted", error: outcome.error };
      await this.session.refresh(this.request());
    }
  }

  private async *attempt(): AsyncGenerator<PushStep, Outcome, void> {
    await this.allowDowngrade();
    const begun = yield* this.begin();
    if (!("offset" in begun)) return begun;
    let { offset } = begun;
    for (;;) {
      const sent = yield* this.send(offset);
      if (!sent.ok) return sent;
      const verified = yield* this.verify();
      if (!("offset" in verified)) {
        if (!verified.ok) return verified;
        return yield* this.activate();
      }
      offset = verified.offset;
    }
  }

  /** A locked board takes an older package only by an operator's word, which holds until a reset. */
  private async allowDowngrade(): Promise<void> {
    const { allowDowngrade, signer, signal } = this.options;
    const { locked, bootNumber } = this.session.hello;
    if (allowDowngrade !== true || signer === undefined || !locked || this.allowedInBoot === bootNumber)
      return;
    const digest = sha512(this.pkg.manifestBytes).slice(0, DIGEST_SIZE);
    await carryOut(this.session, { kind: "allowDowngrade", digest }, { signer, signal });
    this.allowedInBoot = this.session.hello.bootNumber;
  }

  private async *begin(): AsyncGenerator<PushStep, Outcome | { offset: number }, void> {
    const { manifestBytes, keyId, signature, payload } = this.pkg;
    const timestamp = this.options.timestamp ?? Math.floor(Date.now() / 1000);
    const allowDowngrade = this.options.allowDowngrade ?? false;
    const body = { begin: { manifest: manifestBytes, keyId, signature, timestamp, allowDowngrade } };
    const { connection } = this.session;
    const { response } = await this.insist((options) => connection.ask(body, options), BEGIN_ATTEMPT_MS);
    if (response.error !== 0) {
      const error = EdgePlugError.fromBoard(response.error, response.detail, response.message);
      return await this.allowanceLost(error);
    }
    const { offset, resumed, slot, swapNumber } = toBeginReply(response.begin ?? {});
    if (offset > payload.length) {
      throw new EdgePlugError("PROTOCOL", `The board wants byte ${offset} of ${payload.length}.`);
    }
    if (this.stage === "before") Object.assign(this.result, { offset, resumed });
    this.goesOn = offset > 0;
    Object.assign(this.result, { slot, swapNumber });
    this.stage = "staging";
    yield { step: "begin", offset, size: payload.length, resumed, slot, swapNumber };
    return { offset };
  }

  /** A reset between an operator's word and Begin takes the word back; any other refusal stands. */
  private async allowanceLost(error: EdgePlugError): Promise<Outcome> {
    if (error.code !== "LOCKED" || this.allowedInBoot === undefined) throw error;
    const { bootNumber } = await this.session.refresh(this.request());
    if (bootNumber === this.allowedInBoot) throw error;
    return { ok: false, error: resetError() };
  }

  private async *send(offset: number): AsyncGenerator<PushStep, Outcome, void> {
    const { payload } = this.pkg;
    const { maxChunk, pageSize } = this.session.hello;
    const { signal } = this.options;
    const silenceMs = Math.min(this.silenceMs, Math.max(0, this.deadline - this.now()));
    const transfer = new Transfer(this.session.connection, payload, { offset, maxChunk, silenceMs, signal });
    const before = this.result.payloadBytesSent;
    const size = payload.length;
    const run = transfer.run();
    try {
      for (;;) {
        const step = await run.next();
        this.result.payloadBytesSent = before + transfer.payloadBytesSent;
        if (step.done === true) {
          this.transferMs = this.now() - this.start;
          return step.value.done ? { ok: true } : await this.explain(step.value.error);
        }
        const { acknowledged, chunkSize } = step.value;
        const page = Math.floor(acknowledged / pageSize);
        const sent = this.result.payloadBytesSent;
        yield {
          step: "sending",
          acknowledged,
          size,
          sent,
          chunkSize,
          page,
          pages: Math.ceil(size / pageSize),
        };
        if (this.now() > this.deadline) throw this.outOfTime();
      }
    } finally {
      await run.return({ done: true });
    }
  }

  /** What a refused chunk means: the board has it all, has given up with a reason, or has lost the session. */
  private async explain(error: EdgePlugError): Promise<Outcome> {
    if (error.code !== "NO_SESSION" && error.code !== "BUSY") throw error;
    const status = await this.status();
    if (status.bootNumber !== this.session.hello.bootNumber) return { ok: false, error: resetError() };
    if (status.phase === UpdatePhase.UPDATE_PHASE_IDLE) {
      if (status.lastError !== 0) throw stagingError(status);
      return { ok: false, error };
    }
    return status.phase === UpdatePhase.UPDATE_PHASE_RECEIVING ? { ok: false, error } : { ok: true };
  }

  private async *verify(): AsyncGenerator<PushStep, Outcome | { offset: number }, void> {
    let told = false;
    for (;;) {
      const status = await this.status();
      if (status.bootNumber !== this.session.hello.bootNumber) return { ok: false, error: resetError() };
      switch (status.phase) {
        case UpdatePhase.UPDATE_PHASE_RECEIVING:
          if (status.nextOffset < this.pkg.payload.length) return { offset: status.nextOffset };
          break;
        case UpdatePhase.UPDATE_PHASE_VERIFYING:
          if (!told) yield { step: "verifying" };
          told = true;
          break;
        case UpdatePhase.UPDATE_PHASE_IDLE:
          if (status.lastError === 0) return { ok: false, error: new EdgePlugError("NO_SESSION") };
          if (this.goesOn && hasRotted(stagingError(status)))
            return { ok: false, error: stagingError(status) };
          this.stage = "over";
          throw stagingError(status);
        default:
          this.stagedMs = this.now() - this.start;
          yield { step: "staged" };
          return { ok: true };
      }
      await this.session.connection.pause(POLL_MS, this.options.signal);
    }
  }

  private async *activate(): AsyncGenerator<PushStep, Outcome, void> {
    const { connection } = this.session;
    const { response } = await this.insist(
      (options) => connection.ask({ activate: {} }, options),
      ACTIVATE_ATTEMPT_MS,
    );
    if (response.error !== 0) {
      // A repeated request finds the work of its first copy done, or undone again by a trial that was short.
      const status = await this.status();
      const error = EdgePlugError.fromBoard(response.error, response.detail, response.message);
      if (status.bootNumber !== this.session.hello.bootNumber) return { ok: false, error: resetError() };
      const ours = status.active?.swapNumber === this.result.swapNumber;
      const over =
        status.lastReasonSwap === this.result.swapNumber && status.lastReason !== Reason.REASON_NONE;
      if (!ours && (!over || error.code !== "NO_SESSION")) {
        if (over) this.stage = "over";
        throw error;
      }
    }
    this.stage = "activated";
    await this.awaitActivation();
    const scan = this.activation?.scan ?? 0;
    yield {
      step: "activated",
      swapNumber: this.result.swapNumber,
      scan,
      handedOver: this.activation?.detail ?? 0,
    };
    return { ok: true };
  }

  /** The event follows the answer; a line that lost it costs no more than the scan's number. */
  private async awaitActivation(): Promise<void> {
    const start = this.now();
    while (this.activation?.swapNumber !== this.result.swapNumber && this.now() - start < EVENT_PATIENCE_MS) {
      await this.session.connection.pause(EVENT_POLL_MS, this.options.signal);
    }
  }

  private async *trial(): AsyncGenerator<PushStep, SlotInfo, void> {
    const requests = this.trialRequests();
    let scans = -1;
    for (;;) {
      const status = await this.status();
      const { active } = status;
      if (active?.swapNumber !== this.result.swapNumber) throw await this.rolledBack(status);
      if (active.state === SlotState.SLOT_STATE_CONFIRMED) {
        yield { step: "confirmed", swapNumber: active.swapNumber, scan: status.scan };
        return active;
      }
      if (status.trialScans !== scans) {
        scans = status.trialScans;
        yield { step: "trial", scans, needed: status.trialNeeded };
      }
      await this.help(status, requests);
      await this.session.connection.pause(POLL_MS, this.options.signal);
    }
  }

  /** What the trial needs of the host: its word, or requests to serve. */
  private async help(status: Status, requests: readonly Uint8Array[]): Promise<void> {
    const healthy = status.trialScans >= status.trialNeeded;
    if (this.manifest.trial.confirmByHost && healthy && this.options.confirm !== false) await this.confirm();
    try {
      for (const request of requests) await this.session.call(request, this.request());
    } catch (error) {
      // The trial may end, well or badly, between the status and these; the next status tells.
      const { code } = EdgePlugError.from(error);
      if (code === "INTERRUPTED" || code === "PORT_LOST" || code === "TIMEOUT") throw error;
    }
  }

  /** On a locked board signed; without an operator's key the push ends here, and whoever has one may confirm. */
  private async confirm(): Promise<void> {
    const { signer, signal } = this.options;
    try {
      if (signer === undefined || !this.session.hello.locked) {
        await this.insist((options) => this.session.connection.request({ confirm: {} }, options));
      } else {
        await carryOut(this.session, { kind: "confirm" }, { signer, signal });
      }
    } catch (thrown) {
      const error = EdgePlugError.from(thrown);
      if (ENDS_CONFIRMING.has(error.code)) throw unconfirmed(error);
      if (error.code === "INTERRUPTED" || error.code === "PORT_LOST") throw error;
      // The trial may have ended meanwhile, and a line that is dead shows at the next status.
    }
  }

  private trialRequests(): readonly Uint8Array[] {
    if (this.manifest.kind !== "request") return [];
    const own = this.options.trialRequests ?? vectorRequests(this.pkg.payload);
    const first = own[0];
    if (first === undefined) return [];
    return Array.from({ length: TRIAL_REQUESTS_PER_POLL }, (_, index) => own[index % own.length] ?? first);
  }

  private async rolledBack(status: Status): Promise<EdgePlugError> {
    this.stage = "over";
    const { name, version } = this.manifest;
    const { swapNumber, slot } = this.result;
    const about =
      status.lastReasonSwap === swapNumber ? status.lastReason : (await this.session.slot(slot)).reason;
    const text = status.lastMessage === "" ? "" : ` (${status.lastMessage})`;
    const why = `${reasonName(about)}${text}`;
    const now =
      status.active === null
        ? "no agent runs, the board is in safe mode"
        : `${status.active.name} ${status.active.version} (swap ${status.active.swapNumber}) runs again`;
    const code =
      about === Reason.REASON_ABORTED ? "ABORTED" : status.active === null ? "REJECTED" : "ROLLED_BACK";
    return new EdgePlugError(
      code,
      `${name} ${version} (swap ${swapNumber}) failed its trial: ${why}; ${now}.`,
      {
        detail: about,
      },
    );
  }
}

/** Whoever stops waiting for a trial has to know that the board goes on with it. */
function duringTrial(error: EdgePlugError): EdgePlugError {
  if (error.code !== "INTERRUPTED") return error;
  return new EdgePlugError(
    "INTERRUPTED",
    "Stopped by the user; the new agent runs, and its trial goes on by itself.",
    {
      cause: error,
      action: "See how it ends with --status, or take it back with --rollback.",
    },
  );
}

/** The trial was healthy, but the one who should say so can't. */
function unconfirmed(error: EdgePlugError): EdgePlugError {
  return new EdgePlugError(
    error.code,
    `${error.message.replace(/\.$/, "")}; the new agent is healthy, waits for an operator's word, and gives way if none comes.`,
    { cause: error, action: "While the trial lasts: `edgeplug-push --confirm --key FILE`." },
  );
}

/** The bytes are not the package's; those that were kept may be at fault, so all of them go once more. */
function hasRotted({ code }: EdgePlugError): boolean {
  return code === "PAYLOAD_CRC" || code === "PAYLOAD_DIGEST" || code === "ECC";
}

function stagingError(status: Status): EdgePlugError {
  return EdgePlugError.fromBoard(status.lastError, 0, status.lastMessage);
}

function resetError(): EdgePlugError {
  return new EdgePlugError("BOARD_RESET");
}
