// What the engine refuses, and as what: malformed, invalid, unsupported by the feature's name, over a limit by the limit's
// name, unlinkable by the import's name. Whether a damaged module has to be refused at all is asked of wasm-validate.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConformanceImage } from "./src/image.js";
import { assemble, moduleRequest, objection, Random } from "./module.js";
import { PROGRAMS } from "./programs.js";

const SEED = process.env["EDGEPLUG_SEED"] ?? "refusals 1";
const MUTANTS = 4000;
const PREAMBLE = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

/** Unsigned LEB128. */
function leb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >>> 7)];
}

function section(id: number, contents: number[]): number[] {
  return [id, ...leb(contents.length), ...contents];
}

/** Bytes of a module of one function (type 0: () -> ()) with this body, `end` included. */
function withBody(...body: number[]): Uint8Array {
  const code = section(10, [1, ...leb(body.length + 1), 0, ...body]);
  return Uint8Array.from([...PREAMBLE, ...section(1, [1, 0x60, 0, 0]), ...section(3, [1, 0]), ...code]);
}

/** Blocks within each other; wabt takes for ever over the text of a hundred. */
function nested(depth: number): Uint8Array {
  const open = Array.from({ length: depth }, () => [0x02, 0x40]).flat();
  return withBody(...open, ...Array.from({ length: depth + 1 }, () => 0x0b));
}

function wat(text: string): Uint8Array {
  return assemble(text, { validate: false });
}

function repeat(text: string, count: number): string {
  return Array.from({ length: count }, () => text).join(" ");
}

const REFUSED: readonly (readonly [string, () => Uint8Array, string])[] = [
  ["no bytes", () => Uint8Array.from([]), "err malformed unexpected end"],
  ["another magic", () => Uint8Array.from([0, 0x61, 0x73, 0x6e, 1, 0, 0, 0]), "err malformed magic"],
  ["another version", () => Uint8Array.from([0, 0x61, 0x73, 0x6d, 2, 0, 0, 0]), "err malformed version"],
  ["a section of no known id", () => Uint8Array.from([...PREAMBLE, 14, 0]), "err malformed section id"],
  [
    "sections out of order",
    () => Uint8Array.from([...PREAMBLE, 3, 1, 0, 1, 1, 0]),
    "err malformed section order",
  ],
  ["a section twice", () => Uint8Array.from([...PREAMBLE, 1, 1, 0, 1, 1, 0]), "err malformed section order"],
  [
    "a section longer than its contents",
    () => Uint8Array.from([...PREAMBLE, 1, 2, 0, 0]),
    "err malformed size mismatch",
  ],
  [
    "a number of six bytes",
    () => Uint8Array.from([...PREAMBLE, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0]),
    "err malformed integer too long",
  ],
  [
    "a number of 33 bits",
    () => Uint8Array.from([...PREAMBLE, 1, 0xff, 0xff, 0xff, 0xff, 0x1f]),
    "err malformed integer too large",
  ],
  ["a name that is no UTF-8", () => Uint8Array.from([...PREAMBLE, 0, 2, 1, 0xff]), "err malformed UTF-8"],
  ["an opcode that doesn't exist", () => withBody(0xff, 0x0b), "err malformed illegal opcode"],
  ["code that ends early", () => withBody(0x02, 0x40, 0x0b), "err malformed unexpected end"],
  ["code that goes on", () => withBody(0x0b, 0x01), "err malformed size mismatch"],
  [
    "an operand of another type",
    () => wat("(module (func (result i32) (i64.const 1)))"),
    "err invalid type mismatch",
  ],
  ["an operand too few", () => wat("(module (func (drop)))"), "err invalid type mismatch"],
  ["an operand too many", () => wat("(module (func (i32.const 1)))"), "err invalid type mismatch"],
  [
    "an operand of another type in dead code",
    () => wat("(module (func (unreachable) (i64.eqz (i32.const 1)) (drop)))"),
    "err invalid type mismatch",
  ],
  ["a label that isn't there", () => wat("(module (func (br 1)))"), "err invalid unknown label"],
  [
    "a local that isn't there",
    () => wat("(module (func (local.get 0) (drop)))"),
    "err invalid unknown local",
  ],
  [
    "a global that isn't there",
    () => wat("(module (func (global.get 0) (drop)))"),
    "err invalid unknown global",
  ],
  ["a function that isn't there", () => wat("(module (func (call 1)))"), "err invalid unknown function"],
  [
    "a memory that isn't there",
    () => wat("(module (func (drop (i32.load (i32.const 0)))))"),
    "err invalid unknown memory",
  ],
  [
    "a table that isn't there",
    () => wat("(module (type (func)) (func (call_indirect (type 0) (i32.const 0))))"),
    "err invalid unknown table",
  ],
  [
    "an alignment above the natural one",
    () => wat("(module (memory 1) (func (drop (i32.load align=8 (i32.const 0)))))"),
    "err invalid alignment",
  ],
  [
    "a global that never changes, set",
    () => wat("(module (global i32 (i32.const 0)) (func (global.set 0 (i32.const 1))))"),
    "err invalid global is immutable",
  ],
  [
    "br_table with labels of different arity",
    () =>
      wat("(module (func (result i32) (block (br_table 0 1 (i32.const 0) (i32.const 0))) (i32.const 0)))"),
    "err invalid type mismatch",
  ],
  [
    "two exports of one name",
    () => wat('(module (func) (export "a" (func 0)) (export "a" (func 0)))'),
    "err invalid duplicate export",
  ],
  [
    "a start function with parameters",
    () => wat("(module (func (param i32)) (start 0))"),
    "err invalid start function",
  ],
  ["a minimum above the maximum", () => wat("(module (memory 2 1))"), "err invalid minimum above maximum"],
  ["more than 65,536 pages", () => wat("(module (memory 65537))"), "err invalid size out of range"],
  [
    "two memories",
    () => Uint8Array.from([...PREAMBLE, 5, 5, 2, 0, 1, 0, 1]),
    "err invalid multiple memories",
  ],
  [
    "a constant that isn't one",
    () => wat("(module (global i32 (i32.add (i32.const 1) (i32.const 2))))"),
    "err invalid constant expression",
  ],
  [
    "a segment that doesn't fit",
    () => wat('(module (memory 1) (data (i32.const 65535) "ab"))'),
    "err trap out of bounds memory access: data segment",
  ],
  [
    "an element that doesn't fit",
    () => wat("(module (table 1 funcref) (func) (elem (i32.const 1) 0))"),
    "err trap out of bounds table access: element segment",
  ],
  [
    "a start function that traps",
    () => wat("(module (func (unreachable)) (start 0))"),
    "err trap unreachable",
  ],
  ["reference types in code", () => withBody(0xd0, 0x70, 0x1a, 0x0b), "err unsupported reference types"],
  ["typed select", () => withBody(0x1c, 1, 0x7f, 0x0b), "err unsupported reference types"],
  [
    "a segment of references to what isn't a function",
    () => Uint8Array.from([...PREAMBLE, ...section(9, [1, 5, 0x6f, 1, 0xd0, 0x6f, 0x0b])]),
    "err unsupported reference types",
  ],
  ["vector instructions", () => withBody(0xfd, 0x0c, 0x0b), "err unsupported vector instructions"],
  ["tail calls", () => withBody(0x12, 0x00, 0x0b), "err unsupported tail calls"],
  ["exceptions", () => withBody(0x06, 0x40, 0x0b, 0x0b), "err unsupported exceptions"],
  ["threads", () => withBody(0xfe, 0x03, 0x00, 0x0b), "err unsupported threads"],
  [
    "two tables",
    () => Uint8Array.from([...PREAMBLE, 4, 7, 2, 0x70, 0, 0, 0x70, 0, 0]),
    "err unsupported multiple tables",
  ],
  [
    "externref in a type",
    () => Uint8Array.from([...PREAMBLE, 1, 5, 1, 0x60, 1, 0x6f, 0]),
    "err unsupported reference types",
  ],
  [
    "an import that nobody offers",
    () => wat('(module (import "env" "seed" (func (result f64))))'),
    "err unlinkable env.seed",
  ],
  [
    "an import of another type",
    () => wat('(module (import "spectest" "print_i32" (func (param i64))))'),
    "err unlinkable spectest.print_i32: type",
  ],
  [
    "an invalid module with an import that nobody offers",
    () => wat('(module (import "env" "seed" (func)) (func (drop)))'),
    "err invalid type mismatch",
  ],
  ["four pages of memory", () => wat("(module (memory 4))"), "err limit memory"],
  ["2,049 locals", () => wat(`(module (func (local ${repeat("i32", 2049)})))`), "err limit locals"],
  [
    "2^32 locals",
    () =>
      Uint8Array.from([
        ...PREAMBLE,
        1,
        4,
        1,
        0x60,
        0,
        0,
        3,
        2,
        1,
        0,
        10,
        17,
        1,
        15,
        2,
        0xff,
        0xff,
        0xff,
        0xff,
        0x0f,
        0x7f,
        0xff,
        0xff,
        0xff,
        0xff,
        0x0f,
        0x7e,
        0x0b,
        0x0b,
      ]),
    "err malformed too many locals",
  ],
  [
    "17 results",
    () => wat(`(module (func (result ${repeat("i32", 17)}) (unreachable)))`),
    "err limit results",
  ],
  ["1,025 blocks within each other", () => nested(1025), "err limit nesting"],
  [
    "2,048 operands",
    () => wat(`(module (func ${repeat("i32.const 0", 2048)} unreachable))`),
    "err limit operands",
  ],
  ["a table of a million", () => wat("(module (table 1000000 funcref))"), "err limit arena"],
  [
    "65,537 bytes",
    () =>
      Uint8Array.from([...withBody(0x0b), 0, 0xf1, 0xff, 3, 0, ...Array.from({ length: 65_520 }, () => 0)]),
    "err limit module size",
  ],
];

const ACCEPTED: readonly (readonly [string, () => Uint8Array])[] = [
  ["2,048 locals", () => assemble(`(module (func (param i64) (local ${repeat("i32", 2047)})))`)],
  ["16 results", () => assemble(`(module (func (result ${repeat("i32", 16)}) (unreachable)))`)],
  ["1,024 blocks within each other", () => nested(1024)],
  ["2,047 operands", () => assemble(`(module (func ${repeat("i32.const 0", 2047)} unreachable))`)],
  ["no section at all", () => assemble("(module)")],
  ["three pages of memory", () => assemble("(module (memory 3))")],
];

function mutate(random: Random, original: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = Uint8Array.from(original);
  const kind = random.below(4);
  const at = 8 + random.below(bytes.length - 8);
  if (kind === 0) return bytes.slice(0, at);
  if (kind === 1) bytes[at] = random.below(256);
  else if (kind === 2) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  else bytes.copyWithin(at, 8 + random.below(bytes.length - 8), 8 + random.below(bytes.length - 8));
  return bytes;
}

/** Over a limit is neither; an import that fails or a start that traps means that the module was valid. */
function verdict(reply: string): "valid" | "refused" | "limit" {
  if (reply.startsWith("err limit")) return "limit";
  return /^(ok|err trap|err unlinkable)/.test(reply) ? "valid" : "refused";
}

function v8Takes(bytes: Uint8Array<ArrayBuffer>): boolean {
  try {
    return new WebAssembly.Module(bytes) instanceof WebAssembly.Module;
  } catch {
    return false;
  }
}

describe("refusals", () => {
  let image: ConformanceImage;
  beforeAll(() => {
    image = ConformanceImage.native();
  });
  afterAll(() => image.kill());

  test.each(REFUSED)("%s is refused by name", async (_, bytes, reply) => {
    expect(await image.request(moduleRequest(bytes()))).toBe(reply);
  });

  test.each(ACCEPTED)("%s is taken", async (_, bytes) => {
    expect(await image.request(moduleRequest(bytes()))).toBe("ok");
  });

  test("every beginning of a module is refused, and the engine goes on", async () => {
    const bytes = assemble(PROGRAMS[3]?.text ?? "");
    for (let size = 0; size < bytes.length; size++) {
      const wanted = objection(bytes.slice(0, size)) === undefined ? "valid" : "refused";
      expect(verdict(await image.request(moduleRequest(bytes.slice(0, size)))), `${String(size)} bytes`).toBe(
        wanted,
      );
    }
    expect(await image.request(moduleRequest(bytes))).toBe("ok");
  });

  test(`of ${String(MUTANTS)} damaged modules it takes those that wasm-validate takes (seed: ${SEED})`, async () => {
    const random = new Random(SEED);
    const originals = PROGRAMS.map(({ text }) => assemble(text));
    const mutants = Array.from({ length: MUTANTS }, () => mutate(random, random.pick(originals)));
    const replies = await Promise.all(mutants.map((bytes) => image.request(moduleRequest(bytes))));
    const wrong = replies.flatMap((reply, i) => {
      const bytes = mutants[i] ?? new Uint8Array();
      const is = verdict(reply);
      if (is === "limit") return []; // and wabt would spell out every one of four billion locals
      const wanted = objection(bytes);
      // wabt reads the kind of a data segment as bits and ignores those that the spec doesn't have; V8 refuses them too
      if (reply === "err malformed segment kind" && !v8Takes(bytes)) return [];
      return (is === "valid") === (wanted === undefined)
        ? []
        : [{ reply, wanted, bytes: Buffer.from(bytes).toString("hex") }];
    });
    expect(wrong).toEqual([]);
    expect(replies.filter((reply) => verdict(reply) === "valid").length).toBeGreaterThan(MUTANTS / 10);
    expect(replies.filter((reply) => verdict(reply) === "refused").length).toBeGreaterThan(MUTANTS / 10);
  });
});
