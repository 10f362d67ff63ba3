/** The ways in which an operation is cut. */
import { Random, type Flash, type FlashOperation, type GeometryName } from "@edgeplug/sim";

/** b: before; a: after; t…: torn. */
export type Shape = "b" | `t${number}` | "a";

type Operation = Pick<FlashOperation, "kind" | "address" | "size" | "data">;

interface Tear {
  readonly name: Shape;
  readonly words: string;
  /** Geometries that have it; default both. */
  readonly only?: GeometryName;
  readonly apply: (flash: Flash, operation: Operation, random: Random) => void;
}

export const SHAPES: readonly Tear[] = [
  { name: "b", words: "before it", apply: () => undefined },
  { name: "t1", words: "the first half done", apply: tearAs("half") },
  { name: "t2", words: "each bit done or not", apply: tearAs("random") },
  { name: "t3", words: "each bit done or wavering", apply: tearAs("unstable") },
  { name: "t4", words: "done, but can't be read (ECC)", only: "l5", apply: tearAs("ecc") },
  { name: "t5", words: "done, but a bit or two waver", apply: almostDone },
  { name: "t6", words: "not done, but a bit or two waver", apply: hardlyBegun },
  { name: "t7", words: "the second half done", apply: secondHalf },
  {
    name: "a",
    words: "after it",
    apply: (flash, operation) => {
      flash.complete(operation);
    },
  },
];

export function shapesFor(geometry: GeometryName): readonly Tear[] {
  return SHAPES.filter(({ only }) => only === undefined || only === geometry);
}

function tearAs(shape: "half" | "random" | "unstable" | "ecc"): Tear["apply"] {
  return (flash, operation) => {
    flash.tear(operation, shape);
  };
}

/** Bits that the operation changes, as byte offset and mask. */
function changed(flash: Flash, { kind, address, size, data }: Operation): [number, number][] {
  const before = flash.peek(address, size);
  const bits: [number, number][] = [];
  before.forEach((byte, at) => {
    const after = kind === "erase" ? 0xff : byte & (data[at] ?? 0xff);
    for (let bit = 1; bit < 256; bit <<= 1) if (((byte ^ after) & bit) !== 0) bits.push([at, bit]);
  });
  return bits;
}

/** One or two of the bits that change; in a large operation, some more. */
function fewOf(bits: readonly [number, number][], random: Random): [number, number][] {
  const count = 1 + random.below(2) + Math.floor(bits.length / 4096);
  return Array.from(
    { length: Math.min(count, bits.length) },
    () => bits[random.below(bits.length)] ?? [0, 0],
  );
}

function almostDone(flash: Flash, operation: Operation, random: Random): void {
  const few = fewOf(changed(flash, operation), random);
  flash.complete(operation);
  if (operation.kind === "program")
    for (const [at, bit] of few) flash.destabilize(operation.address + at, bit);
  else flash.tear(sparse(operation, few), "unstable");
}

function hardlyBegun(flash: Flash, operation: Operation, random: Random): void {
  const few = fewOf(changed(flash, operation), random);
  if (operation.kind === "program") flash.tear(sparse(operation, few), "unstable");
  else for (const [at, bit] of few) flash.destabilize(operation.address + at, bit);
}

/** A program of nothing but these bits. */
function sparse({ address, size }: Operation, bits: readonly [number, number][]): Omit<Operation, "size"> {
  const data = new Uint8Array(size).fill(0xff);
  for (const [at, bit] of bits) data[at] = (data[at] ?? 0xff) & ~bit;
  return { kind: "program", address, data };
}

/** An erase or a program that takes hold from the far end. */
function secondHalf(flash: Flash, operation: Operation): void {
  const { kind, address, size, data } = operation;
  const half = size / 2;
  if (kind === "program") {
    const late = Uint8Array.from(data, (byte, at) => (at < half ? 0xff : byte));
    flash.complete({ kind, address, data: late });
  } else {
    const start = flash.peek(address, half);
    flash.complete(operation);
    flash.complete({ kind: "program", address, data: start });
  }
  // changes no bit, but leaves the cells as torn
  flash.tear({ kind: "program", address, data: new Uint8Array(size).fill(0xff) }, "random");
}
