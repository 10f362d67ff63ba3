/** Cuts the power of simulated boards everywhere and asks about the laws: `import { sweep } from "@edgeplug/power-suite"`. */
export { LAWS } from "./laws.js";
export { parsePoint, pointId, type Point } from "./point.js";
export { SCENARIOS } from "./scenarios/index.js";
export type { Scenario } from "./scenario.js";
export { keepResult } from "./result.js";
export { replay, type Replay } from "./trace.js";
export { DEFAULT_PAIRS, sweep, type SweepOptions, type SweepProgress, type SweepReport } from "./sweep.js";
export type { Violation } from "./unit.js";
export type { Law } from "./watch.js";
