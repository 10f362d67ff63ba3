/** Damages modules: in bytes, in sections, in numbers, and in instructions, where what comes out is a module still. */
import {
  PREAMBLE,
  Reader,
  Writer,
  instructions,
  readModule,
  sections,
  writeModule,
  type Module,
} from "./binary.js";
import type { Random } from "./random.js";

type Bytes = Uint8Array;

/** A damaged copy. Now and then it is as valid as it was. */
export function mutate(random: Random, original: Bytes): Bytes {
  let bytes = original;
  for (let times = random.once(4) ? 2 : 1; times > 0; times--) bytes = once(random, bytes);
  return bytes;
}

function once(random: Random, bytes: Bytes): Bytes {
  try {
    switch (random.below(10)) {
      case 0:
      case 1:
        return mutateBytes(random, bytes);
      case 2:
        return mutateSections(random, bytes);
      case 3:
        return writeModule(mutateModule(random, readModule(bytes)));
      case 4:
        return writeModule(mutateBody(random, readModule(bytes), padNumber));
      default:
        return writeModule(mutateBody(random, readModule(bytes), mutateCode));
    }
  } catch (error) {
    // damaged twice, it may be no module that could be read
    if (error instanceof RangeError) return mutateBytes(random, bytes);
    throw error;
  }
}

function splice(bytes: Bytes, start: number, end: number, replacement: ArrayLike<number>): Bytes {
  return new Writer().bytes(bytes.subarray(0, start)).bytes(replacement).bytes(bytes.subarray(end)).done();
}

function mutateBytes(random: Random, original: Bytes): Bytes {
  const bytes = original.slice();
  const at = random.once(50)
    ? random.below(bytes.length)
    : Math.min(8 + random.below(bytes.length), bytes.length);
  switch (random.below(7)) {
    case 0:
      return bytes.slice(0, at);
    case 1:
      return splice(bytes, at, at, [random.u32() & 0xff]);
    case 2:
      return splice(bytes, at, at + 1, []);
    case 3:
      bytes.copyWithin(at, random.below(bytes.length), random.below(bytes.length));
      return bytes;
    case 4:
      return splice(bytes, at, at + 1, [random.u32() & 0xff]);
    case 5:
      return splice(bytes, at, at + 1, [((bytes[at] ?? 0) + random.pick([-1, 1])) & 0xff]);
    default:
      return splice(bytes, at, at + 1, [(bytes[at] ?? 0) ^ (1 << random.below(8))]);
  }
}

function custom(random: Random): Bytes {
  const contents = random.pick([
    Uint8Array.of(0),
    Uint8Array.of(1, 0x61, 1, 2, 3),
    Uint8Array.of(2, 0xc3, 0xa9), // é
    Uint8Array.of(2, 0xc0, 0x80), // not of the shortest form
    Uint8Array.of(3, 0xed, 0xa0, 0x80), // a surrogate
    Uint8Array.of(4, 0xf0, 0x9f, 0x92, 0xa9, 0),
    Uint8Array.of(9, 0x61),
    Uint8Array.of(4, 0x6e, 0x61, 0x6d, 0x65, 0xff), // "name", and nonsense
    Uint8Array.of(),
  ]);
  return new Writer().byte(0).u32(contents.length).bytes(contents).done();
}

function mutateSections(random: Random, bytes: Bytes): Bytes {
  const list = sections(bytes).map(({ start, end }): Bytes => bytes.slice(start, end));
  const at = random.below(Math.max(1, list.length));
  const section = list[at] ?? Uint8Array.of();
  switch (random.below(8)) {
    case 0:
      list.splice(at, 1);
      break;
    case 1:
      list.splice(at, 0, section);
      break;
    case 2: {
      list.splice(at, 1);
      list.splice(random.below(list.length + 1), 0, section);
      break;
    }
    case 3:
      list.splice(random.below(list.length + 1), 0, custom(random));
      break;
    case 4:
      list[at] = splice(section, 0, 1, [random.below(16)]);
      break;
    case 5: {
      // longer or shorter than it says
      const reader = new Reader(section, 1);
      const size = reader.u32();
      const wrong = new Writer().u32(Math.max(0, size + random.pick([-2, -1, 1, 2])));
      list[at] = splice(section, 1, reader.at, wrong.done());
      break;
    }
    case 6: {
      const reader = new Reader(section, 1);
      reader.skipNumber();
      list[at] = splice(section, 1, reader.at, padded(random, section.slice(1, reader.at), false));
      break;
    }
    default: {
      // a count of entries that is not theirs
      const reader = new Reader(section, 1);
      reader.skipNumber();
      const from = reader.at;
      const count = reader.u32();
      const other = new Writer().u32(
        random.once(4) ? random.u32() : Math.max(0, count + random.pick([-1, 1])),
      );
      const contents = splice(section.slice(from), 0, reader.at - from, other.done());
      list[at] = new Writer()
        .byte(section[0] ?? 0)
        .u32(contents.length)
        .bytes(contents)
        .done();
    }
  }
  const out = new Writer().bytes(PREAMBLE);
  for (const part of list) out.bytes(part);
  return out.done();
}

/** The same number in more bytes than it needs, up to more than are allowed, and with bits that do not count. */
function padded(random: Random, number: Bytes, signed: boolean): Bytes {
  const last = number[number.length - 1] ?? 0;
  const fill = signed && (last & 0x40) !== 0 ? 0x7f : 0;
  const length = number.length + 1 + random.below(10);
  const bytes = Uint8Array.from({ length }, (_, i) => 0x80 | (number[i] ?? fill));
  bytes[number.length - 1] = last | 0x80;
  bytes[length - 1] = fill;
  if (random.once(3))
    bytes[length - 1] = random.pick([0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x70, 0x78, 0x7e, 0x3f]);
  return bytes;
}

function padNumber(random: Random, code: Bytes): Bytes {
  const numbers: { readonly start: number; readonly end: number; readonly signed: boolean }[] = [];
  for (const { opcode, start, end } of instructions(code)) {
    if (opcode === 0x43 || opcode === 0x44) continue;
    const reader = new Reader(code, start + 1, end);
    const signed = opcode === 0x41 || opcode === 0x42 || (opcode >= 0x02 && opcode <= 0x04);
    while (reader.at < end) {
      const from = reader.at;
      reader.skipNumber();
      numbers.push({ start: from, end: reader.at, signed });
    }
  }
  if (numbers.length === 0) return code;
  const { start, end, signed } = random.pick(numbers);
  return splice(code, start, end, padded(random, code.slice(start, end), signed));
}

/** Instructions that turn up where none is expected; also such as the engine leaves out. */
const INTRUDERS: readonly (readonly number[])[] = [
  ...[[0x00], [0x01], [0x05], [0x0b], [0x0f], [0x1a], [0x1b], [0x0c, 0], [0x0c, 1], [0x0d, 0], [0x0d, 1]],
  ...[
    [0x0e, 0, 0],
    [0x0e, 1, 0, 1],
    [0x0e, 2, 1, 1, 0],
    [0x10, 0],
    [0x10, 4],
    [0x11, 0, 0],
    [0x11, 1, 1],
  ],
  ...[
    [0x02, 0x40],
    [0x03, 0x40],
    [0x04, 0x40],
    [0x02, 0x7f],
    [0x03, 0x7e],
    [0x04, 0x7d],
    [0x02, 0],
    [0x03, 1],
  ],
  ...[
    [0x04, 2],
    [0x02, 0x70],
    [0x02, 0x6f],
    [0x02, 0x7b],
    [0x41, 0],
    [0x42, 0],
    [0x43, 0, 0, 0, 0],
  ],
  ...[
    [0x44, 0, 0, 0, 0, 0, 0, 0, 0],
    [0x20, 0],
    [0x21, 0],
    [0x22, 1],
    [0x23, 0],
    [0x24, 0],
    [0x24, 1],
  ],
  ...[
    [0x3f, 0],
    [0x40, 0],
    [0x3f, 1],
    [0x40, 0x80, 0],
    [0x28, 2, 0],
    [0x28, 3, 0],
    [0x36, 0, 0x7f],
  ],
  ...[
    [0x29, 4, 0],
    [0x2c, 1, 0],
    [0x37, 0x40, 0],
    [0x28, 0x42, 0, 0],
    [0xfc, 8, 0, 0],
    [0xfc, 9, 0],
  ],
  ...[
    [0xfc, 10, 0, 0],
    [0xfc, 10, 0, 1],
    [0xfc, 11, 0],
    [0xfc, 12, 0, 0],
    [0xfc, 13, 0],
    [0xfc, 14, 0, 0],
  ],
  ...[
    [0xfc, 14, 1, 0],
    [0xfc, 0x80, 0],
    [0xfc, 18],
    [0xfc, 0x8a, 0x80, 0x80, 0x80, 0, 0, 0],
    [0xfc, 8, 9, 0],
  ],
  // references, vectors, tail calls, exceptions, threads, and what is nothing
  ...[[0x1c, 1, 0x7f], [0xd0, 0x70], [0xd1], [0xd2, 0], [0x25, 0], [0x26, 0], [0xfc, 15, 0], [0xfc, 16, 0]],
  ...[
    [0xfc, 17, 0],
    [0xfd, 0x0c],
    [0x12, 0],
    [0x13, 0, 0],
    [0x06, 0x40],
    [0x08, 0],
    [0xfe, 3, 0],
    [0x27],
    [0xff],
  ],
  ...[[0xc5], [0xe9], [0xed, 0], [0xf0], [0x14, 0], [0x1e], [0x07, 0], [0x09, 0], [0x18, 0], [0x19]],
];

function mutateCode(random: Random, code: Bytes): Bytes {
  const list = instructions(code);
  const { opcode, start, end } = random.pick(list);
  const other = random.pick(list);
  switch (random.below(9)) {
    case 0:
      return splice(code, start, end, []);
    case 1:
      return splice(code, start, start, code.slice(start, end));
    case 2:
      return splice(code, start, end, code.slice(other.start, other.end));
    case 3:
      return splice(code, start, start, code.slice(other.start, other.end));
    case 4:
      return splice(code, start, start, random.pick(INTRUDERS));
    case 5:
      return splice(code, start, end, random.pick(INTRUDERS));
    case 6:
      // another of its kind: of other types, mostly
      if (opcode >= 0x45 && opcode <= 0xc4)
        return splice(code, start, start + 1, [0x45 + random.below(0x81)]);
      if (opcode >= 0x28 && opcode <= 0x3e)
        return splice(code, start, start + 1, [0x28 + random.below(0x17)]);
      if (opcode >= 0x20 && opcode <= 0x24) return splice(code, start, start + 1, [0x20 + random.below(5)]);
      if (opcode >= 0x02 && opcode <= 0x04) return splice(code, start, start + 1, [0x02 + random.below(3)]);
      if (opcode >= 0xfc00) return splice(code, start + 1, start + 2, [random.below(18)]);
      return splice(code, start, start + 1, [random.u32() & 0xff]);
    case 7:
      if (end - start < 2) return splice(code, start, end, []);
      return splice(code, start + 1, start + 2, [
        ((code[start + 1] ?? 0) + random.pick([-1, 1, 2, 64])) & 0xff,
      ]);
    default: {
      if (end - start < 2) return splice(code, start, start, random.pick(INTRUDERS));
      const at = start + 1 + random.below(end - start - 1);
      return splice(code, at, at + 1, [random.u32() & 0xff]);
    }
  }
}

function mutateBody(random: Random, module: Module, change: (random: Random, code: Bytes) => Bytes): Module {
  if (module.bodies.length === 0) return module;
  const at = random.below(module.bodies.length);
  return {
    ...module,
    bodies: module.bodies.map((body, i) => (i === at ? { ...body, code: change(random, body.code) } : body)),
  };
}

/** Value types, and bytes that are one in other features or in none. */
const TYPES = [0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f, 0x40, 0x00, 0x78, 0x7a];

function changed<T>(random: Random, list: readonly T[], change: (item: T) => T): readonly T[] {
  if (list.length === 0) return list;
  const at = random.below(list.length);
  return list.map((item, i) => (i === at ? change(item) : item));
}

function mutateModule(random: Random, module: Module): Module {
  const type = random.pick(TYPES);
  const near = (value: number): number => Math.max(0, value + random.pick([-2, -1, 1, 2]));
  const limit = (): number => random.pick([0, 1, 2, 3, 10, 11, 65535, 65536, 65537, 0xffffffff]);
  const limits = (): { min: number; max: number | undefined } => ({
    min: limit(),
    max: random.once(2) ? undefined : limit(),
  });
  const { types, imports, functions, tables, memories, globals, exports, bodies, data, elements } = module;
  switch (random.below(14)) {
    case 0:
      return {
        ...module,
        types: changed(random, types, ({ params, results }) => ({ params, results: [...results, type] })),
      };
    case 1:
      return {
        ...module,
        types: changed(random, types, ({ params, results }) => ({
          params: changed(random, params, () => type),
          results: params.length > 0 ? results : results.slice(1),
        })),
      };
    case 2:
      return { ...module, functions: changed(random, functions, near) };
    case 3:
      return { ...module, functions: random.once(2) ? functions.slice(1) : [...functions, 0] };
    case 4:
      return { ...module, tables: tables.length > 0 && random.once(3) ? [] : [...tables.slice(1), limits()] };
    case 5:
      return {
        ...module,
        memories: memories.length > 0 && random.once(3) ? [] : [...memories.slice(1), limits()],
      };
    case 6:
      return { ...module, globals: changed(random, globals, (global) => ({ ...global, type })) };
    case 7:
      return {
        ...module,
        globals: changed(random, globals, (global) => ({ ...global, mutable: !global.mutable })),
      };
    case 8:
      return {
        ...module,
        globals: changed(random, globals, (global) => ({
          ...global,
          init: random.once(2) ? mutateCode(random, global.init) : Uint8Array.of(0x23, random.below(4), 0x0b),
        })),
      };
    case 9:
      return {
        ...module,
        exports: changed(random, exports, (item) =>
          random.once(3)
            ? { ...item, kind: random.below(5) }
            : random.once(2)
              ? { ...item, index: near(item.index) }
              : { ...item, name: random.pick(exports).name },
        ),
      };
    case 10:
      return { ...module, start: module.start === undefined ? random.below(8) : near(module.start) };
    case 11:
      return random.once(3)
        ? { ...module, hasDataCount: !module.hasDataCount }
        : {
            ...module,
            data: changed(random, data, (segment) => ({
              ...segment,
              offset: segment.offset === undefined ? Uint8Array.of(0x0b) : mutateCode(random, segment.offset),
            })),
          };
    case 12:
      return random.once(2)
        ? { ...module, elements: changed(random, elements, (bytes) => mutateBytes(random, bytes)) }
        : {
            ...module,
            imports: changed(random, imports, (item) =>
              item.kind === 0
                ? { ...item, type: near(item.type) }
                : item.kind === 3
                  ? { ...item, type, mutable: random.once(2) }
                  : { ...item, limits: limits() },
            ),
          };
    default:
      return {
        ...module,
        bodies: changed(random, bodies, (body) => ({
          ...body,
          locals: random.once(2)
            ? [...body.locals, [random.pick([0, 1, 5, 2000]), type] as const]
            : changed(random, body.locals, ([count]) => [count, type] as const),
        })),
      };
  }
}
