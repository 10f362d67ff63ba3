/** A run of many cases, each of them repeatable by the seed and its own number. */
import type { ChaosClass, ChaosResult } from "@edgeplug/report/results";
import { Random } from "@edgeplug/sim";
import { about, type OwnAgent } from "@edgeplug/test-support/own-agents";
import { push } from "@edgeplug/test-support/push";

import { AT_REST } from "./rest.js";
import { AT_REST_IN_AN_UPDATE } from "./rest-update.js";
import { BEFORE_SENDING } from "./before.js";
import type { Bench } from "./bench.js";
import { Trial, type ChaosKind, type Outcome } from "./case.js";
import { Workshop, type Parcel } from "./parcels.js";
import { connect, prepare, restartSessions, type Scene, type SceneName } from "./scenes.js";
import { IN_TRANSIT, pushOptions } from "./transit.js";
import { judge, type Violation } from "./verdict.js";

export interface RunOptions {
  /** Packages of at most 2 KiB; case 0 to packages − 1. */
  readonly packages: number;
  /** Packages that fill a slot, after the others. Default 0. */
  readonly fullSlots?: number;
  readonly seed: number;
  /** Probability that a byte on a bad line is corrupted, 0 to 1. */
  readonly rate: number;
  /** Only these. */
  readonly numbers?: readonly number[] | undefined;
  /** Called after each case. */
  readonly onCase?: (report: CaseReport, done: number) => void;
  readonly signal?: AbortSignal;
  /** Somebody's own packages: then it is those that are corrupted. */
  readonly own?: readonly OwnAgent[];
}

export interface CaseReport {
  readonly number: number;
  readonly kind: ChaosKind;
  readonly caughtBy: string;
  readonly violations: readonly Violation[];
  readonly story: readonly string[];
}

export type Figures = Pick<
  ChaosResult,
  "packages" | "rate" | "classes" | "crashes" | "lockOuts" | "disturbed" | "cleanRetries"
>;

/** In an order in which the first few are of all three kinds. */
export const KINDS: readonly ChaosKind[] = interleaved([
  BEFORE_SENDING,
  IN_TRANSIT,
  [...AT_REST, ...AT_REST_IN_AN_UPDATE],
]);

/** An emulated board takes the smallest of the candidates: on a bad line each byte costs it real time. */
const SMALLEST = 12;

/** A push over a line that corrupts at the rate is what this class is about. */
const AT_RATE = IN_TRANSIT[0];

function interleaved<T>(lists: readonly (readonly T[])[]): T[] {
  const placed = lists.flatMap((list) => list.map((item, at) => ({ item, at: (at + 0.5) / list.length })));
  return placed.sort((a, b) => a.at - b.at).map(({ item }) => item);
}

export async function runChaos(
  bench: Bench,
  options: RunOptions,
): Promise<{ figures: Figures; failed: CaseReport[] }> {
  const { own = [] } = options;
  const workshop = new Workshop(
    bench.boardClass,
    own.map(({ pkg }) => pkg),
  );
  restartSessions();
  const scenes = await prepare(bench, workshop);
  for (const [index, { path }] of own.entries()) await tryOut(bench, workshop.candidate(index), path);
  const tally = new Tally(options);
  const { packages, fullSlots = 0 } = options;
  const numbers = options.numbers ?? Array.from({ length: packages + fullSlots }, (_, number) => number);
  for (const number of numbers) {
    if (options.signal?.aborted === true) break;
    const report = await runCase({ bench, workshop, scenes, options, number, tally });
    options.onCase?.(report, tally.cases);
  }
  return { figures: tally.figures(), failed: tally.failed };
}

/** What fails without being corrupted says nothing about corruption. Throws what the push throws. */
async function tryOut(bench: Bench, { pkg }: Parcel, path: string): Promise<void> {
  await bench.load("two");
  const { session, line } = await connect(bench);
  try {
    await about(path, () => push(session, pkg, pushOptions(pkg)));
  } finally {
    await line.close();
  }
}

interface CaseContext {
  bench: Bench;
  workshop: Workshop;
  scenes: ReadonlyMap<SceneName, Scene>;
  options: RunOptions;
  number: number;
  tally: Tally;
}

async function runCase({
  bench,
  workshop,
  scenes,
  options,
  number,
  tally,
}: CaseContext): Promise<CaseReport> {
  const kind = KINDS[number % KINDS.length];
  if (kind === undefined) throw new RangeError("no classes");
  const round = Math.floor(number / KINDS.length);
  const random = new Random(Math.imul(options.seed, 0x9e37_79b1) ^ Math.imul(number + 1, 0x85eb_ca6b));
  const parcel =
    number >= options.packages
      ? workshop.full(number)
      : workshop.candidate(random.below(bench.backend === "sim" ? 32 : SMALLEST));
  restartSessions();
  const trial = new Trial(number, round, random, bench, workshop, scenes, options.rate, parcel);
  trial.tell(`class: ${kind.name} (${kind.where}), variant ${round % kind.variants}`);
  let outcome: Outcome | undefined;
  let violations: readonly Violation[];
  try {
    outcome = await kind.run(trial);
    const verdict = await judge(trial, kind, outcome);
    violations = verdict.violations;
    if (verdict.retried) tally.retried(violations);
  } catch (error) {
    violations = [...fallen(error), ...bench.crashes.map((what): Violation => ({ law: "crash", what }))];
  }
  if (kind === AT_RATE) tally.retried(violations);
  const caughtBy = outcome?.caughtBy ?? "nothing";
  const report = { number, kind, caughtBy, violations, story: trial.story };
  tally.add(report);
  return report;
}

/** A case that could not be brought to its end: whoever talked to the board got no further. */
function fallen(error: unknown): Violation[] {
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return [{ law: "lock-out", what }];
}

class Tally {
  cases = 0;
  readonly failed: CaseReport[] = [];
  readonly #classes = new Map<
    ChaosKind,
    { cases: number; caughtBy: Record<string, number>; slipped: number }
  >();
  readonly #broken = { crash: 0, "lock-out": 0, disturbed: 0, slipped: 0 };
  readonly #retries = { tried: 0, succeeded: 0 };

  constructor(private readonly options: RunOptions) {}

  retried(violations: readonly Violation[]): void {
    this.#retries.tried++;
    if (!violations.some(({ law }) => law === "lock-out")) this.#retries.succeeded++;
  }

  add(report: CaseReport): void {
    const { kind, caughtBy, violations } = report;
    const entry = this.#classes.get(kind) ?? { cases: 0, caughtBy: {}, slipped: 0 };
    this.#classes.set(kind, entry);
    this.cases++;
    entry.cases++;
    entry.caughtBy[caughtBy] = (entry.caughtBy[caughtBy] ?? 0) + 1;
    const laws = new Set(violations.map(({ law }) => law));
    for (const law of laws) this.#broken[law]++;
    if (laws.has("slipped")) entry.slipped++;
    if (laws.size > 0) this.failed.push(report);
  }

  figures(): Figures {
    const classes = [...this.#classes].map(([{ name, where }, entry]): ChaosClass => ({
      name,
      where,
      ...entry,
    }));
    return {
      packages: this.cases,
      rate: this.options.rate,
      classes,
      crashes: this.#broken.crash,
      lockOuts: this.#broken["lock-out"],
      disturbed: this.#broken.disturbed,
      cleanRetries: this.#retries,
    };
  }
}
