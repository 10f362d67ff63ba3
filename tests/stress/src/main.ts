#!/usr/bin/env node
/** `npm run stress`: swaps without end, or as many as asked for. */
import { reportJunit, type JunitCase } from "@edgeplug/report/junit";
import { CALLED_FROM, writeResult } from "@edgeplug/report/results";
import {
  checkOwnAgents,
  complaint,
  ownAgentCases,
  readOwnAgents,
  type OwnAgents,
} from "@edgeplug/test-support/own-agents";
import { EdgePlugError } from "edgeplug";

import { exampleAgents, restAgents } from "./agents.js";
import { commandOf, HELP, parseOptions, UsageError, type Options } from "./options.js";
import { junitCases, summary, toResult } from "./result.js";
import { stress, type Swap } from "./run.js";
import { checks } from "./verdict.js";

const PROGRESS_MS = 5_000;

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
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  const { board, swaps, seed, onlyAgents } = options;
  const when = new Date();
  const start = performance.now();
  const elapsed = (): number => (performance.now() - start) / 1000;
  const junit = (cases: readonly JunitCase[]): void => {
    const command = commandOf(options);
    const about = { suite: "stress", board, when: when.toISOString(), command, seed, seconds: elapsed() };
    const file = reportJunit(options, { ...about, cases });
    if (file !== undefined) process.stderr.write(`${file}\n`);
  };
  process.stderr.write(`stress: ${swaps} swaps on ${board}, seed ${seed}\n`);
  let own: OwnAgents;
  try {
    own = await ownOf(options);
  } catch (thrown) {
    junit(ownAgentCases(options.agents, board, EdgePlugError.from(thrown)));
    throw thrown;
  }
  const report = await stress({
    ...{ board, swaps, seed, own: own.agents, publisher: own.publisher, onSwap: progress(swaps) },
    ...(onlyAgents ? { examples: [] } : {}),
  });
  const held = checks(report, board, swaps);
  const seconds = elapsed();
  const result = toResult(report, {
    board,
    swaps,
    seed,
    when,
    seconds,
    checks: held,
    command: commandOf(options),
  });
  const file = writeResult(result);
  const lines = [...summary(result, report), ...(options.counters ? report.listedCounters : [])];
  process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : `${lines.join("\n")}\n`);
  for (const each of held.flatMap(({ violations }) => violations))
    process.stderr.write(`violated: ${each}\n`);
  process.stderr.write(`${seconds.toFixed(0)} s, ${file}\n`);
  junit([...ownAgentCases(options.agents, board), ...junitCases({ checks: held, seconds })]);
  return result.passed ? 0 : 1;
}

/** Somebody's own agents, once it is known that the board would take them. */
async function ownOf({ agents: paths, key, board, onlyAgents }: Options): Promise<OwnAgents> {
  if (paths.length === 0) return { agents: [], publisher: undefined };
  const own = await readOwnAgents({ paths, key, from: CALLED_FROM });
  const others = [...(onlyAgents ? [] : await exampleAgents()), ...restAgents(own.agents)];
  await checkOwnAgents(
    own.agents,
    board,
    others.map(({ pkg }) => pkg),
  );
  return own;
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
  process.exitCode = failed(error);
}

function failed(error: unknown): number {
  const say = (text: string): boolean => process.stderr.write(`stress: ${text}\n`);
  if (error instanceof UsageError) {
    say(`${error.message}\nSee --help.`);
    return 2;
  }
  if (error instanceof EdgePlugError && error.code !== "INTERNAL") {
    say(complaint(error));
    return error.exit;
  }
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return 1;
}
