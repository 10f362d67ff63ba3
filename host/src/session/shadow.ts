/**
 * A shadow run: the staged agent beside the active one, watched until the board says that they agree or has rejected it. The
 * board compares; this side asks how it stands, and serves requests where nobody else does.
 */
import { EdgePlugError, type ErrorName } from "../errors.js";
import { ERRORS } from "../generated/errors.js";
import { edgeplug } from "../generated/messages.js";
import type { AgentManifest } from "../manifest.js";
import { count } from "../numbers.js";
import type { Asking } from "./asking.js";
import type { SessionPushOptions } from "./board-session.js";
import type { RequestOptions } from "./connection.js";
import { failureText } from "./failure-text.js";
import {
  agentKindName,
  toShadowReport,
  type DeviceEvent,
  type ShadowReport,
  type Status,
} from "./messages.js";
import type { PushStep, ShadowOptions } from "./push-steps.js";
import type { DeviceSession } from "./session.js";
import { MOST_SCANS, MOST_TOLERANCES } from "./shadow-limits.js";
import {
  agreement,
  comparisons,
  differenceText,
  placeOf,
  shadowView,
  whatWouldAgree,
  type ShadowView,
} from "./shadow-words.js";
import { vectorRequests } from "./vectors.js";

const POLL_MS = 120;
const ATTEMPT_MS = 600;
/** A request whose answer doesn't come says nothing; the next report does. */
const SERVE_TIMEOUT_MS = 2_000;
/** Others have asked the running agent something: for so long it is left to them. */
const LEFT_TO_OTHERS_MS = 2_000;
/** How much slower than the tick a run may be (simulated boards share a processor), and what it may take besides. */
const SLOWEST = 4;
const SLACK_MS = 30_000;
const REQUEST_MS = 250;
const REQUESTS_SLACK_MS = 60_000;
const { ShadowState, Reason, EventKind, UpdatePhase } = edgeplug;

/** Everything else is SHADOW. */
const CODES: Partial<Record<edgeplug.Reason, ErrorName>> = {
  [Reason.REASON_TRAP]: "AGENT_TRAP",
  [Reason.REASON_FUEL]: "AGENT_FUEL",
  [Reason.REASON_HANDOVER]: "HANDOVER",
};
const MATTERS: ReadonlySet<number> = new Set([
  EventKind.EVENT_KIND_BOOT,
  EventKind.EVENT_KIND_PHASE,
  EventKind.EVENT_KIND_STAGING_FAILED,
]);

/** Throws TypeError for what no board takes. */
export function checkShadowOptions({ scans, tolerance = [], allowed = 0 }: ShadowOptions): void {
  const whole = (value: number, least: number): boolean =>
    Number.isInteger(value) && value >= least && value <= MOST_SCANS;
  if (!whole(scans, 1))
    throw new TypeError(`expected 1 to ${MOST_SCANS} scans of a shadow run, got ${scans}`);
  if (!whole(allowed, 0)) throw new TypeError(`expected 0 to ${MOST_SCANS} differing scans, got ${allowed}`);
  if (tolerance.length > MOST_TOLERANCES)
    throw new TypeError(`expected up to ${MOST_TOLERANCES} tolerances, got ${tolerance.length}`);
  const bad = tolerance.find((value) => !(value >= 0));
  if (bad !== undefined) throw new TypeError(`expected tolerances of 0 or more, got ${bad}`);
}

/** As a board and a gateway are asked. */
export function shadowMessage({
  scans,
  tolerance = [],
  allowed = 0,
}: ShadowOptions): edgeplug.Shadow.$Properties {
  return { scans, tolerance: [...tolerance], allowed };
}

/** How long a shadow run may take unless somebody says otherwise, milliseconds. */
export function longestShadowMs(
  { scans }: Pick<ShadowOptions, "scans">,
  { kind, scanDivider }: Pick<AgentManifest, "kind" | "scanDivider">,
  tickUs: number,
): number {
  if (kind === "request") return REQUESTS_SLACK_MS + scans * REQUEST_MS;
  return SLACK_MS + (scans * Math.max(1, scanDivider) * tickUs * SLOWEST) / 1_000;
}

/** Who stops in the middle has to know what runs. `report` is the last one that came. */
export function stoppedInShadow(
  error: EdgePlugError,
  { kind }: Pick<AgentManifest, "kind">,
  report: ShadowReport,
): EdgePlugError {
  if (error.code !== "INTERRUPTED") return error;
  const view: ShadowView = { kind, channels: 0, outputs: [], tolerance: [] };
  const far = `${count(report.compared)} of ${comparisons(view, report.needed)}`;
  return new EdgePlugError(
    "INTERRUPTED",
    `Stopped by the user after ${far} of the shadow run; the new agent was not activated, the old one runs on.`,
    {
      cause: error,
      action: "Push again: the package is on the board already, and the shadow run begins anew.",
    },
  );
}

/**
 * Before the first byte is sent: the slot that would be written holds what the board could go back to. Throws UNSUPPORTED
 * and NO_SHADOW_PARTNER, which the board would say later.
 */
export async function requireShadow(
  session: DeviceSession,
  asking: Asking,
  { name, version, kind }: AgentManifest,
): Promise<void> {
  const { connection, hello } = session;
  const { response } = await asking.insist((options) => connection.ask({ shadowReport: {} }, options));
  if (response.error === ERRORS.UNSUPPORTED.code) throw unsupported(hello.runtimeVersion);
  const { active } = await asking.status();
  if (active !== null && agentKindName(active.kind) === kind) return;
  const runs =
    active === null ? "no agent" : `${active.name} ${active.version}, a ${agentKindName(active.kind)} agent`;
  throw new EdgePlugError(
    "NO_SHADOW_PARTNER",
    `The board runs ${runs}; ${name} ${version} is a ${kind} agent, and has nothing to be compared with.`,
  );
}

export class ShadowRun {
  /** The last one that came. */
  report: ShadowReport | undefined;
  private readonly view: ShadowView;
  private readonly requests: readonly Uint8Array[];
  /** Requests of ours that the active agent has answered. */
  private served = 0;
  /** Requests compared that were not ours. */
  private foreign = 0;
  private quietUntil = -Infinity;
  private stirred = false;

  constructor(
    private readonly session: DeviceSession,
    private readonly asking: Asking,
    private readonly manifest: AgentManifest,
    payload: Uint8Array,
    private readonly swapNumber: number,
    private readonly shadow: ShadowOptions,
    private readonly options: Pick<SessionPushOptions, "signal" | "timeoutMs" | "trialRequests">,
    /** The candidate's last trap, if its event has come. */
    private readonly lastTrap: () => DeviceEvent | undefined,
  ) {
    this.view = shadowView(manifest, payload, shadow);
    this.requests = manifest.kind === "request" ? (options.trialRequests ?? vectorRequests(payload)) : [];
  }

  /** The board has rejected the candidate: there is no session to abort. */
  get isRejected(): boolean {
    return this.report?.state === ShadowState.SHADOW_STATE_REJECTED;
  }

  /** Undefined when they agree, or why the push has to begin anew. Throws why the board rejects the agent, TIMEOUT and so on. */
  async *run(): AsyncGenerator<PushStep, EdgePlugError | undefined, void> {
    const off = this.session.connection.onEvent(({ kind }) => (this.stirred ||= MATTERS.has(kind)));
    const outer = this.asking.stage;
    this.asking.stage = "shadow";
    try {
      return (await this.ask()) ?? (yield* this.watch());
    } catch (thrown) {
      const error = EdgePlugError.from(thrown);
      throw this.report === undefined ? error : stoppedInShadow(error, this.manifest, this.report);
    } finally {
      this.asking.stage = outer;
      off();
    }
  }

  /** What became of a run while nobody looked: if it was rejected, tells it and throws as run() does. */
  async *missed(): AsyncGenerator<PushStep, void, void> {
    const report = await this.ownReport();
    if (report?.state !== ShadowState.SHADOW_STATE_REJECTED) return;
    this.report = report;
    yield { step: "shadow", ...report };
    throw await this.rejected(report);
  }

  /** Has the board begin; what it answers to a repeated request is no news, so what counts is where it stands. */
  private async ask(): Promise<EdgePlugError | undefined> {
    const body = { shadow: shadowMessage(this.shadow) };
    const { connection } = this.session;
    const { response } = await this.asking.insist((options) => connection.ask(body, options), ATTEMPT_MS);
    if (response.error === 0) return undefined;
    const error = EdgePlugError.fromBoard(response.error, response.detail, response.message);
    // A run may have come to its bad end at once, or while an answer was on its way.
    const report = await this.ownReport();
    if (report?.state === ShadowState.SHADOW_STATE_REJECTED) return undefined;
    const lost = await this.sessionLost();
    if (lost !== undefined) return lost;
    if (error.code === "FUEL") throw noRoom(error);
    if (error.code !== "BUSY" || report === undefined) throw error;
    // Of an earlier push with other settings, which left without a word.
    await this.asking.insist((options) => connection.ask({ abort: {} }, options));
    return new EdgePlugError("NO_SESSION", "An earlier shadow run of this package was still under way.");
  }

  private async *watch(): AsyncGenerator<PushStep, EdgePlugError | undefined, void> {
    const limit = this.limit();
    let told = "";
    for (;;) {
      const report = await this.ownReport();
      if (report === undefined || report.state === ShadowState.SHADOW_STATE_STOPPED)
        return (await this.sessionLost()) ?? new EdgePlugError("NO_SESSION");
      this.report = report;
      const news = `${report.state} ${report.compared} ${report.differing}`;
      if (news !== told) yield { step: "shadow", ...report };
      told = news;
      if (report.state === ShadowState.SHADOW_STATE_AGREED) return undefined;
      if (report.state === ShadowState.SHADOW_STATE_REJECTED) throw await this.rejected(report);
      if (this.session.now() > limit) throw this.stuck(report);
      await this.serve(report);
      await this.rest();
    }
  }

  /** Each run has its own time, unless the user has set one for all of the push. */
  private limit(): number {
    if (this.options.timeoutMs !== undefined) return Infinity;
    const longest = longestShadowMs(this.shadow, this.manifest, this.session.hello.tickUs);
    this.asking.excuse(longest);
    return this.session.now() + longest;
  }

  /** Undefined if it is about another swap, or none since a reset. */
  private async ownReport(): Promise<ShadowReport | undefined> {
    const { connection } = this.session;
    const { response } = await this.asking.insist((options) =>
      connection.request({ shadowReport: {} }, options),
    );
    const report = toShadowReport(response.shadowReport ?? {});
    const own = report.swapNumber === this.swapNumber && report.state !== ShadowState.SHADOW_STATE_NONE;
    return own ? report : undefined;
  }

  /** Why the board no longer knows of the staging; undefined if it does. */
  private async sessionLost(): Promise<EdgePlugError | undefined> {
    const status = await this.asking.status();
    if (status.bootNumber !== this.session.hello.bootNumber) return new EdgePlugError("BOARD_RESET");
    return status.phase === UpdatePhase.UPDATE_PHASE_IDLE ? new EdgePlugError("NO_SESSION") : undefined;
  }

  // ---- requests ----------------------------------------------------------------------------------

  /** Asks the active agent what is left to compare, for as long as the next look may wait; not while others ask it. */
  private async serve(report: ShadowReport): Promise<void> {
    const now = this.session.now();
    if (report.compared - this.served > this.foreign) {
      if (this.served > 0 || report.compared > 0) this.quietUntil = now + LEFT_TO_OTHERS_MS;
      this.foreign = report.compared - this.served;
    }
    if (this.requests.length === 0 || now < this.quietUntil) return;
    const end = now + POLL_MS;
    for (let left = report.needed - report.compared; left > 0 && this.session.now() < end; left--) {
      await this.serveOne(this.requests[this.served % this.requests.length] as Uint8Array);
    }
  }

  /** What the active agent errs on is not compared, and may get lost: the next report tells. */
  private async serveOne(request: Uint8Array): Promise<void> {
    try {
      await this.session.call(request, this.patience());
      this.served++;
    } catch (error) {
      const { code } = EdgePlugError.from(error);
      if (code === "INTERRUPTED" || code === "PORT_LOST") throw error;
    }
  }

  private patience(): RequestOptions {
    const options = this.asking.request();
    return { ...options, timeoutMs: Math.min(options.timeoutMs ?? SERVE_TIMEOUT_MS, SERVE_TIMEOUT_MS) };
  }

  /** Until the next look; an event that may be the end comes first. Logs of the active agent don't make it sooner. */
  private async rest(): Promise<void> {
    const { connection } = this.session;
    const end = this.session.now() + POLL_MS;
    this.stirred = false;
    for (let left = POLL_MS; left > 0 && !this.stirred; left = end - this.session.now())
      await connection.pause(left, this.options.signal);
  }

  // ---- ends --------------------------------------------------------------------------------------

  private async rejected(report: ShadowReport): Promise<EdgePlugError> {
    const status = await this.asking.status();
    const code = CODES[report.reason] ?? "SHADOW";
    const { name, version } = this.manifest;
    const [old, runs] = runningAgent(status);
    const who = `${name} ${version} (swap ${this.swapNumber})`;
    const end = `It was not activated; ${runs}.`;
    const compared = comparisons(this.view, report.compared);
    if (report.reason === Reason.REASON_SHADOW) {
      const [first] = report.first;
      const where =
        first === undefined
          ? ""
          : `; first in ${placeOf(this.view, first)}: ${differenceText(this.view, first)}`;
      const differs = `differs from ${old} in ${count(report.differing)} of ${compared}`;
      const may = report.allowed === 0 ? "none" : count(report.allowed);
      const share = `${may} may (${agreement(report.differing, report.compared)} agree)`;
      return new EdgePlugError(code, `${who} ${differs}, ${share}${where}. ${end}`, {
        detail: report.reason,
        action: this.whatToDo(report),
      });
    }
    const words = status.lastReasonSwap === this.swapNumber ? status.lastMessage : "";
    const why = failureText(report.reason, words, this.swapNumber, this.lastTrap());
    return new EdgePlugError(code, `${who} failed beside ${old} after ${compared}: ${why}. ${end}`, {
      detail: report.reason,
      ...(code === "SHADOW" ? { action: "See the reason; push a corrected package." } : {}),
    });
  }

  /** What failed is spent, so allowing more takes two steps. */
  private whatToDo(report: ShadowReport): string {
    const options = whatWouldAgree(this.view, report) || "--allow-differences N";
    return (
      "Look at the first differences and correct the agent. If they are meant: take the package off the spent list with " +
      `\`edgeplug board spent clear PACKAGE\`, and push it again with ${options}.`
    );
  }

  /** Nothing is at fault with the line: there was nothing to compare. */
  private stuck(report: ShadowReport): EdgePlugError {
    const far = `Only ${count(report.compared)} of ${comparisons(this.view, report.needed)} could be compared`;
    const seconds = (longestShadowMs(this.shadow, this.manifest, this.session.hello.tickUs) / 1_000).toFixed(
      0,
    );
    const [why, action] =
      this.manifest.kind === "request"
        ? this.requests.length === 0
          ? [
              "nobody asked the running agent, and the package has no test vectors",
              "Add vectors to the package",
            ]
          : ["the running agent has not answered enough requests", "Look at what it does with --status"]
        : ["a scan in which the running agent traps is not", "Look at what it does with --status"];
    return new EdgePlugError(
      "TIMEOUT",
      `${far} within ${seconds} s: ${why}. The new agent was not activated.`,
      { action: `${action}, or give it more time with --timeout.` },
    );
  }
}

/** What is compared with, and that it goes on. */
function runningAgent({ active }: Status): [name: string, goesOn: string] {
  if (active === null) return ["the running agent", "no agent runs, the board is in safe mode"];
  const name = `${active.name} ${active.version}`;
  return [name, `${name} (swap ${active.swapNumber}) runs on`];
}

function unsupported(runtime: string): EdgePlugError {
  return new EdgePlugError(
    "UNSUPPORTED",
    `The board's runtime ${runtime} knows no shadow run; the board was left as it is.`,
    { action: "Push without --shadow, or update the board's runtime." },
  );
}

/** The running agent is not disturbed, not even for a state: the board has waited a hundred scans for one with room enough. */
function noRoom(cause: EdgePlugError): EdgePlugError {
  return new EdgePlugError(
    "FUEL",
    "No scan has room for handing the running agent's state over beside it, so the shadow run was not begun. " +
      "The new agent was not activated.",
    { cause, action: "Make save() and restore() shorter, or push without --shadow." },
  );
}
