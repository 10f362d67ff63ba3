/** The command line of `npm run chaos`. */
import { parseArgs } from "node:util";

import { EVERY_BACKEND, type Backend } from "@edgeplug/test-support/backends";

import { reporterFault, type ReporterOptions } from "@edgeplug/report/junit";
import { shellWord } from "@edgeplug/report/results";

export const HELP = `Corrupts packages, lines and flashes on purpose, and sees whether any of it slips through.

  npm run chaos                                      10,000 packages and 20 full slots on sim
  npm run chaos -- --board qemu                      500 packages on the emulated Arm board
  npm run chaos -- --board renode                    94 on the image for silicon under Renode
  npm run chaos -- --rate 2% --packages 1000         a worse line, fewer packages
  npm run chaos -- --seed 7 --case 341               one case of a run, told step by step
  npm run chaos -- --agent mine.epk                  what is corrupted is a package of your own

  --board NAME       where the packages go: sim (default), qemu or renode
  --rate P           share of bytes corrupted on a bad line, 1% or 0.01 (default 1%)
  --packages N       packages of at most 2 KiB (default 10,000 on sim, 500 on qemu, 94 on renode)
  --full N           packages of a full slot after them (default 20 on sim, else 0)
  --seed S           repeats a run (default: another one each time)
  --case N           only this case, with its story
  --agent PATH       a package of your own in place of the suite's: an .epk, or a folder as edgeplug pack takes it; may be
                     given several times. The full ones are padded to a slot
  --key FILE         the publisher's public key: your packages have to be signed by it
  --json             the figures as JSON on stdout
  --reporter junit   also writes JUnit XML, a case for each class of corruption
  --output FILE      … there (default build/results/chaos-<board>.xml)
  --help             this text

Exit code 0 only if nothing slipped through, crashed, locked the board or disturbed its agent; 1 if something did, 2 for
a command line that makes no sense. A package of yours that can't be read, built or verified, that the board would not take,
or that fails without being corrupted ends it with the exit code of its error (docs/cli.md: 10 to 61).`;

export interface Options extends ReporterOptions {
  readonly board: Backend;
  readonly rate: number;
  readonly packages: number;
  readonly fullSlots: number;
  readonly seed: number;
  readonly only: number | undefined;
  /** Paths of somebody's own packages. */
  readonly agents: readonly string[];
  /** Path of the publisher's public key. */
  readonly key: string | undefined;
  readonly json: boolean;
  readonly help: boolean;
}

/** Every class comes twice in 94. */
const PACKAGES: Readonly<Record<Backend, number>> = { sim: 10_000, qemu: 500, renode: 94 };

export class UsageError extends Error {}

/** Throws UsageError. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parse(args);
  const wanted = values.board ?? "sim";
  const board = EVERY_BACKEND.find((name) => name === wanted);
  if (board === undefined)
    throw new UsageError(`--board: expected ${EVERY_BACKEND.join(", ")}, got ${wanted}`);
  const { agent: agents, key, reporter, output } = values;
  if (agents.length === 0 && key !== undefined)
    throw new UsageError("--key: it is about those of --agent, and there is none");
  const fault = reporterFault({ reporter, output });
  if (fault !== undefined) throw new UsageError(fault);
  return {
    board,
    rate: share("--rate", values.rate ?? "1%"),
    packages: whole("--packages", values.packages) ?? PACKAGES[board],
    fullSlots: whole("--full", values.full) ?? (board === "sim" ? 20 : 0),
    seed: whole("--seed", values.seed) ?? Math.floor(Math.random() * 0x7fff_ffff),
    only: whole("--case", values.case),
    agents,
    key,
    reporter,
    output,
    json: values.json,
    help: values.help,
  };
}

/** The command that does the same again. */
export function commandOf({ board, rate, packages, fullSlots, seed, agents, key }: Options): string {
  return [
    `npm run chaos -- --board ${board} --rate ${rate * 100}% --packages ${packages} --full ${fullSlots} --seed ${seed}`,
    ...agents.map((path) => `--agent ${shellWord(path)}`),
    ...(key === undefined ? [] : [`--key ${shellWord(key)}`]),
  ].join(" ");
}

function parse(args: readonly string[]): ReturnType<typeof parseKnown> {
  try {
    return parseKnown(args);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function parseKnown(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      board: { type: "string" },
      rate: { type: "string" },
      packages: { type: "string" },
      full: { type: "string" },
      seed: { type: "string" },
      case: { type: "string" },
      agent: { type: "string", multiple: true, default: [] as string[] },
      key: { type: "string" },
      reporter: { type: "string" },
      output: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
}

function whole(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0)
    throw new UsageError(`${name}: expected a whole number, got ${text}`);
  return value;
}

function share(name: string, text: string): number {
  const value = text.endsWith("%") ? Number(text.slice(0, -1)) / 100 : Number(text);
  if (!(value > 0 && value <= 0.05))
    throw new UsageError(`${name}: expected more than 0 and at most 5%, got ${text}`);
  return value;
}
