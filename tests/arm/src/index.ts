/** What the tests of this room use, and whoever else wants the Arm image cut. */
export { runCuts, type CutsRun } from "./cuts.js";
export { runKills, type Kill } from "./kills.js";
export { powerResult, violationsOf } from "./result.js";
export { FAILURES, watchFailure, watchMissedDeadline } from "./rollback.js";
export { SCENARIOS } from "./scenario.js";
export { boardBefore, judge, lockUp, loseCore, LOSSES, measurePeriod, type Loss } from "./watchdog.js";
