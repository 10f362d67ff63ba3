/** Modules that try the engine's limits: each has one answer, a refusal by name, a trap, or none. */
import { I32, I64, PREAMBLE, Writer, numbersIn } from "./binary.js";

/** What differs between the engine of a board and that of the conformance image (firmware/runtime/wasm/limits.h). */
export interface EngineLimits {
  readonly module: number;
  readonly branches: number;
  readonly nesting: number;
  readonly locals: number;
}

export interface Hostile {
  readonly what: string;
  readonly bytes: Uint8Array;
  /** "ok", "limit nesting", "malformed unexpected end", or "trap unreachable" of its export "f" or its start function. */
  readonly answer: string;
}

/** On the stack of one function, whatever the limits (side table entries have eleven bits for it). */
const MOST_OPERANDS = 2047;
const U32_MAX = 0xffffffff;

interface Parts {
  /** Contents of sections by their ids; `f` and `code` make those of one function. */
  readonly sections?: Readonly<Record<number, ArrayLike<number>>>;
  readonly locals?: ArrayLike<number>;
  /** `end` included. */
  readonly code?: ArrayLike<number>;
  readonly params?: readonly number[];
  readonly results?: readonly number[];
}

function vector(items: readonly ArrayLike<number>[]): Uint8Array {
  const out = new Writer();
  return out.list(items, (item) => out.bytes(item)).done();
}

const EXPORT_F = vector([new Writer().name("f").byte(0).byte(0).done()]);

/** One function, exported as "f", and whatever else there is. */
function moduleOf({
  sections = {},
  locals = [0],
  code = [0x0b],
  params = [],
  results = [],
}: Parts): Uint8Array {
  const type = new Writer()
    .byte(0x60)
    .u32(params.length)
    .bytes(params)
    .u32(results.length)
    .bytes(results)
    .done();
  const size = locals.length + code.length;
  const own: Record<number, ArrayLike<number>> = {
    1: vector([type]),
    3: [1, 0],
    7: EXPORT_F,
    10: new Writer().byte(1).u32(size).bytes(locals).bytes(code).done(),
    ...sections,
  };
  const out = new Writer().bytes(PREAMBLE);
  for (const id of [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11]) {
    const contents = own[id];
    if (contents !== undefined) out.byte(id).u32(contents.length).bytes(contents);
  }
  return out.done();
}

function repeat(times: number, ...bytes: number[]): number[] {
  return Array.from({ length: times }, () => bytes).flat();
}

function u32(value: number): Uint8Array {
  return new Writer().u32(value).done();
}

function nested(depth: number, opcode: number): number[] {
  return [...repeat(depth, opcode, 0x40), ...repeat(depth + 1, 0x0b)];
}

/** As many labels as this, all of them of the body. */
function branchTable(labels: number): number[] {
  return [0x41, 0x7f, 0x0e, ...u32(labels - 1), ...repeat(labels, 0), 0x0b];
}

function branches(count: number): number[] {
  return [...repeat(count, 0x41, 0, 0x0d, 0), 0x0b];
}

/** Loads and stores of every width at the last place of a memory, or one byte behind it. */
const WIDTHS = [
  { width: 1, load: 0x2d, store: 0x3a },
  { width: 2, load: 0x2f, store: 0x3b },
  { width: 4, load: 0x28, store: 0x36 },
  { width: 8, load: 0x29, store: 0x37 },
];

/** Accesses to memory that ends at `size`: as bytes are counted, whatever their alignment. */
export function atTheEdge(size: number): Hostile[] {
  const memory = { 5: [1, 0, 1] };
  return WIDTHS.flatMap(({ width, load, store }) => {
    const at = (address: number): Uint8Array => new Writer().byte(0x41).s64(BigInt(address)).done();
    const loads = (address: number): number[] => [...at(address), load, 0, 0, 0x1a];
    const stores = (address: number): number[] => [
      ...[...at(address), ...(width === 8 ? [0x42, 0x7f] : [0x41, 0x7f])],
      ...[store, 0, 0],
    ];
    const inside = Array.from({ length: 9 }, (_, i) => size - width - i).flatMap((address) => [
      ...stores(address),
      ...loads(address),
    ]);
    const outside = [1, width].map((beyond) => size - width + beyond);
    return [
      {
        what: `accesses of ${width} up to the last of ${size} bytes`,
        bytes: moduleOf({ sections: memory, code: [...inside, 0x0b] }),
        answer: "ok",
      },
      ...outside.flatMap((address) => [
        {
          what: `a load of ${width} at ${address} of ${size} bytes`,
          bytes: moduleOf({ sections: memory, code: [...loads(address), 0x0b] }),
          answer: "trap out of bounds memory access",
        },
        {
          what: `a store of ${width} at ${address} of ${size} bytes`,
          bytes: moduleOf({ sections: memory, code: [...stores(address), 0x0b] }),
          answer: "trap out of bounds memory access",
        },
      ]),
    ];
  });
}

/** All numbers of the code in as many bytes as the format allows, or one of them in one more. */
function longNumbers(code: readonly number[], more: 0 | 1): Uint8Array {
  const bytes = Uint8Array.from(code);
  const out = new Writer();
  let from = 0;
  numbersIn(bytes).forEach(({ start, end, most, signed }, index) => {
    const last = bytes[end - 1] ?? 0;
    const fill = signed && (last & 0x40) !== 0 ? 0x7f : 0;
    const length = most + (index === 0 ? more : 0);
    out.bytes(bytes.subarray(from, start));
    for (let i = 0; i < length; i++) {
      const byte = start + i < end ? (bytes[start + i] ?? 0) & 0x7f : fill;
      out.byte(i === length - 1 ? byte : byte | 0x80);
    }
    from = end;
  });
  return out.bytes(bytes.subarray(from)).done();
}

/** A count that no module can hold, in each section that begins with one. */
function endlessSections(): Hostile[] {
  return [1, 2, 3, 4, 5, 6, 7, 9, 10, 11].map((id) => ({
    what: `section ${id} with 2^32 - 1 entries`,
    bytes: new Writer().bytes(PREAMBLE).byte(id).u32(5).u32(U32_MAX).done(),
    answer: "malformed unexpected end",
  }));
}

const SELF_CALL = [0x10, 0, 0x0b];
const TABLE_OF_F = { 4: [1, 0x70, 0, 1], 9: [1, 0, 0x41, 0, 0x0b, 1, 0] };

export function hostileModules(limits: EngineLimits): Hostile[] {
  const { branches: most, nesting, locals, module } = limits;
  const list: (readonly [what: string, parts: Parts, answer: string])[] = [
    ...[0x02, 0x03].flatMap((opcode): [string, Parts, string][] => [
      [`${nesting} blocks within blocks`, { code: nested(nesting, opcode) }, "ok"],
      [`${nesting + 1} blocks within blocks`, { code: nested(nesting + 1, opcode) }, "limit nesting"],
      ["blocks without an end", { code: repeat(module >> 3, opcode, 0x40) }, "limit nesting"],
    ]),
    [
      "blocks that go on behind the body",
      { code: [...repeat(nesting - 1, 0x02, 0x40)] },
      "malformed unexpected end",
    ],
    [
      `${nesting} ifs within ifs`,
      { code: [...repeat(nesting, 0x41, 1, 0x04, 0x40), ...repeat(nesting + 1, 0x0b)] },
      "ok",
    ],
    [`${locals} locals`, { locals: [1, ...u32(locals), I64] }, "ok"],
    [`${locals + 1} locals`, { locals: [1, ...u32(locals + 1), I64] }, "limit locals"],
    ["2^32 - 1 locals", { locals: [1, ...u32(U32_MAX), I64] }, "limit locals"],
    [
      "2^33 - 2 locals",
      { locals: [2, ...u32(U32_MAX), I64, ...u32(U32_MAX), I32] },
      "malformed too many locals",
    ],
    ["thousands of groups of no locals", { locals: [...u32(2000), ...repeat(2000, 0, I32)] }, "ok"],
    [`br_table with ${most} labels`, { code: branchTable(most) }, "ok"],
    [`br_table with ${most + 1} labels`, { code: branchTable(most + 1) }, "limit side table"],
    [
      "br_table with 2^32 labels",
      { code: [0x41, 0, 0x0e, ...u32(U32_MAX), 0x0b] },
      "malformed unexpected end",
    ],
    [
      "a br_table that is never reached",
      { code: [0x00, 0x0e, ...u32(most - 1), ...repeat(most, 0), 0x0b] },
      "trap unreachable",
    ],
    [`${most} branches`, { code: branches(most) }, "ok"],
    [`${most + 1} branches`, { code: branches(most + 1) }, "limit side table"],
    [
      `${MOST_OPERANDS} operands`,
      { code: [...repeat(MOST_OPERANDS, 0x41, 0), 0x00, 0x0b] },
      "trap unreachable",
    ],
    [
      `${MOST_OPERANDS + 1} operands`,
      { code: [...repeat(MOST_OPERANDS + 1, 0x41, 0), 0x00, 0x0b] },
      "limit operands",
    ],
    [
      "two thousand operands that a branch drops",
      { code: [0x02, 0x40, ...repeat(2000, 0x41, 0), 0x0c, 0, 0x0b, 0x0b] },
      "ok",
    ],
    [
      "operands that are not there, by the thousand",
      { code: [0x00, ...repeat(3000, 0x6a), 0x1a, 0x0b] },
      "trap unreachable",
    ],
    ["17 results", { results: repeat(17, I32), code: [0x00, 0x0b] }, "limit results"],
    [
      "a branch with sixteen values out of many operands",
      {
        results: repeat(16, I32),
        code: [...repeat(1000, 0x41, 1), ...repeat(16, 0x41, 2), 0x0c, 0, 0x0b],
      },
      "ok",
    ],
    ["numbers of the greatest length", { ...USED, code: longNumbers(USES_NUMBERS, 0) }, "ok"],
    ["a number a byte longer", { ...USED, code: longNumbers(USES_NUMBERS, 1) }, "malformed integer too long"],
    ["a function that calls itself", { code: SELF_CALL }, "trap call stack exhausted"],
    [
      "a start function that calls itself",
      { code: SELF_CALL, sections: { 7: [0], 8: [0] } },
      "trap call stack exhausted",
    ],
    [
      "one that calls itself through a table",
      { code: [0x41, 0, 0x11, 0, 0, 0x0b], sections: TABLE_OF_F },
      "trap call stack exhausted",
    ],
    [
      "one with many locals that calls itself",
      { locals: [1, ...u32(locals), I64], code: SELF_CALL },
      "trap call stack exhausted",
    ],
    [
      "one that calls itself with operands below",
      { code: [...repeat(200, 0x41, 0), ...SELF_CALL.slice(0, 2), ...repeat(200, 0x1a), 0x0b] },
      "trap call stack exhausted",
    ],
    [
      "a body as long as the rest of the section",
      { sections: { 10: [1, ...u32(U32_MAX), 0, 0x0b] } },
      "malformed unexpected end",
    ],
    ["a table of 2^32 - 1", { sections: { 4: [1, 0x70, 0, ...u32(U32_MAX)] } }, "limit arena"],
    ["a name of 2^32 - 1 bytes", { sections: { 7: [1, ...u32(U32_MAX), 0x66] } }, "malformed unexpected end"],
    [
      "a segment of 2^32 - 1 bytes",
      { sections: { 5: [1, 0, 1], 11: [1, 0, 0x41, 0, 0x0b, ...u32(U32_MAX)] } },
      "malformed unexpected end",
    ],
    [
      "a segment at the end of the address space",
      { sections: { 5: [1, 0, 1], 11: [1, 0, 0x41, 0x7f, 0x0b, 2, 1, 2] } },
      "trap out of bounds memory access",
    ],
    [
      "an element at the end of the index space",
      { sections: { 4: [1, 0x70, 0, 1], 9: [1, 0, 0x41, 0x7f, 0x0b, 1, 0] } },
      "trap out of bounds table access",
    ],
    ["two thousand exports", { sections: { 7: manyExports(2000) } }, "ok"],
    [
      "two thousand exports, the last as the first",
      { sections: { 7: manyExports(2000, true) } },
      "invalid duplicate export",
    ],
    [
      "three thousand types",
      { sections: { 1: vector(Array.from({ length: 3000 }, () => [0x60, 0, 0])) } },
      "ok",
    ],
    ["code of nothing", { code: [...repeat(8000, 0x01), 0x0b] }, "ok"],
  ];
  return [
    ...list.map(([what, parts, answer]) => ({ what, bytes: moduleOf(parts), answer })),
    ...endlessSections(),
    {
      what: "a custom section whose name is longer than it",
      bytes: new Writer().bytes(PREAMBLE).bytes([0, 2, 5, 0x61]).done(),
      answer: "malformed unexpected end",
    },
    {
      what: "a section longer than the module",
      bytes: new Writer().bytes(PREAMBLE).byte(1).u32(U32_MAX).done(),
      answer: "malformed unexpected end",
    },
    { what: "a module too long by a byte", bytes: new Uint8Array(module + 1), answer: "limit module size" },
  ];
}

/** Every kind of number in code: constants, indices, labels, offsets, types. The first is a constant. */
const USES_NUMBERS = [
  ...[
    0x41, 5, 0x21, 0, 0x20, 0, 0x22, 0, 0x24, 0, 0x23, 0, 0x1a, 0x42, 0x7f, 0x1a, 0x41, 0, 0x28, 2, 4, 0x1a,
  ],
  ...[0x02, 0x40, 0x41, 0, 0x0d, 0, 0x41, 0, 0x0e, 1, 0, 0, 0x0b, 0x03, 0, 0x0b],
  ...[0x41, 0, 0x04, 0x40, 0x10, 0, 0x41, 0, 0x11, 0, 0, 0x0b, 0x0b],
];
const USED: Parts = {
  locals: [1, 1, I32],
  sections: {
    4: [1, 0x70, 0, 2],
    5: [1, 0, 1],
    6: [1, I32, 1, 0x41, 0, 0x0b],
    9: [1, 0, 0x41, 0, 0x0b, 1, 0],
  },
};

/** "f", and names of two bytes; the last is that of the first of those again, if it is wanted. */
function manyExports(count: number, twice = false): Uint8Array {
  const name = (i: number): number[] => [2, 0x21 + Math.floor(i / 90), 0x21 + (i % 90)];
  return vector([
    [1, 0x66, 0, 0],
    ...Array.from({ length: count }, (_, i) => [...name(twice && i === count - 1 ? 0 : i), 0, 0]),
  ]);
}
