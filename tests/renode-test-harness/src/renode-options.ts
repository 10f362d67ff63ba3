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
  /** The chip's unique id. Default: 12 bytes drawn at random. */
  readonly boardId?: Uint8Array;
  /**
   * "stream": the line is `serial`. "pty": it is a pseudo-terminal, `port`, whose other end Renode holds open itself.
   * "socket": other programs reach it by the unix socket `port`, one at a time. Default "stream".
   */
  readonly line?: "stream" | "pty" | "socket";
  /**
   * Virtual ms per real ms, at most; Infinity: as fast as Renode gets along. Either way its time goes on in small steps, each
   * after what the board has said before has been handed on: it never runs away from who talks to it. Default Infinity; 1
   * for a pseudo-terminal, whose other end has clocks of its own.
   */
  readonly speed?: number;
  /** Each time it gets power its time stands still, as after pause(). Default false. */
  readonly paused?: boolean;
  /** "end": a broken flash rule ends the board, with its reason. "tell": it goes on, with an event. Default "end". */
  readonly violations?: "end" | "tell";
  /** Monitor commands to be run before the first start, e.g. "sysbus.cpu PerformanceInMips 50". */
  readonly commands?: readonly string[];
  /** Default: RENODE of the environment, else "renode". */
  readonly program?: string;
  /** Real ms that Renode may take to be up. Default 60,000: the first start of a cold machine is slow. */
  readonly startTimeout?: number;
  /** Real ms that a step of some virtual ms may take before its core counts as crashed. Default 60,000. */
  readonly stepTimeout?: number;
}
