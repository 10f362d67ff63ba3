/**
 * The interpreter on Arm goes from one instruction's handler to the next by a jump, through a table of distances. Handlers are
 * compiled without a beginning and an end of their own, behind the compiler's back: none may return, none may move the
 * stack pointer, what they can't keep in registers must fit the 32 bytes that are there for all of them, and what they
 * call must come back.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Those of interp.c that are called and come back; all others are handlers. */
const SUBROUTINES = new Set([
  "settle",
  "locate",
  "locate_slowly",
  "locate_load",
  "locate_store",
  "locate_rare_load",
  "locate_rare_store",
]);
/** The way in; and out, which takes back what the way in saved. */
const ENDS = new Set(["ep_wasm_interpret", "finish"]);
/** Those that call through a pointer: the host, and what numeric.c and float.c do. */
const CALLS_BY_POINTER = new Set(["call_import", "refuel", "one", "two"]);
const SPILLS = 32;

/** Functions of a listing from the dispatch to the way in, by name: their instructions. */
function interpreter(file: string): Map<string, string[]> {
  const listing = execFileSync(
    "arm-none-eabi-objdump",
    ["-d", "--no-show-raw-insn", `${ROOT}/build/${file}`],
    {
      encoding: "utf8",
      maxBuffer: 1 << 26,
    },
  );
  const functions = new Map<string, string[]>();
  let inside: string[] | undefined;
  let last = false;
  for (const line of listing.split("\n")) {
    const name = /^[0-9a-f]+ <([\w.]+)>:$/.exec(line)?.[1];
    if (name === "next") inside = [];
    if (name !== undefined && last) break;
    if (name !== undefined && inside !== undefined) {
      functions.set(name.replace(/\..*/, ""), (inside = []));
      last = name === "ep_wasm_interpret";
    } else if (/^\s+[0-9a-f]+:\t/.test(line)) inside?.push(line.slice(line.indexOf("\t") + 1));
  }
  return functions;
}

function handlersOf(functions: Map<string, string[]>): [string, string[]][] {
  return [...functions].filter(([name]) => !SUBROUTINES.has(name) && !ENDS.has(name));
}

/** What may not be in a handler: a move of the stack pointer, a way back, more room than there is. */
function isWrong(line: string): boolean {
  if (/^(?:push|pop|vpush|vpop)|\bsp!|^(?:add|sub)s?(?:\.w)?\tsp,|^bx\tlr|\blr\}|\bpc\}/.test(line))
    return true;
  const slot = /\[sp(?:, #(\d+))?\]/.exec(line);
  const size = /^(?:strd|ldrd|vstr|vldr)/.test(line) ? 8 : 4;
  return slot !== null && Number(slot[1] ?? 0) + size > SPILLS;
}

/** The last instruction of a handler goes on, be it into the next handler. */
function goesOn(code: string[]): boolean {
  const instructions = code.filter((line) => !/^(?:nop|\.word|\.short|movs\tr0, r0)/.test(line));
  return /^(?:b(?:\.[nw])?|tbh)\t/.test(instructions.at(-1) ?? "");
}

describe.each(["qemu/libep_wasm.a", "stm32l552/libep_wasm.a", "qemu/conformance.elf"])(
  "the interpreter in %s",
  (file) => {
    it("has one dispatch, by a table that stands behind it", () => {
      const functions = interpreter(file);
      const [dispatch] = [...functions.keys()];
      expect(dispatch).toBe("next");
      const all = [...functions].flatMap(([name, code]) =>
        code.filter((line) => line.startsWith("tbh\t")).map(() => name),
      );
      expect(all).toEqual(["ep_wasm_second"]);
    });

    it("has handlers that neither return nor move the stack pointer", () => {
      const handlers = handlersOf(interpreter(file));
      expect(handlers.filter(([name]) => name.startsWith("op_")).length).toBeGreaterThan(80);
      const wrong = handlers.flatMap(([name, code]) =>
        code.filter((line) => isWrong(line)).map((line) => `${name}: ${line}`),
      );
      expect(wrong).toEqual([]);
    });

    it("has no handler that runs on into what isn't meant to follow it", () => {
      const handlers = handlersOf(interpreter(file));
      const open = handlers.filter(([, code]) => !goesOn(code)).map(([name]) => name);
      const meant = open.filter((name) => name === "next" || /^op_i32_(?:add|sub|xor)$/.test(name));
      expect(open).toEqual(meant);
      expect(meant.length).toBe(4);
    });

    it("calls nothing that goes on to the next instruction", () => {
      const functions = interpreter(file);
      const calls = [...functions].flatMap(([name, code]) =>
        code.flatMap((line) => {
          if (/^blx\s/.test(line)) return CALLS_BY_POINTER.has(name) ? [] : [`${name} through a register`];
          const callee = /^bl\t.*<(\w+)(?:\.\w+)*>/.exec(line)?.[1];
          const known = callee === undefined || !functions.has(callee) || SUBROUTINES.has(callee);
          // it ends the run, from within a subroutine
          return known || (callee === "trap" && name === "locate_slowly") ? [] : [`${name} of ${callee}`];
        }),
      );
      expect(calls).toEqual([]);
    });

    it("leaves the room that handlers may use", () => {
      const enter = interpreter(file).get("ep_wasm_interpret") ?? [];
      expect(enter).toContain(`sub\tsp, #${String(SPILLS)}`);
    });
  },
);

it("the table has a place for each opcode up to the prefix, and each that the engine knows leads somewhere", () => {
  const listing = execFileSync(
    "arm-none-eabi-objdump",
    ["-s", "-j", ".text", `${ROOT}/build/qemu/CMakeFiles/ep_wasm.dir/firmware/runtime/wasm/interp.c.obj`],
    { encoding: "utf8", maxBuffer: 1 << 26 },
  );
  const bytes = Buffer.concat(
    [...listing.matchAll(/^ [0-9a-f]+ ((?:[0-9a-f]+ ){1,4}) /gm)].map(([, hex]) =>
      Buffer.from((hex ?? "").replaceAll(" ", ""), "hex"),
    ),
  );
  const begin = 10; // behind ldrb, subs and tbh
  const distance = (opcode: number): number => bytes.readUInt16LE(begin + 2 * opcode);
  const opcodes = [
    ...readFileSync(`${ROOT}/firmware/runtime/wasm/opcodes.def`, "utf8").matchAll(
      /^EP_WASM_OPCODE\((0x[0-9A-F]+)/gm,
    ),
  ].map(([, code]) => Number(code));
  expect(opcodes.length).toBeGreaterThan(170);
  expect(opcodes.filter((opcode) => distance(opcode) === 0)).toEqual([]);
  const lowest = Math.min(...opcodes.map((opcode) => distance(opcode)));
  expect(2 * lowest).toBe(2 * 0xfd);
});
