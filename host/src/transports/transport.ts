import type { Clock } from "../clock.js";
import type { EdgePlugError } from "../errors.js";

/** A byte line to a board. Whoever opens one closes it. */
export interface Transport {
  /** The device as the user named it. */
  readonly name: string;
  /** Bits per second of the line; 0 where bytes take no time. */
  readonly baud: number;
  readonly clock: Clock;
  /** Resolves when the bytes have been handed to the line. Calls keep their order. */
  write(bytes: Uint8Array): Promise<void>;
  /** Sets who receives bytes; what came before is delivered at once. */
  onData(listener: (bytes: Uint8Array) => void): void;
  /** Resolves when the line is gone: with the reason, or with undefined after close(). */
  readonly closed: Promise<EdgePlugError | undefined>;
  close(): Promise<void>;
}

export interface OpenOptions {
  /** Bits per second of a serial line. Default 115200. */
  baud?: number;
  /** Flash geometry of a new `sim:` board. Default "l5". */
  simGeometry?: "l5" | "nor";
}

/** The part that every transport shares: one listener, bytes kept until it is there. */
export class DataSink {
  private listener: ((bytes: Uint8Array) => void) | undefined;
  private held: Uint8Array[] = [];

  set(listener: (bytes: Uint8Array) => void): void {
    this.listener = listener;
    const held = this.held;
    this.held = [];
    for (const bytes of held) listener(bytes);
  }

  deliver(bytes: Uint8Array): void {
    if (this.listener === undefined) this.held.push(bytes);
    else this.listener(bytes);
  }
}
