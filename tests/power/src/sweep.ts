/** A whole sweep: all scenarios, all geometries, over all threads. */
import type { GeometryName } from "@edgeplug/sim";
import type { CutScenario } from "@edgeplug/report/results";

import { Pool } from "./pool.js";
import { SCENARIOS } from "./scenarios/index.js";
import type { UnitJob, UnitResult, Violation } from "./unit.js";
import type { Law } from "./watch.js";

export interface SweepOptions {
  /** Another image, e.g. a deliberately broken engine. Default: the runtime as built. */
  readonly wasm?: URL;
  /** By name. Default: all. */
  readonly scenarios?: readonly string[];
  /** Default: both. */
  readonly geometries?: readonly GeometryName[];
  /** Share of the pairs of cuts to examine, chosen evenly by their ids; true: all, false: none. Default: DEFAULT_PAIRS. */
  readonly pairs?: boolean | number;
  /** Ends as soon as a unit of work has found one. */
  readonly stopAtFirstViolation?: boolean;
  /** Begins with the last operations: what decides an update comes late in it. */
  readonly lastFirst?: boolean;
  /** Threads. Default 2. */
  readonly workers?: number;
  readonly onProgress?: (progress: SweepProgress) => void;
}

export interface SweepProgress {
  readonly points: number;
  /** Of all units, those done. */
  readonly done: number;
  readonly units: number;
  readonly violations: number;
}

export interface SweepReport {
  /** Distinct ones: flashes that cuts left, no two alike within a scenario and geometry. */
  readonly points: number;
  readonly singles: number;
  readonly pairs: number;
  /** Distinct flashes at rest, by sense. */
  readonly endStates: number;
  readonly seconds: number;
  readonly lawChecks: Readonly<Partial<Record<Law, number>>>;
  readonly violations: readonly Violation[];
  readonly scenarios: readonly CutScenario[];
}

/** Share of the pairs that make up the default sweep, which then has more than 100,000 points. */
export const DEFAULT_PAIRS = 0.0071;

/** Operations of a unit of work: small enough to keep all threads busy to the end. */
const UNIT_OPERATIONS = 6;

export async function sweep(options: SweepOptions = {}): Promise<SweepReport> {
  const { scenarios = SCENARIOS.map(({ name }) => name), geometries = ["l5", "nor"] } = options;
  const unknown = scenarios.find((name) => !SCENARIOS.some((one) => one.name === name));
  if (unknown !== undefined) throw new RangeError(`no scenario is called ${unknown}`);
  const share = options.pairs === undefined ? DEFAULT_PAIRS : Number(options.pairs);
  const start = performance.now();
  const pool = new Pool(options.workers ?? 2, options.wasm);
  const tally = new Tally(options);
  try {
    const uncut = scenarios.flatMap((scenario) =>
      geometries.map((geometry): UnitJob => ({ scenario, geometry, from: 0, to: 0, pairs: 0 })),
    );
    const surveys = await tally.over(pool, uncut);
    const units = surveys.flatMap((survey) => unitsOf(survey, share));
    if (!tally.isOver) await tally.over(pool, options.lastFirst === true ? units.reverse() : units);
  } finally {
    await pool.close();
  }
  return tally.report((performance.now() - start) / 1000);
}

function unitsOf({ job, count }: UnitResult, pairs: number): UnitJob[] {
  const units: UnitJob[] = [];
  for (let from = 0; from < count; from += UNIT_OPERATIONS)
    units.push({ ...job, from, to: Math.min(count, from + UNIT_OPERATIONS), pairs });
  return units;
}

/** Adds up what units find. */
class Tally {
  private readonly results: UnitResult[] = [];
  private readonly progress = { points: 0, done: 0, units: 0, violations: 0 };

  constructor(private readonly options: SweepOptions) {}

  get isOver(): boolean {
    return this.options.stopAtFirstViolation === true && this.progress.violations > 0;
  }

  async over(pool: Pool, jobs: readonly UnitJob[]): Promise<UnitResult[]> {
    const { progress } = this;
    progress.units += jobs.length;
    const results = await pool.run(jobs, (result) => {
      progress.done++;
      progress.points += result.points.length;
      progress.violations += result.violations.length;
      this.options.onProgress?.({ ...progress });
      return !this.isOver;
    });
    this.results.push(...results);
    return results;
  }

  report(seconds: number): SweepReport {
    const { results } = this;
    const scenarios = this.scenarios();
    const lawChecks: Partial<Record<Law, number>> = {};
    for (const [law, times] of results.flatMap((one) => one.lawChecks))
      lawChecks[law] = (lawChecks[law] ?? 0) + times;
    const sum = (of: (one: UnitResult) => number) => results.reduce((total, one) => total + of(one), 0);
    return {
      points: scenarios.reduce((total, { points }) => total + points, 0),
      singles: sum(({ singles }) => singles),
      pairs: sum(({ pairs }) => pairs),
      endStates: scenarios.reduce((total, { endStates }) => total + endStates, 0),
      seconds,
      lawChecks,
      violations: results.flatMap(({ violations }) => violations),
      scenarios,
    };
  }

  private scenarios(): CutScenario[] {
    const groups = new Map<string, UnitResult[]>();
    for (const result of this.results) {
      const key = `${result.job.scenario}/${result.job.geometry}`;
      groups.set(key, [...(groups.get(key) ?? []), result]);
    }
    return [...groups.values()].map((group) => ({
      name: group[0]?.job.scenario ?? "",
      geometry: group[0]?.job.geometry ?? "",
      points: new Set(group.flatMap(({ points }) => points)).size,
      endStates: new Set(group.flatMap(({ ends }) => ends)).size,
      operations: group.flatMap(({ operations }) => operations),
    }));
  }
}
