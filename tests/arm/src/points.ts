/** Which cuts of a recorded update there are, and which of them a run takes. */
import type { Chip } from "./chip.js";
import { apply, type Operation } from "./history.js";
import { Random } from "./random.js";
import type { Recording } from "./recording.js";
import { slotsOf, type Scenario } from "./scenario.js";
import { SHAPES, torn, type Shape } from "./torn.js";

/** Who may run once the board is at rest, by what the design says of the marks. */
export interface Permit {
  readonly mayRun: readonly ("old" | "new")[];
  /** The cut left a whole CONFIRMED mark of the new agent. */
  readonly confirmed: boolean;
}

export interface Point extends Permit {
  /** "update/17/half": the shape of the 17th operation's tear; "update/0/after" is a cut before the first. */
  readonly id: string;
  /** From 1; 0: before the first. */
  readonly operation: number;
  readonly shape: Shape;
  /** What the cut left, made when it is asked for. */
  image(): Uint8Array;
}

/** All distinct points of a recording; the torn ones differ with the seed. */
export function pointsOf(recording: Recording, seed: number): Point[] {
  const { history, scenario, chip } = recording;
  const marks = marksOf(recording);
  if (!Number.isFinite(marks.trial + marks.confirmed))
    throw new Error("the update programmed not all marks into its own slot");
  const image = history.first;
  const points: Point[] = [point(recording, marks, 0, "after", () => history.first)];
  history.operations.forEach((operation, index) => {
    const { address, size, kind } = operation;
    const before = image.slice(address, address + size);
    apply(image, operation);
    const after = image.slice(address, address + size);
    for (const shape of SHAPES) {
      if (shape === "after") {
        points.push(point(recording, marks, index + 1, shape, () => history.after(index + 1)));
        continue;
      }
      // each point's bits follow from its own id, so that one can be tried again alone
      const random = new Random(seed + 1_000 * (index + 1) + SHAPES.indexOf(shape) + scenario.name.length);
      const left = torn(before, after, kind, shape, chip.unit, random);
      if (left === undefined) continue;
      points.push(
        point(recording, marks, index + 1, shape, () => {
          const whole = history.after(index);
          whole.set(left, address);
          return whole;
        }),
      );
    }
  });
  return points;
}

/** What of the update itself was wrong, before any cut: outputs of the new agent ahead of its attempt's mark. */
export function tooEarly(recording: Recording): string[] {
  const { newSeenAfter, scenario } = recording;
  const marked = marksOf(recording).trial;
  const late = `the new agent ran after ${newSeenAfter} operations, its attempt was marked by the ${marked}th`;
  return newSeenAfter < marked ? [`${scenario.name}: Law 2: ${late}`] : [];
}

interface Marks {
  /** Number of the operation that begins the mark, from 1; Infinity: none does. */
  readonly trial: number;
  readonly confirmed: number;
}

function marksOf({
  chip,
  scenario,
  history,
}: {
  chip: Chip;
  scenario: Scenario;
  history: { readonly operations: readonly Operation[] };
}): Marks {
  const { target } = slotsOf(scenario);
  const first = (mark: keyof Marks): number => {
    const wanted = chip.markAddress(target, mark);
    const at = history.operations.findIndex(({ address }) => address === wanted);
    return at < 0 ? Infinity : at + 1;
  };
  return { trial: first("trial"), confirmed: first("confirmed") };
}

/** Who may run after a cut that let `whole` operations end; `isTorn`: the one after them had begun. */
export function permit(
  of: { chip: Chip; scenario: Scenario; history: { readonly operations: readonly Operation[] } },
  whole: number,
  isTorn: boolean,
): Permit {
  return permitBy(marksOf(of), whole, isTorn);
}

function permitBy({ trial, confirmed }: Marks, whole: number, isTorn: boolean): Permit {
  const trialTorn = isTorn && whole + 1 === trial;
  const mayRun = trialTorn
    ? (["old", "new"] as const)
    : whole >= trial
      ? (["new"] as const)
      : (["old"] as const);
  return { mayRun, confirmed: whole >= confirmed };
}

function point(
  { scenario }: Recording,
  marks: Marks,
  operation: number,
  shape: Shape,
  image: () => Uint8Array,
): Point {
  const isTorn = shape !== "after";
  const id = `${scenario.name.replace(" ", "-")}/${operation}/${shape}`;
  return { id, operation, shape, image, ...permitBy(marks, isTorn ? operation - 1 : operation, isTorn) };
}

/** How much there is to learn from cutting it: erases and marks decide who runs, payload is alike in each of its blocks. */
const RANKS = ["erases and marks", "records and journal", "payload"] as const;

function rankOf(recording: Recording, { operation }: Point): (typeof RANKS)[number] {
  const found = recording.history.operations[operation - 1];
  if (found === undefined || found.kind === "erase" || found.area.endsWith("marks"))
    return "erases and marks";
  return found.area.endsWith("payload") ? "payload" : "records and journal";
}

/** At most `count`: every point of a rank before any of the next; of the last that has room, evenly spread ones. */
export function spread(recording: Recording, points: readonly Point[], count: number): Point[] {
  const taken = new Set<Point>();
  for (const rank of RANKS) {
    const ranked = points.filter((each) => rankOf(recording, each) === rank);
    for (const each of evenly(ranked, count - taken.size)) taken.add(each);
  }
  return points.filter((each) => taken.has(each));
}

function evenly<T>(all: readonly T[], count: number): T[] {
  if (count >= all.length) return [...all];
  return Array.from({ length: count }, (_, at) => all[Math.floor((at * all.length) / count)] as T);
}
