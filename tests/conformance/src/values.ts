/** Results against what an assertion expects of them, bit by bit; NaNs by the rules of the specification's tests. */
import type { Value } from "./script.js";

/** Fraction bits, and the exponent above them, of each float type. */
const FLOATS = {
  f32: { fraction: 23n, exponent: 0xffn },
  f64: { fraction: 52n, exponent: 0x7ffn },
} as const;

const BITS: Readonly<Record<string, number>> = { i32: 32, i64: 64, f32: 32, f64: 64 };

/** The raw bits of an argument. Throws RangeError for a type that can't be passed. */
export function bitsOf({ type, value }: Value): bigint {
  const size = BITS[type];
  if (size === undefined) throw new RangeError(`a value of type ${type} can't be passed`);
  return BigInt.asUintN(size, BigInt(value));
}

/**
 * Whether `actual` is what `expected` stands for: the same bits; for `nan:canonical` a NaN whose fraction has its top bit set
 * and no other; for `nan:arithmetic` one whose fraction has its top bit set. The sign of a NaN is free in both.
 */
export function matches(expected: Value, actual: bigint): boolean {
  const size = BITS[expected.type];
  if (size === undefined || actual >> BigInt(size) !== 0n) return false;
  if (!expected.value.startsWith("nan:")) return actual === bitsOf(expected);
  const float = expected.type === "f32" ? FLOATS.f32 : expected.type === "f64" ? FLOATS.f64 : undefined;
  if (float === undefined) return false;
  const fraction = actual & ((1n << float.fraction) - 1n);
  const quiet = 1n << (float.fraction - 1n);
  if (((actual >> float.fraction) & float.exponent) !== float.exponent) return false;
  if (expected.value === "nan:canonical") return fraction === quiet;
  return expected.value === "nan:arithmetic" && (fraction & quiet) !== 0n;
}

/** For people: `f32 0x7fc00000`. */
export function showBits(type: string, bits: bigint): string {
  return `${type} 0x${bits.toString(16).padStart((BITS[type] ?? 64) / 4, "0")}`;
}

export function showValue(value: Value): string {
  if (BITS[value.type] === undefined || value.value.startsWith("nan:")) return `${value.type} ${value.value}`;
  return showBits(value.type, bitsOf(value));
}
