/** Which modules have to be taken: what wasm-validate says, with the features switched off that the engine leaves out. */
import { objection } from "@edgeplug/conformance-suite/dist/wasm-validate.js";

import {
  Reader,
  Writer,
  instructions,
  readElement,
  readExpression,
  readModule,
  sections,
  writeModule,
  type Body,
} from "./binary.js";
import { v8Takes } from "./v8.js";

/** What makes the program wasm-validate judge by the same features; --ignore-custom-section-errors, since the spec ignores them. */
export const VALIDATE_ARGUMENTS = [
  "--disable-reference-types",
  "--disable-simd",
  "--ignore-custom-section-errors",
];

/** Over a limit is neither; an import that fails or a start that traps means that the module was valid. */
export function verdict(reply: string): "valid" | "refused" | "limit" {
  if (reply.startsWith("err limit")) return "limit";
  return /^(ok|err trap|err unlinkable)/.test(reply) ? "valid" : "refused";
}

export interface Disagreement {
  readonly reply: string;
  /** What wasm-validate says. */
  readonly judge: string;
  readonly bytes: Uint8Array;
}

/**
 * The engine knows element segments of expressions, which wabt counts as reference types: they are put to it as segments of
 * indices, and everything else is left as it is.
 */
export function judgement(bytes: Uint8Array): string | undefined {
  const judge = objection(bytes);
  if (judge === undefined || !/unexpected opcode: 0xd[02]/.test(judge)) return judge;
  const plain = withPlainElements(bytes);
  return plain === undefined ? judge : objection(plain);
}

const REF_NULL = 0xd0;
const REF_FUNC = 0xd2;
const END = 0x0b;

/** Undefined if it can't be read. */
function withPlainElements(bytes: Uint8Array): Uint8Array | undefined {
  try {
    const section = sections(bytes).find(({ id }) => id === 9);
    if (section === undefined) return undefined;
    const reader = new Reader(bytes, section.contents, section.end);
    const out = new Writer();
    out.list(
      reader.list(() => plainElement(reader)),
      (segment) => out.bytes(segment),
    );
    if (reader.at !== section.end) return undefined;
    return new Writer()
      .bytes(bytes.subarray(0, section.start))
      .byte(9)
      .u32(out.size)
      .bytes(out.done())
      .bytes(bytes.subarray(section.end))
      .done();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The same segment of indices; items that are null are left out, since no index is. */
function plainElement(reader: Reader): Uint8Array {
  const segment = readElement(reader);
  const from = new Reader(segment);
  const kind = from.u32();
  if (kind < 4) return segment;
  const out = new Writer().byte(kind - 4);
  const isActive = (kind & 1) === 0;
  if (isActive && (kind & 2) !== 0) out.u32(from.u32());
  if (isActive) out.bytes(readExpression(from));
  if ((kind & 3) !== 0) {
    if (from.byte() !== 0x70) throw new RangeError("a segment of another type");
    out.byte(0);
  }
  const items = from.list(() => {
    const opcode = from.byte();
    const index = opcode === REF_FUNC ? from.u32() : undefined;
    if (opcode === REF_NULL && from.byte() !== 0x70) throw new RangeError("null of another type");
    if ((opcode !== REF_NULL && opcode !== REF_FUNC) || from.byte() !== END)
      throw new RangeError("another expression");
    return index;
  });
  return out
    .list(
      items.filter((index) => index !== undefined),
      (index) => out.u32(index),
    )
    .done();
}

/** Puts a module before the engine. */
export type Ask = (bytes: Uint8Array) => Promise<string>;

/** Undefined if the engine's answer is the judge's, or if the judge is known to be more lenient than the spec there. */
export async function disagreement(
  reply: string,
  bytes: Uint8Array,
  ask: Ask,
): Promise<Disagreement | undefined> {
  const is = verdict(reply);
  if (is === "limit") return undefined; // and wabt would spell out every one of four billion locals
  const judge = judgement(bytes);
  if ((is === "valid") === (judge === undefined)) return undefined;
  if (judge === undefined && (await lenient(reply, bytes, ask))) return undefined;
  return { reply, judge: judge ?? "valid", bytes };
}

/** Leniencies of wabt; each is checked for, so that nothing else hides behind it. */
async function lenient(reply: string, bytes: Uint8Array, ask: Ask): Promise<boolean> {
  // it reads the kind of a data segment as bits, and ignores those that don't exist (5.5.14); V8 refuses them, too
  if (reply === "err malformed segment kind") return !v8Takes(bytes);
  // it reads a type as a number, which may be of several bytes; the spec's types are of one (5.3.1, 5.4.1); and it knows
  // table.fill, ref.func and the select that names its type without reference types, to which they belong
  if (!LENIENT.test(reply)) return false;
  const respelled = respell(bytes);
  return respelled !== undefined && verdict(await ask(respelled)) !== "refused";
}

const LENIENT = /^err (malformed (value|element) type|unsupported reference types)$/;

/**
 * The same module with each type in one byte, three `drop` for each table.fill, a number for each ref.func (nothing but `drop`
 * takes either), and `select` without a type; undefined if it can't be read.
 */
function respell(bytes: Uint8Array): Uint8Array | undefined {
  try {
    const module = readModule(bytes);
    return writeModule({ ...module, bodies: module.bodies.map(respellBody) });
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

const TABLE_FILL = 0xfc11;
const TYPED_SELECT = 0x1c;

function respellBody({ locals, code }: Body): Body {
  const out = new Writer();
  for (const { opcode, start, end } of instructions(code)) {
    const type = opcode >= 0x02 && opcode <= 0x04 ? new Reader(code, start + 1).s64() : 0;
    if (type < 0) out.byte(opcode).byte(type + 128);
    else if (opcode === REF_FUNC) out.byte(0x41).byte(0);
    else if (opcode === TYPED_SELECT && code[start + 1] === 1) out.byte(0x1b);
    else if (opcode === TABLE_FILL) out.byte(0x1a).byte(0x1a).byte(0x1a);
    else out.bytes(code.subarray(start, end));
  }
  return { locals, code: out.done() };
}
