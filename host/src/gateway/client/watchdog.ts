/**
 * Ends a stream that nothing comes out of any more: when the user stops, when time is up, and when the gateway, asked
 * whether it is still there, does not answer.
 */
import { EdgePlugError } from "../../errors.js";
import { interrupted } from "../../session/connection.js";
import type { GatewayClient } from "./gateway-client.js";

/** A quiet stream is normal in a queue and in a long trial; then the gateway itself is asked. */
const QUIET_MS = 20_000;
const ANSWER_MS = 10_000;
/** What is above goes off at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Watchdog {
  private readonly controller = new AbortController();
  private deadline: NodeJS.Timeout | undefined;
  private quiet: NodeJS.Timeout | undefined;
  private patience: NodeJS.Timeout | undefined;
  private stopMs = 0;

  constructor(
    private readonly client: GatewayClient,
    private readonly user: AbortSignal | undefined,
    private readonly outOfTime: () => EdgePlugError,
  ) {
    user?.addEventListener("abort", this.stopped);
    if (user?.aborted === true) this.stopped();
  }

  /** Ends the stream; its reason is an EdgePlugError. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** When the user stops, the stream still has so many milliseconds until its first event. */
  patienceWithStop(milliseconds: number): void {
    this.stopMs = milliseconds;
  }

  /** Something is waited for, for so many milliseconds at most. */
  watch(timeLeft: number): void {
    const patience = Math.min(Math.max(0, timeLeft), LONGEST_TIMER_MS);
    this.deadline = setTimeout(() => this.controller.abort(this.outOfTime()), patience);
    this.quiet = setTimeout(() => void this.inquire(), QUIET_MS);
  }

  /** Something came. */
  rest(): void {
    this.stopMs = 0;
    clearTimeout(this.deadline);
    clearTimeout(this.quiet);
  }

  end(): void {
    this.rest();
    clearTimeout(this.patience);
    this.user?.removeEventListener("abort", this.stopped);
  }

  private readonly stopped = (): void => {
    this.patience = setTimeout(() => this.controller.abort(interrupted(this.user)), this.stopMs);
  };

  private async inquire(): Promise<void> {
    try {
      await this.client.call("getGateway", {}, { timeoutMs: ANSWER_MS, signal: this.signal });
      if (!this.signal.aborted) this.quiet = setTimeout(() => void this.inquire(), QUIET_MS);
    } catch (error) {
      const { message } = EdgePlugError.from(error);
      this.controller.abort(new EdgePlugError("GATEWAY_UNREACHABLE", message, { cause: error }));
    }
  }
}
