// Small modules for what isn't arithmetic: every control, variable, memory and table instruction, every trap. Floats go
// in and out as integers.

export interface Call {
  readonly name: string;
  readonly args: readonly bigint[];
}

export interface Program {
  readonly law: string;
  readonly text: string;
  readonly calls: readonly Call[];
}

function call(name: string, ...args: (number | bigint)[]): Call {
  return { name, args: args.map(BigInt) };
}

function calls(name: string, ...args: (number | bigint)[]): Call[] {
  return args.map((arg) => call(name, arg));
}

const LOADS: readonly (readonly [string, "i32" | "i64", number])[] = [
  ["i32.load", "i32", 4],
  ["i32.load8_s", "i32", 1],
  ["i32.load8_u", "i32", 1],
  ["i32.load16_s", "i32", 2],
  ["i32.load16_u", "i32", 2],
  ["i64.load", "i64", 8],
  ["i64.load8_s", "i64", 1],
  ["i64.load8_u", "i64", 1],
  ["i64.load16_s", "i64", 2],
  ["i64.load16_u", "i64", 2],
  ["i64.load32_s", "i64", 4],
  ["i64.load32_u", "i64", 4],
  ["f32.load", "i32", 4],
  ["f64.load", "i64", 8],
];

const STORES: readonly (readonly [string, "i32" | "i64", number])[] = [
  ["i32.store", "i32", 4],
  ["i32.store8", "i32", 1],
  ["i32.store16", "i32", 2],
  ["i64.store", "i64", 8],
  ["i64.store8", "i64", 1],
  ["i64.store16", "i64", 2],
  ["i64.store32", "i64", 4],
  ["f32.store", "i32", 4],
  ["f64.store", "i64", 8],
];

/** Integers as they are, floats by their bits. */
function cast(instruction: string, type: string, text: string, out: boolean): string {
  const kind = instruction.slice(0, 3);
  if (!kind.startsWith("f")) return text;
  return out ? `(${type}.reinterpret_${kind} ${text})` : `(${kind}.reinterpret_${type} ${text})`;
}

const OFFSETS = [0, 1, 127, 128, 300, 65528, 65536, 4294967295];
const PAGE = 65536;

function loads([name, type, size]: (typeof LOADS)[number]): Program {
  const functions = OFFSETS.map((offset) => {
    const value = cast(name, type, `(${name} offset=${offset} (local.get 0))`, true);
    return `(func (export "at${offset}") (param i32) (result ${type}) ${value})`;
  });
  const data = "\\\\80\\\\ff\\\\7f\\\\01\\\\a1\\\\ff\\\\ff\\\\7f\\\\f0\\\\ff\\\\aa\\\\80".replaceAll(
    "\\\\",
    "\\",
  );
  return {
    law: `${name} reads at every offset and alignment, and traps where a byte of it lies outside`,
    text: `(module (memory 1) (data (i32.const 0) "${data}") (data (i32.const 65524) "${data}")
      (data (i32.const 126) "${data}") (data (i32.const 300) "${data}") ${functions.join("\n")})`,
    calls: OFFSETS.flatMap((offset) =>
      [0, 1, 2, 3, 7, PAGE - size - offset, PAGE - size - offset + 1, PAGE - 8, PAGE, 0x7fffffff, 0xffffffff]
        .filter((address) => address >= 0)
        .map((address) => call(`at${offset}`, address)),
    ),
  };
}

function stores([name, type, size]: (typeof STORES)[number]): Program {
  const functions = OFFSETS.map((offset) => {
    const value = cast(name, type, "(local.get 1)", false);
    return `(func (export "at${offset}") (param i32 ${type}) (${name} offset=${offset} (local.get 0) ${value}))`;
  });
  return {
    law: `${name} writes what it should and nothing beside it, and traps where a byte of it lies outside`,
    text: `(module (memory 1) ${functions.join("\n")}
      (func (export "look") (param i32) (result i64) (i64.load (local.get 0))))`,
    calls: OFFSETS.flatMap((offset) =>
      [9, 2, PAGE - size - offset, PAGE - size - offset + 1, PAGE, 0xffffffff]
        .filter((address) => address >= 0)
        .flatMap((address) => [
          call(`at${offset}`, address, 0xfff1_8283_7ff4_8586n),
          ...calls("look", 0, 5, 8, 12, 128, 136, PAGE - 8, PAGE - 16),
        ]),
    ),
  };
}

const CONTROL: readonly Program[] = [
  {
    law: "block, loop, br and br_if carry values and drop what lies below them",
    text: `(module
      (func (export "drops") (param i32) (result i32)
        (i32.add (i32.const 1000) (block (result i32)
          (i32.const 1) (i32.const 2) (i32.const 3)
          (br_if 0 (local.get 0) (i32.eqz (local.get 0)))
          (br 0 (i32.add)) (unreachable))))
      (func (export "sum") (param i32) (result i32) (local i32)
        (loop $again
          (local.set 1 (i32.add (local.get 1) (local.get 0)))
          (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (local.get 1))
      (func (export "pairs") (param i32) (result i32 i64)
        (i32.const 7) (i64.const 8)
        (block (param i32 i64) (result i32 i64)
          (br_if 0 (local.get 0)) (drop) (drop) (i32.const 9)
          (i32.const 77) (i64.const 78) (br 0)))
      (func (export "params") (param i32) (result i32)
        (local.get 0)
        (loop (param i32) (result i32)
          (i32.sub (i32.const 3)) (local.tee 0)
          (local.get 0) (i32.const 5) (i32.gt_s) (br_if 0)))
      (func (export "nop") (result i32) (nop) (i32.const 5) (nop)))`,
    calls: [
      ...calls("drops", 0, 1, 55),
      ...calls("sum", 1, 10, 100),
      ...calls("pairs", 0, 1),
      ...calls("params", 100, 6, 5, -9),
      call("nop"),
    ],
  },
  {
    law: "if, else and select choose by any bit of the condition, and keep every bit of what they choose",
    text: `(module
      (func (export "if") (param i32) (result i32) (if (result i32) (local.get 0) (then (i32.const 1)) (else (i32.const 2))))
      (func (export "alone") (param i32) (result i32) (if (local.get 0) (then (local.set 0 (i32.const 9)))) (local.get 0))
      (func (export "params") (param i32) (result i32)
        (i32.const 40) (i32.const 2)
        (if (param i32 i32) (result i32) (local.get 0) (then (i32.add)) (else (i32.sub))))
      (func (export "nested") (param i32) (result i32)
        (block (result i32)
          (if (result i32) (i32.gt_s (local.get 0) (i32.const 10))
            (then (if (result i32) (i32.gt_s (local.get 0) (i32.const 20)) (then (br 2 (i32.const 20))) (else (i32.const 10))))
            (else (i32.const 0)))
          (i32.add (i32.const 1))))
      (func (export "empty else") (param i32) (result i32)
        (if (local.get 0) (then (local.set 0 (i32.const 3))) (else)) (local.get 0))
      (func (export "select f32") (param i32 i32 i32) (result i32)
        (i32.reinterpret_f32 (select (f32.reinterpret_i32 (local.get 0)) (f32.reinterpret_i32 (local.get 1)) (local.get 2)))))`,
    calls: [
      ...["if", "alone", "params", "empty else"].flatMap((name) => calls(name, 0, 1, 0x80000000, 256)),
      ...calls("nested", 5, 15, 25),
      call("select f32", 0x7fa00001, 0xff812345, 0),
      call("select f32", 0x7fa00001, 0xff812345, 1),
    ],
  },
  {
    law: "br_table takes the label of the index, the last one beyond them, with and without values",
    text: `(module
      (func (export "f") (param i32) (result i32)
        (block (block (block (br_table 0 1 2 0 (local.get 0))) (return (i32.const 10))) (return (i32.const 20)))
        (i32.const 30))
      (func (export "values") (param i32) (result i32)
        (i32.const 500)
        (block $a (result i32) (block $b (result i32)
          (i32.const 1) (i32.const 2) (br_table $a $b $a (i32.const 3) (local.get 0)))
          (i32.add (i32.const 100)))
        (i32.add))
      (func (export "alone") (param i32) (result i32) (block (br_table 0 (local.get 0))) (i32.const 4)))`,
    calls: ["f", "values", "alone"].flatMap((name) => calls(name, 0, 1, 2, 3, 4, 0x7fffffff, 0xffffffff)),
  },
  {
    law: "calls pass up to many values, return several, recurse, and exhaust the stack as a trap",
    text: `(module
      (type $binary (func (param i32 i32) (result i32)))
      (table 5 funcref) (elem (i32.const 0) $add $sub $three $nothing)
      (func $add (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
      (func $sub (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1)))
      (func $three (export "three") (param i32) (result i32 i64 i32)
        (local.get 0) (i64.const -2) (i32.const 3))
      (func $nothing (local i32 i64 f32 f64) (local.set 0 (i32.const 3)))
      (func (export "indirect") (param i32) (result i32)
        (call_indirect (type $binary) (i32.const 30) (i32.const 12) (local.get 0)))
      (func $fac (export "fac") (param i64) (result i64)
        (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 1))
          (else (i64.mul (local.get 0) (call $fac (i64.sub (local.get 0) (i64.const 1)))))))
      (func (export "many") (param i32 i64 i32 i64 i32 i64 i32 i64 i32 i64) (result i64)
        (local i64) (call $nothing)
        (i64.add (local.get 10) (i64.add (local.get 1) (i64.add (local.get 9) (i64.extend_i32_s (local.get 8))))))
      (func (export "swap") (param i32) (result i32) (local i32 i64)
        (call $three (local.get 0)) (local.set 0) (local.set 2) (i32.mul (local.get 0)))
      (func $forever (export "forever") (param i32) (result i32) (call $forever (i32.add (local.get 0) (i32.const 1))))
      (func (export "fresh") (result i32) (local i32) (local.get 0) (local.set 0 (i32.const 7))))`,
    calls: [
      ...calls("three", 1, -1),
      ...calls("indirect", 0, 1, 2, 3, 4, 5, 0xffffffff),
      ...calls("fac", 0, 1, 20, 25),
      call("many", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
      call("swap", 5),
      call("forever", 0),
      call("fresh"),
      call("fresh"),
    ],
  },
  {
    law: "locals and globals keep every bit, and start as they should",
    text: `(module
      (global $i (mut i32) (i32.const -5)) (global $l (mut i64) (i64.const 0x8000000000000001))
      (global $f (mut f32) (f32.const nan:0x200001)) (global $d (mut f64) (f64.const -nan:0x4000000000001))
      (global $fixed i32 (i32.const 77))
      (func (export "i") (result i32) (global.get $i)) (func (export "l") (result i64) (global.get $l))
      (func (export "f") (result i32) (i32.reinterpret_f32 (global.get $f)))
      (func (export "d") (result i64) (i64.reinterpret_f64 (global.get $d)))
      (func (export "fixed") (result i32) (global.get $fixed))
      (func (export "set i") (param i32) (global.set $i (local.get 0)))
      (func (export "set f") (param i32) (local f32) (global.set $f (local.tee 1 (f32.reinterpret_i32 (local.get 0)))))
      (func (export "set d") (param i64) (local f64)
        (local.set 1 (f64.reinterpret_i64 (local.get 0))) (global.set $d (local.get 1)))
      (func (export "constants") (result i32 i64)
        (i32.reinterpret_f32 (f32.const -nan:0x123)) (i64.reinterpret_f64 (f64.const nan:0x123)))
      (func (export "wide") (result i32 i64 i32 i32)
        (i32.const 0x80000000) (i64.const -0x8000000000000000) (i32.const 64) (i32.const -65)))`,
    calls: [
      ...["i", "l", "f", "d", "fixed", "constants", "wide"].map((name) => call(name)),
      call("set i", 0xdeadbeef),
      call("set f", 0xff812345),
      call("set d", 0x7ff0000000000001n),
      ...["i", "f", "d"].map((name) => call(name)),
    ],
  },
  {
    law: "unreachable, division and conversion trap by name, and the instance goes on after each",
    text: `(module
      (func (export "unreachable") (unreachable))
      (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
      (func (export "rem") (param i64 i64) (result i64) (i64.rem_s (local.get 0) (local.get 1)))
      (func (export "trunc") (param i32) (result i32) (i32.trunc_f32_s (f32.reinterpret_i32 (local.get 0)))))`,
    calls: [
      call("unreachable"),
      call("div", 7, 0),
      call("div", 0x80000000, 0xffffffff),
      call("div", 7, 2),
      call("rem", 7n, 0n),
      call("rem", 0x8000000000000000n, -1n),
      ...calls("trunc", 0x7fc00000, 0x4f000000, 0xcf000000, 0x40490fdb),
    ],
  },
];

const BULK: readonly Program[] = [
  {
    law: "memory.size and memory.grow tell pages; what is grown is zero, and beyond three pages it is refused",
    text: `(module (memory 1 3)
      (func (export "size") (result i32) (memory.size))
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
      (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
      (func (export "store") (param i32) (i32.store (local.get 0) (i32.const -1))))`,
    calls: [
      call("size"),
      ...calls("load", 65532, 65533),
      ...calls("grow", 0, 1, 5),
      call("size"),
      call("store", 131068),
      ...calls("load", 65533, 131068, 131069),
      ...calls("grow", 1, 1, 0xffffffff),
      call("size"),
    ],
  },
  {
    law: "memory.fill, memory.copy, memory.init and data.drop move bytes, overlapping too, or trap and move nothing",
    text: `(module (memory 1) (data (i32.const 16) "0123456789") (data $p "abcdefgh")
      (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
      (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
      (func (export "init") (param i32 i32 i32) (memory.init $p (local.get 0) (local.get 1) (local.get 2)))
      (func (export "drop") (data.drop $p))
      (func (export "look") (param i32) (result i64) (i64.load (local.get 0))))`,
    calls: [
      call("copy", 18, 16, 8),
      ...calls("look", 16, 20),
      call("copy", 17, 20, 8),
      call("look", 16),
      call("fill", 40, 0x1ff, 5),
      ...calls("look", 36, 40),
      call("fill", 65530, 1, 6),
      call("fill", 65530, 1, 7),
      call("fill", 65536, 1, 0),
      call("fill", 65537, 1, 0),
      call("copy", 65530, 0, 7),
      call("copy", 0, 0xffffffff, 2),
      call("init", 8, 2, 4),
      call("look", 8),
      call("init", 0, 5, 4),
      call("init", 65535, 0, 2),
      call("drop"),
      call("init", 8, 0, 0),
      call("init", 8, 0, 1),
      call("look", 65528),
    ],
  },
  {
    law: "table.copy, table.init and elem.drop move functions, or trap and move nothing",
    text: `(module (type $f (func (result i32))) (table 6 funcref) (elem (i32.const 0) $a $b)
      (elem $p func $c $b $a) (elem $q func $b $c)
      (func $a (result i32) (i32.const 1)) (func $b (result i32) (i32.const 2)) (func $c (result i32) (i32.const 3))
      (func (export "call") (param i32) (result i32) (call_indirect (type $f) (local.get 0)))
      (func (export "copy") (param i32 i32 i32) (table.copy (local.get 0) (local.get 1) (local.get 2)))
      (func (export "init") (param i32 i32 i32) (table.init $p (local.get 0) (local.get 1) (local.get 2)))
      (func (export "init2") (param i32 i32 i32) (table.init $q (local.get 0) (local.get 1) (local.get 2)))
      (func (export "drop") (elem.drop $p)))`,
    calls: [
      ...calls("call", 0, 1, 2),
      call("copy", 1, 0, 2),
      ...calls("call", 1, 2),
      call("init", 3, 0, 3),
      ...calls("call", 3, 4, 5),
      call("init2", 4, 1, 1),
      call("call", 4),
      call("copy", 5, 0, 2),
      call("init", 0, 2, 2),
      call("init", 5, 0, 2),
      call("drop"),
      call("init", 0, 0, 0),
      call("init", 0, 0, 1),
      call("call", 5),
    ],
  },
];

export const PROGRAMS: readonly Program[] = [...CONTROL, ...BULK, ...LOADS.map(loads), ...STORES.map(stores)];
