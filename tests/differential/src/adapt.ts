/**
 * What Binaryen makes, for two engines to compare: nothing is imported, the memory has at most three pages, every call ends,
 * what calls leave behind can be asked for. And the twin of such a module for V8, in which each NaN that the spec leaves
 * open becomes the one that this engine documents, and in which floats go in and out by their bits.
 */
import {
  EXTERNAL,
  F32,
  F64,
  I32,
  I64,
  Reader,
  Writer,
  instructions,
  numbersIn,
  readModule,
  type Body,
  type DataSegment,
  type Exported,
  type FunctionType,
  type Global,
  type Limits,
  type Module,
} from "./binary.js";
import { VALUE_TYPES, givesNan } from "./operations.js";
import type { Random } from "./random.js";
import { WIDE, isFloat, sprinkle, type Surroundings } from "./sprinkle.js";

/** Names of the exports that are asked for what calls left behind; those that are called begin with a letter. */
export const FUEL = "#fuel";
export const MIXED = "#mixed";
export const HASH = "#hash";
/** Calls the table's function at an index, if it has the type of that number. */
export const TABLE = "#table ";
export const globalName = (index: number): string => `#global ${index}`;

const MOST_PAGES = 3;
const PAGE = 65536;
/** Elements of the table, at most: four bytes each in the engine's arena. */
const MOST_ELEMENTS = 1000;
/** And at least, so that there is room to copy them about. */
const FEWEST_ELEMENTS = 10;

function sameType(a: FunctionType, b: FunctionType): boolean {
  return a.params.join() === b.params.join() && a.results.join() === b.results.join();
}

/** Types that grow as they are asked for. */
class Types {
  readonly list: FunctionType[];

  constructor(types: readonly FunctionType[]) {
    this.list = [...types];
  }

  indexOf(params: readonly number[], results: readonly number[]): number {
    const wanted = { params, results };
    const index = this.list.findIndex((type) => sameType(type, wanted));
    return index >= 0 ? index : this.list.push(wanted) - 1;
  }
}

const VOID = 0x40;

/** The value of this type on the stack becomes an i64 of its bits. */
function toBits(out: Writer, type: number): void {
  if (type === F32) out.byte(0xbc);
  if (type === I32 || type === F32) out.byte(0xad);
  if (type === F64) out.byte(0xbd);
}

/** And back. */
function fromBits(out: Writer, type: number): void {
  if (type === I32 || type === F32) out.byte(0xa7);
  if (type === F32) out.byte(0xbe);
  if (type === F64) out.byte(0xbf);
}

/** global = rotl(global, 9) × odd number + the i64 that `value` pushes */
function mixInto(out: Writer, global: number, value: () => void): void {
  out.byte(0x23).u32(global).byte(0x42).s64(9n).byte(0x89);
  out.byte(0x42).s64(0x2545f4914f6cdd1dn).byte(0x7e);
  value();
  out.byte(0x7c).byte(0x24).u32(global);
}

function body(write: (out: Writer) => void, locals: Body["locals"] = []): Body {
  const out = new Writer();
  write(out);
  return { locals, code: out.byte(0x0b).done() };
}

/** In place of a function that the host would bring: mixes its arguments, gives bits of what has been mixed so far. */
function standIn({ params, results }: FunctionType, mixed: number): Body {
  return body((out) => {
    params.forEach((type, index) => {
      mixInto(out, mixed, () => {
        out.byte(0x20).u32(index);
        toBits(out, type);
      });
    });
    for (const type of results) {
      out.byte(0x23).u32(mixed);
      fromBits(out, type);
    }
  });
}

/** Types that the table is asked about, by the functions that have them. */
const MOST_TABLE_TYPES = 12;

function throughTable(
  { params, results }: FunctionType,
  index: number,
  mixer: (type: number) => number,
): Body {
  return body((out) => {
    for (const type of params) out.bytes(zero(type).slice(0, -1));
    out.byte(0x20).u32(0).byte(0x11).u32(index).byte(0);
    for (const type of [...results].reverse()) out.byte(0x10).u32(mixer(type));
  });
}

function zero(type: number): Uint8Array {
  const out = new Writer();
  if (type === I32 || type === I64) out.byte(type === I32 ? 0x41 : 0x42).byte(0);
  else if (isFloat(type)) out.byte(type === F32 ? 0x43 : 0x44).bytes(new Uint8Array(type === F32 ? 4 : 8));
  else throw new RangeError(`a global of type ${type}`);
  return out.byte(0x0b).done();
}

/** Without what the host's globals would be worth: they are no constants once they are the module's own. */
function constantInit(init: Uint8Array, type: number): Uint8Array {
  return init[0] === 0x23 ? zero(type) : init;
}

/** Inside the first page, since an instance that is never made is none to compare. */
function insidePage({ offset, bytes }: DataSegment): DataSegment {
  if (offset === undefined) return { offset, bytes };
  const reader = new Reader(offset, 1);
  const at = offset[0] === 0x41 ? reader.s64() >>> 0 : 0;
  const moved = at + bytes.length <= PAGE && offset[0] === 0x41 ? offset : Uint8Array.of(0x41, 8, 0x0b);
  return { offset: moved, bytes: bytes.slice(0, PAGE / 2) };
}

/** Traps once so many calls and rounds of loops have begun; with what it costs, a value is never in the way. */
function burn(out: Writer, fuel: number): void {
  out.byte(0x23).u32(fuel).byte(0x45).byte(0x04).byte(VOID).byte(0x00).byte(0x0b);
  out.byte(0x23).u32(fuel).byte(0x41).byte(1).byte(0x6b).byte(0x24).u32(fuel);
}

function metered({ locals, code }: Body, fuel: number): Body {
  const out = new Writer();
  burn(out, fuel);
  for (const { opcode, start, end } of instructions(code)) {
    out.bytes(code.subarray(start, end));
    if (opcode === 0x03) burn(out, fuel);
  }
  return { locals, code: out.done() };
}

/** Once in so many, a number has more bytes than it needs. */
const LENGTHENED = 12;

/** The same code, some of its numbers as long as the format allows. */
function lengthened(random: Random, { locals, code }: Body, wanted: boolean): Body {
  if (!wanted) return { locals, code };
  const out = new Writer();
  let from = 0;
  for (const { start, end, most, signed } of numbersIn(code)) {
    if (!random.once(LENGTHENED)) continue;
    out.bytes(code.subarray(from, start)).bytes(longer(code.slice(start, end), most, signed));
    from = end;
  }
  return { locals, code: out.bytes(code.subarray(from)).done() };
}

/** The same number in `length` bytes. */
function longer(number: Uint8Array, length: number, signed: boolean): Uint8Array {
  const last = number[number.length - 1] ?? 0;
  const fill = signed && (last & 0x40) !== 0 ? 0x7f : 0;
  const bytes = Uint8Array.from({ length }, (_, i) => number[i] ?? fill);
  return bytes.map((byte, i) => (i === length - 1 ? byte & 0x7f : byte | 0x80));
}

/** Over all of memory, eight bytes at a time. */
function hashBody(): Body {
  const [at, sum] = [0, 1];
  return body(
    (out) => {
      out.byte(0x03).byte(VOID);
      out.byte(0x20).u32(sum).byte(0x42).s64(5n).byte(0x89);
      out.byte(0x20).u32(at).byte(0x29).u32(3).u32(0).byte(0x85);
      out.byte(0x42).s64(-0x61c8864680b583ebn).byte(0x7e).byte(0x21).u32(sum);
      out.byte(0x20).u32(at).byte(0x41).s64(8n).byte(0x6a).byte(0x22).u32(at);
      out.byte(0x3f).byte(0).byte(0x41).s64(16n).byte(0x74);
      out.byte(0x49).byte(0x0d).u32(0).byte(0x0b);
      out.byte(0x20).u32(sum);
    },
    [
      [1, I32],
      [1, I64],
    ],
  );
}

function importedLimits({ imports }: Module, kind: 1 | 2): Limits[] {
  return imports.flatMap((item) => (item.kind === kind ? [item.limits] : []));
}

/** Passive or declarative, by indices or by expressions. */
function passiveElement(random: Random, functions: number): Uint8Array {
  const out = new Writer();
  const kind = random.pick([1, 1, 5, 5, 3, 7]);
  out.u32(kind).byte(kind < 4 ? 0 : 0x70);
  return out
    .list(Array.from({ length: random.below(6) }), () => {
      if (kind < 4) out.u32(random.below(functions));
      else if (random.once(4)) out.bytes([0xd0, 0x70, 0x0b]);
      else out.byte(0xd2).u32(random.below(functions)).byte(0x0b);
    })
    .done();
}

/** Its place is known without the host. */
function checkElement(bytes: Uint8Array): Uint8Array {
  const kind = bytes[0] ?? 0;
  if (((kind & 3) === 0 && bytes[1] === 0x23) || ((kind & 3) === 2 && bytes[2] === 0x23))
    throw new RangeError("an element segment whose place the host would know");
  return bytes;
}

/** A module to compare, out of one by Binaryen. Throws RangeError for what uses a feature that it should not. */
export function adapt(bytes: Uint8Array, random: Random): Module {
  const module = readModule(bytes);
  const types = new Types(module.types);
  // indices of more than one byte, now and then
  const fillers = random.once(6) ? WIDE : 0;
  for (let i = 0; i < fillers; i++)
    types.list.push({
      params: random.once(2) ? [I32, random.pick(VALUE_TYPES)] : [],
      results: [random.pick(VALUE_TYPES)],
    });
  const strangers = module.imports.flatMap((item) => (item.kind === EXTERNAL.function ? [item] : []));
  const own = module.functions;
  const before = strangers.length + own.length + fillers;
  const strangeGlobals = module.imports.flatMap((item) => (item.kind === EXTERNAL.global ? [item] : []));
  const globals: Global[] = [
    ...strangeGlobals.map(({ type, mutable }) => ({ type, mutable, init: zero(type) })),
    ...module.globals.map((global) => ({ ...global, init: constantInit(global.init, global.type) })),
    ...Array.from({ length: fillers }, () => ({ type: I32, mutable: true, init: zero(I32) })),
  ];
  const mixed = globals.length;
  const fuel = globals.length + 1;
  const limits = [...importedLimits(module, EXTERNAL.memory), ...module.memories];
  const memories = limits
    .slice(0, 1)
    .map(() => ({ min: 1 + random.below(2), max: random.pick([2, MOST_PAGES]) }));
  const tables = [...importedLimits(module, EXTERNAL.table), ...module.tables]
    .slice(0, 1)
    .map(({ min }) => ({ min: Math.max(min, FEWEST_ELEMENTS), max: undefined }));
  const [table] = tables;
  if (table !== undefined && table.min > MOST_ELEMENTS)
    throw new RangeError("a table too large for the engine");

  const functions = [...strangers.map(({ type }) => type), ...own];
  const mixer = (type: number): number => before + (VALUE_TYPES as readonly number[]).indexOf(type);
  const helpers: { readonly name?: string; readonly type: number; readonly body: Body }[] = VALUE_TYPES.map(
    (type) => ({ type: types.indexOf([type], []), body: standIn({ params: [type], results: [] }, mixed) }),
  );
  helpers.push({
    name: FUEL,
    type: types.indexOf([I32], []),
    body: body((out) => out.byte(0x20).u32(0).byte(0x24).u32(fuel)),
  });
  [...globals, { type: I64 }].forEach(({ type }, index) =>
    helpers.push({
      name: index === mixed ? MIXED : globalName(index),
      type: types.indexOf([], [type]),
      body: body((out) => out.byte(0x23).u32(index)),
    }),
  );
  if (table !== undefined)
    for (const index of new Set([...strangers.map(({ type }) => type), ...own].slice(0, MOST_TABLE_TYPES)))
      helpers.push({
        name: `${TABLE}${index}`,
        type: types.indexOf([I32], []),
        body: throughTable(types.list[index] ?? { params: [], results: [] }, index, mixer),
      });
  if (memories.length > 0) helpers.push({ name: HASH, type: types.indexOf([], [I64]), body: hashBody() });

  // Binaryen makes but the one that fills the table
  const elements = module.elements.map(checkElement);
  if (table !== undefined)
    for (let more = random.below(4); more > 0; more--)
      elements.push(passiveElement(random, functions.length));
  const around: Surroundings = {
    types: types.list,
    functions,
    globals: globals.map(({ type, mutable }, index) => ({ type, mutable, index })),
    hasMemory: memories.length > 0,
    tableSize: table?.min ?? 0,
    elementSegments: elements.length,
    dataSegments: module.data.length,
    mixer,
  };
  const lengthens = random.once(5);
  const bodies = module.bodies.map((original, i) => {
    const type = types.list[own[i] ?? -1];
    if (type === undefined) throw new RangeError("a function of no type");
    return lengthened(random, metered(sprinkle(random, original, type, around), fuel), lengthens);
  });
  const nothing = types.indexOf([], []);
  const nothings = Array.from({ length: fillers }, () => body(() => undefined));
  const added = helpers.flatMap(({ name }, i): Exported[] =>
    name === undefined ? [] : [{ name, kind: EXTERNAL.function, index: before + i }],
  );
  return {
    types: types.list,
    imports: [],
    functions: [...functions, ...nothings.map(() => nothing), ...helpers.map(({ type }) => type)],
    tables,
    memories,
    globals: [
      ...globals,
      { type: I64, mutable: true, init: zero(I64) },
      { type: I32, mutable: true, init: Uint8Array.of(0x41, 0xe4, 0x00, 0x0b) }, // 100, for the start function
    ],
    // each function by itself: what nobody calls can't differ
    exports: [
      ...bodies.map((_, i) => ({ name: `f${i}`, kind: EXTERNAL.function, index: strangers.length + i })),
      ...added,
    ],
    start: module.start,
    elements,
    hasDataCount: module.data.length > 0,
    bodies: [
      ...strangers.map(({ type }) => standIn(types.list[type] ?? { params: [], results: [] }, mixed)),
      ...bodies,
      ...nothings,
      ...helpers.map((helper) => helper.body),
    ],
    data: module.data.map(insidePage),
  };
}

export interface CallableExport {
  readonly name: string;
  readonly params: readonly number[];
  readonly results: readonly number[];
}

export function callableExports(module: Module): CallableExport[] {
  return module.exports.flatMap(({ name, kind, index }) => {
    const type = module.types[module.functions[index] ?? -1];
    return kind === EXTERNAL.function && type !== undefined ? [{ name, ...type }] : [];
  });
}

const CANONICAL = new Map<number, readonly number[]>([
  [F32, [0x43, 0, 0, 0xc0, 0x7f]],
  [F64, [0x44, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f]],
]);

/** x if x = x, else the positive canonical NaN */
function canonicalBody(type: number): Body {
  return body((out) => {
    out.byte(0x20).byte(0);
    out.bytes(CANONICAL.get(type) ?? []);
    out.byte(0x20).byte(0).byte(0x20).byte(0);
    out.byte(type === F32 ? 0x5b : 0x61).byte(0x1b);
  });
}

function bitsOf(type: number): number {
  return type === F32 ? I32 : type === F64 ? I64 : type;
}

/** The twin for V8. Exports have the same names, and their floats are integers of the same bits. */
export function twin(module: Module): Module {
  const types = new Types(module.types);
  const count = module.functions.length;
  const canonical = new Map([
    [F32, count],
    [F64, count + 1],
  ]);
  const bodies = module.bodies.map(({ locals, code }): Body => {
    const out = new Writer();
    for (const { opcode, start, end } of instructions(code)) {
      out.bytes(code.subarray(start, end));
      const nan = givesNan(opcode);
      if (nan !== 0) out.byte(0x10).u32(canonical.get(nan) ?? 0);
    }
    return { locals, code: out.done() };
  });
  const functions = [...module.functions, types.indexOf([F32], [F32]), types.indexOf([F64], [F64])];
  bodies.push(canonicalBody(F32), canonicalBody(F64));
  const exports = module.exports.map((item) => {
    const type = module.types[module.functions[item.index] ?? -1];
    if (item.kind !== EXTERNAL.function || type === undefined) return item;
    if (![...type.params, ...type.results].some(isFloat)) return item;
    functions.push(types.indexOf(type.params.map(bitsOf), type.results.map(bitsOf)));
    bodies.push(wrapper(type, item.index));
    return { ...item, index: functions.length - 1 };
  });
  return { ...module, types: types.list, functions, bodies, exports };
}

/** Calls `callee` with floats for integers, and gives integers for floats. */
function wrapper({ params, results }: FunctionType, callee: number): Body {
  const locals = results.map((type) => [1, bitsOf(type)] as const);
  return body((out) => {
    params.forEach((type, i) => {
      out.byte(0x20).u32(i);
      if (isFloat(type)) out.byte(type === F32 ? 0xbe : 0xbf);
    });
    out.byte(0x10).u32(callee);
    const place = (i: number): number => params.length + i;
    for (let i = results.length - 1; i >= 0; i--) {
      const type = results[i] ?? I32;
      if (isFloat(type)) out.byte(type === F32 ? 0xbc : 0xbd);
      out.byte(0x21).u32(place(i));
    }
    results.forEach((_, i) => out.byte(0x20).u32(place(i)));
  }, locals);
}
