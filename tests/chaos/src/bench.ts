/** A board of the suite: prepared scenes to begin from, a wire, somebody who watches its outputs, and rot on demand. */
import type { Backend } from "@edgeplug/test-support/backends";
import type { BoardClock } from "@edgeplug/test-support/clock";
import type { FlashImage, FlashLayout } from "@edgeplug/test-support/flash";

import type { Eyes } from "./eyes.js";
import type { Port } from "./line.js";

/**
 * What time does to flash. flip: bits are inverted. unreadable: the unit can't be read any more (ECC). unstable: bits
 * read differently each time. A board that knows no such thing flips.
 */
export type RotKind = "flip" | "unreadable" | "unstable";

export interface Bench {
  readonly backend: Backend;
  readonly boardClass: number;
  readonly layout: FlashLayout;
  /** The board's time, from 0 when a scene is loaded. */
  readonly clock: BoardClock;
  /** Since the scene was loaded. */
  readonly eyes: Eyes;
  readonly port: Port;
  /** Crashes, watchdog resets and forbidden flash operations since the scene was loaded, in words. */
  readonly crashes: readonly string[];
  readonly rotKinds: readonly RotKind[];

  /** Keeps the board as it is now under this name. */
  keep(name: string): Promise<void>;
  /** The board as it was kept; everything about it begins anew. */
  load(name: string): Promise<void>;
  powerOff(): Promise<void>;
  powerOn(): Promise<void>;
  run(milliseconds: number): Promise<void>;
  image(): Promise<FlashImage>;
  /** Lets bits of the image rot, those of `masks` from `offset` on, with power or without. */
  rot(offset: number, masks: Uint8Array, kind: RotKind): Promise<void>;
  close(): Promise<void>;
}
