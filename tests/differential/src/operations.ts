/** Numeric instructions, loads and stores: what they take and give, and awkward numbers to give them. */
import { F32, F64, I32, I64 } from "./binary.js";
import type { Random } from "./random.js";

export const VALUE_TYPES = [I32, I64, F32, F64] as const;

export interface Operation {
  /** As instructions() gives it: behind the prefix 0xFC with 0xfc00 added. */
  readonly opcode: number;
  readonly operands: readonly number[];
  readonly result: number;
  /** Whether some operands make it trap. */
  readonly traps: boolean;
}

/** First and last opcode, operand type, how many, result type. */
const RANGES: readonly (readonly [number, number, number, 1 | 2, number])[] = [
  [0x45, 0x45, I32, 1, I32],
  [0x46, 0x4f, I32, 2, I32],
  [0x50, 0x50, I64, 1, I32],
  [0x51, 0x5a, I64, 2, I32],
  [0x5b, 0x60, F32, 2, I32],
  [0x61, 0x66, F64, 2, I32],
  [0x67, 0x69, I32, 1, I32],
  [0x6a, 0x78, I32, 2, I32],
  [0x79, 0x7b, I64, 1, I64],
  [0x7c, 0x8a, I64, 2, I64],
  [0x8b, 0x91, F32, 1, F32],
  [0x92, 0x98, F32, 2, F32],
  [0x99, 0x9f, F64, 1, F64],
  [0xa0, 0xa6, F64, 2, F64],
  [0xa7, 0xa7, I64, 1, I32],
  [0xa8, 0xa9, F32, 1, I32],
  [0xaa, 0xab, F64, 1, I32],
  [0xac, 0xad, I32, 1, I64],
  [0xae, 0xaf, F32, 1, I64],
  [0xb0, 0xb1, F64, 1, I64],
  [0xb2, 0xb3, I32, 1, F32],
  [0xb4, 0xb5, I64, 1, F32],
  [0xb6, 0xb6, F64, 1, F32],
  [0xb7, 0xb8, I32, 1, F64],
  [0xb9, 0xba, I64, 1, F64],
  [0xbb, 0xbb, F32, 1, F64],
  [0xbc, 0xbc, F32, 1, I32],
  [0xbd, 0xbd, F64, 1, I64],
  [0xbe, 0xbe, I32, 1, F32],
  [0xbf, 0xbf, I64, 1, F64],
  [0xc0, 0xc1, I32, 1, I32],
  [0xc2, 0xc4, I64, 1, I64],
  [0xfc00, 0xfc01, F32, 1, I32],
  [0xfc02, 0xfc03, F64, 1, I32],
  [0xfc04, 0xfc05, F32, 1, I64],
  [0xfc06, 0xfc07, F64, 1, I64],
];

function within(opcode: number, ...ranges: (readonly [number, number])[]): boolean {
  return ranges.some(([first, last]) => opcode >= first && opcode <= last);
}

/** Divisions, remainders, conversions of floats to integers. */
const TRAPPING: (readonly [number, number])[] = [
  [0x6d, 0x70],
  [0x7f, 0x82],
  [0xa8, 0xab],
  [0xae, 0xb1],
];

export const OPERATIONS: readonly Operation[] = RANGES.flatMap(([first, last, type, count, result]) =>
  Array.from({ length: last - first + 1 }, (_, i) => ({
    opcode: first + i,
    operands: Array.from({ length: count }, () => type),
    result,
    traps: within(first + i, ...TRAPPING),
  })),
);

const BY_RESULT = new Map(
  VALUE_TYPES.map((type) => [type, OPERATIONS.filter(({ result }) => result === type)]),
);

export function operationsTo(type: number): readonly Operation[] {
  return BY_RESULT.get(type as (typeof VALUE_TYPES)[number]) ?? [];
}

export function isDivision(opcode: number): boolean {
  return within(opcode, [0x6d, 0x70], [0x7f, 0x82]);
}

/**
 * Whether the NaN that an instruction gives may be another one elsewhere (spec 4.3.3): arithmetic, rounding, demotion and
 * promotion. The others move bits.
 */
export function givesNan(opcode: number): 0 | typeof F32 | typeof F64 {
  if (within(opcode, [0x8d, 0x97]) || opcode === 0xb6) return F32;
  if (within(opcode, [0x9b, 0xa5]) || opcode === 0xbb) return F64;
  return 0;
}

export interface Access {
  readonly opcode: number;
  readonly type: number;
  /** log2 of its bytes. */
  readonly size: number;
}

function accesses(first: number, list: readonly (readonly [number, number])[]): Access[] {
  return list.map(([type, size], i) => ({ opcode: first + i, type, size }));
}

export const LOADS = accesses(0x28, [
  [I32, 2],
  [I64, 3],
  [F32, 2],
  [F64, 3],
  [I32, 0],
  [I32, 0],
  [I32, 1],
  [I32, 1],
  [I64, 0],
  [I64, 0],
  [I64, 1],
  [I64, 1],
  [I64, 2],
  [I64, 2],
]);

export const STORES = accesses(0x36, [
  [I32, 2],
  [I64, 3],
  [F32, 2],
  [F64, 3],
  [I32, 0],
  [I32, 1],
  [I64, 0],
  [I64, 1],
  [I64, 2],
]);

const SMALL = [
  0n,
  1n,
  2n,
  3n,
  7n,
  8n,
  31n,
  32n,
  33n,
  63n,
  64n,
  65n,
  127n,
  128n,
  255n,
  256n,
  32767n,
  32768n,
  65535n,
];
const INTEGERS32 = [...SMALL, 0x7fffffffn, 0x80000000n, 0x80000001n, 0xffffffffn, 0xfffffffen, 0xffffff80n];
const INTEGERS64 = [
  ...SMALL,
  ...[0x7fffffffn, 0x80000000n, 0xffffffffn, 0x1_0000_0000n, 0x7fff_ffff_ffff_ffffn],
  ...[0x8000_0000_0000_0000n, 0x8000_0000_0000_0001n, 0xffff_ffff_ffff_ffffn, 0xffff_ffff_8000_0000n],
  ...[0xffff_ffff_7fff_ffffn, 0x20_0000_0000_0001n, 0x100_0001n],
];

/** Zeros, subnormals, ties of rounding, edges of integer types, infinities, quiet and signalling NaNs; by their bits. */
const FLOATS32 = [
  ...[0x0n, 0x80000000n, 0x1n, 0x80000001n, 0x7fffffn, 0x800000n, 0x3f800000n, 0xbf800000n, 0x3f000000n],
  ...[0xbf000000n, 0x3fc00000n, 0x40200000n, 0xc0200000n, 0x3effffffn, 0x4b000001n, 0x4b7fffffn, 0x40490fdbn],
  ...[0x4effffffn, 0x4f000000n, 0xcf000000n, 0xcf000001n, 0x4f7fffffn, 0x4f800000n, 0x5effffffn, 0x5f000000n],
  ...[0xdf000000n, 0x5f800000n, 0x7f7fffffn, 0xff7fffffn, 0x7f800000n, 0xff800000n, 0x7fc00000n, 0xffc00000n],
  ...[0x7f800001n, 0xffa12345n, 0x7fffffffn, 0x33800000n, 0x7e967699n],
];
const FLOATS64 = [
  ...[0x0n, 0x8000000000000000n, 0x1n, 0x8000000000000001n, 0xfffffffffffffn, 0x10000000000000n],
  ...[
    0x3ff0000000000000n,
    0xbff0000000000000n,
    0x3fe0000000000000n,
    0xbfe0000000000000n,
    0x3ff8000000000000n,
  ],
  ...[
    0x4004000000000000n,
    0x3fdfffffffffffffn,
    0x4330000000000001n,
    0x433fffffffffffffn,
    0x400921fb54442d18n,
  ],
  ...[
    0x41dfffffffc00000n,
    0x41dfffffffffffffn,
    0x41e0000000000000n,
    0xc1e0000000000000n,
    0xc1e0000000100000n,
  ],
  ...[
    0xc1e0000000200000n,
    0x41efffffffe00000n,
    0x41f0000000000000n,
    0x43dfffffffffffffn,
    0x43e0000000000000n,
  ],
  ...[
    0xc3e0000000000000n,
    0x43efffffffffffffn,
    0x43f0000000000000n,
    0x7fefffffffffffffn,
    0x7ff0000000000000n,
  ],
  ...[
    0xfff0000000000000n,
    0x7ff8000000000000n,
    0xfff8000000000000n,
    0x7ff0000000000001n,
    0xfff4123456789abcn,
  ],
  ...[
    0x47efffffe0000000n,
    0x47efffffefffffffn,
    0x47effffff0000000n,
    0x36a0000000000000n,
    0x3690000000000000n,
  ],
  ...[0x380fffffe0000000n, 0x3810000000000000n],
];
const AWKWARD = new Map<number, readonly bigint[]>([
  [I32, INTEGERS32],
  [I64, INTEGERS64],
  [F32, FLOATS32],
  [F64, FLOATS64],
]);

/** Raw bits of a value: awkward ones, neighbours of those, any; floats also such as people compute with. */
export function anyValue(random: Random, type: number): bigint {
  const bits = type === I32 || type === F32 ? 32 : 64;
  const awkward = random.pick(AWKWARD.get(type) ?? []);
  switch (random.below(5)) {
    case 0:
    case 1:
      return awkward;
    case 2:
      return BigInt.asUintN(bits, awkward + BigInt(random.below(5)) - 2n);
    case 3: {
      const number = (random.below(0x10000) - 0x8000) / 2 ** random.below(17);
      if (type === F32) return BigInt(new Uint32Array(Float32Array.of(number).buffer)[0] ?? 0);
      if (type === F64) return new BigUint64Array(Float64Array.of(number).buffer)[0] ?? 0n;
      return BigInt.asUintN(bits, BigInt(Math.trunc(number)));
    }
    default:
      return BigInt.asUintN(bits, random.u64());
  }
}

/** Where the rules of an operation meet: zeros, ones, ends, infinities, NaNs. */
const CORNERS = new Map<number, readonly bigint[]>([
  [I32, [0n, 1n, 2n, 0xffffffffn, 0x80000000n, 0x7fffffffn, 31n, 32n]],
  [
    I64,
    [
      0n,
      1n,
      2n,
      0xffff_ffff_ffff_ffffn,
      0x8000_0000_0000_0000n,
      0x7fff_ffff_ffff_ffffn,
      32n,
      63n,
      64n,
      1n << 32n,
    ],
  ],
  [
    F32,
    [
      0n,
      0x80000000n,
      0x3f800000n,
      0xbfc00000n,
      0x7f800000n,
      0xff800000n,
      0x7fc00000n,
      0xff800001n,
      1n,
      0x4f000000n,
    ],
  ],
  [
    F64,
    [
      ...[0n, 0x8000000000000000n, 0x3ff0000000000000n, 0xbff8000000000000n, 0x7ff0000000000000n],
      ...[0xfff0000000000000n, 0x7ff8000000000000n, 0xfff0000000000001n, 1n, 0x41e0000000000000n],
    ],
  ],
]);

export function cornerValue(random: Random, type: number): bigint {
  return random.pick(CORNERS.get(type) ?? []);
}

/** Digits of a float's mantissa and of its exponent. */
function formatOf(type: number): { readonly mantissa: number; readonly exponent: number } {
  return type === F32 ? { mantissa: 23, exponent: 8 } : { mantissa: 52, exponent: 11 };
}

function floatOf(type: number, random: Random, exponent: number, fraction: bigint): bigint {
  const { mantissa, exponent: digits } = formatOf(type);
  const sign = BigInt(random.below(2));
  const mask = (1n << BigInt(mantissa)) - 1n;
  return (((sign << BigInt(digits)) | BigInt(exponent)) << BigInt(mantissa)) | (fraction & mask);
}

/** Random digits, and zeros behind them: products of such have few digits more than are kept. */
function fractionOf(random: Random, mantissa: number): bigint {
  const zeros = BigInt(random.below(mantissa));
  return (BigInt.asUintN(mantissa, random.u64()) >> zeros) << zeros;
}

/** An integer half-way between two floats of so many digits, or one beside it. */
function halfWay(random: Random, bits: number, digits: number): bigint {
  const length = digits + 2 + random.below(Math.max(1, bits - digits - 1));
  const whole = (1n << BigInt(digits)) | BigInt.asUintN(digits, random.u64());
  const below = BigInt(length - digits - 1);
  const value = (whole << below) | (1n << (below - 1n));
  return BigInt.asUintN(bits, value + BigInt(random.below(3)) - 1n);
}

/**
 * Operands made for an operation: of a division the least number and -1; of a conversion the ends of integers; of a rounding such that the result lies half-way
 * between two floats, or right beside that, where a bit far below decides. Undefined if it has none of its own.
 */
export function chosenOperands(random: Random, operation: Operation): bigint[] | undefined {
  const { opcode, operands, result } = operation;
  const [type = I32] = operands;
  if (isDivision(opcode)) {
    const bits = type === I32 ? 32 : 64;
    return [1n << BigInt(bits - 1), BigInt.asUintN(bits, -1n)];
  }
  const digits = result === F32 ? 24 : 53;
  // conversions from integers
  if ((result === F32 || result === F64) && (type === I32 || type === I64)) {
    const bits = type === I32 ? 32 : 64;
    if (opcode === 0xbe || opcode === 0xbf || bits < digits + 2) return undefined;
    return [halfWay(random, bits, digits - 1)];
  }
  if (type !== F32 && type !== F64) return undefined;
  // conversions to integers: at the ends of those
  if (result === I32 || result === I64)
    return operands.length === 1 ? [random.pick(AWKWARD.get(type) ?? [])] : undefined;
  const { mantissa, exponent } = formatOf(type);
  const middle = 2 ** (exponent - 1) - 1;
  // demotion: half a unit of the shorter mantissa, and one beside it
  if (opcode === 0xb6) {
    const below = 1n << 28n;
    const value = (BigInt.asUintN(23, random.u64()) << 29n) + below + BigInt(random.below(3)) - 1n;
    return [floatOf(F64, random, middle + random.below(300) - 160, value)];
  }
  // rounding to integers: halves
  if ((opcode >= 0x8d && opcode <= 0x90) || (opcode >= 0x9b && opcode <= 0x9e)) {
    const power = random.below(mantissa);
    const half = 1n << BigInt(mantissa - power - 1);
    const whole =
      (BigInt.asUintN(mantissa, random.u64()) >> BigInt(mantissa - power)) << BigInt(mantissa - power);
    return [floatOf(type, random, middle + power, whole | half)];
  }
  if (operands.length === 1) return undefined;
  if (opcode === 0xa2 && random.once(2)) return tiedFactors(random, middle);
  const first = middle + random.below(40) - 20;
  const isSum = opcode === 0x92 || opcode === 0x93 || opcode === 0xa0 || opcode === 0xa1;
  if (isSum) {
    // the second is half a unit of the first, and perhaps a trace more or less
    const low = random.pick([0n, 0n, 1n, 2n, (1n << BigInt(mantissa)) - 1n, 1n << BigInt(mantissa - 1)]);
    const apart = mantissa + 1 + random.pick([-1, 0, 0, 0, 1, 2]);
    return [
      floatOf(type, random, first, BigInt.asUintN(mantissa, random.u64())),
      floatOf(type, random, first - apart, low),
    ];
  }
  return [
    floatOf(type, random, first, fractionOf(random, mantissa)),
    floatOf(type, random, middle + random.below(40) - 20, fractionOf(random, mantissa)),
  ];
}

/**
 * Two f64 whose product, of 106 digits, has behind its first 53 the half of a unit and far below it a little more or less:
 * one factor is odd, so that the other can be solved for (modulo 2^53).
 */
function tiedFactors(random: Random, middle: number): bigint[] {
  const digits = 53;
  const odd = BigInt.asUintN(digits, random.u64()) | 1n | (1n << 52n);
  let inverse = odd;
  for (let i = 0; i < 6; i++) inverse = BigInt.asUintN(digits, inverse * (2n - odd * inverse));
  for (;;) {
    const little = BigInt.asUintN(1 + random.below(40), random.u64());
    const half = (1n << 52n) + (random.once(2) ? little : -little);
    const other = BigInt.asUintN(digits, inverse * half);
    if (other >> 52n === 0n || (odd * other) >> 105n === 0n) continue;
    return [odd, other].map((factor) => floatOf(F64, random, middle + random.below(40) - 20, factor));
  }
}
