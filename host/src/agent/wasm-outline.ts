/** Reads a WebAssembly module's outline: sections, imports, exports, and which function calls which. */
import { EdgePlugError } from "../errors.js";

export interface WasmImport {
  module: string;
  name: string;
  /** func, table, memory, global or tag */
  kind: string;
}

export interface WasmExport {
  name: string;
  kind: string;
  index: number;
}

export interface WasmFunction {
  /** Where its body begins and ends, bytes of the module; both 0 for an imported one. */
  start: number;
  end: number;
  calls: number[];
  callsIndirectly: boolean;
  growsMemory: boolean;
}

export interface WasmOutline {
  imports: WasmImport[];
  exports: WasmExport[];
  /** By function index; imported ones come first and call nothing. */
  functions: WasmFunction[];
  /** Functions that an element segment or ref.func names, so that any indirect call may reach them. */
  indirect: number[];
  start?: number;
  /** Declared minimum, in pages of 64 KiB; undefined = no memory. */
  memoryPages?: number;
  custom: { name: string; contents: Uint8Array }[];
  /** In the module's order; a custom one as `custom NAME`. `size` is that of its contents. */
  sections: { name: string; size: number }[];
  /** Where the static data end, bytes of linear memory; 0 without any. */
  dataEnd: number;
}

const SECTION_NAMES = [
  "custom",
  "type",
  "import",
  "function",
  "table",
  "memory",
  "global",
  "export",
  "start",
  "element",
  "code",
  "data",
  "data count",
] as const;

const KINDS = ["func", "table", "memory", "global", "tag"] as const;
const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/** A cursor over bytes, in the encodings of the WebAssembly spec section 5. */
class Reader {
  at = 0;
  /** `base` is where `bytes` begin in the module. */
  constructor(
    readonly bytes: Uint8Array,
    readonly base = 0,
  ) {}

  get left(): number {
    return this.bytes.length - this.at;
  }

  byte(): number {
    const byte = this.bytes[this.at++];
    if (byte === undefined) throw new RangeError("unexpected end");
    return byte;
  }

  /** LEB128 of any width. Signed ones are only skipped by it, so their value doesn't matter. */
  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new RangeError("integer representation too long");
  }

  take(size: number): Uint8Array {
    if (size > this.left) throw new RangeError("unexpected end");
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at);
  }

  /** A reader of the next `size` bytes, which this one leaves behind. */
  part(size: number): Reader {
    const base = this.base + this.at;
    return new Reader(this.take(size), base);
  }

  name(): string {
    return Buffer.from(this.take(this.u32())).toString("utf8");
  }

  list<T>(read: () => T): T[] {
    return Array.from({ length: this.count() }, read);
  }

  count(): number {
    const count = this.u32();
    if (count > this.left) throw new RangeError("unexpected end");
    return count;
  }
}

export function isWasm(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, at) => bytes[at] === byte);
}

/** Outline of a valid module (validity itself is checked by V8 and by the board's engine). Throws MODULE_MALFORMED. */
export function readWasm(bytes: Uint8Array): WasmOutline {
  if (!isWasm(bytes)) throw new EdgePlugError("MODULE_MALFORMED", "This is no WebAssembly module.");
  try {
    return readSections(new Reader(bytes.subarray(MAGIC.length), MAGIC.length));
  } catch (error) {
    if (error instanceof EdgePlugError) throw error;
    throw new EdgePlugError("MODULE_MALFORMED", `The module can't be read: ${(error as Error).message}.`, {
      cause: error,
    });
  }
}

function readSections(reader: Reader): WasmOutline {
  const outline: WasmOutline = {
    imports: [],
    exports: [],
    functions: [],
    indirect: [],
    custom: [],
    sections: [],
    dataEnd: 0,
  };
  while (reader.left > 0) {
    const id = reader.byte();
    const section = reader.part(reader.u32());
    const size = section.left;
    if (id === 0) outline.custom.push({ name: section.name(), contents: section.take(section.left) });
    const name = id === 0 ? `custom ${outline.custom.at(-1)?.name ?? ""}` : (SECTION_NAMES[id] ?? `${id}`);
    outline.sections.push({ name, size });
    if (id === 2) readImports(section, outline);
    else if (id === 5) outline.memoryPages = section.list(() => readLimits(section))[0] ?? 0;
    else if (id === 6) readGlobals(section, outline);
    else if (id === 7) readExports(section, outline);
    else if (id === 8) outline.start = section.u32();
    else if (id === 9) readElements(section, outline);
    else if (id === 11) readData(section, outline);
    else if (id === 10)
      section.list(() => outline.functions.push(readBody(section.part(section.u32()), outline)));
  }
  return outline;
}

function newFunction(start: number, end: number): WasmFunction {
  return { start, end, calls: [], callsIndirectly: false, growsMemory: false };
}

function readLimits(reader: Reader): number {
  const flags = reader.byte();
  const min = reader.u32();
  if ((flags & 1) !== 0) reader.u32();
  return min;
}

function readImports(reader: Reader, outline: WasmOutline): void {
  reader.list(() => {
    const module = reader.name();
    const name = reader.name();
    const kind = kindOf(reader.byte());
    if (kind === "func") {
      reader.u32();
      outline.functions.push(newFunction(0, 0));
    } else if (kind === "table") {
      reader.byte();
      readLimits(reader);
    } else if (kind === "memory") readLimits(reader);
    else reader.take(2);
    outline.imports.push({ module, name, kind });
  });
}

function kindOf(byte: number): string {
  const kind = KINDS[byte];
  if (kind === undefined) throw new RangeError("malformed import kind");
  return kind;
}

function readExports(reader: Reader, outline: WasmOutline): void {
  outline.exports = reader.list(() => ({
    name: reader.name(),
    kind: kindOf(reader.byte()),
    index: reader.u32(),
  }));
}

function readGlobals(reader: Reader, outline: WasmOutline): void {
  reader.list(() => {
    reader.take(2);
    readExpression(reader, outline);
  });
}

/** Element segments in all eight forms (spec section 5.5.12). */
function readElements(reader: Reader, outline: WasmOutline): void {
  reader.list(() => {
    const flags = reader.u32();
    if ((flags & 1) === 0) {
      if ((flags & 2) !== 0) reader.u32();
      readExpression(reader, outline);
    }
    if ((flags & 3) !== 0) reader.byte();
    if ((flags & 4) === 0) outline.indirect.push(...reader.list(() => reader.u32()));
    else
      reader.list(() => {
        readExpression(reader, outline);
      });
  });
}

/** Data segments in all three forms (spec section 5.5.14); those with a constant place reach up to dataEnd. */
function readData(reader: Reader, outline: WasmOutline): void {
  reader.list(() => {
    const flags = reader.u32();
    if (flags === 2) reader.u32();
    const constant = new Reader(reader.bytes.subarray(reader.at));
    if (flags !== 1) readExpression(reader, outline);
    const size = reader.take(reader.u32()).length;
    if (flags !== 1 && constant.byte() === I32_CONST)
      outline.dataEnd = Math.max(outline.dataEnd, constant.u32() + size);
  });
}

const I32_CONST = 0x41;

function readExpression(reader: Reader, outline: WasmOutline): void {
  const body = newFunction(0, 0);
  for (let opcode = reader.byte(); opcode !== 0x0b; opcode = reader.byte())
    readInstruction(opcode, reader, body, outline);
}

function readBody(reader: Reader, outline: WasmOutline): WasmFunction {
  const body = newFunction(reader.base, reader.base + reader.left);
  reader.list(() => {
    reader.u32();
    reader.byte();
  });
  while (reader.left > 0) readInstruction(reader.byte(), reader, body, outline);
  return body;
}

/** Skips one instruction's immediates (spec section 5.4) and notes what matters of it. */
function readInstruction(opcode: number, reader: Reader, body: WasmFunction, outline: WasmOutline): void {
  if (opcode === 0x10 || opcode === 0x12) body.calls.push(reader.u32());
  else if (opcode === 0x11 || opcode === 0x13) {
    body.callsIndirectly = true;
    reader.u32();
    reader.u32();
  } else if (opcode === 0x40) {
    body.growsMemory = true;
    reader.byte();
  } else if (opcode === 0xd2) outline.indirect.push(reader.u32());
  else if (opcode === 0x0e) {
    reader.list(() => reader.u32());
    reader.u32();
  } else if (opcode === 0x1c) reader.list(() => reader.byte());
  else if (opcode === 0x43) reader.take(4);
  else if (opcode === 0x44) reader.take(8);
  else if (opcode === 0xfc) skipPrefixed(reader);
  else if (opcode >= 0x28 && opcode <= 0x3e) {
    reader.u32();
    reader.u32();
  } else if (ONE_IMMEDIATE.has(opcode)) reader.u32();
  else if (opcode > 0xd2 || (opcode > 0xc4 && opcode < 0xd0))
    throw new EdgePlugError(
      "MODULE_UNSUPPORTED",
      `The module uses opcode 0x${opcode.toString(16)}, which no board knows.`,
    );
}

/** block, loop, if, br, br_if, local.*, global.*, table.get, table.set, memory.size, i32.const, i64.const, ref.null */
const ONE_IMMEDIATE = new Set([
  0x02, 0x03, 0x04, 0x0c, 0x0d, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x3f, 0x41, 0x42, 0xd0,
]);

/** Saturating truncations take none; memory.init, memory.copy, table.init and table.copy two; the others one. */
function skipPrefixed(reader: Reader): void {
  const sub = reader.u32();
  if (sub < 8) return;
  reader.u32();
  if (sub === 8 || sub === 10 || sub === 12 || sub === 14) reader.u32();
}

/** Functions that can run once `roots` are called. */
export function reachable(outline: WasmOutline, roots: readonly number[]): Set<number> {
  const seen = new Set<number>();
  const queue = [...roots];
  for (let index = queue.pop(); index !== undefined; index = queue.pop()) {
    const body = outline.functions[index];
    if (seen.has(index) || body === undefined) continue;
    seen.add(index);
    queue.push(...body.calls);
    if (body.callsIndirectly) queue.push(...outline.indirect);
  }
  return seen;
}

/** The module with a custom section appended; one of the same name is replaced. */
export function withCustomSection(bytes: Uint8Array, name: string, contents: Uint8Array): Uint8Array {
  const title = Buffer.from(name);
  const body = Buffer.concat([leb(title.length), title, contents]);
  return Uint8Array.from(
    Buffer.concat([withoutCustomSection(bytes, name), Uint8Array.of(0), leb(body.length), body]),
  );
}

/** The module without the custom sections of that name. */
export function withoutCustomSection(bytes: Uint8Array, name: string): Uint8Array {
  const reader = new Reader(bytes);
  const kept: Uint8Array[] = [reader.take(MAGIC.length)];
  while (reader.left > 0) {
    const begin = reader.at;
    const id = reader.byte();
    const section = new Reader(reader.take(reader.u32()));
    if (id !== 0 || section.name() !== name) kept.push(bytes.subarray(begin, reader.at));
  }
  return Uint8Array.from(Buffer.concat(kept));
}

function leb(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    rest >>>= 7;
  } while (rest > 0);
  return Uint8Array.from(bytes);
}
