/** `npm run chaos`: runs the cases, tells how it gets on, and leaves the figures for the report. */
import { writeResult, type ChaosResult } from "@edgeplug/report/results";

import type { Bench } from "./bench.js";
import { HELP, parseOptions, UsageError, type Options } from "./options.js";
import { QemuBench } from "./qemu-bench.js";
import { KINDS, runChaos, type CaseReport, type Figures } from "./run.js";
import { SimBench } from "./sim-bench.js";

const REPORT_EVERY_MS = 3_000;

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  const { board, seed, packages, fullSlots, rate, only } = options;
  const when = new Date();
  process.stderr.write(`chaos on ${board}: --seed ${seed}\n`);
  const bench = await startBench(options);
  const progress = new Progress(only === undefined ? packages + fullSlots : 1);
  const interrupted = new AbortController();
  process.once("SIGINT", () => {
    process.stderr.write("\ninterrupted: the board is switched off, nothing is left running\n");
    interrupted.abort();
    void bench.close().finally(() => process.exit(130));
  });
  try {
    const onCase = (report: CaseReport, done: number): void => progress.told(report, done, options);
    const run = await runChaos(bench, {
      ...options,
      numbers: only === undefined ? undefined : [only],
      onCase,
      signal: interrupted.signal,
    });
    const seconds = (Date.now() - when.getTime()) / 1000;
    const passed = run.failed.length === 0;
    if (only === undefined) {
      const command = `npm run chaos -- --board ${board} --rate ${rate * 100}% --packages ${packages} --full ${fullSlots} --seed ${seed}`;
      const base = {
        suite: "chaos",
        board,
        when: when.toISOString(),
        command,
        seed,
        seconds,
        passed,
      } as const;
      const result: ChaosResult = { ...base, ...run.figures };
      writeResult(result);
      process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : `${summary(result)}\n`);
    }
    return passed ? 0 : 1;
  } finally {
    await bench.close();
  }
}

function startBench({ board, seed }: Options): Promise<Bench> {
  return board === "sim" ? SimBench.create(seed) : QemuBench.create();
}

/** A line that rewrites itself on a terminal, else one every few seconds; failed cases with their story. */
class Progress {
  #lastTold = 0;

  constructor(private readonly cases: number) {}

  told(report: CaseReport, done: number, { board, seed, only }: Options): void {
    const failed = report.violations.length > 0;
    if (failed || only !== undefined) {
      const again = `--board ${board} --seed ${seed} --case ${report.number}`;
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

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    const isUsage = error instanceof UsageError;
    const text = isUsage
      ? `${error.message}\n\n${HELP}`
      : error instanceof Error
        ? error.stack
        : String(error);
    process.stderr.write(`${text}\n`);
    process.exitCode = isUsage ? 2 : 1;
  },
);
