#!/usr/bin/env node
/** `npm run stress`: swaps without end, or as many as asked for. */
import { parseArgs } from "node:util";

import { writeResult } from "@edgeplug/report/results";
import type { Backend } from "@edgeplug/test-support/board";

import { summary, toResult } from "./result.js";
import { stress, type Swap } from "./run.js";
import { violations } from "./verdict.js";

const HELP = `Swaps agents on a board, over its serial line, with requests and noise on it, and checks that nothing is missed, lost
or leaked. Writes build/results/stress-<board>.json for npm run report.

  npm run stress                                        1,000 swaps on sim
  npm run stress -- --board qemu --swaps 1000           on the Arm image under QEMU
  npm run stress -- --seed 7                            another order, other requests, other noise

  --board sim|qemu   default sim
  --swaps N          default 1000, at least 26
  --seed S           default: drawn, and printed; the same one repeats a run (on sim to the byte)
  --counters         prints the table of counters that may differ in RAM
  --json             prints the result as JSON instead of lines
  --help

Exits with 0 if every check held, 1 if not, 2 if it was called wrongly.
`;
/** Of fewer, RAM could not be compared with what it was once every agent has run. */
const LEAST_SWAPS = 26;
const PROGRESS_MS = 5_000;

class UsageError extends Error {}

interface Arguments {
  board: Backend;
  swaps: number;
  seed: number;
  json: boolean;
  counters: boolean;
}

function readArguments(): Arguments | undefined {
  const { values } = parse();
  if (values.help) return undefined;
  const { board } = values;
  if (board !== "sim" && board !== "qemu")
    throw new UsageError(`--board: expected sim or qemu, got ${board}`);
  return {
    board,
    swaps: integer("--swaps", values.swaps, LEAST_SWAPS),
    seed:
      values.seed === undefined
        ? Math.floor(Math.random() * 0x1_0000_0000)
        : integer("--seed", values.seed, 0),
    json: values.json,
    counters: values.counters,
  };
}

function parse() {
  try {
    return parseArgs({
      options: {
        board: { type: "string", default: "sim" },
        swaps: { type: "string", default: "1000" },
        seed: { type: "string" },
        counters: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
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

/** One line that rewrites itself; where nobody watches, one every few seconds. */
function progress(wanted: number): (swap: Swap, spoiltBytes: number) => void {
  let told = performance.now();
  return ({ number, agent, scans }, spoiltBytes) => {
    const line = `swap ${number} of ${wanted}: ${agent} in ${scans} scans; ${spoiltBytes} bytes of the line spoilt so far`;
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}${number === wanted ? "\n" : ""}`);
    else if (performance.now() - told > PROGRESS_MS || number === wanted) {
      told = performance.now();
      process.stderr.write(`${line}\n`);
    }
  };
}

async function main(): Promise<number> {
  const asked = readArguments();
  if (asked === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  const { board, swaps, seed } = asked;
  const when = new Date();
  const start = performance.now();
  process.stderr.write(`stress: ${swaps} swaps on ${board}, seed ${seed}\n`);
  const report = await stress({ board, swaps, seed, onSwap: progress(swaps) });
  const wrong = violations(report, board, swaps);
  const seconds = (performance.now() - start) / 1000;
  const result = toResult(report, { board, swaps, seed, when, seconds, violations: wrong });
  const file = writeResult(result);
  const lines = [...summary(result, report), ...(asked.counters ? report.listedCounters : [])];
  process.stdout.write(asked.json ? `${JSON.stringify(result)}\n` : `${lines.join("\n")}\n`);
  for (const each of wrong) process.stderr.write(`violated: ${each}\n`);
  process.stderr.write(`${seconds.toFixed(0)} s, ${file}\n`);
  return wrong.length === 0 ? 0 : 1;
}

process.once("SIGINT", () => {
  process.stderr.write(
    "\nstress: stopped; the board ends with this process, and the last result stays as it was\n",
  );
  process.exit(130);
});

try {
  process.exitCode = await main();
} catch (error) {
  const usage = error instanceof UsageError;
  process.stderr.write(
    `stress: ${error instanceof Error ? (usage ? error.message : (error.stack ?? error.message)) : String(error)}\n`,
  );
  if (usage) process.stderr.write("See --help.\n");
  process.exitCode = usage ? 2 : 1;
}
