import { EventEmitter, on } from "node:events";

import { HarnessError, type BoardEvent } from "./board.js";

/** One board's events on their way to whoever listens. */
export class EventHub {
  readonly #emitter = new EventEmitter();
  readonly #closed = new AbortController();

  emit(event: BoardEvent): void {
    this.#emitter.emit("event", event);
  }

  /** Until the function that comes back is called. */
  listen(listener: (event: BoardEvent) => void): () => void {
    this.#emitter.on("event", listener);
    return () => this.#emitter.off("event", listener);
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
