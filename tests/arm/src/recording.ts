/** One update with everything that it did to the flash, and who can make such a recording. */
import type { TestBoard } from "@edgeplug/test-support/board";

import type { Chip } from "./chip.js";
import type { History } from "./history.js";
import type { Scenario } from "./scenario.js";

export interface Recording {
  readonly scenario: Scenario;
  readonly chip: Chip;
  readonly history: History;
  /** What the flash really held in the end. */
  readonly end: Uint8Array;
  /** Operations that had begun when outputs of the new agent were first seen: its attempt must be one of them. */
  readonly newSeenAfter: number;
}

/** Relative to a flash operation: not begun, in the middle of it, just ended. */
export type Moment = "before" | "torn" | "after";

/** A board whose power was really cut. */
export interface RealCut {
  /** Without power; the caller closes it. */
  readonly board: TestBoard;
  /** What its flash holds. */
  readonly left: Uint8Array;
  /** Operations that began, the one that was cut included. */
  readonly history: History;
  /** What is wrong with what is left, or with what was seen before. */
  readonly faults: readonly string[];
}

export interface FlashRecorder {
  /** Runs the scenario's update once. Throws if flash changes otherwise than by the recorded operations. */
  record(scenario: Scenario): Promise<Recording>;
  /** When a real cut can come. */
  readonly moments: readonly Moment[];
  /** Runs the update anew and cuts the power at its n-th flash operation, from 1. */
  cut(recording: Recording, operation: number, moment: Moment, seed: number): Promise<RealCut>;
}
