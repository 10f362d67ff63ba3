/** The trial of an agent that has just been activated: waited out, served and confirmed, if it is the host's to do. */
import { EdgePlugError, type ErrorName } from "../errors.js";
import { edgeplug } from "../generated/messages.js";
import { TRIAL_DEFAULTS, type AgentManifest } from "../manifest.js";
import type { Asking } from "./asking.js";
import type { SessionPushOptions } from "./board-session.js";
import { carryOut } from "./execute.js";
import { failureText } from "./failure-text.js";
import type { DeviceEvent, SlotInfo, Status } from "./messages.js";
import type { PushStep } from "./push-steps.js";
import type { DeviceSession } from "./session.js";
import { vectorRequests } from "./vectors.js";

const POLL_MS = 150;
const TRIAL_REQUESTS_PER_POLL = 8;
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
const { SlotState, Reason } = edgeplug;

export class Trial {
  constructor(
    private readonly session: DeviceSession,
    private readonly asking: Asking,
    private readonly manifest: AgentManifest,
    private readonly payload: Uint8Array,
    private readonly at: { swapNumber: number; slot: number },
    private readonly options: SessionPushOptions,
    /** The agent's last trap, if its event has come. */
    private readonly lastTrap: () => DeviceEvent | undefined,
  ) {}

  async *run(): AsyncGenerator<PushStep, SlotInfo, void> {
    const requests = this.trialRequests();
    let scans = -1;
    for (;;) {
      const status = await this.asking.status();
      const { active } = status;
      if (active?.swapNumber !== this.at.swapNumber) throw await this.rolledBack(status);
      if (active.state === SlotState.SLOT_STATE_CONFIRMED) {
        // Over before the first look at it: whoever shows a trial still shows this one.
        if (scans < 0) yield { step: "trial", scans: this.neededScans(), needed: this.neededScans() };
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
      for (const request of requests) await this.session.call(request, this.asking.request());
    } catch (error) {
      // The trial may end, well or badly, between the status and these, and on a bad line a long request seldom gets
      // through; the next status tells.
      const { code } = EdgePlugError.from(error);
      if (code === "INTERRUPTED" || code === "PORT_LOST") throw error;
    }
  }

  /** On a locked board signed; without an operator's key the push ends here, and whoever has one may confirm. */
  private async confirm(): Promise<void> {
    const { signer, signal } = this.options;
    try {
      if (signer === undefined || !this.session.hello.locked) {
        await this.asking.insist((options) => this.session.connection.request({ confirm: {} }, options));
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

  private neededScans(): number {
    return this.manifest.trial.healthyScans || TRIAL_DEFAULTS.healthyScans;
  }

  private trialRequests(): readonly Uint8Array[] {
    if (this.manifest.kind !== "request") return [];
    const own = this.options.trialRequests ?? vectorRequests(this.payload);
    const first = own[0];
    if (first === undefined) return [];
    return Array.from({ length: TRIAL_REQUESTS_PER_POLL }, (_, index) => own[index % own.length] ?? first);
  }

  private async rolledBack(status: Status): Promise<EdgePlugError> {
    const { name, version } = this.manifest;
    const { swapNumber, slot } = this.at;
    const about =
      status.lastReasonSwap === swapNumber ? status.lastReason : (await this.session.slot(slot)).reason;
    const why = failureText(about, status.lastMessage, swapNumber, this.lastTrap());
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

/** The trial was healthy, but the one who should say so can't. */
function unconfirmed(error: EdgePlugError): EdgePlugError {
  return new EdgePlugError(
    error.code,
    `${error.message.replace(/\.$/, "")}; the new agent is healthy, waits for an operator's word, and gives way if none comes.`,
    { cause: error, action: "While the trial lasts: `edgeplug-push --confirm --key FILE`." },
  );
}
