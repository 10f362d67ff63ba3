import type { Duplex, Readable } from "node:stream";

/** What happened to a board, as seen from outside. */
export type BoardEvent =
  | { readonly kind: "power-on" }
  | { readonly kind: "power-off" }
  | { readonly kind: "watchdog" }
  | { readonly kind: "reset"; readonly cause: string }
  /** The emulator ended by itself, or the firmware crashed in a way that the board can't survive. */
  | { readonly kind: "ended"; readonly reason: string };

/** Bytes to be found in flash before the first start. */
export interface FlashPatch {
  /** From the start of the flash image. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A board that runs or may run again. Everything that it holds is given back by close(). */
export interface Board {
  readonly backend: "qemu" | "sim";
  /** The main serial line. It outlives resets and power cuts, as a plugged cable does; what is sent to a board
   *  without power is lost. */
  readonly serial: Duplex;
  /** The second serial line, from the board only. Bytes that nobody reads are kept up to 1 MiB, then dropped. */
  readonly observer: Readable;
  /** Where another program reaches the main line: a device or a unix socket. Undefined without power, or when the
   *  line is held by `serial`. */
  readonly port: string | undefined;
  readonly powered: boolean;

  /** What happens from now on; ends with close() or by `signal`. */
  events(signal?: AbortSignal): AsyncIterable<BoardEvent>;
  /** The next event that `accept` likes. Rejects after `timeout` real ms (default 10,000). */
  nextEvent(accept: (event: BoardEvent) => boolean, timeout?: number): Promise<BoardEvent>;

  /** Cuts the power: every flash operation that had ended before is in the flash, nothing later. */
  powerOff(): Promise<void>;
  /** Cuts the power as carelessly as the backend allows: qemu may lose and reorder the latest operations. */
  kill(): Promise<void>;
  /** Starts again on the same flash. */
  powerOn(): Promise<void>;
  /** Presses the reset button. */
  reset(): Promise<void>;
  /** Freezes the board and lets it go on. */
  pause(): Promise<void>;
  resume(): Promise<void>;

  /** The whole flash. Exact while the board is off or paused. */
  readFlash(): Promise<Uint8Array>;
  /** Only without power. */
  writeFlash(offset: number, bytes: Uint8Array): Promise<void>;

  /** Virtual milliseconds since the board was first started, or undefined where the backend can't tell. */
  virtualTime(): Promise<number | undefined>;

  /** Ends the board and removes its temporary files. */
  close(): Promise<void>;
}

/** The harness could not do what was asked. `code` is stable. */
export class HarnessError extends Error {
  override readonly name = "HarnessError";
  constructor(
    readonly code:
      | "EMULATOR_MISSING"
      | "EMULATOR_ENDED"
      | "TIMEOUT"
      | "BOARD_OFF"
      | "BOARD_ON"
      | "BOARD_CLOSED"
      | "FLASH_SIZE",
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
