/**
 * Code of our own in the bodies that Binaryen made: pieces that leave the operand stack as it was, so that they may stand
 * between any two instructions. They see to it that each instruction comes often, on awkward operands, and that what it
 * gives is seen: most pieces end in a call that mixes the result into a global that is compared.
 */
import { F32, F64, I32, I64, type FunctionType, Writer, instructions } from "./binary.js";
import {
  LOADS,
  OPERATIONS,
  STORES,
  VALUE_TYPES,
  anyValue,
  chosenOperands,
  cornerValue,
  isDivision,
  operationsTo,
  type Operation,
} from "./operations.js";
import type { Random } from "./random.js";

/** What pieces may refer to. */
export interface Surroundings {
  readonly types: readonly FunctionType[];
  /** Type index of each function that may be called. */
  readonly functions: readonly number[];
  readonly globals: readonly { readonly type: number; readonly mutable: boolean; readonly index: number }[];
  readonly hasMemory: boolean;
  readonly tableSize: number;
  readonly elementSegments: number;
  readonly dataSegments: number;
  /** The function that mixes a value of this type into what is compared. */
  readonly mixer: (type: number) => number;
}

/** Conversions of integers to floats. */
const TO_F32: readonly (readonly [from: number, opcode: number])[] = [
  [I32, 0xb2],
  [I32, 0xb3],
  [I64, 0xb4],
];
const TO_F64: typeof TO_F32 = [
  [I32, 0xb7],
  [I32, 0xb8],
  [I64, 0xb9],
];

/** Offsets of loads and stores. */
const NEAR = [0, 0, 0, 1, 2, 3, 4, 7, 8, 9, 120, 127, 128, 129, 300];
const FAR = [16384, 65500, 65528, 65536, 131000, 0x7fffffff, 0xffffffff];

const EMPTY = 0x40;
/** What takes two bytes as an index. */
export const WIDE = 130;
const DEEPEST = 4;
/** Most pieces of one body, and about how many instructions lie between two. */
const MOST_PIECES = 16;
const APART = 8;
/** Longer bodies would not leave room for the side table beside the memory. */
const LONGEST = 20_000;

export interface SprinkledBody {
  readonly locals: readonly (readonly [number, number])[];
  readonly code: Uint8Array;
}

/** One body with pieces between its instructions. */
export function sprinkle(
  random: Random,
  body: SprinkledBody,
  type: FunctionType,
  around: Surroundings,
): SprinkledBody {
  const existing = [
    ...type.params,
    ...body.locals.flatMap(([count, local]) => Array.from({ length: count }, () => local)),
  ];
  // indices of more than one byte, now and then
  const filler = random.once(6) ? [[WIDE, random.pick(VALUE_TYPES)] as const] : [];
  const own = [...filler, ...VALUE_TYPES.map((local) => [1, local] as const)];
  const locals = [
    ...existing,
    ...own.flatMap(([count, local]) => Array.from({ length: count }, () => local)),
  ];
  const out = new Writer();
  const all = new Pieces(random, out, locals, type, around);
  let left = MOST_PIECES;
  for (const { start, end } of instructions(body.code)) {
    for (let pieces = piecesBefore(random, start); pieces > 0 && left > 0 && out.size < LONGEST; pieces--) {
      left--;
      all.piece();
    }
    out.bytes(body.code.subarray(start, end));
  }
  return { locals: [...body.locals, ...own], code: out.done() };
}

/** Short bodies have their beginning only, so that several stand there. */
function piecesBefore(random: Random, start: number): number {
  return start === 0 ? 2 + random.below(3) : random.once(APART) ? 1 : 0;
}

class Pieces {
  constructor(
    readonly random: Random,
    readonly out: Writer,
    readonly locals: readonly number[],
    readonly type: FunctionType,
    readonly around: Surroundings,
  ) {}

  piece(): void {
    const { random, around } = this;
    switch (random.below(20)) {
      case 16:
      case 17:
      case 18:
      case 19:
        this.corners();
        return;
      case 0:
      case 1:
      case 2:
      case 3:
        this.mixed(random.pick(VALUE_TYPES), DEEPEST);
        return;
      case 4:
      case 5:
        this.assignment();
        return;
      case 6:
        this.loop();
        return;
      case 7:
      case 8:
        this.values();
        return;
      case 9:
        this.call();
        return;
      case 10:
        if (around.tableSize > 0) this.table();
        this.setGlobal();
        return;
      case 11:
        if (random.once(8)) this.deep();
        else this.leave();
        return;
      case 12:
        if (around.tableSize > 0) this.table();
        return;
      default:
        if (around.hasMemory) this.memory();
    }
  }

  mixed(type: number, depth: number): void {
    this.expression(type, depth);
    this.mix(type);
  }

  mix(type: number): void {
    this.out.byte(0x10).u32(this.around.mixer(type));
  }

  constant(type: number, bits = anyValue(this.random, type)): void {
    const { out } = this;
    if (type === I32) out.byte(0x41).s64(BigInt.asIntN(32, bits));
    else if (type === I64) out.byte(0x42).s64(BigInt.asIntN(64, bits));
    else {
      out.byte(type === F32 ? 0x43 : 0x44);
      for (let i = 0; i < (type === F32 ? 4 : 8); i++) out.byte(Number((bits >> BigInt(8 * i)) & 0xffn));
    }
  }

  number(value: number): void {
    this.constant(I32, BigInt(value));
  }

  /** Index of a local of this type; each function has one. */
  local(type: number): number {
    const { locals, random } = this;
    return random.pick([...locals.keys()].filter((index) => locals[index] === type));
  }

  leaf(type: number): void {
    const { random, out, around } = this;
    const globals = around.globals.filter((global) => global.type === type);
    if (globals.length > 0 && random.once(6)) out.byte(0x23).u32(random.pick(globals).index);
    else if (random.once(2)) out.byte(0x20).u32(this.local(type));
    else this.constant(type);
  }

  expression(type: number, depth: number): void {
    const { random, out, around } = this;
    if (depth === 0) {
      this.leaf(type);
      return;
    }
    switch (random.below(14)) {
      case 0:
        this.leaf(type);
        return;
      case 1: {
        this.expression(type, depth - 1);
        out.byte(0x22).u32(this.local(type));
        return;
      }
      case 2:
        this.expression(type, depth - 1);
        this.expression(type, depth - 1);
        this.condition(depth - 1);
        out.byte(0x1b);
        return;
      case 3: // if with a result
        this.condition(depth - 1);
        out.byte(0x04).byte(type);
        this.expression(type, depth - 1);
        out.byte(0x05);
        this.expression(type, depth - 1);
        out.byte(0x0b);
        return;
      case 4:
        this.branches(type, depth);
        return;
      case 5:
      case 6:
        if (around.hasMemory) this.load(type);
        else this.leaf(type);
        return;
      default:
        this.operation(type, depth);
    }
  }

  condition(depth: number): void {
    this.expression(I32, Math.min(depth, 1));
  }

  operation(type: number, depth: number): void {
    const { random } = this;
    let operation = random.pick(operationsTo(type));
    // most that trap end the call, and what comes behind is never seen
    if (operation.traps && !random.once(2)) operation = random.pick(operationsTo(type));
    const { opcode, operands, traps } = operation;
    operands.forEach((operand, i) => {
      const tame = traps && !random.once(24);
      if (tame && isDivision(opcode)) {
        if (i === 0) this.expression(operand, depth - 1);
        else this.divisor(operand);
      } else if (tame) this.convertible(operand);
      else this.expression(operand, depth - 1);
    });
    this.opcode(operation);
  }

  /** Never 0 and seldom −1. */
  divisor(type: number): void {
    const { random, out } = this;
    this.expression(type, 1);
    const shift = type === I32 ? 27 : 59;
    if (random.once(2)) {
      // small
      this.constant(type, BigInt(shift));
      out.byte(type === I32 ? 0x75 : 0x87);
    }
    this.constant(type, BigInt(1 + random.below(40)));
    out.byte(type === I32 ? 0x72 : 0x84);
  }

  /** A float that each integer type holds, or nearly. */
  convertible(type: number): void {
    const { random, out } = this;
    const [from, opcode] = random.pick(type === F32 ? TO_F32 : TO_F64);
    this.leaf(from);
    this.constant(from, BigInt(random.below(from === I32 ? 31 : 63)));
    out.byte(from === I32 ? 0x76 : 0x88).byte(opcode);
    this.constant(type, type === F32 ? 0x3f400000n : 0x3fe8000000000000n);
    out.byte(type === F32 ? 0x94 : 0xa2);
  }

  /** Values that branches carry out of blocks, over others that they drop. */
  branches(type: number, depth: number): void {
    const { random, out } = this;
    const below = random.below(3);
    out.byte(0x02).byte(type);
    if (random.once(2)) {
      for (let i = 0; i < below; i++) this.leaf(random.pick(VALUE_TYPES));
      this.expression(type, depth - 1);
      this.condition(depth - 1);
      out.byte(0x0d).u32(0);
      for (let i = 0; i < below; i++) {
        this.mix(type);
        this.expression(type, 0);
      }
      this.mix(type);
      for (let i = 0; i < below; i++) out.byte(0x1a);
      this.expression(type, depth - 1);
    } else {
      // the same, but br_table into one of two blocks
      out.byte(0x02).byte(type);
      for (let i = 0; i < below; i++) this.leaf(random.pick(VALUE_TYPES));
      this.expression(type, depth - 1);
      this.condition(depth - 1);
      const count = random.once(20) ? WIDE : random.below(5);
      const labels = Array.from({ length: count }, () => random.below(2));
      out
        .byte(0x0e)
        .list(labels, (label) => out.u32(label))
        .u32(random.below(2));
      out.byte(0x0b);
      this.mix(type);
      this.leaf(type);
    }
    out.byte(0x0b);
  }

  address(): void {
    const { random, out } = this;
    if (random.once(60)) {
      this.expression(I32, 1);
      return;
    }
    this.expression(I32, 1);
    // mostly near the beginning, where others look, too; sometimes at the end of the first page
    const near = !random.once(8);
    this.number(near ? 0x3f : 0x1f);
    out.byte(0x71);
    if (near) return;
    this.number(random.once(10) ? 0xffe8 : 0xffd8);
    out.byte(0x6a);
  }

  access(opcode: number, size: number): void {
    const { random, out } = this;
    out.byte(opcode).u32(random.below(size + 1));
    out.u32(random.once(100) ? random.pick(FAR) : random.pick(NEAR));
  }

  load(type: number): void {
    const { opcode, size } = this.random.pick(LOADS.filter((load) => load.type === type));
    this.address();
    this.access(opcode, size);
  }

  memory(): void {
    const { random, out, around } = this;
    switch (random.below(10)) {
      case 0: {
        // overlapping mostly, where stores have been
        const far = random.once(20) ? 70_000 : 120;
        const from = random.below(far);
        const to = random.once(3) ? random.below(far) : Math.max(0, from + random.below(41) - 20);
        this.number(to);
        this.number(from);
        this.number(random.below(90));
        out.bytes([0xfc, 10, 0, 0]);
        return;
      }
      case 1:
        this.number(random.below(random.once(20) ? 70_000 : 600));
        this.leaf(I32);
        this.number(random.below(200));
        out.bytes([0xfc, 11, 0]);
        return;
      case 2:
        if (around.dataSegments === 0) return;
        this.number(random.below(600));
        this.number(random.below(random.once(10) ? 40 : 3));
        this.number(random.below(random.once(10) ? 40 : 2));
        out.bytes([0xfc, 8]).u32(random.below(around.dataSegments)).byte(0);
        return;
      case 3:
        if (around.dataSegments > 0 && random.once(3))
          out.bytes([0xfc, 9]).u32(random.below(around.dataSegments));
        return;
      case 4:
        if (random.once(2)) out.bytes([0x3f, 0]);
        else {
          this.number(random.pick([0, 0, 1, 1, 2, 3, 65535, 65536, 0xffffffff]));
          out.bytes([0x40, 0]);
        }
        this.mix(I32);
        return;
      default: {
        const { opcode, type, size } = random.pick(STORES);
        this.address();
        this.expression(type, 2);
        this.access(opcode, size);
      }
    }
  }

  table(): void {
    const { random, out, around } = this;
    const most = around.tableSize + (random.once(10) ? 3 : 0);
    switch (random.below(5)) {
      case 0:
      case 1: {
        // overlapping mostly
        const from = random.below(random.once(4) ? most : 5);
        this.number(random.once(3) ? random.below(most) : Math.max(0, from + random.pick([-1, 1, 1, 2])));
        this.number(from);
        this.number(random.once(3) ? random.below(3) : 2 + random.below(3));
        out.bytes([0xfc, 14, 0, 0]);
        return;
      }
      case 2:
        if (around.elementSegments === 0) return;
        this.number(random.below(most));
        this.number(random.below(3));
        this.number(random.below(3));
        out.bytes([0xfc, 12]).u32(random.below(around.elementSegments)).byte(0);
        return;
      case 3:
        if (around.elementSegments > 0 && random.once(2))
          out.bytes([0xfc, 13]).u32(random.below(around.elementSegments));
        return;
      default: {
        // call_indirect, of a type that is there more often than not
        const index = random.once(10) ? random.below(around.types.length) : random.pick(around.functions);
        this.arguments(index);
        this.number(random.below(most));
        out.byte(0x11).u32(index).byte(0);
        this.mixAll(around.types[index]?.results ?? []);
      }
    }
  }

  arguments(type: number): void {
    for (const param of this.around.types[type]?.params ?? []) this.expression(param, 1);
  }

  /** What is on the stack, the top first. */
  mixAll(types: readonly number[]): void {
    for (const type of [...types].reverse()) this.mix(type);
  }

  /** Single operations on operands where their rules meet. Those that may trap aren't reached by every call. */
  corners(): void {
    const { random, out } = this;
    for (let count = 8; count > 0; count--) {
      const operation = random.pick(OPERATIONS);
      const { traps, operands, result } = operation;
      if (traps) {
        if (!random.once(2)) continue;
        out.byte(0x20).u32(this.local(I32));
        this.number(1 << random.below(4));
        out.byte(0x71).byte(0x04).byte(EMPTY);
      }
      const chosen = random.once(2) ? chosenOperands(random, operation) : undefined;
      operands.forEach((type, i) => {
        this.constant(type, chosen?.[i] ?? cornerValue(random, type));
      });
      this.opcode(operation);
      this.mix(result);
      if (traps) out.byte(0x0b);
    }
  }

  opcode({ opcode }: Operation): void {
    if (opcode >= 0xfc00) this.out.byte(0xfc).u32(opcode - 0xfc00);
    else this.out.byte(opcode);
  }

  assignment(): void {
    const type = this.random.pick([I32, I32, I32, I64, F32, F64]);
    this.expression(type, 2);
    this.out.byte(0x21).u32(this.local(type));
  }

  setGlobal(): void {
    const { random, around } = this;
    const mutable = around.globals.filter((global) => global.mutable);
    if (mutable.length === 0) return;
    const { type, index } = random.pick(mutable);
    this.expression(type, 2);
    this.out.byte(0x24).u32(index);
  }

  call(): void {
    const { random, out, around } = this;
    if (!random.once(3)) return;
    const callee = random.below(around.functions.length);
    const type = around.functions[callee] ?? 0;
    this.arguments(type);
    out.byte(0x10).u32(callee);
    this.mixAll(around.types[type]?.results ?? []);
  }

  /** A few rounds, with a branch back that carries values if there is a type with parameters. */
  loop(): void {
    const { random, out, around } = this;
    const counter = this.local(I32);
    this.number(random.below(6));
    out.byte(0x21).u32(counter);
    const typed = [...around.types.keys()].filter((index) => {
      const { params = [], results = [] } = around.types[index] ?? {};
      return params.length > 0 && results.length === 0;
    });
    const index = typed.length > 0 && random.once(2) ? random.pick(typed) : -1;
    const params = index < 0 ? [] : (around.types[index]?.params ?? []);
    if (index >= 0) this.arguments(index);
    out.byte(0x03).s64(index < 0 ? -64n : BigInt(index));
    this.mixAll(params);
    this.mixed(random.pick(VALUE_TYPES), 2);
    for (const type of params) this.leaf(type);
    out.byte(0x20).u32(counter);
    this.number(1);
    out.byte(0x6b).byte(0x22).u32(counter);
    this.number(0);
    out.byte(random.pick([0x4a, 0x4c])); // i32.gt_s, or le_s, which mostly ends at once
    out.byte(0x0d).u32(0);
    this.mixAll(params);
    out.byte(0x0b);
  }

  /** A block, an if or a loop with the parameters and results of some type. */
  values(): void {
    const { random, out, around } = this;
    const index = random.below(around.types.length);
    const { params, results } = around.types[index] ?? { params: [], results: [] };
    if (params.length > 16 || results.length > 16) return;
    for (const type of params) this.expression(type, 1);
    const kind = random.pick([0x02, 0x03, 0x04]);
    if (kind === 0x04) this.condition(2);
    out.byte(kind).s64(BigInt(index));
    const inner = (): void => {
      this.mixAll(params);
      if (kind !== 0x03 && random.once(2)) {
        this.leaf(random.pick(VALUE_TYPES));
        for (const type of results) this.leaf(type);
        this.condition(1);
        out.byte(0x0d).u32(0);
        results.forEach(() => out.byte(0x1a));
        out.byte(0x1a);
      }
      for (const type of results) this.leaf(type);
      if (kind !== 0x03 && random.once(4)) {
        // the end isn't reached
        out.byte(0x0c).u32(0);
        if (random.once(2)) out.byte(0x00);
      }
    };
    inner();
    if (kind === 0x04) {
      out.byte(0x05);
      inner();
    }
    out.byte(0x0b);
    this.mixAll(results);
  }

  /** Blocks within blocks, and branches out of many at once, with and without a value. */
  deep(): void {
    const { random, out } = this;
    const depth = random.pick([3, 20, WIDE]);
    const type = random.pick(VALUE_TYPES);
    out.byte(0x02).byte(type);
    for (let i = 0; i < depth; i++) out.byte(random.pick([0x02, 0x02, 0x03])).byte(EMPTY);
    this.expression(type, 1);
    this.condition(1);
    out.byte(0x0d).u32(depth);
    this.mix(type);
    this.leaf(type);
    this.condition(0);
    out
      .byte(0x0e)
      .list([depth, depth], (label) => out.u32(label))
      .u32(depth);
    for (let i = 0; i < depth; i++) out.byte(0x0b);
    this.leaf(type);
    out.byte(0x0b);
    this.mix(type);
  }

  /** A return or a branch out of the function that is seldom taken. */
  leave(): void {
    const { random, out, type } = this;
    this.leaf(I32);
    this.number(random.u32());
    out.byte(0x46).byte(0x04).byte(EMPTY);
    for (const result of type.results) this.leaf(result);
    out.byte(0x0f).byte(0x0b);
    if (random.once(4)) out.byte(0x01);
  }
}

/** Whether a value of this type is a float. */
export function isFloat(type: number): boolean {
  return type === F32 || type === F64;
}
