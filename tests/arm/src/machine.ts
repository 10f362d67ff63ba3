/** One of the Arm boards as this suite knows it: what is started, and how what happens to it is brought about and seen. */
import type { Backend, TestBoard } from "@edgeplug/test-support/board";

import type { Chip } from "./chip.js";
import type { LossMoment, LossOptions, Recovery } from "./losses.js";
import type { FlashRecorder } from "./recording.js";

export interface Machine {
  readonly board: Backend;
  readonly chip: Chip;
  readonly recorder: FlashRecorder;
  /** A board with blank flash, in power. */
  start(): Promise<TestBoard>;
  /** When a core can be lost. */
  readonly moments: readonly LossMoment[];
  /** The core of a board that stands as `options` say is lost; watches it come back. */
  loseCore(options: LossOptions): Promise<Recovery>;
  /** One scan interrupt of a board in power never comes. The board may be started anew for that. */
  loseOneScan(board: TestBoard): Promise<void>;
}
