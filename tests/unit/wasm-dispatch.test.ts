/**
 * The interpreter on Arm goes from one instruction's handler to the next by a jump. A handler that called the next one
 * instead would work, and fill the stack with every instruction that it runs. Most handlers load pc themselves, behind the
 * compiler's back: they may have no stack frame, and may not call anything, since that would lose the way back.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Those whose calls through a pointer are of the host, and those that come back to their caller. */
const CALLS_THE_HOST = new Set(["call_import", "refuel"]);
const RETURNS = new Set(["enter", "enter_registers", "number_at", "trap"]);

function disassemble(file: string): string {
  return execFileSync("arm-none-eabi-objdump", ["-d", "--no-show-raw-insn", `${ROOT}/build/${file}`], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
}

/** Functions of a listing, by name: their instructions. */
function functionsOf(listing: string): Map<string, string[]> {
  const functions = new Map<string, string[]>();
  let inside: string[] = [];
  for (const line of listing.split("\n")) {
    const name = /^[0-9a-f]+ <([\w.]+)>:$/.exec(line)?.[1];
    if (name !== undefined) functions.set(name.replace(/\..*/, ""), (inside = []));
    else if (/^\s+[0-9a-f]+:\t/.test(line)) inside.push(line.slice(line.indexOf("\t") + 1));
  }
  return functions;
}

/** The interpreter's own, as compiled for a board. */
function interpreter(image: string): Map<string, string[]> {
  const listing = disassemble(`${image}/libep_wasm.a`);
  const member = listing.slice(listing.indexOf("\ninterp.c.obj:"));
  return functionsOf(member.slice(0, member.indexOf(".obj:", 20)));
}

/** Those calls that may run the next instruction. */
function callsOf(functions: Map<string, string[]>): string[] {
  return [...functions].flatMap(([name, code]) =>
    code.flatMap((line) => {
      if (/^blx\s/.test(line) && !CALLS_THE_HOST.has(name)) return [`${name} through a register`];
      const callee = /^bl\t.*<(\w+)(?:\.\w+)*>/.exec(line)?.[1];
      return callee !== undefined && functions.has(callee) && !RETURNS.has(callee)
        ? [`${name} of ${callee}`]
        : [];
    }),
  );
}

const LOADS_PC = /^ldr(?:\.w)?\tpc, \[(?:sl|r10), r3, lsl #2\]/;

/** Handlers that load pc, and which of them can't. */
function leavesOf(functions: Map<string, string[]>): { leaves: string[]; wrong: string[] } {
  const leaves = [...functions].filter(([, code]) => code.some((line) => LOADS_PC.test(line)));
  const wrong = leaves.flatMap(([name, code]) =>
    code.filter((line) => /\bsp\b|^push|^pop|^blx?\t|\blr\b/.test(line)).map((line) => `${name}: ${line}`),
  );
  return { leaves: leaves.map(([name]) => name), wrong };
}

describe.each(["qemu", "stm32l552"])("the interpreter of the %s image", (image) => {
  it("goes from instruction to instruction by jumps, so that none costs stack", () => {
    const functions = interpreter(image);
    expect([...functions.keys()].filter((name) => name.startsWith("op_")).length).toBeGreaterThan(60);
    expect(callsOf(functions)).toEqual([]);
  });

  it("has handlers that load pc without a stack frame, and without calls", () => {
    const { leaves, wrong } = leavesOf(interpreter(image));
    expect(leaves.length).toBeGreaterThan(40);
    expect(wrong).toEqual([]);
  });

  it("keeps the way back in whatever calls", () => {
    const lost = [...interpreter(image)].filter(
      ([, code]) =>
        code.some((line) => /^blx?\t/.test(line)) &&
        !code.some((line) => /^(push|stmdb\tsp!,|str(\.w)?\tlr).*lr/.test(line)),
    );
    expect(lost.map(([name]) => name)).toEqual([]);
  });
});

it("the conformance image, which compiles the engine anew, has such handlers too", () => {
  const { leaves, wrong } = leavesOf(functionsOf(disassemble("qemu/conformance.elf")));
  expect(leaves.length).toBeGreaterThan(40);
  expect(wrong).toEqual([]);
});
