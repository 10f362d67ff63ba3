/**
 * The interpreter on Arm goes from one instruction's handler to the next by a jump. A handler that called the next one
 * instead would work, and fill the stack with every instruction that it runs.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Names of the handlers in an image, and those that contain a call through a register. */
function handlers(image: string): { all: string[]; calling: string[] } {
  const listing = execFileSync("arm-none-eabi-objdump", ["-d", `${ROOT}/build/${image}/${image}.elf`], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  const all: string[] = [];
  const calling = new Set<string>();
  let inside: string | undefined;
  for (const line of listing.split("\n")) {
    const name = /^[0-9a-f]+ <(\w+)>:$/.exec(line)?.[1];
    if (name !== undefined) {
      inside = name.startsWith("op_") ? name : undefined;
      if (inside !== undefined) all.push(inside);
    } else if (inside !== undefined && /\tblx\s+(r\d+|ip|lr|sl|fp|r10)\b/.test(line)) {
      calling.add(inside);
    }
  }
  return { all, calling: [...calling] };
}

describe.each(["qemu", "stm32l552"])("the interpreter of the %s image", (image) => {
  it("goes from handler to handler by jumps, so that no instruction costs stack", () => {
    const { all, calling } = handlers(image);
    expect(all.length).toBeGreaterThan(60);
    expect(calling).toEqual([]);
  });
});
