/** The command line of `npm run differential`. */
import { parseArgs } from "node:util";

export const HELP = `Compares the board's WebAssembly engine with V8 on random valid modules, call by call, and asks it and wasm-validate which
damaged modules are to be taken. What differs is made smaller and kept in build/differential.

  npm run differential                                   20,000 modules and 1,000,000 mutants, on sim
  npm run differential -- --count 50000 --mutants 0      modules only
  npm run differential -- --board qemu --count 2000 --mutants 20000   on the Arm image under QEMU
  npm run differential -- --replay 7:123                 module 123 of seed 7 once more
  npm run differential -- --replay 7:m4711               mutant 4711 of seed 7

  --board NAME       sim (default), qemu, or native: the engine as a program under the sanitizers
  --count N          modules (default 20000)
  --mutants N        damaged modules (default 1000000)
  --seed S           default: drawn, and printed; the same one repeats a run
  --replay ID        one case of a run, as it was printed
  --json             prints the result as JSON instead of lines
  --help

Exits with 0 if there was no difference, 1 if there was one, 2 if it was called wrongly.
`;

export const BOARDS = ["sim", "qemu", "native"] as const;
export type Board = (typeof BOARDS)[number];

export class UsageError extends Error {}

export interface Options {
  readonly board: Board;
  readonly seed: number;
  /** Number of the first module, and how many. */
  readonly first: number;
  readonly count: number;
  /** The same for mutants. */
  readonly firstMutant: number;
  readonly mutants: number;
  readonly json: boolean;
}

const MODULES = 20_000;
const MUTANTS = 1_000_000;

/** Undefined: only help is wanted. Throws UsageError. */
export function parseOptions(args: readonly string[]): Options | undefined {
  const values = parse(args);
  if (values.help) return undefined;
  const board = BOARDS.find((name) => name === values.board);
  if (board === undefined)
    throw new UsageError(`--board: expected ${BOARDS.join(", ")}, got ${values.board}`);
  const { json, replay } = values;
  if (replay !== undefined) {
    const [, seed, mutant, number] = /^(\d+):(m?)(\d+)$/.exec(replay) ?? [];
    if (seed === undefined || number === undefined)
      throw new UsageError(`--replay: expected SEED:NUMBER or SEED:mNUMBER, got ${replay}`);
    if (values.seed !== undefined || values.count !== undefined || values.mutants !== undefined)
      throw new UsageError("--replay: it says already which case, without --seed, --count and --mutants");
    const one = { board, seed: whole("--replay", seed), json };
    return mutant === ""
      ? { ...one, first: whole("--replay", number), count: 1, firstMutant: 0, mutants: 0 }
      : { ...one, first: 0, count: 0, firstMutant: whole("--replay", number), mutants: 1 };
  }
  const count = values.count === undefined ? MODULES : whole("--count", values.count);
  const mutants = values.mutants === undefined ? MUTANTS : whole("--mutants", values.mutants);
  if (count === 0 && mutants === 0)
    throw new UsageError("--count 0 --mutants 0: there is nothing to compare");
  return {
    board,
    seed: values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : whole("--seed", values.seed),
    first: 0,
    count,
    firstMutant: 0,
    mutants,
    json,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        board: { type: "string", default: "sim" },
        count: { type: "string" },
        mutants: { type: "string" },
        seed: { type: "string" },
        replay: { type: "string" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new UsageError(`${name}: expected a whole number, got ${text}`);
  return value;
}
