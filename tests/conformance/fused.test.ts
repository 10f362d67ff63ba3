// What load time fuses (firmware/runtime/wasm/rewrite.c), against V8: every operation with every way to fetch its operands
// and every use of its result, and random programs of nothing else, with loads and stores at the end of memory.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConformanceImage } from "./src/image.js";
import {
  agree,
  assemble,
  callEngine,
  callV8,
  moduleRequest,
  Random,
  type Signature,
  type ValueType,
} from "./module.js";
import { OPCODES } from "./opcodes.js";

const SEED = process.env["EDGEPLUG_SEED"] ?? "fused 1";

const PLACES = [
  { name: "natively", start: () => ConformanceImage.native(), programs: 300 },
  { name: "on the Arm core", start: () => ConformanceImage.qemu(), programs: 100 },
];

const THREE: ValueType[] = ["i32", "i32", "i32"];
const SIGNATURE: Signature = { params: THREE, results: ["i32"] };

/** Operations of two i32 that can't trap: those that are fused. */
const OPERATIONS = OPCODES.filter(
  ({ name, kind, type }) => kind === "BINARY" && type === "i32" && !/div|rem/.test(name),
).map(({ name }) => name);

/** And those that can: they are never fused. */
const DIVISIONS = ["i32.div_s", "i32.div_u", "i32.rem_s", "i32.rem_u"];

/** One and more for each length that a constant may have. */
const CONSTANTS = [
  0, 1, -1, 31, 63, -64, 64, -65, 8191, -8192, 8192, 1048575, 1048576, -134217728, 134217728, 2147483647,
  -2147483648,
];

/** A function of three numbers that uses an operation in each way in which its result may go on. */
function usesOf(operation: string, name: string, first: string, second: string): string {
  const it = `(${operation} ${first} ${second})`;
  return `(func (export "${name}") (param i32 i32 i32) (result i32) (local $x i32) (local $n i32)
    (i32.add (local.get 2) ${it})
    (local.set $x ${it})
    (i32.xor (local.get $x))
    (i32.rotl (i32.const 5))
    (i32.add (if (result i32) ${it} (then (i32.const 11)) (else (i32.const 29))))
    (if ${it} (then (local.set $x (i32.const 1000))))
    (i32.xor (local.get $x))
    (i32.rotl (i32.const 7))
    (i32.sub (block (result i32) (br_if 0 (i32.const 77) ${it}) (i32.const 99) (i32.sub)))
    (block (result i32) (i32.const 4) (br_if 0 (i32.const 5) ${it}) (i32.add))
    (i32.xor)
    (loop
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (local.set $x (i32.mul (local.get $x) (local.get $n)))
      (br_if 0 (i32.and ${it} (i32.lt_u (local.get $n) (i32.const 4))))
      (block (block (br_if 1 ${it}) (br_if 0 (i32.gt_u (local.get $n) (i32.const 5))) (br 2))))
    (i32.add (i32.add (local.get $x) (local.get $n)))
    (i32.add (local.tee $x ${it})))`;
}

interface Case {
  readonly name: string;
  readonly args: readonly bigint[];
}

/** All ways of an operation in one module, and calls where it matters: about equal, and at the ends. */
function waysOf(operation: string): { text: string; calls: Case[] } {
  const calls: Case[] = [];
  const functions: string[] = [];
  const add = (first: string, second: string, pairs: (readonly [number, number])[]): void => {
    const name = `f${String(functions.length)}`;
    functions.push(usesOf(operation, name, first, second));
    for (const pair of pairs) calls.push({ name, args: [...pair, 1234567].map(BigInt) });
  };
  const around = (value: number): (readonly [number, number])[] =>
    [value, value - 1, value + 1, 0, ~value].map((other) => [other | 0, value] as const);
  for (const first of ["(local.get 0)", "(i32.clz (i32.clz (local.get 0)))"]) {
    add(first, "(local.get 1)", [...around(0), ...around(2147483647), ...around(30)]);
    for (const constant of CONSTANTS) add(first, `(i32.const ${String(constant)})`, around(constant));
  }
  return { text: `(module (memory 1)\n${functions.join("\n")})`, calls };
}

/** A program of fused sequences, loads and stores; loops end by a count. */
function programOf(random: Random): string {
  const pick = (list: readonly string[]): string => list[random.below(list.length)] ?? "";
  const local = (): string => `$v${String(random.below(5))}`;
  const constant = (): string =>
    `(i32.const ${String(random.below(2) === 0 ? random.below(70) : CONSTANTS[random.below(CONSTANTS.length)])})`;
  const operand = (depth: number): string => {
    const which = random.below(depth > 3 ? 4 : 8);
    if (which < 3) return `(local.get ${local()})`;
    if (which === 3) return constant();
    if (which === 4) return `(${pick(LOADS)} (i32.and ${operand(depth + 1)} (i32.const 131071)))`;
    return `(${pick(random.below(16) === 0 ? DIVISIONS : OPERATIONS)} ${operand(depth + 1)} ${operand(depth + 1)})`;
  };
  const simple = (): string =>
    `(${pick(OPERATIONS)} (local.get ${local()}) ${random.below(2) === 0 ? constant() : `(local.get ${local()})`})`;
  const value = (): string => (random.below(3) === 0 ? operand(0) : simple());
  let loops = 0;
  const statement = (depth: number): string => {
    switch (random.below(depth > 3 ? 3 : 7)) {
      case 0:
      case 1:
        return `(local.set ${local()} ${value()})`;
      case 2:
        return `(${pick(STORES)} (i32.and ${value()} (i32.const 65535)) ${value()})`;
      case 3:
        return `(if ${value()} (then ${list(depth + 1)}) (else ${list(depth + 1)}))`;
      case 4:
        return `(if ${value()} (then ${list(depth + 1)}))`;
      case 5:
        return `(block (block ${list(depth + 1)} (br_if ${String(random.below(2))} ${value()}) ${list(depth + 1)}))`;
      default: {
        const n = `$n${String(loops++ % 3)}`;
        return `(block (loop ${list(depth + 1)} (local.set ${n} (i32.add (local.get ${n}) (i32.const 1)))
          (br_if 1 (i32.gt_u (local.get ${n}) (i32.const 40))) (br_if 0 ${value()})))`;
      }
    }
  };
  const list = (depth: number): string =>
    Array.from({ length: 1 + random.below(4) }, () => statement(depth)).join("\n");
  const locals = ["$v3", "$v4", "$n0", "$n1", "$n2"].map((name) => `(local ${name} i32)`).join(" ");
  const body = list(0) + list(0);
  const sum = ["$v0", "$v1", "$v2", "$v3"].reduce(
    (all, name) => `(i32.add (i32.rotl ${all} (i32.const 3)) (local.get ${name}))`,
    "(local.get $v4)",
  );
  return `(module (memory 1)
    (func (export "f") (param $v0 i32) (param $v1 i32) (param $v2 i32) (result i32) ${locals}
    ${body}
    ${sum}))`;
}

const LOADS = ["i32.load", "i32.load8_u", "i32.load8_s offset=3", "i32.load16_u", "i32.load16_s offset=200"];
const STORES = ["i32.store", "i32.store8", "i32.store16 offset=1", "i32.store offset=300"];

async function differences(
  image: ConformanceImage,
  text: string,
  calls: readonly Case[],
): Promise<{ wrong: unknown[]; trapped: number }> {
  const bytes = assemble(text);
  const v8 = new WebAssembly.Instance(new WebAssembly.Module(bytes), {});
  expect(await image.request(moduleRequest(bytes))).toBe("ok");
  const outcomes = await Promise.all(calls.map(({ name, args }) => callEngine(image, name, args)));
  const wrong = outcomes.flatMap((engine, i) => {
    const { name, args } = calls[i] as Case;
    const expected = callV8(v8, name, args, SIGNATURE);
    return agree(engine, expected) ? [] : [{ call: `${name}(${args.join()})`, engine, expected }];
  });
  return { wrong, trapped: outcomes.filter(({ trap }) => trap !== undefined).length };
}

describe.each(PLACES)("fused instructions $name", ({ start, programs }) => {
  let image: ConformanceImage;
  beforeAll(() => {
    image = start();
  });
  afterAll(() => image.kill());

  test.each(OPERATIONS)("%s does the same with all operands and uses", async (operation) => {
    const { text, calls } = waysOf(operation);
    expect((await differences(image, text, calls)).wrong).toEqual([]);
  });

  test(`random programs do the same (seed "${SEED}")`, { timeout: 120_000 }, async () => {
    const random = new Random(SEED);
    let trapped = 0;
    for (let i = 0; i < programs; i++) {
      const text = programOf(random);
      const calls = Array.from({ length: 6 }, () => ({
        name: "f",
        args: [random.u32(), random.below(100), random.below(70000)].map(BigInt),
      }));
      const found = await differences(image, text, calls);
      expect(found.wrong, `program ${String(i)}:\n${text}`).toEqual([]);
      trapped += found.trapped;
    }
    // else the programs say little about traps, or about anything else
    expect(trapped).toBeGreaterThan(programs / 10);
    expect(trapped).toBeLessThan(programs * 5);
  });
});

test("there are as many fused operations as rewrite.c says", () => {
  expect(OPERATIONS).toHaveLength(21);
});
