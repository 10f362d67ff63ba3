/**
 * The interpreter on Arm goes from one instruction's handler to the next by a jump. A handler that called the next one
 * instead would work, and fill the stack with every instruction that it runs.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Those whose calls through a pointer are of the host, and those that come back to their caller. */
const CALLS_THE_HOST = new Set(["call_import", "refuel"]);
const RETURNS = new Set(["enter", "enter_registers", "number_at", "trap"]);

/** All functions of the interpreter as compiled for a board, and those calls that may run the next instruction. */
function interpreter(image: string): { functions: Set<string>; calls: string[] } {
  const listing = execFileSync("arm-none-eabi-objdump", ["-d", `${ROOT}/build/${image}/libep_wasm.a`], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  const member = listing.slice(listing.indexOf("\ninterp.c.obj:"));
  const lines = member.slice(0, member.indexOf(".obj:", 20)).split("\n");
  const nameOf = (line: string) => /^[0-9a-f]+ <(\w+)>:$/.exec(line)?.[1];
  const functions = new Set(lines.map(nameOf).filter((name) => name !== undefined));
  const calls: string[] = [];
  let inside = "";
  for (const line of lines) {
    inside = nameOf(line) ?? inside;
    if (/\tblx\s/.test(line) && !CALLS_THE_HOST.has(inside)) calls.push(`${inside} through a register`);
    const callee = /\tbl\t.*<(\w+)(?:\.\w+)*>/.exec(line)?.[1];
    if (callee !== undefined && functions.has(callee) && !RETURNS.has(callee))
      calls.push(`${inside} of ${callee}`);
  }
  return { functions, calls };
}

describe.each(["qemu", "stm32l552"])("the interpreter of the %s image", (image) => {
  it("goes from instruction to instruction by jumps, so that none costs stack", () => {
    const { functions, calls } = interpreter(image);
    expect([...functions].filter((name) => name.startsWith("op_")).length).toBeGreaterThan(60);
    expect(calls).toEqual([]);
  });
});
