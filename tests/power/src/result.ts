/** Leaves a sweep for the report. */
import type { JunitRun } from "@edgeplug/report/junit";
import { shellWord, writeResult } from "@edgeplug/report/results";

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

/** A case for each scenario and geometry. All threads work on all of them: the sweep's time stands with the first. */
export function junitRun(report: SweepReport, when: string, args: readonly string[]): JunitRun {
  const { scenarios, violations, seconds } = report;
  const cases = scenarios.map(({ name, geometry }, at) => {
    const own = violations.filter(
      ({ id }) => id.startsWith(`${name}/${geometry}@`) || id === `${name}/${geometry}`,
    );
    return {
      name: `${name} on ${geometry}`,
      seconds: at === 0 ? seconds : 0,
      failures: own.map(({ id, law, message }) => `${id}: law ${law}: ${message}`),
      ...(own[0] === undefined ? {} : { again: `npm run power -- --point ${own[0].id}` }),
    };
  });
  const command = ["npm run power --", ...args.map(shellWord)].join(" ");
  return { suite: "power", board: "sim", when, command, seed: SEED, seconds, cases };
}
