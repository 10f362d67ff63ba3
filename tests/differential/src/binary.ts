/** Modules in memory, read from the binary format and written again (WebAssembly spec, section 5), as far as the engine's features go. */

export const I32 = 0x7f;
export const I64 = 0x7e;
export const F32 = 0x7d;
export const F64 = 0x7c;

export interface FunctionType {
  /** Value types by their bytes. */
  readonly params: readonly number[];
  readonly results: readonly number[];
}

export interface Limits {
  readonly min: number;
  readonly max: number | undefined;
}

export interface Global {
  readonly type: number;
  readonly mutable: boolean;
  /** A constant expression, `end` included. */
  readonly init: Uint8Array;
}

export const EXTERNAL = { function: 0, table: 1, memory: 2, global: 3 } as const;

export type Imported = { readonly module: string; readonly name: string } & (
  | { readonly kind: 0; readonly type: number }
  | { readonly kind: 1 | 2; readonly limits: Limits }
  | { readonly kind: 3; readonly type: number; readonly mutable: boolean }
);

export interface Exported {
  readonly name: string;
  readonly kind: number;
  readonly index: number;
}

export interface Body {
  /** Groups: how many of which type. */
  readonly locals: readonly (readonly [count: number, type: number])[];
  /** `end` included. */
  readonly code: Uint8Array;
}

export interface DataSegment {
  /** A constant expression, `end` included; undefined for a passive one. */
  readonly offset: Uint8Array | undefined;
  readonly bytes: Uint8Array;
}

/** Its index spaces are those of the binary format: what is imported comes first. */
export interface Module {
  readonly types: readonly FunctionType[];
  readonly imports: readonly Imported[];
  /** Type indices. */
  readonly functions: readonly number[];
  readonly tables: readonly Limits[];
  readonly memories: readonly Limits[];
  readonly globals: readonly Global[];
  readonly exports: readonly Exported[];
  readonly start: number | undefined;
  /** Whole segments as they are. */
  readonly elements: readonly Uint8Array[];
  readonly hasDataCount: boolean;
  readonly bodies: readonly Body[];
  readonly data: readonly DataSegment[];
}

export const PREAMBLE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

export class Reader {
  at: number;

  constructor(
    readonly bytes: Uint8Array,
    at = 0,
    readonly end = bytes.length,
  ) {
    this.at = at;
  }

  byte(): number {
    const byte = this.at < this.end ? this.bytes[this.at] : undefined;
    if (byte === undefined) throw new RangeError(`the bytes end at ${this.at}`);
    this.at++;
    return byte;
  }

  skip(count: number): void {
    this.at += count;
    if (this.at > this.end) throw new RangeError(`the bytes end at ${this.end}`);
  }

  take(count: number): Uint8Array {
    const from = this.at;
    this.skip(count);
    return this.bytes.slice(from, this.at);
  }

  /** An unsigned LEB128 number. */
  u32(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  /** Past a LEB128 number of either kind. */
  skipNumber(): void {
    while (this.byte() >= 0x80);
  }

  /** A signed one, as far as a JavaScript number holds it. */
  s64(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) return (byte & 0x40) === 0 ? value : value - scale;
    }
  }

  /**
   * A value type by its byte. The spec knows no other form (5.3.1); wabt takes it for a number, which may be longer, and so
   * does this.
   */
  type(): number {
    const number = this.s64();
    if (number >= 0 || number < -64) throw new RangeError(`a type of number ${number}`);
    return number + 128;
  }

  list<T>(read: () => T): T[] {
    return Array.from({ length: this.u32() }, read);
  }

  name(): string {
    return new TextDecoder().decode(this.take(this.u32()));
  }
}

/** Bytes that grow. */
export class Writer {
  #bytes = new Uint8Array(256);
  size = 0;

  byte(value: number): this {
    this.#reserve(1);
    this.#bytes[this.size++] = value;
    return this;
  }

  bytes(values: ArrayLike<number>): this {
    this.#reserve(values.length);
    this.#bytes.set(values, this.size);
    this.size += values.length;
    return this;
  }

  u32(value: number): this {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 128)) this.byte((rest & 0x7f) | 0x80);
    return this.byte(rest);
  }

  s64(value: bigint): this {
    let rest = value;
    for (;;) {
      const byte = Number(rest & 0x7fn);
      rest >>= 7n;
      if (rest === ((byte & 0x40) === 0 ? 0n : -1n)) return this.byte(byte);
      this.byte(byte | 0x80);
    }
  }

  list<T>(items: readonly T[], write: (item: T) => unknown): this {
    this.u32(items.length);
    for (const item of items) write(item);
    return this;
  }

  name(text: string): this {
    const bytes = new TextEncoder().encode(text);
    return this.u32(bytes.length).bytes(bytes);
  }

  done(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.size);
  }

  #reserve(count: number): void {
    if (this.size + count <= this.#bytes.length) return;
    const bytes = new Uint8Array(2 * (this.size + count));
    bytes.set(this.#bytes.subarray(0, this.size));
    this.#bytes = bytes;
  }
}

/** Past the immediates of an instruction whose opcode has just been read. */
export function skipImmediates(reader: Reader, opcode: number): void {
  if (opcode >= 0x45 && opcode <= 0xc4) return;
  if (opcode >= 0x28 && opcode <= 0x3e) {
    reader.skipNumber();
    reader.skipNumber();
    return;
  }
  switch (opcode) {
    case 0x00: // unreachable, nop, else, end, return, drop, select
    case 0x01:
    case 0x05:
    case 0x0b:
    case 0x0f:
    case 0x1a:
    case 0x1b:
      return;
    case 0x0e: // br_table
      for (let count = reader.u32() + 1; count > 0; count--) reader.skipNumber();
      return;
    case 0x1c: // select of a type, which belongs to reference types
      for (let count = reader.u32(); count > 0; count--) reader.skipNumber();
      return;
    case 0x11: // call_indirect
      reader.skipNumber();
      reader.skipNumber();
      return;
    case 0x43:
      reader.skip(4);
      return;
    case 0x44:
      reader.skip(8);
      return;
    case 0xfc:
      skipPrefixed(reader);
      return;
    case 0x02: // block, loop, if: a type
    case 0x03:
    case 0x04:
    case 0x0c: // br, br_if, call: an index
    case 0x0d:
    case 0x10:
    case 0x20: // local.get to global.set
    case 0x21:
    case 0x22:
    case 0x23:
    case 0x24:
    case 0x3f: // memory.size, memory.grow
    case 0x40:
    case 0x41: // i32.const, i64.const
    case 0x42:
    case 0xd0: // ref.null, ref.func: in element segments
    case 0xd2:
      reader.skipNumber();
      return;
    default:
      throw new RangeError(`opcode 0x${opcode.toString(16)} at ${reader.at - 1}`);
  }
}

function skipPrefixed(reader: Reader): void {
  const code = reader.u32();
  if (code > 17) throw new RangeError(`opcode 0xfc ${code}`);
  // memory.init, memory.copy, table.init, table.copy have two; data.drop, memory.fill, elem.drop one, and so have
  // table.grow, table.size and table.fill, which belong to reference types
  const indices = code < 8 ? 0 : code === 9 || code === 11 || code === 13 || code > 14 ? 1 : 2;
  for (let i = 0; i < indices; i++) reader.skipNumber();
}

/** One instruction of a body. */
export interface Instruction {
  /** With 0xfc00 added for those behind the prefix 0xFC. */
  readonly opcode: number;
  readonly start: number;
  readonly end: number;
}

export function instructions(code: Uint8Array): Instruction[] {
  const list: Instruction[] = [];
  const reader = new Reader(code);
  while (reader.at < code.length) {
    const start = reader.at;
    const first = reader.byte();
    const opcode = first === 0xfc ? 0xfc00 + (code[start + 1] ?? 0) : first;
    skipImmediates(reader, first);
    list.push({ opcode, start, end: reader.at });
  }
  return list;
}

/** A LEB128 number in code. */
export interface NumberPlace {
  readonly start: number;
  readonly end: number;
  readonly signed: boolean;
  /** Bytes that it may have. */
  readonly most: number;
}

/**
 * All of them, but for those that have to be one byte: types of blocks, reserved indices (which this engine, as the version
 * of the spec that it follows, wants as a byte 0).
 */
export function numbersIn(code: Uint8Array): NumberPlace[] {
  const list: NumberPlace[] = [];
  for (const { opcode, start, end } of instructions(code)) {
    if (opcode === 0x43 || opcode === 0x44 || opcode === 0x3f || opcode === 0x40) continue;
    if (opcode >= 0xfc00) continue;
    const reader = new Reader(code, start + 1, end);
    const isBlock = opcode >= 0x02 && opcode <= 0x04;
    const signed = opcode === 0x41 || opcode === 0x42 || isBlock;
    for (let index = 0; reader.at < end; index++) {
      const from = reader.at;
      const type = isBlock ? (code[from] ?? 0) : 0;
      reader.skipNumber();
      if ((isBlock && type >= 0x40 && type < 0x80) || (opcode === 0x11 && index === 1)) continue;
      list.push({ start: from, end: reader.at, signed, most: opcode === 0x42 ? 10 : 5 });
    }
  }
  return list;
}

function readLimits(reader: Reader): Limits {
  const flags = reader.byte();
  if (flags > 1) throw new RangeError(`limits of kind ${flags}`);
  return { min: reader.u32(), max: flags === 1 ? reader.u32() : undefined };
}

function readTable(reader: Reader): Limits {
  const type = reader.type();
  if (type !== 0x70) throw new RangeError(`a table of type ${type}`);
  return readLimits(reader);
}

/** A constant expression, `end` included. */
export function readExpression(reader: Reader): Uint8Array {
  const from = reader.at;
  for (;;) {
    const opcode = reader.byte();
    skipImmediates(reader, opcode);
    if (opcode === 0x0b) return reader.bytes.slice(from, reader.at);
  }
}

function readImport(reader: Reader): Imported {
  const module = reader.name();
  const name = reader.name();
  const kind = reader.byte();
  switch (kind) {
    case EXTERNAL.function:
      return { module, name, kind, type: reader.u32() };
    case EXTERNAL.table:
      return { module, name, kind, limits: readTable(reader) };
    case EXTERNAL.memory:
      return { module, name, kind, limits: readLimits(reader) };
    case EXTERNAL.global:
      return { module, name, kind, type: reader.type(), mutable: reader.byte() === 1 };
    default:
      throw new RangeError(`an import of kind ${kind}`);
  }
}

/** An element segment, of functions' indices or of expressions (5.5.12: its kind is three bits). */
export function readElement(reader: Reader): Uint8Array {
  const from = reader.at;
  const kind = reader.u32();
  if (kind > 7) throw new RangeError(`an element segment of kind ${kind}`);
  const isActive = (kind & 1) === 0;
  if (isActive && (kind & 2) !== 0) reader.skipNumber();
  if (isActive) readExpression(reader);
  if ((kind & 3) !== 0) reader.skipNumber();
  for (let count = reader.u32(); count > 0; count--)
    if (kind < 4) reader.skipNumber();
    else readExpression(reader);
  return reader.bytes.slice(from, reader.at);
}

function readData(reader: Reader): DataSegment {
  const kind = reader.u32();
  if (kind > 1) throw new RangeError(`a data segment of kind ${kind}`);
  const offset = kind === 0 ? readExpression(reader) : undefined;
  return { offset, bytes: reader.take(reader.u32()) };
}

/** Where a module's sections lie, custom ones included; the contents without id and size. */
export interface Section {
  readonly id: number;
  readonly start: number;
  readonly contents: number;
  readonly end: number;
}

export function sections(bytes: Uint8Array): Section[] {
  const reader = new Reader(bytes, PREAMBLE.length);
  const list: Section[] = [];
  while (reader.at < bytes.length) {
    const start = reader.at;
    const id = reader.byte();
    const size = reader.u32();
    list.push({ id, start, contents: reader.at, end: reader.at + size });
    reader.skip(size);
  }
  return list;
}

/** Throws RangeError for what it doesn't know; it validates nothing. */
export function readModule(bytes: Uint8Array): Module {
  const places = new Map(sections(bytes).map((section) => [section.id, section]));
  const open = (id: number): Reader | undefined => {
    const place = places.get(id);
    return place && new Reader(bytes, place.contents, place.end);
  };
  const list = <T>(id: number, read: (reader: Reader) => T): T[] => {
    const reader = open(id);
    return reader?.list(() => read(reader)) ?? [];
  };
  const types = list(1, (reader) => {
    if (reader.byte() !== 0x60) throw new RangeError("a type that is none of functions");
    return { params: reader.list(() => reader.type()), results: reader.list(() => reader.type()) };
  });
  return {
    types,
    imports: list(2, readImport),
    functions: list(3, (reader) => reader.u32()),
    tables: list(4, readTable),
    memories: list(5, readLimits),
    globals: list(6, (reader) => ({
      type: reader.type(),
      mutable: reader.byte() === 1,
      init: readExpression(reader),
    })),
    exports: list(7, (reader) => ({ name: reader.name(), kind: reader.byte(), index: reader.u32() })),
    start: open(8)?.u32(),
    elements: list(9, readElement),
    hasDataCount: places.has(12),
    bodies: list(10, (reader) => {
      const size = reader.u32();
      const end = reader.at + size;
      const locals = reader.list(() => [reader.u32(), reader.type()] as const);
      return { locals, code: reader.take(end - reader.at) };
    }),
    data: list(11, readData),
  };
}

function writeLimits(writer: Writer, { min, max }: Limits): void {
  writer.byte(max === undefined ? 0 : 1).u32(min);
  if (max !== undefined) writer.u32(max);
}

function writeImport(writer: Writer, item: Imported): void {
  writer.name(item.module).name(item.name).byte(item.kind);
  if (item.kind === EXTERNAL.function) writer.u32(item.type);
  else if (item.kind === EXTERNAL.global) writer.byte(item.type).byte(item.mutable ? 1 : 0);
  else {
    if (item.kind === EXTERNAL.table) writer.byte(0x70);
    writeLimits(writer, item.limits);
  }
}

export function writeModule(module: Module): Uint8Array<ArrayBuffer> {
  const out = new Writer().bytes(PREAMBLE);
  const section = (id: number, write: (writer: Writer) => unknown): void => {
    const contents = new Writer();
    write(contents);
    out.byte(id).u32(contents.size).bytes(contents.done());
  };
  const list = <T>(id: number, items: readonly T[], write: (writer: Writer, item: T) => unknown): void => {
    if (items.length > 0) section(id, (writer) => writer.list(items, (item) => write(writer, item)));
  };
  const { start } = module;
  list(1, module.types, (writer, { params, results }) =>
    writer.byte(0x60).u32(params.length).bytes(params).u32(results.length).bytes(results),
  );
  list(2, module.imports, writeImport);
  list(3, module.functions, (writer, type) => writer.u32(type));
  list(4, module.tables, (writer, limits) => {
    writeLimits(writer.byte(0x70), limits);
  });
  list(5, module.memories, writeLimits);
  list(6, module.globals, (writer, { type, mutable, init }) =>
    writer
      .byte(type)
      .byte(mutable ? 1 : 0)
      .bytes(init),
  );
  list(7, module.exports, (writer, { name, kind, index }) => writer.name(name).byte(kind).u32(index));
  if (start !== undefined) section(8, (writer) => writer.u32(start));
  list(9, module.elements, (writer, bytes) => writer.bytes(bytes));
  if (module.hasDataCount) section(12, (writer) => writer.u32(module.data.length));
  list(10, module.bodies, (writer, { locals, code }) => {
    const groups = new Writer().list(locals, () => undefined);
    for (const [count, type] of locals) groups.u32(count).byte(type);
    return writer
      .u32(groups.size + code.length)
      .bytes(groups.done())
      .bytes(code);
  });
  list(11, module.data, (writer, { offset, bytes }) => {
    writer.u32(offset === undefined ? 1 : 0);
    if (offset !== undefined) writer.bytes(offset);
    return writer.u32(bytes.length).bytes(bytes);
  });
  return out.done();
}
