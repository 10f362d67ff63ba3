/** Leaves a sweep for the report. */
import { writeResult } from "@edgeplug/report/results";

import type { SweepReport } from "./sweep.js";

/** Tears and draws follow from the points' ids alone; there is nothing to seed. */
const SEED = 0;

/** Writes build/results/power-sim.json; gives its path. */
export function keepResult(report: SweepReport, when: string, command: string): string {
  const { points, endStates, seconds, lawChecks, scenarios, violations } = report;
  return writeResult({
    suite: "power",
    board: "sim",
    when,
    command,
    seed: SEED,
    seconds,
    passed: violations.length === 0,
    points,
    endStates,
    lawChecks,
    scenarios,
  });
}
