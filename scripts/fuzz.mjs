// Fuzzes the firmware: libFuzzer targets under the address and undefined behaviour sanitizers (firmware/fuzz).
import { isAbsolute, relative } from "node:path";
import { parseArgs } from "node:util";
import { writeResult } from "../tests/report/dist/results.js";
import { writeSeeds } from "./fuzz/seeds.mjs";
import { filesIn, corpusOf, fuzzAll, stopAll, TARGETS, thin } from "./fuzz/targets.mjs";

const HELP = `Fuzzes the firmware under the address and undefined behaviour sanitizers.

  npm run fuzz -- [--minutes N | --runs N] [--target NAME]... [--seed S] [--jobs N] [--json]

  --minutes N     so long for each target (default 1)
  --runs N        so many executions of each target, however long that takes
  --target NAME   only this one; may be given again: ${TARGETS.map(({ name }) => name).join(", ")}
  --seed S        of the random numbers (default: another each time; it is printed)
  --jobs N        targets at a time (default 2)
  --json          the result as JSON on stdout

What is found worth keeping grows build/fuzz/corpus/<target>; the same seed takes the same way from the same corpus.
A finding is kept in build/fuzz/findings/<target>, with the command that runs it again, and ends its target.

  npm run fuzz -- --minutes 30
  npm run fuzz -- --runs 10000000 --target module
  npm run fuzz -- --minutes 2 --target flash --seed 7
`;

class UsageError extends Error {}

function number(text, name, least) {
  const value = Number(text);
  if (!Number.isFinite(value) || value < least)
    throw new UsageError(`--${name} takes a number from ${least} on, not "${text}".`);
  return value;
}

function readArguments() {
  const options = Object.fromEntries(
    ["minutes", "runs", "seed", "jobs"].map((name) => [name, { type: "string" }]),
  );
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        ...options,
        target: { type: "string", multiple: true },
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    }));
  } catch (error) {
    throw new UsageError(error.message);
  }
  if (values.minutes !== undefined && values.runs !== undefined)
    throw new UsageError("Either --minutes or --runs.");
  const names = values.target ?? TARGETS.map(({ name }) => name);
  const targets = names.map((name) => {
    const target = TARGETS.find((one) => one.name === name);
    if (target === undefined) throw new UsageError(`There is no target "${name}".`);
    return target;
  });
  return {
    help: values.help === true,
    json: values.json === true,
    targets,
    seconds: Math.max(1, Math.round(60 * number(values.minutes ?? 1, "minutes", 0))),
    runs: values.runs === undefined ? undefined : Math.floor(number(values.runs, "runs", 1)),
    seed:
      values.seed === undefined ? 1 + (Date.now() % 0x7fffffff) : Math.floor(number(values.seed, "seed", 1)),
    jobs: Math.floor(number(values.jobs ?? 2, "jobs", 1)),
  };
}

/** A line that rewrites itself on a terminal, else one every ten seconds. */
function progress() {
  const states = new Map();
  let shown = 0;
  return (name, { executions, edges }) => {
    states.set(name, `${name} ${executions.toLocaleString("en")} (${edges} edges)`);
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${[...states.values()].slice(-3).join("   ")}`);
    else if (Date.now() - shown > 10_000) {
      shown = Date.now();
      process.stderr.write(`${[...states.values()].join(", ")}\n`);
    }
  };
}

function summary(outcomes) {
  const rows = outcomes.map(({ name, executions, seconds, coveredEdges, corpusFiles, findings }) =>
    [
      name.padEnd(12),
      executions.toLocaleString("en").padStart(13),
      Math.round(executions / seconds)
        .toLocaleString("en")
        .padStart(9),
      String(coveredEdges).padStart(7),
      String(corpusFiles).padStart(7),
      String(findings.length).padStart(9),
    ].join(""),
  );
  return ["target         executions    each s  edges  inputs  findings", ...rows].join("\n");
}

async function main() {
  const options = readArguments();
  if (options.help) return void process.stdout.write(HELP);
  const { targets, seed, json } = options;
  const when = new Date();
  for (const { name } of targets) {
    await thin(name);
    writeSeeds(name);
  }
  process.stderr.write(
    `seed ${seed}; ${targets.reduce((sum, { name }) => sum + filesIn(corpusOf(name)), 0)} inputs to begin with\n`,
  );
  const outcomes = await fuzzAll(targets, { ...options, onProgress: progress() });
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  const findings = outcomes.flatMap((outcome) => outcome.findings);
  const length = options.runs === undefined ? `--minutes ${options.seconds / 60}` : `--runs ${options.runs}`;
  const which =
    targets.length === TARGETS.length ? "" : targets.map(({ name }) => ` --target ${name}`).join("");
  const result = {
    suite: "fuzz",
    board: "native",
    when: when.toISOString(),
    command: `npm run fuzz -- ${length}${which} --seed ${seed}`,
    seed,
    seconds: (Date.now() - when.getTime()) / 1000,
    passed: findings.length === 0,
    targets: outcomes.map((outcome) => ({ ...outcome, findings: outcome.findings.length })),
  };
  writeResult(result);
  if (json) console.log(JSON.stringify({ ...result, found: findings }));
  else console.log(summary(outcomes));
  for (const { what, repeat } of findings) {
    const [program, file] = repeat
      .split(" ")
      .map((path) => (isAbsolute(path) ? relative(process.cwd(), path) : path));
    process.stderr.write(`\nfinding: ${what}\nagain:   ${program} ${file}\n`);
  }
  process.exitCode = result.passed ? 0 : 1;
}

process.on("SIGINT", () => {
  stopAll();
  process.stderr.write(
    "\nstopped; nothing is left running, and what was learnt is kept in build/fuzz/corpus\n",
  );
  process.exit(130);
});

try {
  await main();
} catch (error) {
  stopAll();
  process.stderr.write(`${error.message}\n`);
  if (error instanceof UsageError) process.stderr.write("  try: npm run fuzz -- --help\n");
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
