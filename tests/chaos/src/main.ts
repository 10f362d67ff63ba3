/** `npm run chaos`: runs the cases, tells how it gets on, and leaves the figures for the report. */
import { reportJunit, type JunitCase } from "@edgeplug/report/junit";
import { CALLED_FROM, writeResult, type ChaosResult } from "@edgeplug/report/results";
import {
  checkOwnAgents,
  complaint,
  ownAgentCases,
  readOwnAgents,
  type OwnAgent,
} from "@edgeplug/test-support/own-agents";
import { EdgePlugError } from "edgeplug";

import type { Bench } from "./bench.js";
import { JunitClasses } from "./junit-classes.js";
import { commandOf, HELP, parseOptions, UsageError, type Options } from "./options.js";
import { Workshop } from "./parcels.js";
import { QemuBench } from "./qemu-bench.js";
import { KINDS, runChaos, type CaseReport, type Figures } from "./run.js";
import { RenodeBench } from "./renode-bench.js";
import { SimBench } from "./sim-bench.js";

const REPORT_EVERY_MS = 3_000;

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  const { board, seed, only, agents } = options;
  const when = new Date();
  process.stderr.write(`chaos on ${board}: --seed ${seed}\n`);
  try {
    const { figures, failed, classes } = await run(options);
    const seconds = secondsSince(when);
    const passed = failed.length === 0;
    if (only !== undefined) return passed ? 0 : 1;
    const base = { suite: "chaos", board, when: when.toISOString(), seed, seconds, passed } as const;
    const result: ChaosResult = { ...base, command: commandOf(options), ...figures };
    writeResult(result);
    process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : `${summary(result)}\n`);
    tellJunit(options, when, [...ownAgentCases(agents, board), ...classes]);
    return passed ? 0 : 1;
  } catch (thrown) {
    if (isRefusal(thrown, options)) tellJunit(options, when, ownAgentCases(agents, board, thrown));
    throw thrown;
  }
}

async function run(
  options: Options,
): Promise<{ figures: Figures; failed: CaseReport[]; classes: JunitCase[] }> {
  const { packages, fullSlots, only, agents: paths, key } = options;
  const own = paths.length > 0 ? await ownOf({ ...options, paths, key }) : [];
  const bench = await startBench(options);
  const progress = new Progress(only === undefined ? packages + fullSlots : 1);
  const interrupted = new AbortController();
  process.once("SIGINT", () => {
    process.stderr.write("\ninterrupted: the board is switched off, nothing is left running\n");
    interrupted.abort();
    void bench.close().finally(() => process.exit(130));
  });
  const classes = new JunitClasses(commandOf(options));
  try {
    const onCase = (report: CaseReport, done: number): void => {
      classes.add(report);
      progress.told(report, done, options);
    };
    const numbers = only === undefined ? undefined : [only];
    const done = await runChaos(bench, { ...options, own, numbers, onCase, signal: interrupted.signal });
    return { ...done, classes: classes.cases() };
  } finally {
    await bench.close();
  }
}

/** Somebody's own packages, once it is known that the board would take them beside the suite's. */
async function ownOf({
  paths,
  key,
  board,
}: Pick<Options, "board" | "key"> & { paths: readonly string[] }): Promise<readonly OwnAgent[]> {
  const { agents } = await readOwnAgents({ paths, key, from: CALLED_FROM });
  await checkOwnAgents(agents, board, [new Workshop(0).old.pkg]);
  return agents;
}

function tellJunit(options: Options, when: Date, cases: readonly JunitCase[]): void {
  const { board, seed } = options;
  const seconds = secondsSince(when);
  const about = {
    suite: "chaos",
    board,
    when: when.toISOString(),
    command: commandOf(options),
    seed,
    seconds,
  };
  const file = reportJunit(options, { ...about, cases });
  if (file !== undefined) process.stderr.write(`${file}\n`);
}

function secondsSince(when: Date): number {
  return (Date.now() - when.getTime()) / 1000;
}

/** No defect of the board's: somebody's own package can't be tried out. */
function isRefusal(thrown: unknown, { agents }: Pick<Options, "agents">): thrown is EdgePlugError {
  return agents.length > 0 && thrown instanceof EdgePlugError && thrown.code !== "INTERNAL";
}

function startBench({ board, seed }: Options): Promise<Bench> {
  if (board === "renode") return RenodeBench.create();
  return board === "sim" ? SimBench.create(seed) : QemuBench.create();
}

/** A line that rewrites itself on a terminal, else one every few seconds; failed cases with their story. */
class Progress {
  #lastTold = 0;

  constructor(private readonly cases: number) {}

  told(report: CaseReport, done: number, options: Options): void {
    const { only } = options;
    const failed = report.violations.length > 0;
    if (failed || only !== undefined) {
      const again = `${commandOf(options)} --case ${report.number}`;
      const violations = report.violations
        .map(({ law, what }) => `  ${law.toUpperCase()}: ${what}\n`)
        .join("");
      const story = report.story.map((line) => `  ${line}\n`).join("");
      process.stderr.write(`\ncase ${report.number}, repeat it with ${again}\n${story}${violations}`);
    }
    const isTerminal = process.stderr.isTTY;
    if (!isTerminal && Date.now() - this.#lastTold < REPORT_EVERY_MS && done < this.cases) return;
    this.#lastTold = Date.now();
    const text = `${done} of ${this.cases} cases`;
    process.stderr.write(isTerminal ? `\r${text} ` : `${text}\n`);
    if (isTerminal && done === this.cases) process.stderr.write("\n");
  }
}

/** A line for each class: how many cases, and what caught them. */
export function summary(figures: Figures & { seconds: number; passed: boolean }): string {
  const lines: string[] = [];
  for (const where of ["before sending", "in transit", "at rest"] as const) {
    lines.push(`${where}:`);
    for (const { name, cases, caughtBy, slipped } of figures.classes.filter(
      (entry) => entry.where === where,
    )) {
      const caught = Object.entries(caughtBy)
        .sort(([, a], [, b]) => b - a)
        .map(([by, count]) => `${by} ${count}`);
      lines.push(`  ${name}: ${cases}, ${caught.join(", ")}${slipped > 0 ? `; SLIPPED ${slipped}` : ""}`);
    }
  }
  const { packages, crashes, lockOuts, disturbed, cleanRetries, rate, seconds } = figures;
  const slipped = figures.classes.reduce((sum, entry) => sum + entry.slipped, 0);
  lines.push(
    `${packages} packages in ${seconds.toFixed(0)} s, ${figures.classes.length} of ${KINDS.length} classes: ${slipped} slipped through, ` +
      `${crashes} crashes, ${lockOuts} lock-outs, the agent disturbed ${disturbed} times; ` +
      `${cleanRetries.succeeded} of ${cleanRetries.tried} pushes at ${rate * 100} % of bytes corrupted succeeded`,
    figures.passed ? "all laws held" : "FAILED",
  );
  return lines.join("\n");
}

function failed(thrown: unknown): number {
  const isUsage = thrown instanceof UsageError;
  const isOwn = thrown instanceof EdgePlugError && thrown.code !== "INTERNAL";
  const text = isUsage
    ? `${thrown.message}\n\n${HELP}`
    : isOwn
      ? complaint(thrown)
      : thrown instanceof Error
        ? thrown.stack
        : String(thrown);
  process.stderr.write(`${text}\n`);
  return isUsage ? 2 : isOwn ? thrown.exit : 1;
}

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => (process.exitCode = failed(error)),
);
