/**
 * What `edgeplug dev` does: follows a board, watches an agent's sources, and puts each save on the board as soon as it is
 * compiled and checked. Three things go on beside each other, each of them only once at a time: watching, building,
 * pushing. The latest save counts: what it overtakes is dropped, before it is pushed or, if the board has not swapped
 * yet, in the middle of it.
 */
import { createHash } from "node:crypto";

import { linkSignals, type Linked } from "../abort.js";
import { explainRejection, mappedPackage, type MappedPackage } from "../agent/rejection.js";
import { AgentSourceMap, type SourcePlace } from "../agent/source-map.js";
import { EdgePlugError, type ErrorName } from "../errors.js";
import { followBoard, type Followed } from "../follow.js";
import { edgeplug } from "../generated/messages.js";
import type { AgentPackage } from "../package.js";
import { pause, settledWithin } from "../pause.js";
import type { BoardSession } from "../session/board-session.js";
import type { Hello, SlotInfo, Status } from "../session/messages.js";
import type { Signer } from "../signer/signer.js";
import type { BuiltModule } from "./compiler.js";
import { devPackage, nextRelease } from "./dev-package.js";
import type { Saved } from "./sources.js";

/** How long each part took from the save until the agent ran, milliseconds; together they are all of it. */
export interface Parts {
  /** Until the files lay still, and an earlier build was over. */
  settle: number;
  compile: number;
  checks: number;
  /** For an earlier package, or a board that was busy or away. */
  wait: number;
  /** Packing, signing, and the bytes on their way. */
  transfer: number;
  /** On the board: digests, validation, test vectors. */
  verify: number;
  swap: number;
}

/** What happens, in order. */
export type DevEvent =
  | { kind: "board"; device: string; hello: Hello; status: Status }
  /** What the board says, or what becomes of the way to it. */
  | { kind: "followed"; followed: Followed; source?: { place: SourcePlace; inWords(line: string): string } }
  | { kind: "changed"; files: string[] }
  /** What was saved makes the same module as before. */
  | { kind: "unchanged" }
  /** It does not compile or fails its checks. */
  | { kind: "refused"; error: EdgePlugError; running: Running }
  | { kind: "warnings"; text: string }
  | { kind: "waiting"; reason: EdgePlugError }
  /** A later save has overtaken this one. */
  | { kind: "overtaken" }
  | { kind: "running"; built: BuiltModule; package: AgentPackage; swap: Swap; parts: Parts }
  | { kind: "confirmed"; swapNumber: number; scan: number }
  /** The board did not take it, or took it back. */
  | { kind: "failed"; error: EdgePlugError; running: Running }
  | { kind: "ended"; device: string; status: Status | undefined };

/** The agent that runs; null in safe mode, undefined while nobody can tell. */
export type Running = Pick<SlotInfo, "name" | "version" | "swapNumber"> | null | undefined;

export interface Swap {
  swapNumber: number;
  /** The first scan of the new agent. */
  scan: number;
  /** Bytes. */
  handedOver: number;
  /** Why no state was handed over; empty if some was. */
  noState: string;
}

export interface DevelopmentOptions {
  /** Absolute. */
  folder: string;
  device: string;
  open: (device: string, signal: AbortSignal | undefined) => Promise<BoardSession>;
  build: (folder: string) => Promise<BuiltModule>;
  sources: {
    next(signal: AbortSignal): Promise<Saved | undefined>;
    watchAlso(files: readonly string[]): Promise<void>;
  };
  /** A publisher's key. */
  signer?: Signer | undefined;
  signal: AbortSignal;
}

/** A build on its way to the board. */
interface Delivery {
  built: BuiltModule;
  identity: string;
  saved: Saved;
  /** When building began and ended, by performance.now(). */
  begun: number;
  done: number;
}

/** A package that was activated. */
interface Delivered {
  package: AgentPackage;
  mapped: MappedPackage | undefined;
  stateId: number;
  /** It has passed its trial. */
  stayed: boolean;
}

/** The push that is under way. */
interface Pushing {
  overtake: AbortController;
  /** As soon as the board has given one. */
  swapNumber: number | undefined;
  /** From now on it is let finish: that takes less time than to call it back. */
  staged: boolean;
}

const { UpdatePhase, EventKind } = edgeplug;

/** A trial of ours is over by then. */
const LEAVING_MS = 3_000;
const BUSY_POLL_MS = 100;
const AWAY_MS = 10_000;
const STATUS_MS = 2_000;
/** So many swaps back a trap can still be told by its line. */
const MAPS_KEPT = 8;
/** The way to the board is gone; it comes back, and the push goes on. */
const LOST: readonly ErrorName[] = ["PORT_LOST", "GATEWAY_UNREACHABLE", "GATEWAY_STOPPING"];
/** Another agent may run after these. */
const CHANGES: readonly number[] = [
  EventKind.EVENT_KIND_BOOT,
  EventKind.EVENT_KIND_ACTIVATED,
  EventKind.EVENT_KIND_ROLLED_BACK,
];
/** Told by the steps of the push itself. */
const OWN_STEPS: readonly number[] = [
  EventKind.EVENT_KIND_STAGING_FAILED,
  EventKind.EVENT_KIND_ACTIVATED,
  EventKind.EVENT_KIND_CONFIRMED,
  EventKind.EVENT_KIND_ROLLED_BACK,
];

/** Until the signal. Throws what the first opening of the board throws, and PORT_LOST if another board comes in its place. */
export async function* develop(options: DevelopmentOptions): AsyncGenerator<DevEvent, void, void> {
  const development = new Development(options);
  yield* development.run();
}

class Development {
  private readonly events: DevEvent[] = [];
  private wake: () => void = () => undefined;
  private failure: { error: unknown } | undefined;
  private over = false;
  /** The user's signal, or the end for another reason. */
  private readonly stop: Linked;
  /** Outlives it until the last push has ended. */
  private readonly following = new AbortController();

  private session: BoardSession | undefined;
  /** Why the board that was there is not; undefined before it was there for the first time. */
  private away: EdgePlugError | undefined;
  private readonly sessionListeners = new Set<() => void>();
  private boardId: Uint8Array | undefined;
  private running: Running;

  private wanted: Saved | undefined;
  private building = false;
  private next: Delivery | undefined;
  private pushing: Pushing | undefined;
  private pushes: Promise<void> = Promise.resolve();
  /** What runs, or is on its way. */
  private present: { identity: string; swapNumber: number | undefined } | undefined;
  private lastRelease = 0;
  /** By swap number, the newest last. */
  private readonly delivered = new Map<number, Delivered>();

  constructor(private readonly options: DevelopmentOptions) {
    this.stop = linkSignals([options.signal]);
  }

  async *run(): AsyncGenerator<DevEvent, void, void> {
    const { stop } = this;
    const leave = (): void => void this.guarded(this.leave());
    if (stop.signal.aborted) leave();
    else stop.signal.addEventListener("abort", leave, { once: true });
    const tasks = [this.guarded(this.follow()), this.guarded(this.watch())];
    try {
      for (;;) {
        const event = this.events.shift();
        if (event !== undefined) yield event;
        else if (this.failure !== undefined) throw this.failure.error;
        else if (this.over) return;
        else await new Promise<void>((resolve) => (this.wake = resolve));
      }
    } finally {
      stop.signal.removeEventListener("abort", leave);
      stop.abort();
      stop.unlink();
      this.pushing?.overtake.abort();
      this.following.abort();
      await Promise.allSettled([...tasks, this.pushes]);
    }
  }

  /** What fails here ends all of it. */
  private async guarded(task: Promise<void>): Promise<void> {
    try {
      await task;
    } catch (error) {
      this.failure ??= { error };
      this.wake();
    }
  }

  /** The board is left with one agent or the other, and with what it had of a package that was still under way. */
  private async leave(): Promise<void> {
    const { pushing } = this;
    if (pushing !== undefined && !pushing.staged) pushing.overtake.abort();
    await settledWithin(this.pushes, LEAVING_MS);
    this.pushing?.overtake.abort();
    await settledWithin(this.pushes, LEAVING_MS);
    const { session } = this;
    const status = await session?.status({ timeoutMs: STATUS_MS }).catch(() => undefined);
    this.tell({ kind: "ended", device: session?.device ?? this.options.device, status });
    this.over = true;
    this.wake();
  }

  private tell(event: DevEvent): void {
    this.events.push(event);
    this.wake();
  }

  // ---- the board -----------------------------------------------------------------------------------------------

  private async follow(): Promise<void> {
    const { device } = this.options;
    let opened: BoardSession | undefined;
    const open = async (name: string, signal: AbortSignal | undefined): Promise<BoardSession> =>
      (opened = await this.options.open(name, signal));
    for await (const followed of followBoard(device, { open, signal: this.following.signal })) {
      if (followed.kind === "connected" || followed.kind === "back") {
        this.connected(opened, followed.hello, followed.status);
        if (followed.kind === "connected") {
          const { device: name, hello, status } = followed;
          this.tell({ kind: "board", device: name, hello, status });
          continue;
        }
      } else if (followed.kind === "lost") {
        this.session = undefined;
        this.running = undefined;
        this.away = followed.error;
      }
      this.tellFollowed(followed);
    }
  }

  private connected(session: BoardSession | undefined, hello: Hello, status: Status): void {
    if (this.boardId === undefined && hello.locked && this.options.signer === undefined) {
      throw new EdgePlugError("UNSIGNED", "The board is locked: it takes signed packages only.", {
        action: "Pass --key FILE, a private key of a publisher that the board knows.",
      });
    }
    this.boardId ??= hello.boardId;
    if (Buffer.compare(this.boardId, hello.boardId) !== 0) {
      throw new EdgePlugError("PORT_LOST", "Another board is there now; nothing was pushed to it.", {
        action: "Connect the board that was meant, or begin anew with this one.",
      });
    }
    this.session = session;
    this.away = undefined;
    this.runs(status);
    for (const listener of [...this.sessionListeners]) listener();
  }

  private runs({ active }: Status): void {
    this.running = active;
    const swapNumber = this.present?.swapNumber;
    if (swapNumber !== undefined && swapNumber !== active?.swapNumber) this.present = undefined;
  }

  /** After something that this side has not done. */
  private async lookWhatRuns(): Promise<void> {
    const status = await this.session?.status({ timeoutMs: STATUS_MS }).catch(() => undefined);
    if (status !== undefined) this.runs(status);
  }

  private tellFollowed(followed: Followed): void {
    if (followed.kind !== "event") {
      if (followed.kind === "reset") void this.lookWhatRuns();
      return this.tell({ kind: "followed", followed });
    }
    const { kind, swapNumber, detail } = followed.event;
    if (kind === EventKind.EVENT_KIND_PHASE || this.isOwn(kind, swapNumber)) return;
    if (CHANGES.includes(kind)) void this.lookWhatRuns();
    const mapped = kind === EventKind.EVENT_KIND_TRAP ? this.delivered.get(swapNumber)?.mapped : undefined;
    const place = mapped?.locate(detail);
    const known = mapped !== undefined && place !== undefined;
    this.tell({
      kind: "followed",
      followed,
      ...(known ? { source: { place, inWords: mapped.inWords } } : {}),
    });
  }

  /** Whether the push tells it. A trap in a trial is what the push fails with. */
  private isOwn(kind: number, swapNumber: number): boolean {
    if (swapNumber !== 0 && this.pushing?.swapNumber === swapNumber)
      return OWN_STEPS.includes(kind) || kind === EventKind.EVENT_KIND_TRAP;
    const delivered = this.delivered.get(swapNumber);
    if (delivered === undefined) return false;
    if (kind === EventKind.EVENT_KIND_ROLLED_BACK || kind === EventKind.EVENT_KIND_TRAP)
      return !delivered.stayed;
    return OWN_STEPS.includes(kind);
  }

  /** The board, once it is there; undefined if the signal came first. `not`: that way to it is known to be gone. */
  private async board(signal: AbortSignal, not?: BoardSession): Promise<BoardSession | undefined> {
    const present = (): BoardSession | undefined => (this.session === not ? undefined : this.session);
    const until = not === undefined ? Infinity : performance.now() + AWAY_MS;
    for (;;) {
      const session = present() ?? (performance.now() >= until ? this.session : undefined);
      if (session !== undefined || signal.aborted) return session;
      const woken = linkSignals([signal]);
      const listener = (): void => woken.abort();
      this.sessionListeners.add(listener);
      await pause(Math.min(AWAY_MS, Math.max(0, until - performance.now())), woken.signal);
      this.sessionListeners.delete(listener);
      woken.unlink();
    }
  }

  // ---- sources and builds --------------------------------------------------------------------------------------

  private async watch(): Promise<void> {
    const { sources } = this.options;
    const { signal } = this.stop;
    this.save({ at: performance.now(), files: [] });
    for (;;) {
      const saved = await sources.next(signal);
      if (saved === undefined) return;
      this.save(saved);
    }
  }

  /** Of saves that wait only the last one is built. */
  private save(saved: Saved): void {
    this.wanted = saved;
    if (this.building) return;
    this.building = true;
    void this.guarded(this.buildWanted()).finally(() => (this.building = false));
  }

  private async buildWanted(): Promise<void> {
    const { folder, sources, build } = this.options;
    const { signal } = this.stop;
    for (;;) {
      const saved = this.wanted;
      if (saved === undefined || signal.aborted) return;
      this.wanted = undefined;
      if (saved.files.length > 0) this.tell({ kind: "changed", files: saved.files });
      const begun = performance.now();
      try {
        const built = await build(folder);
        const done = performance.now();
        await sources.watchAlso(built.sources);
        if (this.isOvertaken()) continue;
        if (built.warnings !== "") this.tell({ kind: "warnings", text: built.warnings });
        this.deliver({ built, identity: identityOf(built), saved, begun, done });
      } catch (error) {
        if (signal.aborted) return;
        if (this.isOvertaken()) continue;
        this.tell({ kind: "refused", error: EdgePlugError.from(error), running: this.running });
      }
    }
  }

  private isOvertaken(): boolean {
    return this.wanted !== undefined;
  }

  // ---- pushes --------------------------------------------------------------------------------------------------

  private deliver(delivery: Delivery): void {
    const { present } = this;
    if (delivery.identity === present?.identity) {
      // a comment moves lines without a change of the module
      const delivered = present.swapNumber === undefined ? undefined : this.delivered.get(present.swapNumber);
      if (delivered !== undefined) delivered.mapped = mappedOf(delivery.built, delivered.package);
      this.next = undefined;
      return this.tell({ kind: "unchanged" });
    }
    this.present = { identity: delivery.identity, swapNumber: undefined };
    this.next = delivery;
    if (this.pushing === undefined) this.pushes = this.guarded(this.pushAll());
    else if (!this.pushing.staged) this.pushing.overtake.abort();
  }

  private async pushAll(): Promise<void> {
    for (;;) {
      const delivery = this.next;
      if (delivery === undefined || this.stop.signal.aborted) return;
      this.next = undefined;
      this.pushing = { overtake: new AbortController(), staged: false, swapNumber: undefined };
      try {
        await this.push(delivery, this.pushing);
      } finally {
        this.pushing = undefined;
      }
    }
  }

  /** Until it has stayed, was refused, or a later one is there instead. */
  private async push(delivery: Delivery, pushing: Pushing): Promise<void> {
    const { signal } = pushing.overtake;
    let gone: BoardSession | undefined;
    let pkg: AgentPackage | undefined;
    for (let told: ErrorName | undefined; ;) {
      if (this.away !== undefined && told === undefined) {
        this.tell({ kind: "waiting", reason: this.away });
        told = this.away.code;
      }
      const session = await this.board(signal, gone);
      if (session === undefined) return this.overtaken();
      gone = undefined;
      const start = performance.now();
      try {
        pkg ??= await this.pack(delivery.built, session, signal);
        return await this.pushPackage(session, pkg, delivery, pushing, start);
      } catch (thrown) {
        const error = EdgePlugError.from(thrown);
        if (signal.aborted && error.code === "INTERRUPTED") return this.overtaken();
        if (LOST.includes(error.code)) gone = session;
        else if (error.code !== "BUSY") return await this.failed(error, delivery, pkg);
        if (told !== error.code) this.tell({ kind: "waiting", reason: error });
        told = error.code;
        pushing.staged = false;
        if (error.code === "BUSY") await this.idle(session, signal);
      }
    }
  }

  private async pack(built: BuiltModule, session: BoardSession, signal: AbortSignal): Promise<AgentPackage> {
    const { signer } = this.options;
    const { hello } = session;
    const slots = await session.slots({ signal });
    const release = Math.max(this.lastRelease + 1, nextRelease(built.config.name, slots));
    this.lastRelease = release;
    return devPackage(built, { release, hello, signer, signal });
  }

  private async pushPackage(
    session: BoardSession,
    pkg: AgentPackage,
    delivery: Delivery,
    pushing: Pushing,
    start: number,
  ): Promise<void> {
    const { built } = delivery;
    const times = { start, sent: start, staged: start, activated: start };
    let swap: Swap | undefined;
    const tellRunning = (): void => {
      if (swap === undefined) return;
      this.tell({ kind: "running", built, package: pkg, swap, parts: partsOf(delivery, times) });
      swap = undefined;
    };
    const { running } = this;
    for await (const step of session.push(pkg, { signal: pushing.overtake.signal })) {
      const now = performance.now();
      switch (step.step) {
        case "begin":
          pushing.swapNumber = step.swapNumber;
          times.sent = now;
          break;
        case "sending":
          times.sent = now;
          break;
        case "interrupted":
          pushing.staged = false;
          break;
        case "verifying":
        case "staged":
          pushing.staged = true;
          times.staged = now;
          break;
        case "activated":
          times.activated = now;
          swap = this.activated(step, running, built, pkg);
          break;
        case "trial":
          tellRunning();
          break;
        case "confirmed":
          tellRunning();
          this.stayed(step.swapNumber);
          this.tell({ kind: "confirmed", swapNumber: step.swapNumber, scan: step.scan });
          break;
        case "queued":
          break;
      }
    }
    await this.lookWhatRuns();
  }

  private activated(
    { swapNumber, scan, handedOver }: { swapNumber: number; scan: number; handedOver: number },
    before: Running,
    built: BuiltModule,
    pkg: AgentPackage,
  ): Swap {
    const { stateId } = built.config;
    const noState = handedOver > 0 ? "" : this.whyNoState(stateId, before);
    this.delivered.set(swapNumber, { package: pkg, mapped: mappedOf(built, pkg), stateId, stayed: false });
    for (const old of this.delivered.keys()) if (this.delivered.size > MAPS_KEPT) this.delivered.delete(old);
    const { name, version } = pkg.manifest;
    this.running = { name, version, swapNumber };
    if (this.next === undefined && this.present !== undefined) this.present.swapNumber = swapNumber;
    return { swapNumber, scan, handedOver, noState };
  }

  private whyNoState(stateId: number, before: Running): string {
    if (before === null) return "no agent ran before";
    if (stateId === 0) return "agent.json has no stateId";
    const known = before === undefined ? undefined : this.delivered.get(before.swapNumber);
    if (known === undefined) return "the agent before it has another stateId, or none";
    return known.stateId === stateId
      ? "save() gave nothing"
      : known.stateId === 0
        ? "the agent before it had no stateId"
        : `the agent before it had stateId ${known.stateId}, this one has ${stateId}`;
  }

  private stayed(swapNumber: number): void {
    const delivered = this.delivered.get(swapNumber);
    if (delivered !== undefined) delivered.stayed = true;
  }

  private overtaken(): void {
    if (!this.stop.signal.aborted) this.tell({ kind: "overtaken" });
  }

  private async failed(
    error: EdgePlugError,
    { built }: Delivery,
    pkg: AgentPackage | undefined,
  ): Promise<void> {
    if (this.next === undefined) this.present = undefined;
    const explained =
      pkg === undefined ? error : await explainRejection(error, pkg, mappedOf(built, pkg)).catch(() => error);
    await this.lookWhatRuns();
    this.tell({ kind: "failed", error: explained, running: this.running });
  }

  /** Until the board has nothing under way. What it can't be asked for, the next attempt tells. */
  private async idle(session: BoardSession, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(BUSY_POLL_MS, signal);
      const status = await session.status({ signal, timeoutMs: STATUS_MS }).catch(() => undefined);
      if (status === undefined || status.phase === UpdatePhase.UPDATE_PHASE_IDLE) return;
    }
  }
}

/** Two builds of which a board would not see the difference. */
function identityOf({ wasm, config }: BuiltModule): string {
  return createHash("sha256").update(wasm).update(JSON.stringify(config)).digest("hex");
}

function mappedOf(built: BuiltModule, pkg: AgentPackage): MappedPackage | undefined {
  const map = AgentSourceMap.of(built.mapJson, pkg.payload);
  return map === undefined ? undefined : mappedPackage(pkg, map);
}

function partsOf(
  { saved, begun, done, built }: Delivery,
  at: { start: number; sent: number; staged: number; activated: number },
): Parts {
  return {
    settle: begun - saved.at,
    compile: done - begun - built.checkMs,
    checks: built.checkMs,
    wait: at.start - done,
    transfer: at.sent - at.start,
    verify: at.staged - at.sent,
    swap: at.activated - at.staged,
  };
}
