/** One port of the gateway, for as long as it is configured: opened, lost, and opened again with patience. */
import { EdgePlugError } from "../errors.js";
import type { DeviceSession } from "../session/session.js";
import { pause, settledWithin } from "../pause.js";

export interface PortLinkOptions {
  /** Opens the port and finds the board there. */
  open: (port: string, signal: AbortSignal) => Promise<DeviceSession>;
  /** A board is there. Resolves when it is done with, with the reason; the link then closes the session. */
  attach: (port: string, session: DeviceSession, signal: AbortSignal) => Promise<EdgePlugError>;
  /** There is none, and why; not repeated while the reason stays the same. */
  problem: (port: string, error: EdgePlugError) => void;
  /** Until the second attempt, milliseconds; doubles. Default 250. */
  firstPauseMs?: number | undefined;
  /** Between attempts at most, milliseconds. Default 10,000. */
  longestPauseMs?: number | undefined;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;
const CLOSE_PATIENCE_MS = 2_000;

export class PortLink {
  private readonly stopping = new AbortController();
  private readonly done: Promise<void>;
  private told = "";

  constructor(
    readonly port: string,
    private readonly options: PortLinkOptions,
  ) {
    this.done = this.run();
  }

  /** Closes the port; resolves when it is free. */
  async stop(): Promise<void> {
    this.stopping.abort(new EdgePlugError("GATEWAY_STOPPING"));
    await this.done;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    const first = this.options.firstPauseMs ?? FIRST_PAUSE_MS;
    let pauseMs = first;
    while (!signal.aborted) {
      if (await this.serve(signal)) pauseMs = first;
      await pause(pauseMs, signal);
      pauseMs = Math.min(pauseMs * 2, this.options.longestPauseMs ?? LONGEST_PAUSE_MS);
    }
  }

  /** One session from its first byte to its last; tells whether there was one. */
  private async serve(signal: AbortSignal): Promise<boolean> {
    let session: DeviceSession;
    try {
      session = await this.options.open(this.port, signal);
    } catch (error) {
      this.report(EdgePlugError.from(error), signal);
      return false;
    }
    this.told = "";
    try {
      this.report(await this.options.attach(this.port, session, signal), signal);
    } catch (error) {
      this.report(EdgePlugError.from(error), signal);
    }
    // A port whose driver hangs must not keep the others from being served.
    await settledWithin(session.close(), CLOSE_PATIENCE_MS);
    return true;
  }

  private report(error: EdgePlugError, signal: AbortSignal): void {
    if (signal.aborted || this.told === error.message) return;
    this.told = error.message;
    this.options.problem(this.port, error);
  }
}
