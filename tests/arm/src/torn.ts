/**
 * What a cut in the middle of a flash operation may leave. Bits of a program go from 1 to 0 and those of an erase from 0
 * to 1, each on its own; QEMU has no unit that reads differently twice and no ECC, which are cut on `sim`.
 */
import type { Operation } from "./recording.js";
import { UNIT } from "./image.js";
import type { Random } from "./random.js";

export const SHAPES = ["after", "half", "rest", "bits", "blank"] as const;
/** "after": no tear at all. */
export type Shape = (typeof SHAPES)[number];

/**
 * The image after `operation` was torn, from the images before and after it. Undefined if that is no state of its own.
 *
 *   half    the first half took effect
 *   rest    all but the first unit (of an erase: the second half) took effect
 *   bits    each bit that had to change did so or not, at random
 *   blank   one unit in the middle was left out (of an erase: a quarter of the page)
 */
export function torn(
  before: Uint8Array,
  after: Uint8Array,
  operation: Operation,
  shape: Shape,
  random: Random,
): Uint8Array | undefined {
  const { address, size, kind } = operation;
  const image = before.slice();
  const take = (from: number, to: number): void =>
    image.set(after.subarray(address + from, address + to), address + from);
  const small = kind === "program";
  const middle = Math.floor(size / 2 / UNIT) * UNIT;
  if (shape === "after") return after;
  if (shape === "half") take(0, Math.floor(size / 2));
  if (shape === "rest") take(small ? Math.min(UNIT, size / 2) : middle, size);
  if (shape === "bits") scatter(image, after, operation, random);
  if (shape === "blank") {
    take(0, middle);
    take(middle + (small ? UNIT : size / 4), size);
  }
  const same = Buffer.compare(image, before) === 0 || Buffer.compare(image, after) === 0;
  return same ? undefined : image;
}

function scatter(image: Uint8Array, after: Uint8Array, { address, size }: Operation, random: Random): void {
  for (let at = address; at < address + size; at++) {
    const mask = random.below(256);
    image[at] = ((image[at] ?? 0) & ~mask) | ((after[at] ?? 0) & mask);
  }
}
