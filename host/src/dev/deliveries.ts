/** Puts builds on the board, one at a time: the latest one counts, and overtakes what the board has not swapped to yet. */
import { explainRejection } from "../agent/rejection.js";
import { EdgePlugError, type ErrorName } from "../errors.js";
import { edgeplug } from "../generated/messages.js";
import type { AgentPackage } from "../package.js";
import { pause, settledWithin } from "../pause.js";
import type { BoardSession } from "../session/board-session.js";
import type { Signer } from "../signer/signer.js";
import type { Delivery } from "./builds.js";
import type { BuiltModule } from "./compiler.js";
import { mappedOf, type DeliveredAgents } from "./delivered-agents.js";
import { devPackage, nextRelease } from "./dev-package.js";
import type { DevEvent, Parts, Swap } from "./events.js";
import { askStatus, type FollowedBoard } from "./followed-board.js";

/** The push that is under way. */
interface Pushing {
  overtake: AbortController;
  /** As soon as the board has given one. */
  swapNumber: number | undefined;
  /** From now on it is let finish: that takes less time than to call it back. */
  staged: boolean;
}

export interface DeliveriesOptions {
  board: FollowedBoard;
  agents: DeliveredAgents;
  /** A publisher's key. */
  signer: Signer | undefined;
  /** The end: nothing is begun any more. */
  stop: AbortSignal;
}

export interface DeliveriesListener {
  tell(event: DevEvent): void;
  /** Takes what goes on beside all else; what fails in it ends everything. */
  guard(task: Promise<void>): Promise<void>;
}

const BUSY_POLL_MS = 100;
/** A trial of ours is over by then. */
const LEAVING_MS = 3_000;
/** The way to the board is gone; it comes back, and the push goes on. */
const LOST: readonly ErrorName[] = ["PORT_LOST", "GATEWAY_UNREACHABLE", "GATEWAY_STOPPING"];

export class Deliveries {
  private next: Delivery | undefined;
  private pushing: Pushing | undefined;
  private pushes: Promise<void> = Promise.resolve();
  private lastRelease = 0;

  constructor(
    private readonly options: DeliveriesOptions,
    private readonly listener: DeliveriesListener,
  ) {}

  /** The swap that is under way, once the board has given it a number. */
  get swapNumber(): number | undefined {
    return this.pushing?.swapNumber;
  }

  /** After a build. */
  deliver(delivery: Delivery): void {
    const { agents } = this.options;
    if (agents.isPresent(delivery)) {
      this.next = undefined;
      return this.listener.tell({ kind: "unchanged" });
    }
    agents.begin(delivery);
    this.next = delivery;
    if (this.pushing === undefined) this.pushes = this.listener.guard(this.pushAll());
    else if (!this.pushing.staged) this.pushing.overtake.abort();
  }

  /** The board is left with one agent or the other, and with what it had of a package that was still under way. */
  async leave(): Promise<void> {
    const { pushing } = this;
    if (pushing !== undefined && !pushing.staged) pushing.overtake.abort();
    await settledWithin(this.pushes, LEAVING_MS);
    this.pushing?.overtake.abort();
    await settledWithin(this.pushes, LEAVING_MS);
  }

  /** As leave(), at once. Resolves when nothing is under way any more. */
  async abort(): Promise<void> {
    this.pushing?.overtake.abort();
    await this.pushes;
  }

  private async pushAll(): Promise<void> {
    for (;;) {
      const delivery = this.next;
      if (delivery === undefined || this.options.stop.aborted) return;
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
    const { board } = this.options;
    const { signal } = pushing.overtake;
    let gone: BoardSession | undefined;
    let pkg: AgentPackage | undefined;
    for (let told: ErrorName | undefined; ;) {
      if (board.away !== undefined && told === undefined) {
        this.listener.tell({ kind: "waiting", reason: board.away });
        told = board.away.code;
      }
      const session = await board.reach(signal, gone);
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
        if (told !== error.code) this.listener.tell({ kind: "waiting", reason: error });
        told = error.code;
        pushing.staged = false;
        if (error.code === "BUSY") await untilIdle(session, signal);
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
    const { board, agents } = this.options;
    const { built } = delivery;
    const times = { start, sent: start, staged: start, activated: start };
    let swap: Swap | undefined;
    const tellRunning = (): void => {
      if (swap === undefined) return;
      const parts = partsOf(delivery, times);
      this.listener.tell({ kind: "running", built, package: pkg, swap, parts });
      swap = undefined;
    };
    const before = board.running;
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
        case "activated": {
          const { name, version } = pkg.manifest;
          times.activated = now;
          swap = agents.activated(step, { built, pkg, isLatest: this.next === undefined, before });
          board.running = { name, version, swapNumber: step.swapNumber };
          break;
        }
        case "trial":
          tellRunning();
          break;
        case "confirmed":
          tellRunning();
          agents.stayed(step.swapNumber);
          this.listener.tell({ kind: "confirmed", swapNumber: step.swapNumber, scan: step.scan });
          break;
        case "queued":
          break;
      }
    }
    await board.lookWhatRuns();
  }

  private overtaken(): void {
    if (!this.options.stop.aborted) this.listener.tell({ kind: "overtaken" });
  }

  private async failed(
    error: EdgePlugError,
    { built }: Delivery,
    pkg: AgentPackage | undefined,
  ): Promise<void> {
    const { board, agents } = this.options;
    if (this.next === undefined) agents.forgetPresent();
    const explained =
      pkg === undefined ? error : await explainRejection(error, pkg, mappedOf(built, pkg)).catch(() => error);
    await board.lookWhatRuns();
    this.listener.tell({ kind: "failed", error: explained, running: board.running });
  }
}

/** Until the board has nothing under way. What it can't be asked for, the next attempt tells. */
async function untilIdle(session: BoardSession, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await pause(BUSY_POLL_MS, signal);
    const status = await askStatus(session, signal);
    if (status === undefined || status.phase === edgeplug.UpdatePhase.UPDATE_PHASE_IDLE) return;
  }
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
