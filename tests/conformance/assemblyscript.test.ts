// The six workloads, and functions as values, as `asc` emits them, from unoptimised code with the garbage collector's runtime
// to -O3 with none: same results as in V8.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as asc from "assemblyscript/asc";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConformanceImage } from "./src/image.js";
import { agree, callEngine, callV8, moduleRequest, type Outcome, type Signature } from "./module.js";

const ROOT = join(import.meta.dirname, "../..");

const OPTIONS: readonly (readonly [string, readonly string[]])[] = [
  ["by default", []],
  ["optimised", ["--optimize"]],
  ["without a runtime, for speed", ["--runtime", "stub", "--optimizeLevel", "3"]],
  ["without a runtime, for size", ["--runtime", "stub", "--optimizeLevel", "3", "--shrinkLevel", "2"]],
];

const INT: Signature = { params: ["i32"], results: ["i32"] };
const NONE: Signature = { params: [], results: ["i32"] };

const TWO_INTS: Signature = { params: ["i32", "i32"], results: ["i32"] };

type Call = readonly [name: string, args: readonly bigint[], Signature];

/** Exports that take and give integers: floats as JavaScript calls them would lose their bits. */
const WORKLOADS: readonly (readonly [string, readonly Call[]])[] = [
  [
    "fibsieve",
    [
      ["fib", [12n], INT],
      ["sieve", [], NONE],
      ["sieve", [], NONE],
    ],
  ],
  [
    "crc",
    [
      ["buffer", [], NONE],
      ["tick", [], NONE],
    ],
  ],
  [
    "json",
    [
      ["buffer", [], NONE],
      ["tick", [0n], INT],
      ["tick", [40n], INT],
    ],
  ],
  [
    "functions",
    [
      ["step", [40n], INT],
      ...[0n, 1n, 2n].flatMap((index): Call[] => [
        ["choose", [index], { params: ["i32"], results: [] }],
        ["step", [40n], INT],
        ["isTwice", [], NONE],
      ]),
      ["choose", [3n], { params: ["i32"], results: [] }],
      ...[0n, 1n, 2n, 3n, 99n].map((index): Call => ["byIndex", [index, 20n], TWO_INTS]),
      ["sumOf", [20n], INT],
      ...[0n, 1n].map((which): Call => ["shapes", [which, 5n], TWO_INTS]),
    ],
  ],
];

/** f32 in and out, as numbers in V8 and as bits in the engine. */
const FLOATS: readonly (readonly [string, number, (i: number) => number[]])[] = [
  ["vdet", 200, (i) => [325 * (i > 60 && i < 120 ? 0.6 : 1) * Math.sin((i * Math.PI) / 16)]],
  ["pid", 100, (i) => [Math.sin(i / 9), i < 50 ? 1 : -2]],
];

const PLACES = [
  { name: "natively", start: () => ConformanceImage.native() },
  { name: "on the Arm core", start: () => ConformanceImage.qemu() },
];

/** In this process: starting `asc` takes longer than it runs. */
async function compile(name: string, options: readonly string[]): Promise<Uint8Array<ArrayBuffer>> {
  const folder = name === "functions" ? "tests/conformance" : "tests/bench/workloads";
  const source = await readFile(join(ROOT, folder, `${name}.as`), "utf8");
  let binary: Uint8Array<ArrayBuffer> | undefined;
  const { error, stderr } = await asc.main([`${name}.ts`, "-o", "out.wasm", "--use", "abort=", ...options], {
    readFile: (path) => (path === `${name}.ts` ? source : null),
    writeFile: (_, contents) => {
      if (typeof contents !== "string") binary = Uint8Array.from(contents);
    },
    listFiles: () => [],
  });
  if (error !== null || binary === undefined) throw new Error(stderr.toString(), { cause: error });
  return binary;
}

function show({ results, trap }: Outcome): string {
  return trap ?? results?.join() ?? "";
}

function bits(value: number): bigint {
  const buffer = new DataView(new ArrayBuffer(4));
  buffer.setFloat32(0, value);
  return BigInt(buffer.getUint32(0));
}

describe.each(OPTIONS)("AssemblyScript compiled %s", (_, options) => {
  const compiled = new Map<string, Uint8Array<ArrayBuffer>>();
  beforeAll(async () => {
    for (const name of [...WORKLOADS, ...FLOATS].map(([workload]) => workload))
      compiled.set(name, await compile(name, options));
  });

  describe.each(PLACES)("$name", ({ start }) => {
    let image: ConformanceImage;
    beforeAll(() => {
      image = start();
    });
    afterAll(() => image.kill());

    async function load(name: string): Promise<WebAssembly.Instance> {
      const bytes = compiled.get(name) ?? new Uint8Array();
      expect(await image.request(moduleRequest(bytes))).toBe("ok");
      return new WebAssembly.Instance(new WebAssembly.Module(bytes), {});
    }

    test.each(WORKLOADS)("%s gives what it gives in V8", async (name, calls) => {
      const v8 = await load(name);
      for (const [entry, args, signature] of calls) {
        const engine = await callEngine(image, entry, args);
        const expected = callV8(v8, entry, args, signature);
        expect(
          agree(engine, expected),
          `${entry}(${args.join()}) is ${show(engine)}, not ${show(expected)}`,
        ).toBe(true);
      }
    });

    test.each(FLOATS)("%s gives what it gives in V8, tick by tick", async (name, ticks, input) => {
      const v8 = await load(name);
      const tick = v8.exports["tick"] as (...args: number[]) => number;
      for (let i = 0; i < ticks; i++) {
        const args = input(i);
        const expected = tick(...args);
        const { results } = await callEngine(image, "tick", args.map(bits));
        expect(results, `tick ${String(i)}`).toEqual([name === "pid" ? bits(expected) : BigInt(expected)]);
      }
    });
  });
});
