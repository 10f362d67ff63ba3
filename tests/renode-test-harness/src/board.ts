import type { Duplex, Readable } from "node:stream";

export type BackendName = "qemu" | "sim" | "renode";

/** What happened to a board, as seen from outside. */
export type BoardEvent =
  | { readonly kind: "power-on" }
  | { readonly kind: "power-off" }
  | { readonly kind: "watchdog" }
  | { readonly kind: "reset"; readonly cause: string }
  /** A planned cut has come true at this flash operation; "power-off" follows. */
  | { readonly kind: "cut"; readonly operation: number; readonly moment: CutMoment }
  /** The firmware did what silicon refuses, and the board was told to go on. */
  | { readonly kind: "violation"; readonly reason: string }
  /** The emulator ended by itself, or the firmware did what the board can't survive. */
  | { readonly kind: "ended"; readonly reason: string };

/** Bytes to be found in flash before the first start. */
export interface FlashPatch {
  /** From the start of the flash image. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Relative to a flash operation: not begun, in the middle of it, just ended. */
export type CutMoment = "before" | "torn" | "after";

/** A power cut that comes by itself. */
export interface FlashCut {
  /** The n-th flash operation from now on; 1 is the next. */
  readonly operation: number;
  readonly moment: CutMoment;
  /** Of what a torn operation leaves behind. Default 1. */
  readonly seed?: number;
}

/** What only some backends, or some boards of a backend, can do. Without it: HarnessError UNSUPPORTED. */
export type Feature =
  /** virtualTime(), runFor(), runUntil(). */
  | "virtual-time"
  /** runFor() ends when it should, if the board was paused: on renode to the microsecond, on sim at the end of a turn of its
   *  main loop. Elsewhere it may run on a little. */
  | "exact-time"
  | "read-memory"
  | "write-memory"
  /** cutAt() and flashOperations(). */
  | "cuts"
  | "inputs"
  | "outputs"
  /** snapshot() and restore(). */
  | "snapshots";

/** A whole line that the board says: equal to a string, or matching a pattern. */
export interface LineSought {
  readonly line: string | RegExp;
}

export interface EventSought {
  readonly event: BoardEvent["kind"] | ((event: BoardEvent) => boolean);
}

/** What runUntil() waits for. */
export type Sought<T> = LineSought | EventSought | (() => T | Promise<T>);

/** A state to come back to. Its contents are the backend's own. */
export interface BoardSnapshot {
  readonly backend: BackendName;
  /** Virtual ms at which it was taken. */
  readonly time: number;
}

/** A board that runs or may run again. Everything that it holds is given back by close(). */
export interface Board {
  readonly backend: BackendName;
  /** The main serial line. It outlives resets and power cuts, as a plugged cable does; what is sent to a board
   *  without power is lost. */
  readonly serial: Duplex;
  /** The second serial line, from the board only. Bytes that nobody reads are kept up to 1 MiB, then dropped. */
  readonly observer: Readable;
  /** Where another program reaches the main line: a device or a unix socket. Undefined without power, or when the
   *  line is held by `serial`. */
  readonly port: string | undefined;
  readonly powered: boolean;

  /** Whether this board can do it. */
  supports(feature: Feature): boolean;

  /** What happens from now on; ends with close() or by `signal`. */
  events(signal?: AbortSignal): AsyncIterable<BoardEvent>;
  /** The next event that `accept` likes. Rejects after `timeout` real ms (default 10,000). */
  nextEvent(accept: (event: BoardEvent) => boolean, timeout?: number): Promise<BoardEvent>;
  /** The end of all that the board has said on the main line, as UTF-8. */
  readonly transcript: string;

  /** Cuts the power: every flash operation that had ended before is in the flash, nothing later. */
  powerOff(): Promise<void>;
  /** Cuts the power as carelessly as the backend allows: qemu may lose and reorder the latest operations. */
  kill(): Promise<void>;
  /** Starts again on the same flash: paused, if it was to start so. */
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
  /** Plans a power cut, in place of an earlier plan; undefined takes it back. */
  cutAt(cut: FlashCut | undefined): Promise<void>;
  /** Flash operations begun so far, over all boots. */
  flashOperations(): Promise<number>;

  /** Virtual milliseconds since the board was first started, or undefined where the backend can't tell. */
  virtualTime(): Promise<number | undefined>;
  /** Lets so many virtual ms go by. A paused board runs for just that long and is paused again; of one that runs, so
   *  much time is waited for. Ends early if the power goes. */
  runFor(milliseconds: number): Promise<void>;
  /**
   * Lets time go by until it has come, at most for `within` virtual ms (default 10,000; real ones where the backend can't
   * tell); then rejects with TIMEOUT. A paused board is paused again afterwards.
   *
   * Lines and events are looked for from the last one found here on, or from when the board was last switched or reset by
   * powerOn(), powerOff() or reset(): none is missed between two calls. The line, or the event, comes back. A function is
   * asked again and again until it gives something other than false or undefined, which comes back.
   */
  runUntil(sought: LineSought, within?: number): Promise<string>;
  runUntil(sought: EventSought, within?: number): Promise<BoardEvent>;
  runUntil<T>(sought: () => T | Promise<T>, within?: number): Promise<Exclude<T, false | undefined>>;

  /** Memory as the core's bus sees it, at its addresses; on sim: the runtime's linear memory. */
  readMemory(address: number, size: number): Promise<Uint8Array>;
  writeMemory(address: number, bytes: Uint8Array): Promise<void>;

  /** Puts a voltage on an analogue input (sim: the value of an input channel). */
  setInput(channel: number, value: number): Promise<void>;
  /** What an output shows from outside: the duty of a PWM in percent (sim: the value applied in the last scan). */
  output(channel: number): Promise<number>;

  snapshot(): Promise<BoardSnapshot>;
  /** Goes back to a snapshot of this board. */
  restore(snapshot: BoardSnapshot): Promise<void>;

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
      /** The emulator refused a command. */
      | "EMULATOR_REFUSED"
      | "TIMEOUT"
      | "BOARD_OFF"
      | "BOARD_ON"
      | "BOARD_CLOSED"
      | "FLASH_SIZE"
      | "FIRMWARE_MISSING"
      /** This backend, or the board as it was started, can't do that; see supports(). */
      | "UNSUPPORTED",
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
