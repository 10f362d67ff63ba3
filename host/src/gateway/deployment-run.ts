/**
 * Carries one deployment out, from the look at the board to its end. The line, the board and the gateway itself may go
 * away in between: what the board says of the promised swap decides whether to push, to wait, or that it is done.
 */
import { EdgePlugError, type ErrorName } from "../errors.js";
import { edgeplug } from "../generated/messages.js";
import { readPackage, type AgentPackage } from "../package.js";
import type { Hello, SlotInfo } from "../session/messages.js";
import type { PushResult, PushStep } from "../session/push.js";
import type { DeviceSession } from "../session/session.js";
import type { Deployment } from "./deployment.js";
import type { Devices } from "./devices.js";
import { boardIdText } from "./gateway-board.js";
import { pause } from "../pause.js";
import { eventOfStep, toErrorDetail } from "./wire.js";

export interface RunOptions {
  devices: Devices;
  /** Puts the deployment on disk. Throws GATEWAY_STATE. */
  save: (deployment: Deployment) => void;
  /** How long a board may be absent in the middle, milliseconds. */
  absenceMs: number;
  /** The gateway stops: nothing new is begun. */
  stopped: AbortSignal;
}

/** How a run came to its end; `left`: the gateway stops, and goes on with it after its next start. */
export type RunEnd = { done: PushResult } | { failed: EdgePlugError } | { left: true };

/** The board or its line went away: nothing is lost that the board doesn't know when it is back. */
const INTERRUPTIONS: ReadonlySet<string> = new Set<ErrorName>([
  "PORT_LOST",
  "BOARD_RESET",
  "EMULATOR",
  "GATEWAY_STATE",
]);
const MOST_INTERRUPTIONS = 20;
/** Before the next attempt; doubles with each. */
const PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;
const SIGN_OF_LIFE_MS = 3_000;
/** An abort ends a trial within a scan; programming the mark takes longer. */
const TRIAL_END_MS = 10_000;
const { SlotState } = edgeplug;

/** Where the board stands with the swap that it promised. */
type Standing =
  | { kind: "fresh" }
  /** Active, on trial or confirmed; or rejected after it had been active. */
  | { kind: "activated"; slot: number }
  /** Confirmed once, and something else since. */
  | { kind: "superseded"; slot: number; active: SlotInfo };

export class DeploymentRun {
  private readonly pkg: AgentPackage;
  private readonly deadline: number;
  private interruptions = 0;
  private lastInterruption: EdgePlugError | undefined;

  constructor(
    private readonly deployment: Deployment,
    private readonly options: RunOptions,
  ) {
    this.pkg = readPackage(deployment.packageBytes);
    const { timeoutMs } = deployment.record.order;
    this.deadline = timeoutMs === 0 ? Infinity : performance.now() + timeoutMs;
  }

  async run(): Promise<RunEnd> {
    for (;;) {
      try {
        if (this.deployment.record.cancelledBy !== "") return await this.takeBack();
        return { done: await this.attempt() };
      } catch (thrown) {
        const end = await this.judge(EdgePlugError.from(thrown));
        if (end !== undefined) return end;
      }
    }
  }

  /** What an error means: the end, or undefined for another attempt. */
  private async judge(error: EdgePlugError): Promise<RunEnd | undefined> {
    const { deployment } = this;
    if (error.code === "GATEWAY_STOPPING") return { left: true };
    if (deployment.stopping.signal.aborted && deployment.record.cancelledBy !== "") return undefined;
    const recoverable = INTERRUPTIONS.has(error.code) || (await this.isSilence(error));
    if (!recoverable || ++this.interruptions > MOST_INTERRUPTIONS || this.timeLeft() <= 0) {
      // Of a board that doesn't come back, why it went says more than that it is absent.
      return { failed: error.code === "DEVICE_UNKNOWN" ? (this.lastInterruption ?? error) : error };
    }
    this.lastInterruption = error;
    deployment.tell({ interrupted: toErrorDetail(error) });
    const pauseMs = Math.min(PAUSE_MS * 2 ** (this.interruptions - 1), LONGEST_PAUSE_MS);
    await pause(pauseMs, deployment.stopping.signal);
    return undefined;
  }

  /** One push, or the rest of one that was begun earlier. */
  private async attempt(): Promise<PushResult> {
    const session = await this.board();
    const standing = await this.standing(session);
    if (standing.kind === "superseded") return this.resultOf(standing);
    const { allowDowngrade, maySign, shadow } = this.deployment.record.order;
    const timeoutMs = this.timeLeft();
    const run = session.push(this.pkg, {
      signal: this.deployment.stopping.signal,
      timeoutMs: Number.isFinite(timeoutMs) ? timeoutMs : undefined,
      allowDowngrade,
      shadow,
      promised: this.deployment.record.swapNumber || undefined,
      signer: maySign ? this.deployment : undefined,
      activated:
        standing.kind === "activated"
          ? { swapNumber: this.deployment.record.swapNumber, slot: standing.slot }
          : undefined,
    });
    try {
      for (;;) {
        const next = await run.next();
        if (next.done === true) return next.value;
        await this.took(next.value, session);
      }
    } finally {
      await run.return(undefined as never).catch(() => undefined);
    }
  }

  private async took(step: PushStep, session: DeviceSession): Promise<void> {
    const { deployment } = this;
    const { record } = deployment;
    if (step.step === "begin") {
      record.swapNumber = step.swapNumber;
      record.slot = step.slot;
    }
    if (step.step === "activated") this.interruptions = 0;
    const due = deployment.tell(eventOfStep(step));
    // Nothing is activated before the promised swap is on disk: a restart finds out by it what became of it.
    if (due || step.step === "begin" || step.step === "activated") this.options.save(deployment);
    // A board that was reset may have been exchanged: ask before anything is sent to it.
    if (step.step === "interrupted") await this.same(session, await session.refresh());
  }

  /** The line to the board, as soon as it is there. */
  private async board(): Promise<DeviceSession> {
    const { devices, absenceMs } = this.options;
    const patience = Math.min(absenceMs, this.timeLeft());
    const { signal } = this.deployment.stopping;
    const session = await devices.waitFor(this.deployment.record.order.device, patience, signal);
    await this.same(session, session.hello);
    return session;
  }

  /** Throws PORT_LOST, and gives the line up so that the board there is known anew, if it is another one. */
  private async same(session: DeviceSession, { boardId }: Hello): Promise<void> {
    const id = boardIdText(boardId);
    if (id === this.deployment.record.order.device) return;
    await session.close();
    throw new EdgePlugError("PORT_LOST", `Another board, ${id}, is on the port now.`);
  }

  private async standing(session: DeviceSession): Promise<Standing> {
    const { swapNumber } = this.deployment.record;
    if (swapNumber === 0) return { kind: "fresh" };
    const { signal } = this.deployment.stopping;
    const slots = await session.slots({ signal });
    const slot = slots.findIndex((info) => info.swapNumber === swapNumber);
    const info = slots[slot];
    if (info === undefined) return { kind: "fresh" };
    const { active } = await session.status({ signal });
    if (active?.swapNumber === swapNumber) return { kind: "activated", slot };
    if (info.state === SlotState.SLOT_STATE_CONFIRMED) {
      return { kind: "superseded", slot, active: active ?? info };
    }
    const ran = info.state === SlotState.SLOT_STATE_REJECTED && info.attempts > 0;
    return ran ? { kind: "activated", slot } : { kind: "fresh" };
  }

  private resultOf({ slot, active }: { slot: number; active: SlotInfo }): PushResult {
    return {
      swapNumber: this.deployment.record.swapNumber,
      slot,
      active,
      offset: 0,
      resumed: true,
      payloadBytesSent: 0,
      restarts: 0,
      transferMs: 0,
      stagedMs: 0,
      totalMs: 0,
    };
  }

  // ---- cancelling --------------------------------------------------------------------------------

  /** Before activation there is nothing to take back; a trial is ended, and the old agent comes back. */
  private async takeBack(): Promise<RunEnd> {
    const { deployment } = this;
    const { record } = deployment;
    if (this.options.stopped.aborted) return { left: true };
    const cancelled = new EdgePlugError("ABORTED", `Cancelled by ${record.cancelledBy}.`);
    deployment.stopping = new AbortController();
    if (record.swapNumber === 0) return { failed: cancelled };
    const session = await this.board();
    const standing = await this.standing(session);
    if (standing.kind === "fresh") return { failed: cancelled };
    // What would be aborted now is somebody else's.
    if (standing.kind === "superseded") return { done: this.resultOf(standing) };
    const { signal } = deployment.stopping;
    try {
      await session.execute(
        { kind: "abort" },
        { signal, signer: record.order.maySign ? deployment : undefined },
      );
    } catch (error) {
      const known = EdgePlugError.from(error);
      // Without a trial it is over, well or badly; the next attempt tells.
      if (known.code !== "NO_SESSION") this.refuseCancel(known);
    }
    return { done: await this.outcome() };
  }

  /** Not taken back after all: the deployment goes on. */
  private refuseCancel(error: EdgePlugError): void {
    if (error.code === "GATEWAY_STOPPING" || INTERRUPTIONS.has(error.code)) throw error;
    this.deployment.record.cancelledBy = "";
    this.deployment.onCancelRefused?.(error);
    this.options.save(this.deployment);
  }

  /** What the trial came to. Throws ABORTED, or what else ended it. */
  private async outcome(): Promise<PushResult> {
    if (this.deployment.record.cancelledBy === "") return this.attempt();
    const session = await this.board();
    const standing = await this.standing(session);
    if (standing.kind === "superseded") return this.resultOf(standing);
    const { swapNumber, slot } = this.deployment.record;
    const activated = { swapNumber, slot };
    const run = session.push(this.pkg, { activated, timeoutMs: TRIAL_END_MS, confirm: false });
    for (;;) {
      const next = await run.next();
      if (next.done === true) return next.value;
    }
  }

  // ---- time --------------------------------------------------------------------------------------

  private timeLeft(): number {
    return this.deadline - performance.now();
  }

  /** The board answers nothing at all: it may be without power for a while. Its line is given up and found again. */
  private async isSilence(error: EdgePlugError): Promise<boolean> {
    if (error.code !== "TIMEOUT") return false;
    const session = this.options.devices.get(this.deployment.record.order.device)?.usable;
    if (session === undefined) return true;
    try {
      await session.status({ timeoutMs: SIGN_OF_LIFE_MS });
      return false;
    } catch {
      await session.close().catch(() => undefined);
      return true;
    }
  }
}
