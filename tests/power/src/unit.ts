/** A unit of work: some neighbouring operations of one scenario, cut in every way, and what that leads to cut again. */
import { Random, type Flash, type GeometryName } from "@edgeplug/sim";
import type { CutOutcome } from "@edgeplug/report/results";

import { capture, makeBench, type Bench, type Capture, type CutMoment } from "./capture.js";
import { examine, newMemory, type Examined, type Memory } from "./examine.js";
import { refresh, type FlashView } from "./flash-view.js";
import { hashOf, pointId } from "./point.js";
import { scenarioNamed } from "./scenarios/index.js";
import type { Scenario } from "./scenario.js";
import { shapesFor, type Shape } from "./tears.js";
import type { Law } from "./watch.js";

export interface Violation {
  readonly law: Law;
  /** Of the point; one without a cut is that before the operation reached. */
  readonly id: string;
  readonly message: string;
}

export interface UnitJob {
  readonly scenario: string;
  readonly geometry: GeometryName;
  /** Operations from `from`, counted from 0, up to `to`; none: only the uncut run. */
  readonly from: number;
  readonly to: number;
  /** Share of pairs to examine, 0 to 1. */
  readonly pairs: number;
}

export interface OperationResult {
  readonly atMs: number;
  readonly kind: "erase" | "program";
  readonly address: number;
  readonly size: number;
  readonly area: string;
  readonly outcomes: Partial<Record<CutOutcome, number>>;
}

export interface UnitResult {
  readonly job: UnitJob;
  /** Operations of the whole scenario. */
  readonly count: number;
  readonly operations: readonly OperationResult[];
  /** Fingerprints of flashes that cuts left, and of end states. */
  readonly points: readonly string[];
  readonly ends: readonly string[];
  readonly singles: number;
  readonly pairs: number;
  readonly lawChecks: readonly (readonly [Law, number])[];
  readonly violations: readonly Violation[];
}

const KEPT_CAPTURES = 4;
/** More than these from one unit help nobody. */
const MOST_VIOLATIONS = 20;

/** Does units one after the other, with one board for each geometry. */
export class Worker {
  private readonly benches = new Map<GeometryName, Promise<Bench>>();
  private readonly captures = new Map<string, { taken: Capture; violations: Violation[] }>();

  constructor(private readonly wasm: URL | undefined) {}

  async bench(geometry: GeometryName): Promise<Bench> {
    let bench = this.benches.get(geometry);
    if (bench === undefined) this.benches.set(geometry, (bench = makeBench(geometry, this.wasm)));
    return bench;
  }

  async captureOf(
    scenario: Scenario,
    geometry: GeometryName,
  ): Promise<{ taken: Capture; violations: Violation[] }> {
    const key = `${scenario.name}/${geometry}`;
    const known = this.captures.get(key);
    if (known !== undefined) return known;
    const bench = await this.bench(geometry);
    const violations: Violation[] = [];
    const taken = capture(bench, scenario, (law, message, operation) => {
      const first = { operation, shape: "b" as const };
      violations.push({ law, id: pointId({ scenario: scenario.name, geometry, first }), message });
    });
    if (this.captures.size >= KEPT_CAPTURES) this.captures.delete([...this.captures.keys()][0] ?? "");
    const found = { taken, violations };
    this.captures.set(key, found);
    return found;
  }

  async run(job: UnitJob): Promise<UnitResult> {
    const scenario = scenarioNamed(job.scenario);
    const { taken, violations: uncut } = await this.captureOf(scenario, job.geometry);
    const unit = new Unit(await this.bench(job.geometry), scenario, taken, job);
    if (job.from === job.to) unit.violations.push(...uncut);
    return unit.run();
  }
}

class Unit {
  readonly violations: Violation[] = [];
  private readonly memory: Memory = newMemory();
  private singles = 0;
  private pairs = 0;

  constructor(
    private readonly bench: Bench,
    private readonly scenario: Scenario,
    private readonly taken: Capture,
    private readonly job: UnitJob,
  ) {}

  run(): UnitResult {
    const { moments } = this.taken;
    const operations = moments.slice(this.job.from, this.job.to).map((moment, at) => ({
      atMs: moment.atMs,
      kind: moment.operation.kind,
      address: moment.operation.address,
      size: moment.operation.size,
      area: moment.area,
      outcomes: this.cutAt(moment, this.job.from + at),
    }));
    const { memory } = this;
    return {
      job: this.job,
      count: moments.length,
      operations,
      points: [...memory.points],
      ends: [...memory.ends],
      singles: this.singles,
      pairs: this.pairs,
      lawChecks: [...memory.lawChecks],
      violations: this.violations,
    };
  }

  /** All first cuts at one operation. "After" is the same flash as "before" the next one, but for the last. */
  private cutAt(moment: CutMoment, index: number): Partial<Record<CutOutcome, number>> {
    const outcomes: Partial<Record<CutOutcome, number>> = {};
    const tally = (outcome: CutOutcome) => (outcomes[outcome] = (outcomes[outcome] ?? 0) + 1);
    const isLast = index === this.taken.moments.length - 1;
    for (const { name } of shapesFor(this.job.geometry)) {
      if (name === "a" && !isLast) continue;
      const cut = { operation: index + 1, shape: name };
      const id = pointId({ ...this.job, first: cut });
      const state = name === "a" ? this.taken.end : moment;
      const flash = cutFlash(moment.flash, moment.operation, name, id);
      if (!this.isNew(flash)) continue;
      this.singles++;
      const view = refresh(flash, moment.view, moment.operation);
      const keepsRecovery = this.job.pairs > 0 && this.scenario.singleOnly !== true;
      const examined = this.look({ scenario: this.scenario, moment: state, flash, view, id, keepsRecovery });
      tally(examined.outcome);
      if (keepsRecovery) this.cutRecovery(examined, state, view, id, weightOf(moment), tally);
    }
    return outcomes;
  }

  /** Second cuts at all operations of a recovery. */
  private cutRecovery(
    { recovery }: Examined,
    moment: CutMoment | Capture["end"],
    start: FlashView,
    first: string,
    weight: number,
    tally: (outcome: CutOutcome) => void,
  ): void {
    let view = start;
    // a recovery that fills journal halves has ten times as many operations as most
    const share = weight * Math.min(1, USUAL_RECOVERY / recovery.length);
    recovery.forEach(({ operation, flash: before }, index) => {
      const last = recovery[index - 1]?.operation;
      if (last) view = refresh(before, view, last);
      for (const { name } of shapesFor(this.job.geometry)) {
        if (name === "a" && index < recovery.length - 1) continue;
        const id = `${first}+${index + 1}${name}`;
        if (!this.isChosen(id, share)) continue;
        const flash = cutFlash(before, operation, name, id);
        if (!this.isNew(flash)) continue;
        this.pairs++;
        const cutView = refresh(flash, view, operation);
        const subject = { scenario: this.scenario, moment, flash, view: cutView, id, keepsRecovery: false };
        tally(this.look(subject).outcome);
      }
    });
  }

  private isChosen(id: string, weight: number): boolean {
    const { pairs } = this.job;
    return pairs >= 1 || hashOf(id) < pairs * weight * 0x1_0000_0000;
  }

  private isNew(flash: Flash): boolean {
    const print = flash.fingerprint();
    if (this.memory.points.has(print)) return false;
    this.memory.points.add(print);
    return true;
  }

  private look(subject: Parameters<typeof examine>[1]): Examined {
    return examine(this.bench, subject, this.memory, (law, message) => {
      if (this.violations.length < MOST_VIOLATIONS) this.violations.push({ law, id: subject.id, message });
    });
  }
}

const USUAL_RECOVERY = 8;

/** Where only a share of the pairs is examined, the many alike programs of record and payload stand back, and so do
 * double words for the far fewer programs of the other geometry. */
function weightOf({ operation, area, flash }: CutMoment): number {
  const isAlike = operation.kind === "program" && /record|payload/.test(area);
  return (isAlike ? 0.5 : 2) * (flash.geometry.name === "nor" ? 4 : 1);
}

/** What the cut named by `id` leaves. */
export function cutFlash(before: Flash, operation: CutMoment["operation"], shape: Shape, id: string): Flash {
  const flash = before.fork();
  const seed = hashOf(`${id} tear`);
  flash.reseed(seed);
  const tear = shapesFor(before.geometry.name).find(({ name }) => name === shape);
  if (tear === undefined) throw new RangeError(`${before.geometry.name} has no cut ${shape}`);
  tear.apply(flash, operation, new Random(seed));
  return flash;
}
