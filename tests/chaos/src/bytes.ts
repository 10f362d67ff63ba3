/** Copies of bytes with something wrong in them. */
import type { Random } from "@edgeplug/sim";

/** One bit inverted. */
export function flipBit(bytes: Uint8Array, at: number, bit: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ (1 << bit);
  return copy;
}

/** One to `most` bits inverted within `start` to `end`; never none. */
export function flipSome(
  bytes: Uint8Array,
  start: number,
  end: number,
  random: Random,
  most = 1,
): Uint8Array {
  const bits = 1 + random.below(most);
  let copy: Uint8Array = Uint8Array.from(bytes);
  for (let count = 0; count < bits; count++)
    copy = flipBit(copy, start + random.below(end - start), random.below(8));
  return same(copy, bytes) ? flipBit(bytes, start, 0) : copy;
}

/** Random bytes in place of `length` from `at` on; at least one differs. */
export function burst(bytes: Uint8Array, at: number, length: number, random: Random): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy.set(random.bytes(Math.min(length, bytes.length - at)), at);
  return same(copy, bytes) ? flipBit(bytes, at, 0) : copy;
}

export function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
