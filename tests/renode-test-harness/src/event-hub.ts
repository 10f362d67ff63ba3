import { EventEmitter, on } from "node:events";

import { HarnessError, type BoardEvent } from "./board.js";

/** How many events are kept for take(). */
const KEPT_EVENTS = 1000;

/** One board's events on their way to whoever listens. */
export class EventHub {
  readonly #emitter = new EventEmitter();
  readonly #closed = new AbortController();
  /** Those that nobody has taken yet. */
  #waiting: BoardEvent[] = [];

  emit(event: BoardEvent): void {
    this.#waiting.push(event);
    if (this.#waiting.length > KEPT_EVENTS) this.#waiting.shift();
    this.#emitter.emit("event", event);
  }

  /** The first that `accept` likes since the last one taken. Passes over those before it. */
  take(accept: (event: BoardEvent) => boolean): BoardEvent | undefined {
    const at = this.#waiting.findIndex(accept);
    if (at < 0) return undefined;
    const [taken] = this.#waiting.splice(0, at + 1).slice(-1);
    return taken;
  }

  /** What happened so far is not taken any more. */
  skip(): void {
    this.#waiting = [];
  }

  /** Listens from the moment of the call, not from the first turn of the loop over it. */
  events(signal?: AbortSignal): AsyncIterable<BoardEvent> {
    const either = signal ? AbortSignal.any([signal, this.#closed.signal]) : this.#closed.signal;
    const source = on(this.#emitter, "event", { signal: either });
    return untilAborted(source, either);
  }

  next(accept: (event: BoardEvent) => boolean, timeout: number): Promise<BoardEvent> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void): void => {
        clearTimeout(timer);
        this.#emitter.off("event", listener);
        this.#closed.signal.removeEventListener("abort", closed);
        settle();
      };
      const listener = (event: BoardEvent): void => {
        if (accept(event))
          finish(() => {
            resolve(event);
          });
      };
      const closed = (): void => {
        finish(() => {
          reject(new HarnessError("BOARD_CLOSED", "the board was closed meanwhile"));
        });
      };
      const timer = setTimeout(() => {
        finish(() => {
          reject(new HarnessError("TIMEOUT", `no such event within ${timeout} ms`));
        });
      }, timeout);
      this.#emitter.on("event", listener);
      this.#closed.signal.addEventListener("abort", closed);
    });
  }

  close(): void {
    this.#closed.abort();
  }
}

async function* untilAborted(
  source: AsyncIterable<unknown[]>,
  signal: AbortSignal,
): AsyncGenerator<BoardEvent, void, undefined> {
  try {
    for await (const [event] of source) yield event as BoardEvent;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
