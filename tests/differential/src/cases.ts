/** A module to compare for each seed and number, always the same one. */
import { adapt } from "./adapt.js";
import { instructions, type Module } from "./binary.js";
import type { Binaryen } from "./binaryen.js";
import { callsOf, type Call } from "./compare.js";
import { Random } from "./random.js";

export interface Case {
  /** "SEED:NUMBER", which --replay takes. */
  readonly id: string;
  readonly module: Module;
  readonly calls: readonly Call[];
}

/** The more bytes, the more code Binaryen makes of them. */
const FEWEST = 600;
const MOST = 3500;

/** Every other module is optimised, which gives code that looks like a compiler's. */
const PASSES = [
  [],
  ["-O1"],
  [],
  ["--flatten", "--local-cse", "--simplify-locals", "--coalesce-locals", "--vacuum"],
];

export function makeCase(binaryen: Binaryen, seed: number, number: number): Case {
  const id = `${seed}:${number}`;
  const random = new Random(`module ${id}`);
  const size = FEWEST + random.below(MOST - FEWEST);
  const bytes = binaryen.translateToFuzz(random.bytes(size), random.pick(PASSES));
  const module = adapt(bytes, random);
  return { id, module, calls: callsOf(module, random) };
}

/** How often each instruction stands in a module. */
export function countInstructions(module: Module, counts: Map<number, number>): number {
  let all = 0;
  for (const { code } of module.bodies)
    for (const { opcode } of instructions(code)) {
      counts.set(opcode, (counts.get(opcode) ?? 0) + 1);
      all++;
    }
  return all;
}
