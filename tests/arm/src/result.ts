/** What a run leaves for the report, and what it says on a terminal. */
import type { CutOperation, CutScenario, PowerResult } from "@edgeplug/report/results";

import type { CutsRun } from "./cuts.js";
import type { Kill } from "./kills.js";
import type { ArmBoard } from "./machines.js";
import { tooEarly } from "./points.js";

export interface RunFacts {
  readonly board: ArmBoard;
  readonly when: Date;
  readonly command: string;
  readonly seed: number;
}

/** What a careless kill is on each. */
const CARELESS = { qemu: "kill -9 at any time", renode: "power cut at any time" } as const;

function scenarioOf({ recording, verdicts, endStates }: CutsRun): CutScenario {
  const operations = recording.history.operations.map(
    ({ atMs, kind, address, size, area }, index): CutOperation => {
      const outcomes: Record<string, number> = {};
      for (const { point, outcome } of verdicts)
        if (Math.max(1, point.operation) === index + 1) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      return { atMs, kind, address, size, area, outcomes };
    },
  );
  return {
    name: recording.scenario.name,
    geometry: recording.chip.map,
    points: verdicts.length,
    endStates,
    operations,
  };
}

/** Sentences, each with the point that it was seen at. */
export function violationsOf(runs: readonly CutsRun[], kills: readonly Kill[]): string[] {
  return [
    ...runs.flatMap(({ recording, verdicts, kills: killed }) => [
      ...tooEarly(recording),
      ...verdicts.flatMap(({ point, violations }) => violations.map((text) => `${point.id}: ${text}`)),
      ...killed.flatMap(({ id, faults }) => faults.map((text) => `${id}: ${text}`)),
    ]),
    ...kills.flatMap(({ index, violations }) => violations.map((text) => `kill ${index}: ${text}`)),
  ];
}

export function powerResult(runs: readonly CutsRun[], kills: readonly Kill[], facts: RunFacts): PowerResult {
  const lawChecks: Record<string, number> = {};
  const count = (law: string, times: number): number => (lawChecks[law] = (lawChecks[law] ?? 0) + times);
  for (const { checks } of runs.flatMap(({ verdicts }) => verdicts))
    for (const [law, times] of checks) count(law, times);
  const scenarios = runs.map(scenarioOf);
  if (kills.length > 0) {
    count("Law 2", kills.length);
    count("Law 3", kills.length);
    const geometry = facts.board === "qemu" ? "qemu" : "stm32l552";
    const careless = { name: CARELESS[facts.board], geometry, endStates: 0, operations: [] };
    scenarios.push({ ...careless, points: kills.length });
  }
  return {
    suite: "power",
    board: facts.board,
    when: facts.when.toISOString(),
    command: facts.command,
    seed: facts.seed,
    seconds: (Date.now() - facts.when.getTime()) / 1000,
    passed: violationsOf(runs, kills).length === 0,
    points: scenarios.reduce((sum, { points }) => sum + points, 0),
    endStates: scenarios.reduce((sum, { endStates }) => sum + endStates, 0),
    lawChecks,
    scenarios,
  };
}
