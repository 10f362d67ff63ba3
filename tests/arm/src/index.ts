/** What the tests of this room use, and whoever else wants the Arm image cut. */
export { Chip } from "./chip.js";
export { runCuts, type CutsRun } from "./cuts.js";
export { parseFlashLog, since } from "./flash-log.js";
export { History, type Operation } from "./history.js";
export { differences, LoggedRecorder, type LoggingMachine } from "./logged-recorder.js";
export { loseCoreObserved, loseOneScanObserved, type LostImage } from "./observed-losses.js";
export { tooEarly } from "./points.js";
export { parseOptions } from "./options.js";
export { runKills, type Kill } from "./kills.js";
export { boardBefore, judge, LOSSES, type Loss } from "./losses.js";
export type { Machine } from "./machine.js";
export { ARM_BOARDS, machineOf, type ArmBoard } from "./machines.js";
export { lockUp, measurePeriod } from "./qemu-losses.js";
export { powerResult, violationsOf } from "./result.js";
export { FAILURES, watchFailure, watchMissedDeadline } from "./rollback.js";
export { SCENARIOS } from "./scenario.js";
