// Every request and every reply of the conformance image, as firmware/conformance/README.md has them, on both boards.
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { assemble } from "../module.js";
import { BOARDS, ConformanceImage } from "../src/image.js";
import { ed25519Request, hashRequest, invokeRequest, moduleRequest } from "../src/requests.js";

const PREAMBLE = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const MAX_MODULE = 65_536;

function wat(text: string, options: { validate?: boolean } = {}): Uint8Array {
  return assemble(text, options);
}

function leb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >>> 7)];
}

/** The bits of numbers as the image takes and gives them. */
function hex(...values: readonly (number | bigint)[]): string {
  return [
    "r",
    ...values.map((value) => BigInt.asUintN(64, BigInt(value)).toString(16).padStart(16, "0")),
  ].join(" ");
}

/** `bytes` and a custom section, `size` bytes in all. */
function padded(bytes: Uint8Array, size: number): Uint8Array {
  const room = size - bytes.length - 1 - 3; // the section's id, its length in three bytes
  const length = [(room & 0x7f) | 0x80, ((room >> 7) & 0x7f) | 0x80, room >> 14];
  return Uint8Array.from([...bytes, 0, ...length, 0, ...new Uint8Array(room - 1)]);
}

/** A function whose br_table has so many labels, exported as "f": that many entries of the side table and one. */
function manyBranches(labels: number): Uint8Array {
  const body = [0, 0x20, 0, 0x0e, ...leb(labels), ...new Uint8Array(labels), 0, 0x0b];
  const section = (id: number, contents: number[]): number[] => [id, ...leb(contents.length), ...contents];
  return Uint8Array.from([
    ...PREAMBLE,
    ...section(1, [1, 0x60, 1, 0x7f, 0]),
    ...section(3, [1, 0]),
    ...section(7, [1, 1, 0x66, 0, 0]),
    ...section(10, [1, ...leb(body.length), ...body]),
  ]);
}

const COUNTER = wat(`(module (global $n (mut i32) (i32.const 0))
  (func (export "count") (result i32)
    (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))`);

const ADD = wat(
  `(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))`,
);

describe.each(BOARDS)("on %s", (board) => {
  let image: ConformanceImage;
  beforeAll(() => {
    image = ConformanceImage.start(board);
  });
  afterAll(() => {
    image.kill();
  });

  const load = (bytes: Uint8Array): Promise<string> => image.request(moduleRequest(bytes));
  const invoke = (name: string, ...args: readonly (number | bigint)[]): Promise<string> =>
    image.request(invokeRequest(name, args.map(BigInt)));

  test("a module is ok, and its calls answer r with 16 hex digits for each result", async () => {
    const sixteen = Array.from({ length: 16 }, (_, at) => `(i64.const ${String(-at)})`).join(" ");
    const types = Array.from({ length: 16 }, () => "i64").join(" ");
    const text = `(module
      (func (export "none"))
      (func (export "i32") (param i32) (result i32) (local.get 0))
      (func (export "f32") (param f32) (result f32) (local.get 0))
      (func (export "f64") (param f64) (result f64) (local.get 0))
      (func (export "sixteen") (result ${types}) ${sixteen})
      (func (export "") (result i32) (i32.const 7)))`;
    expect(await load(wat(text))).toBe("ok");
    expect(await invoke("none")).toBe("r");
    expect(await invoke("i32", 0xffff_ffffn)).toBe(hex(0xffff_ffffn));
    expect(await invoke("f32", 0xffa0_0001n), "a signalling NaN").toBe(hex(0xffa0_0001n));
    expect(await invoke("f64", 0x7ff0_0000_0000_0001n)).toBe(hex(0x7ff0_0000_0000_0001n));
    expect(await invoke("sixteen")).toBe(hex(...Array.from({ length: 16 }, (_, at) => -at)));
    expect(await invoke("")).toBe(hex(7));
  });

  test("arguments come in order, and the upper half of an i32 counts for nothing", async () => {
    expect(
      await load(
        wat(`(module (func (export "sub") (param i32 i32) (result i32)
      (i32.sub (local.get 0) (local.get 1))))`),
      ),
    ).toBe("ok");
    expect(await invoke("sub", 0x1234_5678_0000_000an, 0xffff_ffff_0000_0003n)).toBe(hex(7));
  });

  test("255 arguments", async () => {
    const params = Array.from({ length: 255 }, () => "i64").join(" ");
    expect(
      await load(wat(`(module (func (export "last") (param ${params}) (result i64) (local.get 254)))`)),
    ).toBe("ok");
    expect(await invoke("last", ...Array.from({ length: 255 }, (_, at) => at))).toBe(hex(254));
  });

  const TRAPS: readonly (readonly [string, string])[] = [
    ["(unreachable)", "unreachable"],
    ["(drop (i32.div_u (i32.const 1) (i32.const 0)))", "integer divide by zero"],
    ["(drop (i32.load (i32.const 65533)))", "out of bounds memory access"],
    ["(drop (i32.trunc_f32_s (f32.const nan)))", "invalid conversion to integer"],
    ["(call $f)", "call stack exhausted"],
  ];
  test.each(TRAPS)("a call of %s answers t and why, and the instance goes on", async (body, reason) => {
    const text = `(module (memory 1) (func $f (export "f") ${body}) (func (export "g") (result i32) (i32.const 1)))`;
    expect(await load(wat(text))).toBe("ok");
    expect(await invoke("f")).toBe(`t ${reason}`);
    expect(await invoke("g")).toBe(hex(1));
    expect(await invoke("f")).toBe(`t ${reason}`);
  });

  test("deep frames exhaust the stack before they overrun it", async () => {
    const locals = Array.from({ length: 2000 }, () => "i64").join(" ");
    expect(await load(wat(`(module (func $f (export "f") (local ${locals}) (call $f)))`))).toBe("ok");
    expect(await invoke("f")).toBe("t call stack exhausted");
  });

  const REFUSED: readonly (readonly [string, () => Uint8Array, RegExp])[] = [
    ["bytes that are none", () => Uint8Array.from([1, 2, 3]), /^err malformed ./],
    ["no bytes", () => new Uint8Array(), /^err malformed ./],
    ["code that is wrong", () => wat("(module (func (drop)))", { validate: false }), /^err invalid ./],
    [
      "an import that isn't there",
      () => wat(`(module (import "spectest" "nothing" (func)))`),
      /^err unlinkable spectest\.nothing$/,
    ],
    [
      "an import of another type",
      () => wat(`(module (import "spectest" "global_i32" (global i64)))`),
      /^err unlinkable spectest\.global_i32: type$/,
    ],
    [
      "a start function that traps",
      () => wat("(module (func $f unreachable) (start $f))"),
      /^err trap unreachable/,
    ],
    [
      "a start function that never ends its calls",
      () => wat("(module (func $f (call $f)) (start $f))"),
      /^err trap call stack exhausted/,
    ],
    [
      "a segment that doesn't fit",
      () => wat(`(module (memory 1) (data (i32.const 65535) "ab"))`),
      /^err trap out of bounds memory access/,
    ],
    ["65,537 bytes", () => padded(wat("(module)"), MAX_MODULE + 1), /^err limit module size$/],
    ["100,000 bytes", () => padded(wat("(module)"), 100_000), /^err limit module size$/],
    ["four pages", () => wat("(module (memory 4))"), /^err limit memory$/],
    [
      "17 results",
      () => wat(`(module (func (result ${"i32 ".repeat(17)}) unreachable))`),
      /^err limit results$/,
    ],
    ["2,049 locals", () => wat(`(module (func (local ${"i32 ".repeat(2049)})))`), /^err limit locals$/],
    [
      "2,049 parameters",
      () => wat(`(module (func (param ${"i32 ".repeat(2049)})))`),
      /^err limit parameters$/,
    ],
    ["a table too long", () => wat("(module (table 1000000 funcref))"), /^err limit arena$/],
  ];
  test.each(REFUSED)("%s: refused by name, and no module is there then", async (_, bytes, reply) => {
    expect(await load(ADD)).toBe("ok");
    expect(await load(bytes())).toMatch(reply);
    expect(await invoke("add", 1, 2)).toBe("err unknown function");
    expect(await load(ADD)).toBe("ok");
    expect(await invoke("add", 1, 2)).toBe(hex(3));
  });

  test.each([
    ["its start function traps", "(func $s unreachable) (start $s)"],
    ["its segment doesn't fit", `(memory 1) (data (i32.const 65536) "a")`],
    ["it doesn't link", `(import "a" "b" (func))`],
  ])("what a module exports can't be called if %s", async (_, fault) => {
    const bytes = wat(`(module ${fault} (func (export "f")))`);
    expect(await load(bytes)).toMatch(/^err (trap|unlinkable) /);
    expect(await invoke("f")).toBe("err unknown function");
  });

  test("65,536 bytes are taken", async () => {
    expect(await load(padded(ADD, MAX_MODULE))).toBe("ok");
    expect(await invoke("add", 40, 2)).toBe(hex(42));
  });

  test("2,048 locals are taken, and all are zero", async () => {
    const text = `(module (func (export "f") (param i64) (result i64) (local ${"i64 ".repeat(2047)})
      (i64.add (local.get 0) (local.get 2047))))`;
    expect(await load(wat(text))).toBe("ok");
    expect(await invoke("f", 5)).toBe(hex(5));
  });

  test("the side table takes as many branches as a module can have", async () => {
    const bytes = manyBranches(MAX_MODULE - manyBranches(60_000).length + 60_000);
    expect(bytes.length).toBe(MAX_MODULE);
    expect(await load(bytes)).toBe("ok");
    for (const label of [0, 1, 65_000, 70_000]) expect(await invoke("f", label)).toBe("r");
  });

  test("memory grows up to three pages", async () => {
    const text = `(module (memory (export "m") 1)
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
      (func (export "store") (param i32) (i32.store8 (local.get 0) (i32.const 1))))`;
    expect(await load(wat(text))).toBe("ok");
    expect(await invoke("store", 65_536)).toBe("t out of bounds memory access");
    expect(await invoke("grow", 2)).toBe(hex(1));
    expect(await invoke("store", 3 * 65_536 - 1)).toBe("r");
    expect(await invoke("store", 3 * 65_536)).toBe("t out of bounds memory access");
    expect(await invoke("grow", 1)).toBe(hex(0xffff_ffffn));
    expect(await invoke("grow", 0)).toBe(hex(3));
  });

  test("each module starts in a fresh instance, also the same one", async () => {
    expect(await load(COUNTER)).toBe("ok");
    expect(await invoke("count")).toBe(hex(1));
    expect(await invoke("count")).toBe(hex(2));
    expect(await load(COUNTER)).toBe("ok");
    expect(await invoke("count")).toBe(hex(1));
  });

  test("a reset drops the module", async () => {
    expect(await load(COUNTER)).toBe("ok");
    expect(await image.request(Buffer.from("R"))).toBe("ok");
    expect(await invoke("count")).toBe("err unknown function");
    expect(await image.request(Buffer.from("R")), "again").toBe("ok");
  });

  test("what can't be called says so, and calls nothing", async () => {
    expect(await load(COUNTER)).toBe("ok");
    expect(await invoke("coun")).toBe("err unknown function");
    expect(await invoke("count".repeat(13_000))).toBe("err unknown function");
    expect(await invoke("count", 1)).toBe("err unknown type");
    expect(await invoke("count")).toBe(hex(1));
  });

  test("spectest is what the specification's tests define", async () => {
    const functions = [
      "print",
      "print_i32",
      "print_i64",
      "print_f32",
      "print_f64",
      "print_i32_f32",
      "print_f64_f64",
    ];
    const types = ["", "i32", "i64", "f32", "f64", "i32 f32", "f64 f64"];
    const text = `(module
      ${functions
        .map((name, at) => `(import "spectest" "${name}" (func $${name} (param ${types[at] ?? ""})))`)
        .join("\n")}
      ${["i32", "i64", "f32", "f64"]
        .map((type) => `(import "spectest" "global_${type}" (global $${type} ${type}))`)
        .join("\n")}
      (import "spectest" "table" (table 10 20 funcref))
      (import "spectest" "memory" (memory 1 2))
      (func (export "print")
        ${functions
          .map((name, at) => {
            const args = (types[at] ?? "").split(" ").filter((type) => type !== "");
            return `(call $${name} ${args.map((type) => `(${type}.const 1)`).join(" ")})`;
          })
          .join("\n")})
      (func (export "globals") (result i32 i64 f32 f64)
        (global.get $i32) (global.get $i64) (global.get $f32) (global.get $f64))
      (func (export "indirect") (param i32) (call_indirect (local.get 0)))
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))`;
    expect(await load(wat(text))).toBe("ok");
    expect(await invoke("print")).toBe("r");
    expect(await invoke("globals"), "666, 666, 666.6 and 666.6").toBe(
      hex(666, 666, 0x4426_a666, 0x4084_d4cc_cccc_cccdn),
    );
    expect(await invoke("indirect", 9)).toBe("t uninitialized element");
    expect(await invoke("indirect", 10)).toBe("t out of bounds table access");
    expect(await invoke("grow", 1)).toBe(hex(1));
    expect(await invoke("grow", 1)).toBe(hex(0xffff_ffffn));
    for (const [import_, reply] of [
      [`"table" (table 11 funcref)`, /^err unlinkable spectest\.table: type$/],
      [`"table" (table 10 19 funcref)`, /^err unlinkable spectest\.table: type$/],
      [`"memory" (memory 2)`, /^err unlinkable spectest\.memory: type$/],
      [`"memory" (memory 0 1)`, /^err unlinkable spectest\.memory: type$/],
      [`"memory" (memory 0 3)`, /^ok$/],
      [`"global_i32" (global (mut i32))`, /^err unlinkable spectest\.global_i32: type$/],
      [`"print_i32" (func (param i64))`, /^err unlinkable spectest\.print_i32: type$/],
    ] as const)
      expect(await load(wat(`(module (import "spectest" ${import_}))`)), import_).toMatch(reply);
  });

  test("each instance has a memory, table and globals of spectest's of its own", async () => {
    const text = `(module (import "spectest" "memory" (memory 1 2)) (import "spectest" "table" (table 10 funcref))
      (func $f) (elem (i32.const 0) $f)
      (func (export "load") (result i32) (i32.load (i32.const 0)))
      (func (export "store") (i32.store (i32.const 0) (i32.const 9))))`;
    expect(await load(wat(text))).toBe("ok");
    expect(await invoke("store")).toBe("r");
    expect(await load(wat(text))).toBe("ok");
    expect(await invoke("load")).toBe(hex(0));
    expect(
      await load(
        wat(`(module (import "spectest" "table" (table 10 funcref)) (type $t (func))
          (func (export "f") (call_indirect (type $t) (i32.const 0))))`),
      ),
    ).toBe("ok");
    expect(await invoke("f")).toBe("t uninitialized element");
  });

  test("signatures and digests, with a module in place", async () => {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    const key = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
    const message = Buffer.from("the message");
    const signature = sign(null, message, privateKey);
    expect(await load(COUNTER)).toBe("ok");
    expect(await image.request(ed25519Request(key, signature, message))).toBe("ok");
    expect(await image.request(ed25519Request(key, signature, Buffer.from("the massage")))).toMatch(/^err ./);
    const long = Buffer.alloc(65_536, 0x5a);
    expect(await image.request(ed25519Request(key, sign(null, long, privateKey), long))).toBe("ok");
    const sha512 = createHash("sha512").update(message).digest("hex");
    expect(await image.request(hashRequest("H", message))).toBe(`r ${sha512}`);
    expect(await image.request(hashRequest("C", Buffer.from("123456789")))).toBe("r cbf43926");
    expect(await image.request(hashRequest("C", Buffer.alloc(0)))).toBe("r 00000000");
    expect(await invoke("count"), "the module is still there").toBe(hex(1));
  });

  test("bytes may come one by one or all at once", async () => {
    const bytes = Buffer.concat([moduleRequest(ADD), invokeRequest("add", [1n, 2n]), Buffer.from("?R")]);
    const answers = ["ok", hex(3), "err unknown request", "ok"];
    expect(await image.requests(bytes, 4)).toEqual(answers);
    const slowly = image.requests(new Uint8Array(), 4);
    for (const byte of bytes) image.send(Uint8Array.of(byte));
    expect(await slowly).toEqual(answers);
  });

  test("it says nothing of its own accord, and Q ends it with exit code 0", async () => {
    const other = ConformanceImage.start(board);
    expect(await other.request(Buffer.from("R")), "the first line there is").toBe("ok");
    expect(await other.quit()).toBe(0);
    expect(other.unasked).toBe("");
  });
});
