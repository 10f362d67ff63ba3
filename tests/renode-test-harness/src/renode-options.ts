import type { FlashImageOptions } from "./flash-image.js";
import type { RenodePlatform } from "./renode-platform.js";

export interface RenodeOptions {
  readonly backend: "renode";
  /** The firmware. */
  readonly elf: string;
  /** Default STM32L552, the board that comes with this package. */
  readonly platform?: RenodePlatform;
  /** Its size is the platform's. What the ELF has within it is put there at each power-on. */
  readonly flash?: Omit<FlashImageOptions, "size">;
  /** "stream": the line is `serial`. "pty": it is a pseudo-terminal, `port`. Default "stream". */
  readonly line?: "stream" | "pty";
  /**
   * How fast virtual time goes while the board runs by itself. "real-time": at most as fast as the clock on the wall.
   * "fast": as fast as Renode can, so that the board may be far ahead of who talks to it. Default "real-time".
   */
  readonly pace?: "real-time" | "fast";
  /** Starts with its core held, as after pause(). Default false. */
  readonly paused?: boolean;
  /** "end": a broken flash rule ends the board, with its reason. "tell": it goes on, with an event. Default "end". */
  readonly violations?: "end" | "tell";
  /** Monitor commands to be run before the first start, e.g. "sysbus.cpu PerformanceInMips 50". */
  readonly commands?: readonly string[];
  /** Default: RENODE of the environment, else "renode". */
  readonly program?: string;
  /** Real ms that Renode may take to be up. Default 60,000. */
  readonly startTimeout?: number;
}
