/**
 * A push through a gateway. The deployment is the gateway's: it goes on while nobody watches. This side starts it, tells
 * its steps as a push on a port would, and comes back to it when the connection was lost, behind the last event that
 * was seen: none is missed, none told twice.
 */
import { EdgePlugError } from "../../errors.js";
import { edgeplug } from "../../generated/messages.js";
import { decodeManifest, TRIAL_DEFAULTS, type AgentManifest } from "../../manifest.js";
import { serializePackage } from "../../package.js";
import { pause } from "../../pause.js";
import type { SessionPushOptions } from "../../session/board-session.js";
import { interrupted } from "../../session/connection.js";
import type { Deliverable, PushResult, PushStep } from "../../session/push.js";
import type { Hello, ShadowReport } from "../../session/messages.js";
import { outOfTime } from "../../session/asking.js";
import { checkShadowOptions, longestShadowMs, shadowMessage, stoppedInShadow } from "../../session/shadow.js";
import { fromDeployResult, fromErrorDetail, stepOfEvent, type ReceivedEvent } from "../wire.js";
import type { GatewayClient } from "./gateway-client.js";
import { answerWanted, type Asked } from "./signature.js";
import { Watchdog } from "./watchdog.js";

export interface DeployTarget {
  readonly client: GatewayClient;
  readonly hello: Pick<Hello, "tickUs">;
  /** Board id in hex. */
  readonly id: string;
}

/** How long a gateway may be away in the middle of a deployment, milliseconds. */
const AWAY_MS = 90_000;
const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 2_000;
/** After the user's deadline, for the gateway to say so itself. */
const GRACE_MS = 5_000;
const CANCEL_MS = 5_000;
/** Until a call that was just begun has an id by which it can be cancelled. */
const FIRST_EVENT_MS = 5_000;
/** What line and flash may take at most, whatever the speed of the line. */
const STAGING_MS = 15 * 60_000;
const QUEUE_MS = 60 * 60_000;
const { DEPLOYMENT_STATE_DONE } = edgeplug.gateway.v1.DeploymentState;

export async function* deploy(
  target: DeployTarget,
  pkg: Deliverable,
  options: SessionPushOptions = {},
): AsyncGenerator<PushStep, PushResult, void> {
  if (options.confirm === false) {
    throw new EdgePlugError("UNSUPPORTED", "A gateway confirms trials itself.");
  }
  if (options.shadow !== undefined) {
    checkShadowOptions(options.shadow);
    await requireShadowRuns(target.client, options.signal);
  }
  const deployment = new Deployment(target, pkg, options);
  try {
    return yield* deploymentSteps(deployment);
  } finally {
    await deployment.leave();
  }
}

/** A gateway that doesn't know of shadow runs would activate the package without one. */
async function requireShadowRuns(client: GatewayClient, signal: AbortSignal | undefined): Promise<void> {
  const { shadowRuns, version } = await client.call("getGateway", {}, { signal });
  if (shadowRuns) return;
  throw new EdgePlugError("UNSUPPORTED", `The gateway ${client.gateway} (${version}) knows no shadow run.`, {
    action: "Update the gateway, or push without --shadow.",
  });
}

async function* deploymentSteps(deployment: Deployment): AsyncGenerator<PushStep, PushResult, void> {
  for (;;) {
    const told = await deployment.next();
    if ("result" in told) return told.result;
    yield told.step;
  }
}

type Told = { step: PushStep } | { result: PushResult };
type Stage = "before" | "activated" | "over";

interface Outage {
  /** By performance.now(). */
  until: number;
  pauseMs: number;
}

class Deployment {
  private readonly client: GatewayClient;
  private readonly manifest: AgentManifest;
  private readonly start = performance.now();
  private id = "";
  /** Of the last event that was told. */
  private sequence = 0;
  private stage: Stage = "before";
  /** What is before it in the queue; empty if nothing is. */
  private behind = "";
  /** While it runs. */
  private shadow: ShadowReport | undefined;
  private events: AsyncGenerator<ReceivedEvent, void, void> | undefined;
  private watchdog: Watchdog | undefined;
  /** Since the connection was lost, until the first event after it. */
  private outage: Outage | undefined;
  /** Asked for, but not provided yet: the connection was lost in between. */
  private owed: ReceivedEvent | undefined;

  constructor(
    private readonly target: DeployTarget,
    private readonly pkg: Deliverable,
    private readonly options: SessionPushOptions,
  ) {
    this.client = target.client;
    this.manifest = decodeManifest(pkg.manifestBytes);
  }

  /** What happens next. Throws the failure, TIMEOUT, INTERRUPTED, or GATEWAY_UNREACHABLE after a long while. */
  async next(): Promise<Told> {
    for (;;) {
      try {
        const event = await this.nextEvent();
        const told = event === undefined ? undefined : await this.take(event);
        if (told !== undefined) return told;
      } catch (error) {
        const known = EdgePlugError.from(error);
        if (this.options.signal?.aborted === true && this.stage !== "over") throw await this.stop();
        if (!isLoss(known) || this.id === "") throw known;
        await this.disconnect();
        const news = this.outage === undefined;
        this.outage ??= this.newOutage();
        await this.comeBack(known, this.outage);
        if (news) return { step: { step: "interrupted", error: known } };
      }
    }
  }

  /** Who leaves before activation takes the deployment along, as on a port; later it goes on by itself. */
  async leave(): Promise<void> {
    await this.disconnect();
    if (this.stage !== "before" || this.id === "") return;
    try {
      await this.client.call("cancelDeployment", { deployment: this.id }, { timeoutMs: CANCEL_MS });
    } catch {
      // It is over, or the gateway can't be reached; why this side left is told already.
    }
  }

  /** The next event that was not told yet; undefined if the stream has to be taken up anew. */
  private async nextEvent(): Promise<ReceivedEvent | undefined> {
    this.events ??= this.connect();
    const { watchdog } = this;
    watchdog?.watch(this.timeLeft());
    const next = await this.events.next();
    watchdog?.rest();
    if (next.done === true) {
      throw new EdgePlugError(
        "GATEWAY_UNREACHABLE",
        `${this.client.gateway} has ended the stream of events.`,
      );
    }
    const event = next.value;
    this.id ||= event.deployment;
    if (event.sequence <= this.sequence) return undefined;
    this.sequence = event.sequence;
    this.outage = undefined;
    return event;
  }

  private connect(): AsyncGenerator<ReceivedEvent, void, void> {
    const watchdog = new Watchdog(this.client, this.options.signal, () => this.outOfTime());
    this.watchdog = watchdog;
    if (this.id !== "") {
      const from = { deployment: this.id, after: this.sequence };
      return this.client.stream("watchDeployment", from, watchdog.signal);
    }
    watchdog.patienceWithStop(FIRST_EVENT_MS);
    const { allowDowngrade, timeoutMs, signer, shadow } = this.options;
    const request = {
      device: this.target.id,
      package: serializePackage(this.pkg),
      allowDowngrade: allowDowngrade ?? false,
      timeoutMs: Math.min(Math.ceil(timeoutMs ?? 0), 0xffff_ffff),
      maySign: signer !== undefined,
      ...(shadow === undefined ? {} : { shadow: shadowMessage(shadow) }),
    };
    return this.client.stream("deploy", request, watchdog.signal);
  }

  private async disconnect(): Promise<void> {
    const { events } = this;
    this.events = undefined;
    this.watchdog?.end();
    this.watchdog = undefined;
    await events?.return().catch(() => undefined);
  }

  private async take(event: ReceivedEvent): Promise<Told | undefined> {
    if (this.options.signal?.aborted === true) throw interrupted(this.options.signal);
    if (event.result) {
      this.stage = "over";
      return { result: fromDeployResult(event.result) };
    }
    if (event.failure) {
      this.stage = "over";
      throw fromErrorDetail(event.failure);
    }
    if (event.signatureWanted) {
      this.owed = event;
      await this.sign();
      return undefined;
    }
    const step = stepOfEvent(event);
    if (step?.step === "activated") this.stage = "activated";
    this.shadow = step?.step === "shadow" ? step : undefined;
    this.behind = step?.step === "queued" ? step.behind : "";
    // Nobody is before it: on a port there is nothing to be said either.
    if (step === undefined || (step.step === "queued" && step.behind === "")) return undefined;
    return { step };
  }

  private async sign(): Promise<void> {
    const wanted = this.owed?.signatureWanted;
    if (!wanted) return;
    try {
      await answerWanted(this.client, this.id, wanted, this.options.signer, this.asked());
    } catch (thrown) {
      // A gateway that was started anew has a new nonce to be signed, and asks for that; or it is too late, and it says so.
      if (EdgePlugError.from(thrown).code !== "GATEWAY_REQUEST") throw thrown;
    }
    this.owed = undefined;
  }

  /** What the user has asked for, and may therefore be signed now. */
  private asked(): Asked {
    return {
      boardId: this.target.id,
      confirm: this.stage === "activated" && this.manifest.trial.confirmByHost,
      downgradeOf: this.options.allowDowngrade === true ? this.pkg.manifestBytes : undefined,
    };
  }

  private newOutage(): Outage {
    return { until: performance.now() + Math.min(AWAY_MS, this.timeLeft()), pauseMs: FIRST_BACKOFF_MS };
  }

  /** Waits until the gateway can be reached again, with growing pauses. */
  private async comeBack(loss: EdgePlugError, outage: Outage): Promise<void> {
    const { signal } = this.options;
    for (;;) {
      const left = outage.until - performance.now();
      if (left <= 0) throw this.goneForGood(loss);
      await pause(Math.min(outage.pauseMs, left), signal);
      outage.pauseMs = Math.min(outage.pauseMs * 2, LONGEST_BACKOFF_MS);
      if (signal?.aborted === true) throw await this.stop();
      if (!(await this.client.isReachable(LONGEST_BACKOFF_MS))) continue;
      try {
        return await this.sign();
      } catch (error) {
        if (!isLoss(EdgePlugError.from(error))) throw error;
      }
    }
  }

  /** Ctrl-C. Before activation the deployment ends and the board is as before; after it, the trial is the board's. */
  private async stop(): Promise<EdgePlugError> {
    const before = this.stage === "before";
    this.stage = "over";
    if (!before) return stoppedInTrial();
    if (this.id === "") return interrupted(this.options.signal);
    await this.disconnect();
    try {
      const request = { deployment: this.id };
      const { deployment } = await this.client.call("cancelDeployment", request, { timeoutMs: CANCEL_MS });
      if (deployment?.state === DEPLOYMENT_STATE_DONE) return stoppedInTrial();
      const error = interrupted(this.options.signal);
      return this.shadow === undefined ? error : stoppedInShadow(error, this.manifest, this.shadow);
    } catch (error) {
      return new EdgePlugError(
        "INTERRUPTED",
        `Stopped by the user, but the gateway could not be told and goes on: ${EdgePlugError.from(error).message}`,
        { cause: error, action: "See how it ends with --status, or take it back with --rollback." },
      );
    }
  }

  private goneForGood(loss: EdgePlugError): EdgePlugError {
    if (this.timeLeft() <= 0) return this.outOfTime();
    this.stage = "over"; // there is nobody to tell
    return new EdgePlugError(
      "GATEWAY_UNREACHABLE",
      `${this.client.gateway} has been away for ${AWAY_MS / 1000} s in the middle of deployment ${this.id}.`,
      { cause: loss, action: "When it runs again, it goes on by itself; see how it ends with --status." },
    );
  }

  private timeLeft(): number {
    const { timeoutMs, shadow } = this.options;
    const trial = (this.manifest.trial.deadlineScans || TRIAL_DEFAULTS.deadlineScans) * 3;
    const beside =
      shadow === undefined ? 0 : longestShadowMs(shadow, this.manifest, this.target.hello.tickUs);
    const most = timeoutMs === undefined ? QUEUE_MS + STAGING_MS + beside + trial : timeoutMs + GRACE_MS;
    return this.start + most - performance.now();
  }

  private outOfTime(): EdgePlugError {
    // what the user has set, not the grace that the gateway gets to say so itself
    const took = this.options.timeoutMs ?? performance.now() - this.start;
    const seconds = (took / 1000).toFixed(0);
    const stage = this.stage === "before" ? "staging" : "trial";
    if (this.behind !== "") {
      return new EdgePlugError(
        "TIMEOUT",
        `The package was not on the board within ${seconds} s: it was still queued, behind ${this.behind}.`,
        { action: "Push again later, or with a longer --timeout." },
      );
    }
    return outOfTime(this.shadow === undefined ? stage : "shadow", seconds);
  }
}

/** The gateway or the way to it is gone, or going: the deployment is not. */
function isLoss({ code }: EdgePlugError): boolean {
  return code === "GATEWAY_UNREACHABLE" || code === "GATEWAY_STOPPING";
}

/** The words of a push on a port. */
function stoppedInTrial(): EdgePlugError {
  return new EdgePlugError(
    "INTERRUPTED",
    "Stopped by the user; the new agent runs, and its trial goes on by itself.",
    { action: "See how it ends with --status, or take it back with --rollback." },
  );
}
