/** Which cuts of a recorded update there are, and which of them a run takes. */
import { slotsOf } from "./scenario.js";
import { markAddress } from "./image.js";
import { Random } from "./random.js";
import type { Recording } from "./recording.js";
import { SHAPES, torn, type Shape } from "./torn.js";

export interface Point {
  /** "update/17/half": the shape of the 17th operation's tear; "update/0/after" is a cut before the first. */
  readonly id: string;
  /** From 1; 0: before the first. */
  readonly operation: number;
  readonly shape: Shape;
  readonly image: Uint8Array;
  /** Who may run once the board is at rest, by what the design says of the marks. */
  readonly mayRun: readonly ("old" | "new")[];
  /** The cut left a whole CONFIRMED mark of the new agent. */
  readonly confirmed: boolean;
}

/** All distinct points of a recording; the torn ones differ with the seed. */
export function pointsOf(recording: Recording, seed: number): Point[] {
  const { operations, images, scenario } = recording;
  const points: Point[] = [point(recording, 0, "after", images[0] as Uint8Array)];
  operations.forEach((operation, index) => {
    const before = images[index] as Uint8Array;
    const after = images[index + 1] as Uint8Array;
    for (const shape of SHAPES) {
      // each point's bits follow from its own id, so that one can be tried again alone
      const random = new Random(seed + 1_000 * (index + 1) + SHAPES.indexOf(shape) + scenario.name.length);
      const image = torn(before, after, operation, shape, random);
      if (image !== undefined) points.push(point(recording, index + 1, shape, image));
    }
  });
  return points;
}

/** What of the update itself was wrong, before any cut: outputs of the new agent ahead of its attempt's mark. */
export function tooEarly({ operations, newSeenAfter, scenario }: Recording): string[] {
  const { target } = slotsOf(scenario);
  const marked = operations.findIndex(({ address }) => address === markAddress(target, "trial")) + 1;
  const late = `the new agent ran after ${newSeenAfter} operations, its attempt was marked by the ${marked}th`;
  return newSeenAfter < marked ? [`${scenario.name}: Law 2: ${late}`] : [];
}

function point(recording: Recording, operation: number, shape: Shape, image: Uint8Array): Point {
  const { operations, scenario } = recording;
  const { target } = slotsOf(scenario);
  const first = (mark: "trial" | "confirmed"): number => {
    const at = operations.findIndex(({ address }) => address === markAddress(target, mark));
    if (at < 0) throw new Error(`the update programmed no ${mark} mark into its own slot`);
    return at + 1;
  };
  const whole = shape === "after" ? operation : operation - 1;
  const trial = first("trial");
  const confirmed = first("confirmed");
  const trialTorn = whole < trial && operation === trial;
  const mayRun = trialTorn
    ? (["old", "new"] as const)
    : whole >= trial
      ? (["new"] as const)
      : (["old"] as const);
  const id = `${scenario.name.replace(" ", "-")}/${operation}/${shape}`;
  return { id, operation, shape, image, mayRun, confirmed: whole >= confirmed };
}

/** At most `count`: every point beside the payload's blocks first, then as many of the others, evenly spread. */
export function spread(recording: Recording, points: readonly Point[], count: number): Point[] {
  const isBlock = ({ operation }: Point): boolean => {
    const found = recording.operations[operation - 1];
    return found?.kind === "program" && found.area.endsWith("payload");
  };
  const facts = points.filter((each) => !isBlock(each));
  const blocks = points.filter(isBlock);
  const taken = new Set([...evenly(facts, count), ...evenly(blocks, Math.max(0, count - facts.length))]);
  return points.filter((each) => taken.has(each));
}

function evenly<T>(all: readonly T[], count: number): T[] {
  if (count >= all.length) return [...all];
  return Array.from({ length: count }, (_, at) => all[Math.floor((at * all.length) / count)] as T);
}
