// Element segments of all eight kinds (spec 5.5.12), their items function indices or expressions: the same tables as in V8,
// by calls through them, table.init and elem.drop; and what is wrong with one is refused by name.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConformanceImage } from "./src/image.js";
import { agree, callEngine, callV8, moduleRequest, objection, type Signature } from "./module.js";

const PREAMBLE = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const FUNCREF = 0x70;
const END = 0x0b;
/** i32.const 1 */
const OFFSET = [0x41, 1, END];
const TABLE_SIZE = 6;

function vector(items: readonly (readonly number[])[]): number[] {
  return [items.length, ...items.flat()];
}

function section(id: number, contents: readonly number[]): number[] {
  return [id, contents.length, ...contents];
}

function named(name: string, index: number): number[] {
  return [name.length, ...Buffer.from(name), 0, index];
}

/**
 * A module with a table of six and this segment. Functions 0 to 2 answer 10 to 12; "call" calls the item of that index,
 * "init" is table.init (to, from, count) and "drop" elem.drop of the segment.
 */
function withSegment(...segment: readonly number[]): Uint8Array<ArrayBuffer> {
  const bodies = [
    ...[10, 11, 12].map((answer) => [0, 0x41, answer, END]),
    [0, 0x20, 0, 0x11, 0, 0, END],
    [0, 0x20, 0, 0x20, 1, 0x20, 2, 0xfc, 12, 0, 0, END],
    [0, 0xfc, 13, 0, END],
  ];
  return Uint8Array.from([
    ...PREAMBLE,
    ...section(
      1,
      vector([
        [0x60, 0, 1, 0x7f],
        [0x60, 1, 0x7f, 1, 0x7f],
        [0x60, 3, 0x7f, 0x7f, 0x7f, 0],
        [0x60, 0, 0],
      ]),
    ),
    ...section(3, vector([[0], [0], [0], [1], [2], [3]])),
    ...section(4, vector([[FUNCREF, 0, TABLE_SIZE]])),
    ...section(7, vector([named("call", 3), named("init", 4), named("drop", 5)])),
    ...section(9, vector([segment])),
    ...section(10, vector(bodies.map((body) => [body.length, ...body]))),
  ]);
}

/** Function 2, nothing, function 0; and function 1, its index in more bytes than it needs. */
const EXPRESSIONS = [
  [0xd2, 2, END],
  [0xd0, FUNCREF, END],
  [0xd2, 0, END],
  [0xd2, 0x81, 0x80, 0x80, 0x80, 0, END],
];
const INDICES = [[2], [1], [0], [0x81, 0x80, 0x80, 0x80, 0]];

const KINDS: readonly (readonly [string, readonly number[]])[] = [
  ["0: active, of indices", [0, ...OFFSET, ...vector(INDICES)]],
  ["1: passive, of indices", [1, 0, ...vector(INDICES)]],
  ["2: active in a table by number, of indices", [2, 0, ...OFFSET, 0, ...vector(INDICES)]],
  ["3: declarative, of indices", [3, 0, ...vector(INDICES)]],
  ["4: active, of expressions", [4, ...OFFSET, ...vector(EXPRESSIONS)]],
  ["5: passive, of expressions", [5, FUNCREF, ...vector(EXPRESSIONS)]],
  ["6: active in a table by number, of expressions", [6, 0, ...OFFSET, FUNCREF, ...vector(EXPRESSIONS)]],
  ["7: declarative, of expressions", [7, FUNCREF, ...vector(EXPRESSIONS)]],
  ["5, of nothing", [5, FUNCREF, 0]],
  ["4, and it just fits", [4, 0x41, 2, END, ...vector(EXPRESSIONS)]],
];

const SIGNATURES: Readonly<Record<string, Signature>> = {
  call: { params: ["i32"], results: ["i32"] },
  init: { params: ["i32", "i32", "i32"], results: [] },
  drop: { params: [], results: [] },
};

type Call = readonly [name: string, ...args: number[]];

const LOOK: readonly Call[] = Array.from({ length: TABLE_SIZE + 1 }, (_, at) => ["call", at] as const);
const CALLS: readonly Call[] = [
  ...LOOK,
  ["init", 0, 1, 2],
  ...LOOK,
  ["init", 2, 0, 4],
  ...LOOK,
  ["init", 3, 1, 3],
  ...LOOK,
  ["init", 4, 1, 3],
  ["init", 0, 2, 3],
  ["init", 0, 4, 0],
  ["init", 0, 5, 0],
  ...LOOK,
  ["drop"],
  ["init", 0, 0, 1],
  ["init", 6, 0, 0],
  ["drop"],
  ...LOOK,
];

const PLACES = [
  { name: "natively", start: () => ConformanceImage.native() },
  { name: "on the Arm core", start: () => ConformanceImage.qemu() },
  { name: "on sim", start: () => ConformanceImage.sim() },
];

describe.each(PLACES)("element segments, $name", ({ start }) => {
  let image: ConformanceImage;
  beforeAll(() => {
    image = start();
  });
  afterAll(() => {
    image.kill();
  });

  test.each(KINDS)("kind %s", async (_, segment) => {
    const bytes = withSegment(...segment);
    const v8 = new WebAssembly.Instance(new WebAssembly.Module(bytes), {});
    expect(await image.request(moduleRequest(bytes))).toBe("ok");
    const wrong: unknown[] = [];
    for (const [at, [name, ...args]] of CALLS.entries()) {
      const signature = SIGNATURES[name] ?? { params: [], results: [] };
      const engine = await callEngine(image, name, args.map(BigInt));
      const expected = callV8(v8, name, args.map(BigInt), signature);
      if (!agree(engine, expected)) wrong.push({ at, name, args, engine, expected });
    }
    expect(wrong).toEqual([]);
  });

  const REFUSED: readonly (readonly [string, readonly number[], string])[] = [
    ["a ninth kind", [8, ...OFFSET, 0], "err malformed segment kind"],
    ["a kind of items that isn't functions", [1, 1, 0], "err malformed element kind"],
    ["items of a type that is none", [5, 0x7f, 0], "err malformed element type"],
    ["items of a type that is left out", [5, 0x6f, 0], "err unsupported reference types"],
    [
      "a null of a type that is left out",
      [5, FUNCREF, 1, 0xd0, 0x6f, END],
      "err unsupported reference types",
    ],
    ["a function that isn't there", [5, FUNCREF, 1, 0xd2, 6, END], "err invalid unknown function"],
    ["an item without its end", [5, FUNCREF, 1, 0xd2, 0, 0x01], "err invalid constant expression"],
    ["an item that is no reference", [5, FUNCREF, 1, 0x41, 0, END], "err invalid constant expression"],
    ["an item that is no instruction", [5, FUNCREF, 1, 0xf3, 0, END], "err malformed illegal opcode"],
    ["fewer items than it says", [5, FUNCREF, 2, 0xd2, 0, END], "err malformed unexpected end"],
    [
      "more than there is room for",
      [4, 0x41, 3, END, ...vector(EXPRESSIONS)],
      "err trap out of bounds table access: element segment",
    ],
  ];
  test.each(REFUSED)("%s is refused by name", async (_, segment, reply) => {
    const bytes = withSegment(...segment);
    expect(await image.request(moduleRequest(bytes))).toBe(reply);
    if (!reply.startsWith("err trap")) expect(objection(bytes)).toBeDefined();
  });
});
