/** Asking a board for as long as a push may take, and no longer than it may be silent. */
import { EdgePlugError } from "../errors.js";
import { interrupted, type RequestOptions } from "./connection.js";
import type { Status } from "./messages.js";
import type { DeviceSession } from "./session.js";

export interface AskingOptions {
  signal: AbortSignal | undefined;
  /** For all of it, milliseconds. */
  timeoutMs: number;
  /** Without any answer, milliseconds. */
  silenceMs: number;
}

/** Until a request without an answer gives way to a shorter one. */
const ROUND_MS = 3_000;
const SIGN_OF_LIFE = { chunk: { offset: 0, data: new Uint8Array() } };
const SIGN_ATTEMPT_MS = 300;

export class Asking {
  /** What is waited for now. */
  stage: "staging" | "shadow" | "trial" = "staging";
  readonly start: number;
  deadline: number;
  readonly silenceMs: number;
  private readonly signal: AbortSignal | undefined;

  constructor(
    private readonly session: DeviceSession,
    options: AskingOptions,
  ) {
    this.signal = options.signal;
    this.silenceMs = options.silenceMs;
    this.start = session.now();
    this.deadline = this.start + options.timeoutMs;
  }

  private now(): number {
    return this.session.now();
  }

  /** Somebody had to find a token and type its PIN: that is not the board's time. */
  excuse(milliseconds: number): void {
    this.deadline += milliseconds;
  }

  /** Options of a request that may take until the deadline, but no longer than silence is borne. */
  request(attemptMs?: number): RequestOptions {
    const left = this.deadline - this.now();
    if (this.signal?.aborted === true) throw interrupted(this.signal);
    if (left <= 0) throw this.outOfTime();
    return { signal: this.signal, timeoutMs: Math.min(left, this.silenceMs), attemptMs };
  }

  /**
   * Asks until the deadline. On a bad line a long frame seldom gets through (at 1 % of bytes corrupted one Begin in
   * twenty does), so what counts as silence is that the board doesn't answer the shortest of requests either: an
   * empty chunk, which changes nothing.
   */
  async insist<T>(ask: (options: RequestOptions) => Promise<T>, attemptMs?: number): Promise<T> {
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

  status(): Promise<Status> {
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

  outOfTime(): EdgePlugError {
    const seconds = ((this.now() - this.start) / 1000).toFixed(0);
    return outOfTime(this.stage, seconds);
  }
}

/** A push took longer than it may. */
export function outOfTime(stage: Asking["stage"], seconds: string): EdgePlugError {
  if (stage === "staging") {
    return new EdgePlugError("TIMEOUT", `The package was not on the board within ${seconds} s.`, {
      action: "Push again with a longer --timeout: what was received is resumed.",
    });
  }
  if (stage === "shadow") {
    return new EdgePlugError(
      "TIMEOUT",
      `The shadow run was not over within ${seconds} s; the new agent was not activated.`,
      { action: "Push again with a longer --timeout, or compare less: the package is on the board already." },
    );
  }
  return new EdgePlugError("TIMEOUT", `The trial was not over within ${seconds} s; it goes on by itself.`, {
    action: "See how it ends with --status, or take it back with --rollback.",
  });
}
