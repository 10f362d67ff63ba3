// The runner: what it lets pass, what it leaves out and why, and that it sees whatever doesn't hold. On both boards.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { BOARDS, ConformanceImage, ImageError } from "../src/image.js";
import { LastingImage } from "../src/lasting-image.js";
import { readLeftOut } from "../src/left-out.js";
import { parseOptions, UsageError } from "../src/options.js";
import { playScript, type ScriptResult } from "../src/play.js";
import type { ConformanceResult } from "../src/result.js";
import { readSpecFolder, ScriptError } from "../src/script.js";
import { sameTrap } from "../src/traps.js";
import { matches } from "../src/values.js";
import { invoke, MAIN_TEXT, ScriptFolder, value } from "./scripts.js";

const MAIN = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const { leftOut: LEFT_OUT } = readLeftOut();

const F32_NAN = 0x7fc0_0000;
const F64_NAN = 0x7ff8_0000_0000_0000n;

let folder: ScriptFolder;
beforeAll(() => {
  folder = new ScriptFolder();
  const main = folder.module("main.wasm", MAIN_TEXT);
  const other = folder.module("other.wasm", `(module (func (export "seven") (result i32) (i32.const 7)))`);
  const linked = folder.module(
    "linked.wasm",
    `(module (import "lib" "count" (func $c (result i32))) (func (export "c") (result i32) (call $c)))`,
  );
  const unlinkable = folder.module("unlinkable.wasm", `(module (import "spectest" "nothing" (func)))`);
  const incompatible = folder.module(
    "incompatible.wasm",
    `(module (import "spectest" "print_i32" (func (param f32))))`,
  );
  const trapping = folder.module("trapping.wasm", "(module (func $f unreachable) (start $f))");
  const invalid = folder.module("invalid.wasm", "(module (func (drop)))");
  const malformed = folder.file("malformed.wasm", Uint8Array.of(0, 0x61, 0x73, 0x6d, 2, 0, 0, 0));
  const text = folder.file("text.wat", "(module (func i32.const 0x))");
  // (module (table 1 funcref) (table 1 funcref)): the assembler of the tests knows one table
  const tables = folder.file(
    "tables.wasm",
    Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 4, 7, 2, 0x70, 0, 1, 0x70, 0, 1),
  );
  const returns = (field: string, args: object[], expected: object[]): object => ({
    type: "assert_return",
    action: invoke(field, args),
    expected,
  });
  const same = (type: string, bits: number | bigint): object =>
    returns(type, [value(type, bits)], [value(type, bits)]);

  folder.add("held", [
    { type: "module", filename: main },
    { type: "action", action: invoke("print") },
    returns("nothing", [], []),
    same("i32", 0xffff_ffff),
    same("i64", 0xffff_ffff_ffff_ffffn),
    same("f32", 0x8000_0000),
    same("f64", 0x8000_0000_0000_0000n),
    returns("f32", [value("f32", F32_NAN)], [value("f32", "nan:canonical")]),
    returns("f32", [value("f32", 0xffc0_0000)], [value("f32", "nan:canonical")]),
    returns("f64", [value("f64", F64_NAN + 1n)], [value("f64", "nan:arithmetic")]),
    returns("two", [value("i32", 1), value("i64", 2)], [value("i64", 2), value("i32", 1)]),
    { type: "assert_trap", action: invoke("trap"), text: "unreachable" },
    { type: "assert_trap", action: invoke("load", [value("i32", -1)]), text: "out of bounds memory access" },
    { type: "assert_exhaustion", action: invoke("deep"), text: "call stack exhausted" },
    { type: "assert_invalid", filename: invalid, text: "type mismatch", module_type: "binary" },
    { type: "assert_malformed", filename: malformed, text: "unknown binary version", module_type: "binary" },
    { type: "assert_unlinkable", filename: unlinkable, text: "unknown import", module_type: "binary" },
    {
      type: "assert_unlinkable",
      filename: incompatible,
      text: "incompatible import type",
      module_type: "binary",
    },
    { type: "assert_uninstantiable", filename: trapping, text: "unreachable", module_type: "binary" },
  ]);

  folder.add("modules", [
    { type: "module", name: "$first", filename: main },
    returns("count", [], [value("i32", 1)]),
    returns("count", [], [value("i32", 2)]),
    { type: "module", name: "$second", filename: main },
    returns("count", [], [value("i32", 1)]),
    // the first one is as it was left
    { type: "assert_return", action: invoke("count", [], "$first"), expected: [value("i32", 3)] },
    { type: "assert_return", action: invoke("count", [], "$second"), expected: [value("i32", 2)] },
    // a module that is refused takes nobody's place
    { type: "assert_invalid", filename: invalid, text: "type mismatch", module_type: "binary" },
    returns("count", [], [value("i32", 3)]),
    { type: "module", filename: other },
    returns("seven", [], [value("i32", 7)]),
  ]);

  folder.add("left", [
    { type: "assert_malformed", filename: text, text: "unexpected token", module_type: "text" },
    { type: "module", filename: tables },
    returns("nothing", [], []),
    { type: "assert_trap", action: invoke("nothing"), text: "unreachable" },
    { type: "module", name: "$lib", filename: main },
    { type: "assert_return", action: { type: "get", field: "g" }, expected: [value("i32", 42)] },
    { type: "register", name: "$lib", as: "lib" },
    returns("count", [], [value("i32", 1)]),
    { type: "assert_unlinkable", filename: linked, text: "incompatible import type", module_type: "binary" },
    { type: "module", filename: linked },
    returns("c", [], [value("i32", 2)]),
    // the linked one may have changed it
    { type: "assert_return", action: invoke("count", [], "$lib"), expected: [value("i32", 3)] },
  ]);

  folder.add("wrong", [
    { type: "module", filename: main },
    returns("i32", [value("i32", 1)], [value("i32", 2)]),
    returns("f32", [value("f32", F32_NAN + 1)], [value("f32", "nan:canonical")]),
    returns("f64", [value("f64", F64_NAN - 1n)], [value("f64", "nan:arithmetic")]),
    returns("i32", [value("i32", 1)], []),
    returns("nothing", [], [value("i32", 0)]),
    returns("trap", [], []),
    returns("nobody", [], []),
    { type: "assert_trap", action: invoke("nothing"), text: "unreachable" },
    { type: "assert_trap", action: invoke("trap"), text: "integer overflow" },
    { type: "assert_exhaustion", action: invoke("trap"), text: "call stack exhausted" },
    { type: "action", action: invoke("trap") },
    { type: "assert_invalid", filename: main, text: "type mismatch", module_type: "binary" },
    { type: "assert_invalid", filename: malformed, text: "type mismatch", module_type: "binary" },
    { type: "assert_malformed", filename: invalid, text: "magic", module_type: "binary" },
    { type: "assert_unlinkable", filename: main, text: "unknown import", module_type: "binary" },
    {
      type: "assert_unlinkable",
      filename: unlinkable,
      text: "incompatible import type",
      module_type: "binary",
    },
    { type: "assert_unlinkable", filename: incompatible, text: "unknown import", module_type: "binary" },
    { type: "assert_uninstantiable", filename: trapping, text: "integer overflow", module_type: "binary" },
    { type: "assert_return", action: invoke("count", [], "$nobody"), expected: [value("i32", 1)] },
    { type: "register", name: "$nobody", as: "x" },
    { type: "module", filename: invalid },
    returns("nothing", [], []),
    // and behind all that it still plays
    { type: "module", filename: main },
    returns("count", [], [value("i32", 1)]),
  ]);
});
afterAll(() => {
  folder.delete();
});

function scriptOf(name: string) {
  const script = readSpecFolder(folder.path).scripts.find((each) => each.name === name);
  if (script === undefined) throw new RangeError(name);
  return script;
}

describe.each(BOARDS)("on %s", (board) => {
  let image: LastingImage;
  beforeAll(() => {
    image = new LastingImage(board, 60);
  });
  afterAll(() => {
    image.end();
  });
  const play = (name: string): Promise<ScriptResult> => playScript(scriptOf(name), image, LEFT_OUT);

  test("every kind of assertion that holds is seen to hold", async () => {
    expect(await play("held")).toEqual({ name: "held", passed: 17, leftOut: {}, failures: [] });
  });

  test("a named module is as its calls have left it, whoever was there meanwhile", async () => {
    expect(await play("modules")).toEqual({ name: "modules", passed: 8, leftOut: {}, failures: [] });
  });

  test("what can't be played is counted by its reason", async () => {
    expect(await play("left")).toEqual({
      name: "left",
      passed: 1,
      leftOut: { "text-format": 1, "multiple-tables": 2, "exported-globals": 1, "linked-modules": 3 },
      failures: [],
    });
  });

  test("what isn't in the list is a failure", async () => {
    const result = await playScript(scriptOf("left"), image, []);
    expect(result.passed).toBe(1);
    expect(result.leftOut).toEqual({});
    // the seven that are left out otherwise, and the two modules themselves
    expect(result.failures.map(({ line }) => line)).toEqual([1, 2, 3, 4, 6, 9, 10, 11, 12]);
  });

  test("each wrong expectation is seen, with its line", async () => {
    const { passed, leftOut, failures } = await play("wrong");
    expect(failures.map(({ line, what }) => `${String(line)}: ${what}`)).toEqual([
      "2: expected i32 0x00000002; got i32 0x00000001",
      "3: expected f32 nan:canonical; got f32 0x7fc00001",
      "4: expected f64 nan:arithmetic; got f64 0x7ff7ffffffffffff",
      "5: expected nothing; got i64 0x0000000000000001",
      "6: expected i32 0x00000000; got nothing",
      "7: expected nothing; got a trap: unreachable",
      "8: no answer to a call: err unknown function",
      "9: expected a trap: unreachable; got 0 results",
      "10: expected a trap: integer overflow; got: unreachable",
      "11: expected a trap: call stack exhausted; got: unreachable",
      "12: a trap: unreachable",
      "13: expected invalid: type mismatch; got: ok",
      "14: expected invalid: type mismatch; got: err malformed version",
      "15: expected malformed: magic; got: err invalid type mismatch",
      "16: expected unlinkable: unknown import; got: ok",
      "17: expected unlinkable: incompatible import type; got: err unlinkable spectest.nothing",
      "18: expected unlinkable: unknown import; got: err unlinkable spectest.print_i32: type",
      "19: expected uninstantiable: integer overflow; got: err trap unreachable",
      "20: there is no such module",
      "21: there is no such module",
      "22: the module is refused: err invalid type mismatch",
      "23: its module failed: the module is refused: err invalid type mismatch",
    ]);
    expect({ passed, leftOut }).toEqual({ passed: 1, leftOut: {} });
  });

  test("an image that dies fails the assertion under way and no other", async () => {
    let asked = 0;
    const dying = {
      request: (request: Uint8Array): Promise<string> => {
        asked++;
        if (asked !== 5) return image.request(request);
        image.end(); // a new one, which knows none of the modules, answers from now on
        return Promise.reject(new ImageError("gone"));
      },
    };
    const { passed, failures } = await playScript(scriptOf("modules"), dying, LEFT_OUT);
    expect(failures).toEqual([{ line: 5, command: "assert_return count()", what: "gone" }]);
    expect(passed).toBe(7);
  });
});

test("after an image that left, a new one answers", async () => {
  const image = new LastingImage("sim", 60);
  await expect(image.request(Buffer.from("Q"))).rejects.toThrow("the conformance image left with 0");
  expect(await image.request(Buffer.from("R"))).toBe("ok");
  image.end();
});

test("an image that doesn't answer in time has failed", async () => {
  const image = new LastingImage("sim", 0.2);
  // half of a request
  await expect(image.request(Buffer.from("M"))).rejects.toThrow("no answer in 0.2 s");
  image.end();
});

describe("NaNs", () => {
  const CASES: readonly (readonly [string, string, bigint, boolean])[] = [
    ["f32", "nan:canonical", 0x7fc0_0000n, true],
    ["f32", "nan:canonical", 0xffc0_0000n, true],
    ["f32", "nan:canonical", 0x7fc0_0001n, false],
    ["f32", "nan:canonical", 0x7f80_0000n, false],
    ["f32", "nan:canonical", 0x3fc0_0000n, false],
    ["f32", "nan:arithmetic", 0x7fc0_0001n, true],
    ["f32", "nan:arithmetic", 0xffff_ffffn, true],
    ["f32", "nan:arithmetic", 0x7fa0_0000n, false],
    ["f32", "nan:arithmetic", 0x7f80_0000n, false],
    ["f64", "nan:canonical", 0xfff8_0000_0000_0000n, true],
    ["f64", "nan:canonical", 0x7ff8_0000_0000_0001n, false],
    ["f64", "nan:arithmetic", 0x7ff8_0000_0000_0001n, true],
    ["f64", "nan:arithmetic", 0x7ff4_0000_0000_0000n, false],
    ["i32", "nan:canonical", 0x7fc0_0000n, false],
    ["f32", "2143289344", 0x7fc0_0000n, true],
    ["f32", "2143289344", 0xffc0_0000n, false],
    ["i32", "4294967295", 0xffff_ffffn, true],
    ["i32", "4294967295", 0xffff_ffff_ffff_ffffn, false],
  ];
  test.each(CASES)("%s %s and 0x%x", (type, expected, actual, wanted) => {
    expect(matches({ type, value: expected }, actual)).toBe(wanted);
  });
});

test("traps are compared as the specification's interpreter does, by how they begin", () => {
  expect(sameTrap("uninitialized element 2", "uninitialized element")).toBe(true);
  expect(sameTrap("uninitialized", "uninitialized element")).toBe(true);
  expect(sameTrap("undefined element", "out of bounds table access")).toBe(true);
  expect(sameTrap("undefined element", "uninitialized element")).toBe(false);
  expect(sameTrap("integer overflow", "integer divide by zero")).toBe(false);
  expect(sameTrap("", "unreachable")).toBe(false);
});

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr });
    });
  });
}

describe("the command", () => {
  test("prints a table by file, with reasons and failures, and exits with 1 if there is one", async () => {
    const { code, stdout, stderr } = await run("--spec", folder.path, "--board", "sim");
    const lines = stdout.split("\n");
    expect(lines[0]).toMatch(/^file +passed +left out +failed$/);
    expect(lines).toContainEqual(expect.stringMatching(/^held +17 +0 +0$/));
    expect(lines).toContainEqual(
      expect.stringMatching(
        /^left +1 +7 +0 {2}text-format 1, multiple-tables 2, exported-globals 1, linked-modules 3$/,
      ),
    );
    expect(lines).toContainEqual(expect.stringMatching(/^all +27 +7 +22$/));
    expect(lines).toContainEqual(expect.stringMatching(/^ +3 {2}linked-modules: several modules/));
    expect(lines).toContain(
      "  wrong.wast:2: assert_return i32(i32 0x00000001): expected i32 0x00000002; got i32 0x00000001",
    );
    expect(stderr).toMatch(/^sim: 27 assertions held, 7 left out, 22 failed, \d+ s$/m);
    expect(code).toBe(1);
  });

  test("exits with 0 if nothing failed; --filter chooses files, --json prints all of it", async () => {
    const args = ["--spec", folder.path, "--board", "sim", "--filter", "hel", "--filter", "mod", "--json"];
    const { code, stdout } = await run(...args);
    const result = JSON.parse(stdout) as ConformanceResult;
    expect(code).toBe(0);
    expect(result.files.map(({ name }) => name)).toEqual(["held", "modules"]);
    expect(result.totals).toEqual({ passed: 25, leftOut: 0, failed: 0, byReason: {} });
    expect(result.passed).toBe(true);
  });

  test("writes JUnit XML with a case for each file", async () => {
    const output = join(folder.path, "junit.xml");
    const args = ["--spec", folder.path, "--board", "sim", "--filter", "wrong", "--filter", "held"];
    const { code } = await run(...args, "--reporter", "junit", "--output", output);
    const xml = readFileSync(output, "utf8");
    expect(code).toBe(1);
    expect(xml).toContain('tests="2" failures="1"');
    expect(xml).toContain('name="wrong"');
  });

  test("says what is wrong with its arguments, and exits with 2", async () => {
    const missing = join(folder.path, "none");
    for (const [args, message] of [
      [["--board", "sim"], /^conformance: --spec DIR: it is missing\nSee --help\.$/m],
      [["--spec", missing], /^conformance: there is no .*none\. It takes a folder of what wast2json makes/],
    ] as const) {
      const { code, stdout, stderr } = await run(...args);
      expect(stderr).toMatch(message);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    }
  });

  test("says which module of a script is missing, and exits with 2", async () => {
    const half = new ScriptFolder();
    half.add("half", [{ type: "module", line: 1, filename: "no.wasm" }]);
    try {
      const { code, stdout, stderr } = await run("--spec", half.path);
      expect(stderr).toContain(`conformance: half.json: no.wasm is not in ${half.path}\n`);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    } finally {
      half.delete();
    }
  });

  test.each([
    [["--spec", "x", "--board", "nucleo"], "--board: expected qemu or sim, got nucleo"],
    [["--spec", "x", "--patience", "long"], "--patience: expected seconds, got long"],
    [["--spec", "x", "--patience", "0"], "--patience: expected seconds, got 0"],
    [["--spec", "x", "--reporter", "tap"], "--reporter: expected junit, got tap"],
    [["--spec", "x", "--output", "y"], "--output: it is where --reporter junit writes"],
    [["--spex", "x"], "--spex"],
    [["x"], "x"],
  ])("%j is refused", (args, message) => {
    const parsed = (): unknown => parseOptions(args);
    expect(parsed).toThrow(UsageError);
    expect(parsed).toThrow(message);
  });

  test("--help names every option", async () => {
    const { code, stdout } = await run("--help");
    expect(code).toBe(0);
    for (const option of ["spec", "board", "filter", "patience", "json", "reporter", "output"])
      expect(stdout).toContain(`--${option}`);
  });
});

describe("a folder", () => {
  const odd = new ScriptFolder();
  afterAll(() => {
    odd.delete();
  });
  const reading = (): unknown => readSpecFolder(odd.path);

  test("without wast2json's output is refused, and says what is wanted", () => {
    expect(reading).toThrow(ScriptError);
    expect(reading).toThrow(/there is no wast2json output in .*wast2json test/s);
    odd.file("package.json", "{}");
    expect(reading).toThrow("there is no wast2json output");
    odd.file("i32.wast", "(module)");
    expect(reading).toThrow("only the .wast sources");
    expect(() => readSpecFolder(MAIN)).toThrow("main.js is no folder");
  });

  test("may have other files beside it", () => {
    odd.add("i32", []);
    expect(readSpecFolder(odd.path)).toEqual({
      scripts: [{ name: "i32", folder: odd.path, commands: [] }],
      others: ["package.json"],
    });
  });

  test.each([
    [[{ type: "module" }], 'half.json: command 1: expected a text as "filename"'],
    [[{ type: "register" }], 'half.json: command 1: expected a text as "as"'],
    [[{ type: "action", action: { type: "peek", field: "" } }], 'no action is called "peek"'],
    [[{ type: "assert_return", action: invoke("f") }], 'expected a list as "expected"'],
    [[{ type: "assert_magic" }], 'no command is called "assert_magic"'],
  ])("with half a script is refused: %j", (commands, message) => {
    odd.add("half", commands);
    expect(reading).toThrow(ScriptError);
    expect(reading).toThrow(message);
  });

  test("with JSON that is none is refused", () => {
    odd.file("half.json", "{");
    expect(reading).toThrow(/half\.json: .*JSON/);
  });
});

test("an image whose program is gone answers no more", async () => {
  const image = ConformanceImage.sim();
  expect(await image.quit()).toBe(0);
  await expect(image.request(Buffer.from("R"))).rejects.toThrow("the conformance image left with 0");
});
