/**
 * A push from Begin to the end of the trial. The board's status is the truth about where it stands; events
 * only make this side look sooner. Success is told when the new agent is confirmed, not before.
 */
import { EdgePlugError } from "../errors.js";
import { edgeplug } from "../generated/messages.js";
import { decodeManifest, TRIAL_DEFAULTS, type AgentManifest } from "../manifest.js";
import { sha512 } from "../signing.js";
import { Asking } from "./asking.js";
import type { SessionPushOptions } from "./board-session.js";
import { carryOut } from "./execute.js";
import { toBeginReply, type DeviceEvent, type ShadowReport, type Status } from "./messages.js";
import { explainMismatch, isSameBoard, requireSameBoard } from "./mismatch.js";
import type { Deliverable, PushResult, PushStep } from "./push-steps.js";
import type { DeviceSession } from "./session.js";
import { checkShadowOptions, requireShadow, ShadowRun } from "./shadow.js";
import { Transfer } from "./transfer.js";
import { Trial } from "./trial.js";

export type { Deliverable, PushOptions, PushResult, PushStep, ShadowOptions } from "./push-steps.js";

const DEFAULT_SILENCE_MS = 15_000;
const BEGIN_ATTEMPT_MS = 600;
const ACTIVATE_ATTEMPT_MS = 1_500;
const POLL_MS = 150;
const EVENT_PATIENCE_MS = 300;
const EVENT_POLL_MS = 5;
const MOST_RESTARTS = 8;
const ABORT_TIMEOUT_MS = 1_500;
const ABORT_ATTEMPT_MS = 400;
/** For verification and everything else that is not wire or trial. */
const DEFAULT_SLACK_MS = 90_000;
const DIGEST_SIZE = 16;
const { UpdatePhase, Reason, EventKind } = edgeplug;

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
  private readonly asking: Asking;
  /** The board that was meant, whatever answers later. */
  private readonly boardId: Uint8Array;
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
  private shadow: ShadowReport | undefined;
  private trap: DeviceEvent | undefined;
  /** Part of the payload is what the board had kept of an earlier session. */
  private goesOn = false;
  /** The boot in which an operator allowed this package although it is older. */
  private allowedInBoot: number | undefined;

  constructor(
    private readonly session: DeviceSession,
    private readonly pkg: Deliverable,
    private readonly options: SessionPushOptions,
  ) {
    if (options.shadow !== undefined) checkShadowOptions(options.shadow);
    this.manifest = decodeManifest(pkg.manifestBytes);
    this.boardId = session.hello.boardId;
    const { signal, timeoutMs = this.defaultTimeout(), silenceMs = DEFAULT_SILENCE_MS } = options;
    this.asking = new Asking(session, { signal, timeoutMs, silenceMs });
  }

  async *run(): AsyncGenerator<PushStep, PushResult, void> {
    const off = this.session.connection.onEvent((event) => {
      if (event.kind === EventKind.EVENT_KIND_ACTIVATED) this.activation = event;
      if (event.kind === EventKind.EVENT_KIND_TRAP) this.trap = event;
    });
    try {
      if (this.options.activated === undefined) yield* this.stageAndActivate();
      else this.takeUp(this.options.activated);
      const trial = new Trial(
        this.session,
        this.asking,
        this.manifest,
        this.pkg.payload,
        this.result,
        this.options,
        () => this.trap,
      );
      const active = yield* trial.run();
      const totalMs = this.now() - this.asking.start;
      this.stage = "over";
      const { transferMs, stagedMs, shadow } = this;
      return { ...this.result, active, shadow, transferMs, stagedMs, totalMs };
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
    this.asking.stage = "trial";
  }

  /** Tidies up after an early end: before activation the board forgets the session and keeps the bytes. */
  async leave(): Promise<void> {
    if (this.stage !== "staging" || this.session.connection.lossReason !== undefined) return;
    if (!isSameBoard(this.boardId, this.session.hello)) return; // what is under way there is not this push's
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
    const trial = (this.manifest.trial.deadlineScans || TRIAL_DEFAULTS.deadlineScans) * 3;
    return DEFAULT_SLACK_MS + 8 * this.session.connection.lineTime(this.pkg.payload.length) + trial;
  }

  private async *stageAndActivate(): AsyncGenerator<PushStep, void, void> {
    if (this.options.shadow !== undefined) await requireShadow(this.session, this.asking, this.manifest);
    for (;;) {
      const outcome = yield* this.attempt();
      if (outcome.ok) return;
      if (++this.result.restarts > MOST_RESTARTS) throw outcome.error;
      yield { step: "interrupted", error: outcome.error };
      requireSameBoard(this.boardId, await this.session.refresh(this.asking.request()));
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
        for (;;) {
          const outcome = (yield* this.runShadow()) ?? (yield* this.activate());
          if (outcome !== undefined) return outcome;
        }
      }
      offset = verified.offset;
    }
  }

  /** Undefined when the new agent may be activated. */
  private async *runShadow(): AsyncGenerator<PushStep, Outcome | undefined, void> {
    const run = this.shadowRun(this.result.swapNumber);
    if (run === undefined) return undefined;
    try {
      const error = yield* run.run();
      this.shadow = run.report;
      return error === undefined ? undefined : { ok: false, error };
    } catch (error) {
      if (run.isRejected) this.stage = "over";
      throw error;
    }
  }

  private shadowRun(swapNumber: number): ShadowRun | undefined {
    const { session, asking, manifest, options, pkg } = this;
    if (options.shadow === undefined) return undefined;
    return new ShadowRun(
      session,
      asking,
      manifest,
      pkg.payload,
      swapNumber,
      options.shadow,
      options,
      () => this.trap,
    );
  }

  /** A locked board takes an older package only by an operator's word, which holds until a reset. */
  private async allowDowngrade(): Promise<void> {
    const { allowDowngrade, signer, signal, timeoutMs } = this.options;
    const { locked, bootNumber } = this.session.hello;
    if (allowDowngrade !== true || signer === undefined || !locked || this.allowedInBoot === bootNumber)
      return;
    const digest = sha512(this.pkg.manifestBytes).slice(0, DIGEST_SIZE);
    const asked = this.now();
    await carryOut(this.session, { kind: "allowDowngrade", digest }, { signer, signal });
    if (timeoutMs === undefined) this.asking.excuse(this.now() - asked);
    this.allowedInBoot = this.session.hello.bootNumber;
  }

  private async *begin(): AsyncGenerator<PushStep, Outcome | { offset: number }, void> {
    const { manifestBytes, keyId, signature, payload } = this.pkg;
    const timestamp = this.options.timestamp ?? Math.floor(Date.now() / 1000);
    const allowDowngrade = this.options.allowDowngrade ?? false;
    const body = { begin: { manifest: manifestBytes, keyId, signature, timestamp, allowDowngrade } };
    const { connection } = this.session;
    const { response } = await this.asking.insist(
      (options) => connection.ask(body, options),
      BEGIN_ATTEMPT_MS,
    );
    if (response.error !== 0) {
      const refusal = EdgePlugError.fromBoard(response.error, response.detail, response.message);
      const { promised } = this.options;
      if (refusal.code === "SPENT" && promised !== undefined) yield* this.shadowRun(promised)?.missed() ?? [];
      const error = explainMismatch(refusal, this.manifest, this.session.hello);
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
    const { bootNumber } = await this.session.refresh(this.asking.request());
    if (bootNumber === this.allowedInBoot) throw error;
    return { ok: false, error: resetError() };
  }

  private async *send(offset: number): AsyncGenerator<PushStep, Outcome, void> {
    const { payload } = this.pkg;
    const { maxChunk, pageSize } = this.session.hello;
    const { signal } = this.options;
    const silenceMs = Math.min(this.asking.silenceMs, Math.max(0, this.asking.deadline - this.now()));
    const transfer = new Transfer(this.session.connection, payload, { offset, maxChunk, silenceMs, signal });
    const before = this.result.payloadBytesSent;
    const size = payload.length;
    const run = transfer.run();
    try {
      for (;;) {
        const step = await run.next();
        this.result.payloadBytesSent = before + transfer.payloadBytesSent;
        if (step.done === true) {
          this.transferMs = this.now() - this.asking.start;
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
        if (this.now() > this.asking.deadline) throw this.asking.outOfTime();
      }
    } finally {
      await run.return({ done: true });
    }
  }

  /** What a refused chunk means: the board has it all, has given up with a reason, or has lost the session. */
  private async explain(error: EdgePlugError): Promise<Outcome> {
    if (error.code !== "NO_SESSION" && error.code !== "BUSY") throw error;
    const status = await this.asking.status();
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
      const status = await this.asking.status();
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
          this.stagedMs = this.now() - this.asking.start;
          yield { step: "staged" };
          return { ok: true };
      }
      await this.session.connection.pause(POLL_MS, this.options.signal);
    }
  }

  /** Undefined if the board isn't done with the shadow run: a late copy of the request has begun it anew. */
  private async *activate(): AsyncGenerator<PushStep, Outcome | undefined, void> {
    const { connection } = this.session;
    const { response } = await this.asking.insist(
      (options) => connection.ask({ activate: {} }, options),
      ACTIVATE_ATTEMPT_MS,
    );
    if (response.error !== 0) {
      // A repeated request finds the work of its first copy done, or undone again by a trial that was short.
      const status = await this.asking.status();
      const error = EdgePlugError.fromBoard(response.error, response.detail, response.message);
      if (status.bootNumber !== this.session.hello.bootNumber) return { ok: false, error: resetError() };
      if (status.phase === UpdatePhase.UPDATE_PHASE_SHADOW)
        return this.shadow === undefined ? await this.endForeignRun(error) : undefined;
      const ours = status.active?.swapNumber === this.result.swapNumber;
      const over =
        status.lastReasonSwap === this.result.swapNumber && status.lastReason !== Reason.REASON_NONE;
      if (!ours && (!over || error.code !== "NO_SESSION")) {
        if (over) this.stage = "over";
        throw error;
      }
    }
    this.stage = "activated";
    this.asking.stage = "trial";
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

  /** Of an earlier push of this package, which left without a word; nobody waits for it. */
  private async endForeignRun(error: EdgePlugError): Promise<Outcome> {
    const { connection } = this.session;
    await this.asking.insist((options) => connection.ask({ abort: {} }, options));
    return { ok: false, error };
  }

  /** The event follows the answer; a line that lost it costs no more than the scan's number. */
  private async awaitActivation(): Promise<void> {
    const start = this.now();
    while (this.activation?.swapNumber !== this.result.swapNumber && this.now() - start < EVENT_PATIENCE_MS) {
      await this.session.connection.pause(EVENT_POLL_MS, this.options.signal);
    }
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
