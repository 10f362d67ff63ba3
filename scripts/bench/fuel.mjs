// Instructions per fuel, for each opcode in its ways. A sequence that holds the opcode once is repeated 8 and 24 times in
// two functions; a sixteenth of the difference is what one takes, and what else is in the sequence has been measured
// the same way before.
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { f32Bits, Job, ROOT } from "./board.mjs";
import { encodeModule, signed, unsigned } from "./wasm.mjs";

const FEW = 8;
const MANY = 24;
const STACK = 1024;

/** Opcodes of firmware/runtime/wasm/opcodes.def. */
export function readOpcodes() {
  const source = readFileSync(join(ROOT, "firmware/runtime/wasm/opcodes.def"), "utf8");
  const rows = source.matchAll(
    /^EP_WASM_(OPCODE|PREFIXED)\(0x([0-9A-F]+), \w+ ?, "([^"]+)", (\d+), (\w+)(?:\((\w+), (\w+)\))?\)/gm,
  );
  return [...rows].map(([, kind, code, name, fuel, signature, a, b]) => ({
    name,
    bytes: kind === "PREFIXED" ? [0xfc, ...unsigned(parseInt(code, 16))] : [parseInt(code, 16)],
    fuel: Number(fuel),
    signature,
    a: a?.toLowerCase(),
    b: b?.toLowerCase(),
  }));
}

function f64Bits(value) {
  return new BigUint64Array(new Float64Array([value]).buffer)[0];
}

/** Numbers from `seed` on, the same in every run (Numerical Recipes). */
function* random(seed) {
  for (let state = seed; ;) yield (state = (Math.imul(state, 1664525) + 1013904223) >>> 0);
}

function take(source, count, make) {
  return Array.from({ length: count }, () => make(() => source.next().value));
}

const SPECIAL = [
  0,
  -0,
  1,
  -1.5,
  0.5,
  2.5,
  255.75,
  8388607.5,
  4294967040,
  -2147483648,
  1e19,
  NaN,
  Infinity,
  -Infinity,
];
const HARD = {
  i32: [0, 1, 0xffffffff, 0x80000000, 0x7fffffff, 7, 0x12345678, 31, 0x100],
  i64: [
    0n,
    1n,
    3n,
    63n,
    0xffffffffn,
    0x100000001n,
    0x123456789abcdefn,
    2n ** 63n,
    2n ** 63n - 1n,
    2n ** 64n - 1n,
    2n ** 52n + 1n,
  ],
  f32: [...SPECIAL.map(f32Bits), 1, 0x7fffff, 0x00800001, f32Bits(3.4e38), f32Bits(1e-38), f32Bits(9.2e18)],
  f64: [
    ...SPECIAL.map(f64Bits),
    1n,
    0xfffffffffffffn,
    0x10000000000001n,
    f64Bits(1.7e308),
    f64Bits(1e-308),
    f64Bits(9.2e18),
    f64Bits(1e-320),
  ],
};
const source = random(1);
const drawn = {
  i32: take(source, 12, (next) => next()),
  i64: take(source, 12, (next) => ((BigInt(next()) << 32n) | BigInt(next())) >> BigInt(next() >>> 27)),
  f32: take(source, 12, (next) => f32Bits((next() / 2 ** 31 - 1) * 10 ** ((next() % 40) - 20))),
  f64: take(source, 12, (next) =>
    f64Bits((next() / 2 ** 31 - 1 + next() / 2 ** 63) * 10 ** ((next() % 40) - 20)),
  ),
};

function operands(...types) {
  const [first, second] = types;
  const all = (type) => [...HARD[type], ...drawn[type]];
  if (second === undefined) return all(first).map((value) => [value]);
  const hard = HARD[first].flatMap((a) => HARD[second].map((b) => [a, b]));
  return [
    ...hard,
    ...drawn[first].map((a, index) => [a, drawn[second][index]]),
    ...drawn[first].map((a, index) => [a, drawn[second][11 - index]]),
  ];
}

const GET = (local) => [0x20, local];
const DROP = [0x1a];
const END = [0x0b];
const HOST = [
  ["input", [["i32"], ["f32"]]],
  ["output", [["i32", "f32"], []]],
  ["now_us", [[], ["i64"]]],
  ["log", [["i32", "i32"], []]],
];
const IMPORTS = HOST.map(([name], type) => ({ module: "edgeplug", name, type }));
const FIRST_TYPE = HOST.length;
/** Types that control instructions and calls name. */
const EXTRA_TYPES = [
  [[], []],
  [[], ["i32"]],
  [[], Array(16).fill("i32")],
  [["i32"], ["i32"]],
];
const T_NONE = FIRST_TYPE;
const T_SIXTEEN = FIRST_TYPE + 2;
const T_PARAM = FIRST_TYPE + 3;
const T_MEASURED = FIRST_TYPE + EXTRA_TYPES.length;

/** Functions that measured code calls, by name; indices behind the imports. */
const CALLED = [
  ["empty", { type: T_NONE, body: [] }],
  ["returns", { type: T_NONE, body: [0x0f] }],
  ["locals200", { type: T_NONE, locals: [[200, "i64"]], body: [] }],
  ["locals3", { type: T_NONE, locals: [[3, "i64"]], body: [] }],
  ["sixteen", { type: T_SIXTEEN, body: Array(16).fill([0x41, 1]).flat() }],
  ["param", { type: T_PARAM, body: [...GET(0)] }],
];
const called = (name) => IMPORTS.length + CALLED.findIndex(([known]) => known === name);

/** A module with the sequence FEW and MANY times; `tail` may end the function in another way. */
function moduleOf({ params, sequence, locals = [], tail = [] }) {
  const body = (count) => [...Array(count).fill(sequence).flat(), ...tail];
  return encodeModule({
    types: [...HOST.map(([, type]) => type), ...EXTRA_TYPES, [params, []]],
    imports: IMPORTS,
    element: called("empty"),
    functions: [
      ...CALLED.map(([, called]) => called),
      { type: T_MEASURED, locals, body: body(FEW), name: "few" },
      { type: T_MEASURED, locals, body: body(MANY), name: "many" },
    ],
  });
}

/**
 * One way of an opcode. `sequence` holds it `times` (once), `known` names what else is in it, `values` are
 * the arguments to try.
 */
function way(name, variant, sequence, known, options = {}) {
  return { name, variant, sequence, known, params: [], values: [[]], times: 1, ...options };
}

function numericWays(opcodes) {
  return opcodes
    .filter(({ signature }) => signature === "UNARY" || signature === "BINARY")
    .map(({ name, bytes, signature, a }) => {
      const params = signature === "UNARY" ? [a] : [a, a];
      const pushes = params.flatMap((_, index) => GET(index));
      const known = [...params.map(() => "local.get"), "drop"];
      return way(name, "operands", [...pushes, ...bytes, ...DROP], known, {
        params,
        values: operands(...params),
      });
    });
}

const MEMORY = 16384;
function memoryWays(opcodes) {
  const ways = [];
  for (const { name, bytes, signature, a } of opcodes) {
    if (signature !== "LOAD" && signature !== "STORE") continue;
    const store = signature === "STORE";
    const params = store ? ["i32", a] : ["i32"];
    const known = store ? ["local.get", "local.get"] : ["local.get", "drop"];
    const size = /8/.test(name.slice(4))
      ? 1
      : /16/.test(name.slice(4))
        ? 2
        : name.startsWith("i64") || name.startsWith("f64")
          ? /32/.test(name.slice(4))
            ? 4
            : 8
          : 4;
    const kinds = [
      ["short", [0, 0], [16, 17]],
      ["offset", [0, ...unsigned(300)], [16]],
      ["filled up", [...unsigned(0, 5), ...unsigned(4, 5)], [16, 19]],
      ["at the end", [0, 0], [MEMORY - size]],
    ];
    for (const [variant, immediates, addresses] of kinds) {
      const pushes = store ? [...GET(0), ...GET(1)] : GET(0);
      const sequence = [...pushes, ...bytes, ...immediates, ...(store ? [] : DROP)];
      const values = addresses.map((address) => (store ? [address, 0x55] : [address]));
      ways.push(way(name, variant, sequence, known, { params, values }));
    }
  }
  return ways;
}

function variableWays() {
  const many = { locals: [[140, "i32"]] };
  const wide = unsigned(130);
  const full = (index) => unsigned(index, 5);
  return [
    way("local.tee", "short", [...GET(0), 0x22, 0, ...DROP], ["local.get", "drop"], {
      params: ["i32"],
      values: [[1]],
    }),
    way("local.set", "short", [...GET(0), 0x21, 0], ["local.get"], { params: ["i32"], values: [[1]] }),
    way("global.get", "short", [0x23, 0, ...DROP], ["drop"]),
    way("global.set", "short", [...GET(0), 0x24, 0], ["local.get"], { params: ["i32"], values: [[1]] }),
    way("local.get", "wide", [0x20, ...wide, ...DROP], ["drop"], many),
    way("local.set", "wide", [0x41, 1, 0x21, ...wide], ["i32.const"], many),
    way("local.tee", "wide", [0x41, 1, 0x22, ...wide, ...DROP], ["i32.const", "drop"], many),
    way("local.get", "filled up", [0x20, ...full(0), ...DROP], ["drop"], { params: ["i32"], values: [[1]] }),
    way("local.set", "filled up", [...GET(0), 0x21, ...full(0)], ["local.get"], {
      params: ["i32"],
      values: [[1]],
    }),
    way("local.tee", "filled up", [...GET(0), 0x22, ...full(0), ...DROP], ["local.get", "drop"], {
      params: ["i32"],
      values: [[1]],
    }),
    way("global.get", "filled up", [0x23, ...full(0), ...DROP], ["drop"]),
    way("global.set", "filled up", [...GET(0), 0x24, ...full(0)], ["local.get"], {
      params: ["i32"],
      values: [[1]],
    }),
    way("i32.const", "wide", [0x41, ...signed(100000), ...DROP], ["drop"]),
    way("i32.const", "filled up", [0x41, ...signed(-3, 5), ...DROP], ["drop"]),
    way("i64.const", "short", [0x42, 1, ...DROP], ["drop"]),
    way("i64.const", "wide", [0x42, ...signed(2n ** 40n), ...DROP], ["drop"]),
    way("i64.const", "ten bytes", [0x42, ...signed(-(2n ** 63n)), ...DROP], ["drop"]),
    way("i64.const", "filled up", [0x42, ...signed(-3, 10), ...DROP], ["drop"]),
    way("f32.const", "", [0x43, 0, 0, 0x80, 0x3f, ...DROP], ["drop"]),
    way("f64.const", "", [0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, ...DROP], ["drop"]),
    way(
      "select",
      "",
      [...GET(0), ...GET(0), ...GET(1), 0x1b, ...DROP],
      ["local.get", "local.get", "local.get", "drop"],
      {
        params: ["f64", "i32"],
        values: [
          [1n, 0],
          [1n, 1],
        ],
      },
    ),
    way("memory.size", "", [0x3f, 0, ...DROP], ["drop"]),
    way("memory.grow", "", [...GET(0), 0x40, 0, ...DROP], ["local.get", "drop"], {
      params: ["i32"],
      values: [[0], [1], [0xffff]],
    }),
  ];
}

/** In this order: what one takes is known when the next needs it. */
function controlWays() {
  const p = { params: ["i32"] };
  const b = (type = 0x40) => [0x02, type];
  const rounds = (count) => [
    0x41,
    count,
    0x21,
    0,
    0x03,
    0x40,
    ...GET(0),
    0x41,
    1,
    0x6b,
    0x22,
    0,
    0x0d,
    0,
    ...END,
  ];
  const counting = ["local.get", "i32.const", "i32.sub", "local.tee"];
  const sixteen = Array(16).fill(GET(0)).flat();
  const drops = Array(16).fill("drop");
  const gets = Array(16).fill("local.get");
  const none16 = signed(T_SIXTEEN);
  const wideBlock = signed(T_NONE, 5);
  const tables = (count, width = 0) => [
    ...unsigned(count, width),
    ...Array(count).fill(unsigned(0, width)).flat(),
    ...unsigned(0, width),
  ];
  return [
    way("nop", "", [0x01], []),
    // a loop that goes round once and one that goes round nine times: eight branches more
    way("one round", "", rounds(1), [], { ...p, values: [[0]], hidden: true }),
    way("br_if", "taken", rounds(9), ["one round", ...Array(8).fill(counting).flat()], {
      ...p,
      values: [[0]],
      times: 8,
    }),
    way("block", "", [...b(), ...GET(0), 0x0d, 0, ...END], ["local.get", "br_if taken"], {
      ...p,
      values: [[1]],
    }),
    way(
      "block",
      "filled up",
      [0x02, ...wideBlock, ...GET(0), 0x0d, 0, ...END],
      ["local.get", "br_if taken"],
      { ...p, values: [[1]] },
    ),
    way("end", "", [...b(), ...END], ["block"]),
    way("loop", "", [0x03, 0x40, ...END], ["end"]),
    way("loop", "filled up", [0x03, ...wideBlock, ...END], ["end"]),
    way("br_if", "not taken", [...b(), ...GET(0), 0x0d, 0, ...END], ["block", "local.get", "end"], {
      ...p,
      values: [[0]],
    }),
    way(
      "br_if",
      "not taken, filled up",
      [...b(), ...GET(0), 0x0d, ...unsigned(0, 5), ...END],
      ["block", "local.get", "end"],
      { ...p, values: [[0]] },
    ),
    way("if", "true", [...GET(0), 0x04, 0x40, ...END], ["local.get", "end"], { ...p, values: [[1]] }),
    way("if", "true, filled up", [...GET(0), 0x04, ...wideBlock, ...END], ["local.get", "end"], {
      ...p,
      values: [[1]],
    }),
    way("if", "false", [...GET(0), 0x04, 0x40, ...END], ["local.get"], { ...p, values: [[0]] }),
    way("if", "false to else", [...GET(0), 0x04, 0x40, 0x05, ...END], ["local.get", "end"], {
      ...p,
      values: [[0]],
    }),
    way("else", "", [...GET(0), 0x04, 0x40, 0x05, ...END], ["local.get", "if true"], { ...p, values: [[1]] }),
    way("br", "", [...b(), 0x0c, 0, ...END], ["block"]),
    way("br", "filled up", [...b(), 0x0c, ...unsigned(0, 5), ...END], ["block"]),
    way("br", "drops 1", [...b(), ...GET(0), 0x0c, 0, ...END], ["block", "local.get"], {
      ...p,
      values: [[1]],
    }),
    way(
      "br",
      "keeps 1, drops 1",
      [...b(0x7f), ...GET(0), ...GET(0), 0x0c, 0, ...END, ...DROP],
      ["block", "local.get", "local.get", "drop"],
      { ...p, values: [[1]] },
    ),
    way(
      "br",
      "keeps 16, drops 1",
      [0x02, ...none16, ...GET(0), ...sixteen, 0x0c, 0, ...END, ...Array(16).fill(DROP).flat()],
      ["block", "local.get", ...gets, ...drops],
      { ...p, values: [[1]] },
    ),
    way(
      "br_if",
      "keeps 1, drops 1",
      [...b(0x7f), ...GET(0), ...GET(0), ...GET(0), 0x0d, 0, ...DROP, ...END, ...DROP],
      ["block", "local.get", "local.get", "local.get", "drop"],
      { ...p, values: [[1]] },
    ),
    way("br_table", "of 1", [...b(), ...GET(0), 0x0e, ...tables(1), ...END], ["block", "local.get"], {
      ...p,
      values: [[0], [1], [5]],
    }),
    way("br_table", "of 40", [...b(), ...GET(0), 0x0e, ...tables(40), ...END], ["block", "local.get"], {
      ...p,
      values: [[0], [20], [40]],
    }),
    way("br_table", "filled up", [...b(), ...GET(0), 0x0e, ...tables(3, 5), ...END], ["block", "local.get"], {
      ...p,
      values: [[0], [3]],
    }),
    way(
      "br_table",
      "keeps 1, drops 1",
      [...b(0x7f), ...GET(0), ...GET(0), ...GET(0), 0x0e, ...tables(1), ...END, ...DROP],
      ["block", "local.get", "local.get", "local.get", "drop"],
      { ...p, values: [[0]] },
    ),
    way("call", "and end", [0x10, called("empty")], []),
    way("call", "filled up, and end", [0x10, ...unsigned(called("empty"), 5)], []),
    way("call", "and return", [0x10, called("returns")], []),
    way("call", "3 locals", [0x10, called("locals3")], []),
    way("call", "200 locals", [0x10, called("locals200")], []),
    way(
      "call",
      "a parameter and a result",
      [...GET(0), 0x10, called("param"), ...DROP],
      ["local.get", "local.get", "drop"],
      { ...p, values: [[1]] },
    ),
    way(
      "call",
      "16 results",
      [0x10, called("sixteen"), ...Array(16).fill(DROP).flat()],
      [...Array(16).fill("i32.const"), ...drops],
    ),
    way("call_indirect", "and end", [...GET(0), 0x11, T_NONE, 0], ["local.get"], {
      ...p,
      values: [[0], [7]],
    }),
    way("call_indirect", "filled up, and end", [...GET(0), 0x11, ...unsigned(T_NONE, 5), 0], ["local.get"], {
      ...p,
      values: [[0]],
    }),
    way("call input", "", [...GET(0), 0x10, 0, ...DROP], ["local.get", "drop"], { ...p, values: [[0], [3]] }),
    way("call output", "", [...GET(0), ...GET(1), 0x10, 1], ["local.get", "local.get"], {
      params: ["i32", "f32"],
      values: [
        [0, 0],
        [3, 0],
      ],
    }),
    way("call now_us", "", [0x10, 2, ...DROP], ["drop"]),
    way("call log", "1 to 60 bytes", [...GET(0), ...GET(1), 0x10, 3], ["local.get", "local.get"], {
      params: ["i32", "i32"],
      values: [
        [0, 0],
        [1, 5],
        [0, 60],
        [1, 64],
        [1, 400],
      ],
    }),
  ];
}

function bulkWays() {
  const p = { params: ["i32", "i32", "i32"] };
  const three = [...GET(0), ...GET(1), ...GET(2)];
  const known = ["local.get", "local.get", "local.get"];
  const sizes = [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 31, 33, 64, 255, 1000];
  const filled = (index) => unsigned(index, 5);
  const copies = sizes.flatMap((size) => [
    [0, 2048, size],
    [1, 2048, size],
    [1, 2050, size],
    [2, 0, size],
    [0, 1, size],
    [3, 2, size],
    [8, 0, size],
  ]);
  const inits = [0, 1, 3, 4, 8, 31, 63].flatMap((size) => [
    [0, 0, size],
    [1, 0, size],
    [2, 1, size],
  ]);
  const items = [0, 1, 2, 4, 7].flatMap((size) => [
    [0, 0, size],
    [1, 0, size],
    [0, 1, size],
    [0, 8 - size, size],
  ]);
  return [
    way("memory.fill", "by length", [...three, 0xfc, 11, 0], known, {
      ...p,
      values: sizes.flatMap((size) => [
        [0, 7, size],
        [1, 7, size],
        [3, 7, size],
      ]),
    }),
    way("memory.copy", "by length", [...three, 0xfc, 10, 0, 0], known, { ...p, values: copies }),
    way("memory.init", "by length", [...three, 0xfc, 8, 0, 0], known, { ...p, values: inits }),
    way("memory.init", "filled up", [...three, 0xfc, ...filled(8), ...filled(0), 0], known, {
      ...p,
      values: inits,
    }),
    way("table.copy", "by length", [...three, 0xfc, 14, 0, 0], known, { ...p, values: items }),
    way("table.init", "by length", [...three, 0xfc, 12, 1, 0], known, { ...p, values: items }),
    way("table.init", "filled up", [...three, 0xfc, ...filled(12), ...filled(1), 0], known, {
      ...p,
      values: items,
    }),
    way("data.drop", "", [0xfc, 9, 0], []),
    way("data.drop", "filled up", [0xfc, ...filled(9), ...filled(0)], []),
    way("elem.drop", "", [0xfc, 13, 1], []),
    way("i32.trunc_sat_f64_s", "filled up", [...GET(0), 0xfc, ...filled(2), ...DROP], ["local.get", "drop"], {
      params: ["f64"],
      values: [[f64Bits(1e6)]],
    }),
  ];
}

/** All ways, what the others rest on first. */
function allWays() {
  const opcodes = readOpcodes();
  return [
    way("local.get", "", GET(0), [], { params: ["i32"], values: [[1]], tail: [0x0f] }),
    way("drop", "", [...GET(0), ...DROP], ["local.get"], { params: ["i32"], values: [[1]] }),
    way("i32.const", "", [0x41, 1, ...DROP], ["drop"]),
    ...variableWays(),
    ...numericWays(opcodes),
    ...controlWays(),
    ...memoryWays(opcodes),
    ...bulkWays(),
  ];
}

/** Measures each way with each of its values: instructions and fuel of the sequence. */
function measureSequences(ways, plain = 1) {
  const jobs = [];
  let job = new Job();
  let place = 0;
  const places = ways.map((one) => {
    const bytes = moduleOf(one);
    const needed = bytes.length + 64 + one.values.length * 120;
    if (!job.hasRoomFor(needed)) {
      jobs.push(job);
      job = new Job();
      place = 0;
    }
    job.module(bytes, { memory: MEMORY, stackSlots: STACK, plain });
    for (const args of one.values) job.call("few", args).call("many", args);
    const at = { job: jobs.length, place };
    place += 1 + 2 * one.values.length;
    return at;
  });
  jobs.push(job);
  const results = jobs.map((each) => each.run());
  return ways.map((one, index) => {
    const { job: number, place: first } = places[index];
    const [module, ...calls] = results[number].slice(first, first + 1 + 2 * one.values.length);
    if (module.result !== 0)
      throw new Error(`${one.name} ${one.variant}: the module was refused (${module.result})`);
    const found = one.values.flatMap((args, at) => {
      const [few, many] = [calls[2 * at], calls[2 * at + 1]];
      if (few.result !== 0 || many.result !== 0) return [];
      const per = (key) => (many[key] - few[key]) / (MANY - FEW);
      return [{ args, instructions: per("instructions"), fuel: per("fuel") }];
    });
    if (found.length === 0) throw new Error(`${one.name} ${one.variant}: every call trapped`);
    return found;
  });
}

/**
 * Instructions and fuel of each opcode in each of its ways, the worst of its operands: {name, variant, instructions,
 * fuel, ratio}.
 */
export function measureFuel() {
  const ways = allWays();
  const sequences = measureSequences(ways);
  const known = new Map();
  const results = ways.map((one, index) => {
    // what was run before: by name and variant, or by name alone, which means its first way
    const rest = one.known.map((name) => known.get(name));
    if (rest.some((cost) => cost === undefined))
      throw new Error(`${one.name} ${one.variant}: rests on what isn't measured`);
    const other = (key) => rest.reduce((sum, cost) => sum + cost[key], 0);
    const worst = sequences[index]
      .map((found) => cost(one, found, other))
      .reduce((most, next) => (next.ratio > most.ratio ? next : most));
    const result = { name: one.name, variant: one.variant, hidden: one.hidden ?? false, ...worst };
    known.set(`${one.name} ${one.variant}`.trim(), result);
    if (!known.has(one.name)) known.set(one.name, result);
    return result;
  });
  return results.filter(({ hidden }) => !hidden).map(({ hidden: _, ...result }) => result);
}

/** The same sequences as they run on a board, fused where they can be: instructions and fuel of each as a whole. */
export function measureFused() {
  const ways = allWays();
  return measureSequences(ways, 0).map((found, index) => {
    const ratios = found.map(({ instructions, fuel }) => instructions / fuel);
    return { name: ways[index].name, variant: ways[index].variant, ratio: Math.max(...ratios) };
  });
}

function cost({ times }, { args, instructions, fuel }, other) {
  // SysTick is off by up to one instruction in each of two looks; what an opcode takes is a whole number
  const own = (total, key) => Math.round((total - other(key)) / times);
  const found = {
    args: args.map((value) => `0x${value.toString(16)}`),
    instructions: own(instructions, "instructions"),
    fuel: own(fuel, "fuel"),
  };
  return { ...found, ratio: found.instructions / found.fuel };
}
