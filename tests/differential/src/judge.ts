/** Which modules have to be taken: what wasm-validate says, with the features switched off that the engine leaves out. */
import wabt from "wabt";

import { Reader, Writer, instructions, readModule, writeModule, type Body } from "./binary.js";
import { v8Takes } from "./v8.js";

const assembler = await wabt();

/** Every feature that wabt knows; its own defaults have more of them on. */
const FEATURES = {
  mutable_globals: true,
  sat_float_to_int: true,
  sign_extension: true,
  bulk_memory: true,
  multi_value: true,
  reference_types: false,
  simd: false,
  exceptions: false,
  threads: false,
  function_references: false,
  tail_call: false,
  annotations: false,
  code_metadata: false,
  gc: false,
  memory64: false,
  multi_memory: false,
  extended_const: false,
  relaxed_simd: false,
};

/** The same for the program wasm-validate; --ignore-custom-section-errors, since the spec ignores them. */
export const VALIDATE_ARGUMENTS = [
  "--disable-reference-types",
  "--disable-simd",
  "--ignore-custom-section-errors",
];

/** What wasm-validate says of a module; undefined if it is valid. */
export function objection(bytes: Uint8Array): string | undefined {
  let module;
  try {
    // the package takes all of a buffer, whatever part of it an array shows
    const own = bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
    module = assembler.readWasm(own, { ...FEATURES, check: true });
    // the features count for both halves; the types of the package don't know the second
    (module as unknown as { validate(features: typeof FEATURES): void }).validate(FEATURES);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    module?.destroy();
  }
}

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
  const judge = objection(bytes);
  if ((is === "valid") === (judge === undefined)) return undefined;
  if (judge === undefined && (await lenient(reply, bytes, ask))) return undefined;
  return { reply, judge: judge ?? "valid", bytes };
}

/** Three leniencies of wabt; each is checked for, so that nothing else hides behind it. */
async function lenient(reply: string, bytes: Uint8Array, ask: Ask): Promise<boolean> {
  // it reads the kind of a data segment as bits, and ignores those that don't exist (5.5.14); V8 refuses them, too
  if (reply === "err malformed segment kind") return !v8Takes(bytes);
  // it reads a type as a number, which may be of several bytes; the spec's types are of one (5.3.1, 5.4.1); and it knows
  // table.fill without reference types, which the other table instructions need
  if (!LENIENT.test(reply)) return false;
  const respelled = respell(bytes);
  return respelled !== undefined && verdict(await ask(respelled)) === "valid";
}

const LENIENT = /^err (malformed (value|element) type|unsupported reference types)$/;

/** The same module with each type in one byte, and three `drop` for each table.fill; undefined if it can't be read. */
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

function respellBody({ locals, code }: Body): Body {
  const out = new Writer();
  for (const { opcode, start, end } of instructions(code)) {
    const type = opcode >= 0x02 && opcode <= 0x04 ? new Reader(code, start + 1).s64() : 0;
    if (type < 0) out.byte(opcode).byte(type + 128);
    else if (opcode === TABLE_FILL) out.byte(0x1a).byte(0x1a).byte(0x1a);
    else out.bytes(code.subarray(start, end));
  }
  return { locals, code: out.done() };
}
