import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { inspectModule } from "../src/agent/inspect-module.js";
import { reachable, readWasm, withCustomSection, withoutCustomSection } from "../src/agent/wasm-outline.js";
import { EdgePlugError } from "../src/errors.js";
import { folderWith } from "./support/files.js";

function wat(text: string): Uint8Array {
  const folder = folderWith({ "a.wat": text });
  execFileSync("wat2wasm", ["a.wat", "-o", "a.wasm"], { cwd: folder });
  return Uint8Array.from(readFileSync(join(folder, "a.wasm")));
}

const CONTROL = { kind: "control", ioBuffer: 0, stateId: 0 } as const;

function refusal(module: Uint8Array | string, needs: Parameters<typeof inspectModule>[1] = CONTROL): string {
  try {
    inspectModule(typeof module === "string" ? wat(module) : module, needs);
    return "nothing";
  } catch (error) {
    if (!(error instanceof EdgePlugError)) throw error;
    return `${error.code}: ${error.message}`;
  }
}

describe("the outline of a module", () => {
  it("follows calls, tables and references", () => {
    const outline = readWasm(
      wat(`(module
        (import "edgeplug" "input" (func $input (param i32) (result f32)))
        (memory 1) (table 2 funcref) (elem (i32.const 0) $listed)
        (global $g (mut i32) (i32.const -5))
        (func $direct (drop (memory.grow (i32.const 1))))
        (func $listed (drop (f64.const 1.5)) (call $direct))
        (func $lonely (block (br_table 0 0 (i32.const 1))))
        (func (export "scan") (call_indirect (i32.const 0)))
        (func (export "init") (local i64 f32) (drop (i64.const -1)) (call $lonely)
          (memory.fill (i32.const 0) (i32.const 0) (i32.const 8)) (i32.store offset=300 (i32.const 1) (i32.const 2)))
        (start $lonely))`),
    );
    expect(outline.imports).toEqual([{ module: "edgeplug", name: "input", kind: "func" }]);
    expect(outline.memoryPages).toBe(1);
    expect(outline.start).toBe(3);
    expect([...reachable(outline, [4])].sort()).toEqual([1, 2, 4]);
    expect([...reachable(outline, [5])].sort()).toEqual([3, 5]);
    expect(outline.functions[1]?.growsMemory).toBe(true);
  });

  it("tells what is no module, and what ends too early", () => {
    expect(() => readWasm(Uint8Array.of(1, 2, 3))).toThrow("no WebAssembly module");
    const module = wat('(module (func (export "scan")))');
    for (let size = 9; size < module.length; size++) {
      try {
        readWasm(module.slice(0, size));
      } catch (error) {
        expect(error).toMatchObject({ code: "MODULE_MALFORMED" });
      }
    }
    expect(() => readWasm(module.slice(0, module.length - 1))).toThrow("unexpected end");
  });

  it("takes a custom section in, replaces it, and loses it again", () => {
    const module = wat('(module (func (export "scan")))');
    const first = withCustomSection(module, "edgeplug", Uint8Array.of(1, 2, 3));
    const second = withCustomSection(first, "edgeplug", new Uint8Array(300).fill(7));
    expect(readWasm(first).custom).toEqual([{ name: "edgeplug", contents: Uint8Array.of(1, 2, 3) }]);
    expect(readWasm(second).custom).toEqual([{ name: "edgeplug", contents: new Uint8Array(300).fill(7) }]);
    expect(withoutCustomSection(second, "edgeplug")).toEqual(module);
    expect(withoutCustomSection(second, "other")).toEqual(second);
  });
});

describe("a module is refused", () => {
  it("for an import that no board offers, by its name", () => {
    expect(refusal('(module (import "wasi" "fd_write" (func)) (func (export "scan")))')).toBe(
      "MODULE_IMPORT: The module imports func wasi.fd_write, which no board offers.",
    );
    expect(refusal('(module (import "edgeplug" "input" (memory 1)) (func (export "scan")))')).toContain(
      "MODULE_IMPORT",
    );
  });

  it("for exports that its kind, its buffer or its state needs", () => {
    expect(refusal("(module)")).toContain("does not export scan()");
    expect(refusal('(module (func (export "scan")))', { ...CONTROL, kind: "request" })).toContain("handle()");
    expect(refusal('(module (memory (export "scan") 1))')).toContain("does not export scan()");
    expect(refusal('(module (func (export "scan")))', { ...CONTROL, ioBuffer: 8 })).toContain("io_buffer()");
    expect(refusal('(module (func (export "scan")))', { ...CONTROL, stateId: 8 })).toContain("save()");
  });

  it("for code that can ask for memory once scans run, but not at the start", () => {
    const grow = "(memory 1) (func $grow (drop (memory.grow (i32.const 1))))";
    expect(refusal(`(module ${grow} (func (export "scan") (call $grow)))`)).toContain(
      "AGENT_CHECK: scan() can call memory.grow (in function 0)",
    );
    expect(
      refusal(`(module ${grow} (func (export "scan")) (func (export "init") (call $grow)) (start $grow))`),
    ).toBe("nothing");
  });

  it("when it is larger than a slot", () => {
    expect(refusal(new Uint8Array(13_825))).toContain("PACKAGE_TOO_LARGE");
  });
});
