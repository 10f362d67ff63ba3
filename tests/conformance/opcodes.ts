// The engine's table of opcodes, which C includes, as TypeScript sees it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ValueType } from "./module.js";

export interface Opcode {
  readonly code: number;
  /** As in the text format. */
  readonly name: string;
  readonly fuel: number;
  readonly kind: "SPECIAL" | "UNARY" | "BINARY" | "LOAD" | "STORE";
  /** Operand type (of a load or store: the value's). */
  readonly type: ValueType | undefined;
  /** Result type of UNARY and BINARY, log2 of the alignment of LOAD and STORE. */
  readonly second: string | undefined;
}

const LINE =
  /^EP_WASM_(OPCODE|PREFIXED)\(0x([0-9A-F]{2}), \w+, "([^"]+)", (\d+), (\w+)(?:\((\w+), (\w+)\))?\)$/;

function parse(line: string): Opcode[] {
  if (!line.startsWith("EP_WASM_")) return [];
  const [, table, code, name, fuel, kind, type, second] = LINE.exec(line) ?? [];
  if (code === undefined || name === undefined) throw new Error(`opcodes.def: ${line}`);
  return [
    {
      code: parseInt(code, 16) + (table === "PREFIXED" ? 0xfc00 : 0),
      name,
      fuel: Number(fuel),
      kind: kind as Opcode["kind"],
      type: type?.toLowerCase() as ValueType | undefined,
      second: second?.toLowerCase(),
    },
  ];
}

const DEFINITIONS = join(import.meta.dirname, "../../firmware/runtime/wasm/opcodes.def");

export const OPCODES: readonly Opcode[] = readFileSync(DEFINITIONS, "utf8").split("\n").flatMap(parse);
