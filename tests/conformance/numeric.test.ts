// Every numeric instruction of opcodes.def against V8, bit for bit, on values that are known to be awkward and on
// random ones. Floats go in and out as integers, so that JavaScript never touches a NaN.
//
// NaNs by the spec's rules (4.3.3): an operation that calculates may give any canonical NaN, and ours always gives the
// positive one; abs, neg, copysign and reinterpretations must keep every bit.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConformanceImage } from "./src/image.js";
import {
  agree,
  assemble,
  callEngine,
  callV8,
  moduleRequest,
  type Outcome,
  Random,
  type Signature,
  type ValueType,
} from "./module.js";
import { OPCODES, type Opcode } from "./opcodes.js";

const SEED = process.env["EDGEPLUG_SEED"] ?? "numeric conformance 1";

const PLACES = [
  { name: "natively", start: () => ConformanceImage.native(), pairs: 600 },
  { name: "on the Arm core", start: () => ConformanceImage.qemu(), pairs: 150 },
];

const NUMERIC = OPCODES.filter(({ kind }) => kind === "UNARY" || kind === "BINARY");
const KEEPS_BITS = /\.(abs|neg|copysign|reinterpret_\w+)$/;
const BITS: Record<ValueType, ValueType> = { i32: "i32", i64: "i64", f32: "i32", f64: "i64" };

const AWKWARD: Record<ValueType, readonly bigint[]> = {
  i32: [
    0n,
    1n,
    2n,
    31n,
    32n,
    33n,
    0x7fn,
    0x80n,
    0xffn,
    0x7fffn,
    0x8000n,
    0x7fffffffn,
    0x80000000n,
    0x80000001n,
    0xffffffffn,
    0x00ffffffn,
    0x01000001n,
    0xfffffffen,
  ],
  i64: [
    0n,
    1n,
    63n,
    64n,
    65n,
    0x7fffffffn,
    0x80000000n,
    0xffffffffn,
    0x100000000n,
    0x1fffffffffffffn,
    0x20000000000001n,
    0x7fffffffffffffffn,
    0x8000000000000000n,
    0x8000000000000001n,
    0xffffffffffffffffn,
    0x8000008000000001n,
    0x8000004000000001n,
    0x0020000020000001n,
    0xfffffe8000000001n,
  ],
  // zeros, ones, halves, subnormals, edges of the integers, the largest, infinities, NaNs of all sorts
  f32: [
    0n,
    0x80000000n,
    1n,
    0x80000001n,
    0x007fffffn,
    0x00800000n,
    0x3f000000n,
    0xbf000000n,
    0x3effffffn,
    0x3f000001n,
    0x3f800000n,
    0xbf800000n,
    0xbf7fffffn,
    0x3fc00000n,
    0xbfc00000n,
    0x40200000n,
    0xc0200000n,
    0x4affffffn,
    0x4b000001n,
    0x4effffffn,
    0x4f000000n,
    0xcf000000n,
    0xcf000001n,
    0x4f7fffffn,
    0x4f800000n,
    0x5effffffn,
    0x5f000000n,
    0xdf000000n,
    0xdf000001n,
    0x5f7fffffn,
    0x5f800000n,
    0x7f7fffffn,
    0xff7fffffn,
    0x7f800000n,
    0xff800000n,
    0x7fc00000n,
    0xffc00000n,
    0x7f800001n,
    0xff812345n,
    0x7fffffffn,
  ],
  f64: [
    0n,
    0x8000000000000000n,
    1n,
    0x8000000000000001n,
    0x000fffffffffffffn,
    0x0010000000000000n,
    0x3fe0000000000000n,
    0xbfe0000000000000n,
    0x3fdfffffffffffffn,
    0x3ff0000000000000n,
    0xbff0000000000000n,
    0xbfefffffffffffffn,
    0x3ff8000000000000n,
    0xbff8000000000000n,
    0x4004000000000000n,
    0xc004000000000000n,
    0x432fffffffffffffn,
    0x4330000000000001n,
    0x41dfffffffc00000n,
    0x41dfffffffffffffn,
    0x41e0000000000000n,
    0xc1e0000000000000n,
    0xc1e00000001fffffn,
    0xc1e0000000200000n,
    0x41efffffffffffffn,
    0x41f0000000000000n,
    0x43dfffffffffffffn,
    0x43e0000000000000n,
    0xc3e0000000000000n,
    0xc3e0000000000001n,
    0x43efffffffffffffn,
    0x43f0000000000000n,
    0x36a0000000000000n,
    0x3690000000000000n,
    0x3690000000000001n,
    0x380fffffffffffffn,
    0x47efffffe0000000n,
    0x47efffffefffffffn,
    0x47effffff0000000n,
    0x7fefffffffffffffn,
    0x7ff0000000000000n,
    0xfff0000000000000n,
    0x7ff8000000000000n,
    0xfff8000000000000n,
    0x7ff0000000000001n,
    0xfff4123456789abcn,
    0x7fffffffffffffffn,
  ],
};

function operands(op: Opcode): ValueType[] {
  if (op.type === undefined) throw new Error(op.name);
  return op.kind === "BINARY" ? [op.type, op.type] : [op.type];
}

function signatureOf(op: Opcode): Signature {
  return { params: operands(op).map((type) => BITS[type]), results: [BITS[op.second as ValueType]] };
}

function reinterpret(to: ValueType, from: ValueType, text: string): string {
  return to === from ? text : `(${to}.reinterpret_${from} ${text})`;
}

/** All of them as one module: each export takes and gives integers. */
function moduleText(): string {
  const functions = NUMERIC.map((op) => {
    const { params, results } = signatureOf(op);
    const args = operands(op).map((type, i) => reinterpret(type, BITS[type], `(local.get ${i})`));
    const value = reinterpret(
      results[0] as ValueType,
      op.second as ValueType,
      `(${op.name} ${args.join(" ")})`,
    );
    return `(func (export "${op.name}") (param ${params.join(" ")}) (result ${results.join(" ")}) ${value})`;
  });
  return `(module ${functions.join("\n")})`;
}

function isNan(type: string | undefined, bits: bigint): boolean {
  if (type === "f32") return (bits & 0x7fffffffn) > 0x7f800000n;
  return type === "f64" && (bits & 0x7fffffffffffffffn) > 0x7ff0000000000000n;
}

function fits(op: Opcode, engine: Outcome, v8: Outcome): boolean {
  const [bits] = v8.results ?? [];
  if (bits === undefined || KEEPS_BITS.test(op.name) || !isNan(op.second, bits)) return agree(engine, v8);
  return engine.results?.[0] === (op.second === "f32" ? 0x7fc00000n : 0x7ff8000000000000n);
}

/** A float whose exponent is near that of the others, so that sums cancel and products round, with few or many bits. */
function nearFloat(random: Random, type: "f32" | "f64"): bigint {
  const [size, bias] = type === "f32" ? [23n, 127n] : [52n, 1023n];
  const exponent = bias + BigInt(random.below(130)) - 65n;
  const fraction =
    random.u64() & random.u64() & ((1n << size) - 1n) & ~((1n << BigInt(random.below(52))) - 1n);
  const sign = BigInt(random.below(2)) << (type === "f32" ? 31n : 63n);
  return sign | (exponent << size) | fraction;
}

function someValue(random: Random, type: ValueType): bigint {
  const kind = random.below(4);
  if (kind === 0 && (type === "f32" || type === "f64")) return nearFloat(random, type);
  const value = kind > 1 ? random.pick(AWKWARD[type]) : random.u64() >> BigInt(random.below(64));
  return BigInt.asUintN(type === "i64" || type === "f64" ? 64 : 32, value);
}

function inputs(op: Opcode, pairs: number): bigint[][] {
  const random = new Random(`${SEED} ${op.name}`);
  const types = operands(op);
  const alone = types.length === 1 ? AWKWARD[types[0] as ValueType].map((value) => [value]) : [];
  return [...alone, ...Array.from({ length: pairs }, () => types.map((type) => someValue(random, type)))];
}

const BYTES = assemble(moduleText());
const V8 = new WebAssembly.Instance(new WebAssembly.Module(BYTES), {});

test("the table has every numeric instruction of the features that docs/wasm.md names", () => {
  expect(NUMERIC.length).toBe(128 + 8);
  expect(OPCODES.filter(({ kind }) => kind === "LOAD" || kind === "STORE").length).toBe(14 + 9);
});

describe.each(PLACES)("numeric instructions $name (seed: " + SEED + ")", ({ start, pairs }) => {
  let image: ConformanceImage;
  beforeAll(async () => {
    image = start();
    expect(await image.request(moduleRequest(BYTES))).toBe("ok");
  });
  afterAll(() => image.kill());

  test.each(NUMERIC)("$name gives what V8 gives", async (op) => {
    const cases = inputs(op, pairs);
    const outcomes = await Promise.all(cases.map((args) => callEngine(image, op.name, args)));
    const wrong = outcomes.flatMap((engine, i) => {
      const args = cases[i] ?? [];
      const v8 = callV8(V8, op.name, args, signatureOf(op));
      return fits(op, engine, v8) ? [] : [{ args: args.map((bits) => bits.toString(16)), engine, v8 }];
    });
    expect(wrong).toEqual([]);
  });
});
