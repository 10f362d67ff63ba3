/** What the tests of this room use, and whoever else wants the Arm image cut. */
export { runCuts, type CutsRun } from "./cuts.js";
export { runKills, type Kill } from "./kills.js";
export { boardBefore, judge, LOSSES, type Loss } from "./losses.js";
export type { Machine } from "./machine.js";
export { ARM_BOARDS, machineOf, type ArmBoard } from "./machines.js";
export { lockUp, measurePeriod } from "./qemu-losses.js";
export { powerResult, violationsOf } from "./result.js";
export { FAILURES, watchFailure, watchMissedDeadline } from "./rollback.js";
export { SCENARIOS } from "./scenario.js";
