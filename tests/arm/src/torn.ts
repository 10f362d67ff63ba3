/**
 * What a cut in the middle of a flash operation may leave. Bits of a program go from 1 to 0 and those of an erase from 0
 * to 1, each on its own. Units that read differently twice and ECC errors are cut on `sim`, and by Renode's model itself.
 */
import type { Operation } from "./history.js";
import type { Random } from "./random.js";

export const SHAPES = ["after", "half", "rest", "bits", "blank"] as const;
/** "after": no tear at all. */
export type Shape = (typeof SHAPES)[number];

/**
 * What a torn operation leaves in the bytes that it is about, from what they held before and hold after it. Undefined if
 * that is no state of its own. `unit`: bytes that the chip programs at once.
 *
 *   half    the first half took effect
 *   rest    all but the first unit (of an erase: the second half) took effect
 *   bits    each bit that had to change did so or not, at random
 *   blank   one unit in the middle was left out (of an erase: a quarter of the page)
 */
export function torn(
  before: Uint8Array,
  after: Uint8Array,
  kind: Operation["kind"],
  shape: Exclude<Shape, "after">,
  unit: number,
  random: Random,
): Uint8Array | undefined {
  const left = before.slice();
  const size = left.length;
  const take = (from: number, to: number): void => left.set(after.subarray(from, to), from);
  const small = kind === "program";
  const middle = Math.floor(size / 2 / unit) * unit;
  if (shape === "half") take(0, Math.floor(size / 2));
  if (shape === "rest") take(small ? Math.min(unit, size / 2) : middle, size);
  if (shape === "bits") scatter(left, after, random);
  if (shape === "blank") {
    take(0, middle);
    take(middle + (small ? unit : size / 4), size);
  }
  const same = Buffer.compare(left, before) === 0 || Buffer.compare(left, after) === 0;
  return same ? undefined : left;
}

function scatter(left: Uint8Array, after: Uint8Array, random: Random): void {
  for (let at = 0; at < left.length; at++) {
    const mask = random.below(256);
    left[at] = ((left[at] ?? 0) & ~mask) | ((after[at] ?? 0) & mask);
  }
}
