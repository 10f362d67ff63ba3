/** Small valid modules with something in every section, made without Binaryen: what mutants are made of. */
import {
  F32,
  F64,
  I32,
  I64,
  Writer,
  writeModule,
  type Body,
  type DataSegment,
  type Exported,
  type FunctionType,
  type Global,
  type Imported,
  type Module,
} from "./binary.js";
import { VALUE_TYPES } from "./operations.js";
import type { Random } from "./random.js";
import { sprinkle, type Surroundings } from "./sprinkle.js";

function someTypes(random: Random, most: number): number[] {
  return Array.from({ length: random.below(most + 1) }, () => random.pick(VALUE_TYPES));
}

/** What the conformance image offers, as the spec's tests define it. */
const OFFERED: readonly (readonly [string, readonly number[]])[] = [
  ["print", []],
  ["print_i32", [I32]],
  ["print_i64", [I64]],
  ["print_f32", [F32]],
  ["print_f64", [F64]],
  ["print_i32_f32", [I32, F32]],
  ["print_f64_f64", [F64, F64]],
];

const OFFERED_GLOBALS = [
  ["global_i32", I32],
  ["global_i64", I64],
  ["global_f32", F32],
  ["global_f64", F64],
] as const;

function constant(type: number): Uint8Array {
  const out = new Writer();
  if (type === I32 || type === I64) out.byte(type === I32 ? 0x41 : 0x42).byte(9);
  else out.byte(type === F32 ? 0x43 : 0x44).bytes(new Uint8Array(type === F32 ? 4 : 8));
  return out.byte(0x0b).done();
}

const AT_3 = Uint8Array.of(0x41, 3, 0x0b);

export function smallModule(random: Random): Uint8Array<ArrayBuffer> {
  const imports: Imported[] = [];
  // the mixers come first, so that pieces find them
  const mixers = [2, 3, 4, 5].map((i) => OFFERED[i - 1] as (typeof OFFERED)[number]);
  const types: FunctionType[] = mixers.map(([, params]) => ({ params, results: [] }));
  mixers.forEach(([name], type) => imports.push({ module: "spectest", name, kind: 0, type }));
  for (let count = random.below(4); count > 0; count--)
    types.push({ params: someTypes(random, 4), results: someTypes(random, random.once(3) ? 3 : 1) });
  const importedTable = random.once(4);
  const importedMemory = random.once(4);
  if (importedTable)
    imports.push({ module: "spectest", name: "table", kind: 1, limits: { min: 10, max: 20 } });
  if (importedMemory)
    imports.push({ module: "spectest", name: "memory", kind: 2, limits: { min: 1, max: 2 } });
  const strangeGlobals = OFFERED_GLOBALS.filter(() => random.once(4));
  for (const [name, type] of strangeGlobals)
    imports.push({ module: "spectest", name, kind: 3, type, mutable: false });

  const bodyCount = 1 + random.below(3);
  const functions = Array.from({ length: bodyCount }, () => random.below(types.length));
  const all = [...mixers.keys(), ...functions];
  const own: Global[] = Array.from({ length: random.below(4) }, () => {
    const type = random.pick(VALUE_TYPES);
    return { type, mutable: random.once(2), init: constant(type) };
  });
  const [first] = strangeGlobals;
  if (first !== undefined && random.once(2))
    own.push({ type: first[1], mutable: false, init: Uint8Array.of(0x23, 0, 0x0b) });
  const hasMemory = importedMemory || !random.once(5);
  const hasTable = importedTable || !random.once(4);

  const elements = hasTable ? Array.from({ length: random.below(4) }, () => element(random, all.length)) : [];
  const data: DataSegment[] = hasMemory
    ? Array.from({ length: random.below(4) }, () => ({
        offset: random.once(2) ? AT_3 : undefined,
        bytes: random.bytes(random.below(12)),
      }))
    : [];
  const around: Surroundings = {
    types,
    functions: all,
    globals: [...strangeGlobals.map(([, type]) => ({ type, mutable: false })), ...own].map(
      ({ type, mutable }, index) => ({ type, mutable, index }),
    ),
    hasMemory,
    tableSize: hasTable ? 10 : 0,
    elementSegments: elements.length,
    dataSegments: data.length,
    mixer: (type) => (VALUE_TYPES as readonly number[]).indexOf(type),
  };
  const start = random.once(2) ? functions.findIndex((index) => isStart(types[index])) : -1;
  const bodies = functions.map((index, i): Body => {
    const type = types[index] as FunctionType;
    const values = new Writer();
    for (const result of type.results) values.bytes(constant(result).slice(0, -1));
    const locals = random.once(2) ? [[1 + random.below(3), random.pick(VALUE_TYPES)] as const] : [];
    const code = values.byte(0x0b).done();
    const made = sprinkle(random, { locals, code }, type, around);
    return i === start ? skipped(made) : made;
  });
  const module: Module = {
    types,
    imports,
    functions,
    tables: hasTable && !importedTable ? [{ min: 10, max: random.once(2) ? 10 : undefined }] : [],
    memories: hasMemory && !importedMemory ? [{ min: 1, max: random.once(2) ? 2 : undefined }] : [],
    globals: own,
    exports: exportsOf(random, all.length, around, hasTable),
    start: start >= 0 ? mixers.length + start : undefined,
    elements,
    hasDataCount: data.length > 0,
    bodies,
    data,
  };
  return writeModule(module);
}

function isStart(type: FunctionType | undefined): boolean {
  return type?.params.length === 0 && type.results.length === 0;
}

/** Validated as ever, but not run: a loop in it may have lost its end, and nobody waits for two billion of fuel. */
function skipped({ locals, code }: Body): Body {
  return { locals, code: new Writer().bytes([0x02, 0x40, 0x41, 1, 0x0d, 0]).bytes(code).byte(0x0b).done() };
}

/** Of one of the eight kinds; those of expressions have `ref.null func` and `ref.func`. */
function element(random: Random, functions: number): Uint8Array {
  const out = new Writer();
  const kind = random.below(8);
  const isActive = (kind & 1) === 0;
  out.u32(kind);
  if (isActive && (kind & 2) !== 0) out.u32(0);
  if (isActive) out.bytes(AT_3);
  if ((kind & 3) !== 0) out.byte(kind < 4 ? 0 : 0x70);
  return out
    .list(Array.from({ length: random.below(4) }), () => {
      if (kind < 4) out.u32(random.below(functions));
      else if (random.once(3)) out.bytes([0xd0, 0x70, 0x0b]);
      else out.byte(0xd2).u32(random.below(functions)).byte(0x0b);
    })
    .done();
}

function exportsOf(random: Random, functions: number, around: Surroundings, hasTable: boolean): Exported[] {
  const list: Exported[] = [{ name: "f", kind: 0, index: random.below(functions) }];
  if (around.hasMemory && random.once(2)) list.push({ name: "memory", kind: 2, index: 0 });
  if (hasTable && random.once(2)) list.push({ name: "", kind: 1, index: 0 });
  if (around.globals.length > 0 && random.once(2)) list.push({ name: "gé", kind: 3, index: 0 });
  return list;
}
