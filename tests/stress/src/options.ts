/** The command line of `npm run stress`. */
import { parseArgs } from "node:util";

import { reporterFault, type ReporterOptions } from "@edgeplug/report/junit";
import { shellWord } from "@edgeplug/report/results";
import { EVERY_BACKEND, type Backend } from "@edgeplug/test-support/backends";

import { leastSwaps } from "./agents.js";

export const HELP = `Swaps agents on a board, over its serial line, with requests and noise on it, and checks that nothing is missed, lost
or leaked. Writes build/results/stress-<board>.json for npm run report.

  npm run stress                                        1,000 swaps on sim
  npm run stress -- --board qemu --swaps 1000           on the Arm image under QEMU
  npm run stress -- --board renode                      on the image for silicon under Renode
  npm run stress -- --seed 7                            another order, other requests, other noise
  npm run stress -- --agent mine.epk --only-agents      an agent of your own in place of the examples

  --board NAME       sim (default), qemu or renode
  --swaps N          default 1000; at least 26, with N agents in turn 4 N + 6
  --seed S           default: drawn, and printed; the same one repeats a run (on sim to the byte)
  --agent PATH       an agent of your own: an .epk, or a folder as edgeplug pack takes it; may be given several times
  --only-agents      those of --agent alone take turns, without the examples
  --key FILE         the publisher's public key: your packages have to be signed by it, and the board checks that
  --counters         prints the table of counters that may differ in RAM
  --json             prints the result as JSON instead of lines
  --reporter junit   also writes JUnit XML, a case for each check
  --output FILE      … there (default build/results/stress-<board>.xml)
  --help

Exits with 0 if every check held, 1 if not, 2 if it was called wrongly; with the exit code of its error (docs/cli.md: 10 to
61) if a package of yours can't be read, built or verified, or the board would not take it.
`;

const EXAMPLES = 5;

export class UsageError extends Error {}

export interface Options extends ReporterOptions {
  readonly board: Backend;
  readonly swaps: number;
  readonly seed: number;
  /** Paths of somebody's own agents. */
  readonly agents: readonly string[];
  readonly onlyAgents: boolean;
  /** Path of the publisher's public key. */
  readonly key: string | undefined;
  readonly json: boolean;
  readonly counters: boolean;
}

/** Undefined: only help is wanted. Throws UsageError. */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values } = parse(args);
  if (values.help) return undefined;
  const { agent: agents, key, reporter, output } = values;
  const board = EVERY_BACKEND.find((name) => name === values.board);
  if (board === undefined)
    throw new UsageError(`--board: expected ${EVERY_BACKEND.join(", ")}, got ${values.board}`);
  const onlyAgents = values["only-agents"];
  if (agents.length === 0 && (onlyAgents || key !== undefined))
    throw new UsageError(
      `${onlyAgents ? "--only-agents" : "--key"}: it is about those of --agent, and there is none`,
    );
  const fault = reporterFault({ reporter, output });
  if (fault !== undefined) throw new UsageError(fault);
  const least = leastSwaps(Math.max(2, agents.length + (onlyAgents ? 0 : EXAMPLES)));
  return {
    board,
    swaps: integer("--swaps", values.swaps, least),
    seed:
      values.seed === undefined
        ? Math.floor(Math.random() * 0x1_0000_0000)
        : integer("--seed", values.seed, 0),
    agents,
    onlyAgents,
    key,
    json: values.json,
    counters: values.counters,
    reporter,
    output,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        board: { type: "string", default: "sim" },
        swaps: { type: "string", default: "1000" },
        seed: { type: "string" },
        agent: { type: "string", multiple: true, default: [] as string[] },
        "only-agents": { type: "boolean", default: false },
        key: { type: "string" },
        counters: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        reporter: { type: "string" },
        output: { type: "string" },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function integer(name: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least)
    throw new UsageError(`${name}: expected a whole number from ${least} on, got ${text}`);
  return value;
}

/** The command that does the same again. */
export function commandOf({ board, swaps, seed, agents, onlyAgents, key }: Options): string {
  return [
    `npm run stress -- --board ${board} --swaps ${swaps} --seed ${seed}`,
    ...agents.map((path) => `--agent ${shellWord(path)}`),
    ...(onlyAgents ? ["--only-agents"] : []),
    ...(key === undefined ? [] : [`--key ${shellWord(key)}`]),
  ].join(" ");
}
