#!/usr/bin/env node
/** `npm run power`: the sweep as a command. */
import { parseArgs } from "node:util";

import type { GeometryName } from "@edgeplug/sim";
import { reportJunit, reporterFault, type ReporterOptions } from "@edgeplug/report/junit";
import { errorInfo } from "edgeplug/errors";
import { LAWS } from "./laws.js";
import { replay } from "./trace.js";
import { junitRun, keepResult } from "./result.js";
import { SCENARIOS } from "./scenarios/index.js";
import { DEFAULT_PAIRS, sweep, type SweepOptions, type SweepProgress, type SweepReport } from "./sweep.js";

const HELP = `Cuts the power of simulated boards at every flash operation and asks about the laws.

Usage: npm run power -- [options]

  --all                all pairs of cuts instead of every ${Math.round(1 / DEFAULT_PAIRS)}th; takes long
  --pairs SHARE        share of the pairs, 0 to 1 (default ${DEFAULT_PAIRS})
  --scenario NAME      only this scenario; may be given several times
  --geometry NAME      only l5 or nor
  --workers N          threads (default 2)
  --point ID           examines one point and tells its story, e.g. update/l5@17t2+4b
  --wasm FILE          another image of the runtime, e.g. a deliberately broken one
  --list               names the scenarios
  --json               one JSON object on stdout
  --reporter junit     also writes JUnit XML, a case for each scenario and geometry
  --output FILE        … there (default build/results/power-sim.xml)
  --help               this

Examples:
  npm run power
  npm run power -- --scenario update --geometry l5 --all
  npm run power -- --point update/nor@13t6+7t6

Exit status: 0 if every law holds, 1 if not, 2 if the command line could not be understood.
`;

class UsageError extends Error {}

const SHOWN = 20;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      all: { type: "boolean", default: false },
      pairs: { type: "string" },
      scenario: { type: "string", multiple: true },
      geometry: { type: "string" },
      workers: { type: "string" },
      point: { type: "string" },
      wasm: { type: "string" },
      list: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      reporter: { type: "string" },
      output: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const { json, reporter, output } = values;
  const fault = reporterFault({ reporter, output });
  if (fault !== undefined) throw new UsageError(fault);
  if (values.help) return print(HELP);
  if (values.list)
    return print(
      json
        ? `${JSON.stringify(SCENARIOS.map(({ name, about }) => ({ name, about })))}\n`
        : SCENARIOS.map(({ name, about }) => `${name.padEnd(18)} ${about}\n`).join(""),
    );
  const wasm = values.wasm === undefined ? undefined : new URL(values.wasm, `file://${process.cwd()}/`);
  if (values.point !== undefined) return tellPoint(values.point, wasm, json);
  return runSweep(
    {
      ...(wasm && { wasm }),
      ...(values.scenario && { scenarios: values.scenario }),
      ...(values.geometry !== undefined && { geometries: [geometryOf(values.geometry)] }),
      ...(values.workers !== undefined && { workers: numberOf("--workers", values.workers, 1, 64) }),
      pairs: values.all ? true : numberOf("--pairs", values.pairs ?? String(DEFAULT_PAIRS), 0, 1),
    },
    json,
    { reporter, output },
  );
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

function geometryOf(name: string): GeometryName {
  if (name !== "l5" && name !== "nor") throw new UsageError(`--geometry ${name}: expected l5 or nor`);
  return name;
}

function numberOf(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= least && value <= most))
    throw new UsageError(`${option} ${text}: expected a number from ${least} to ${most}`);
  return value;
}

async function tellPoint(id: string, wasm: URL | undefined, json: boolean): Promise<number> {
  const { lines, violations } = await replay(id, wasm);
  print(json ? `${JSON.stringify({ id, violations, lines })}\n` : `${lines.join("\n")}\n`);
  return violations.length > 0 ? 1 : 0;
}

async function runSweep(options: SweepOptions, json: boolean, reporter: ReporterOptions): Promise<number> {
  const when = new Date().toISOString();
  const report = await sweep({ ...options, onProgress: showProgress() });
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  // a part of the suite, or another engine, is not what the report is to show
  const isWhole = !options.scenarios && !options.geometries && !options.wasm;
  if (isWhole) keepResult(report, when, `npm run power${options.pairs === true ? " -- --all" : ""}`);
  const file = reportJunit(reporter, junitRun(report, when, process.argv.slice(2)));
  if (file !== undefined) process.stderr.write(`${file}\n`);
  print(json ? `${JSON.stringify(report)}\n` : summary(report));
  return report.violations.length > 0 ? 1 : 0;
}

/** A line that rewrites itself on a terminal, one every few seconds elsewhere. */
function showProgress(): (progress: SweepProgress) => void {
  const { isTTY } = process.stderr;
  let last = performance.now();
  return ({ points, done, units, violations }) => {
    const now = performance.now();
    if (now - last < (isTTY ? 200 : 5_000)) return;
    last = now;
    const line = `${points} points, ${done} of ${units} parts, ${violations} violations`;
    process.stderr.write(isTTY ? `\r\x1b[K${line}` : `${line}\n`);
  };
}

export function summary(report: SweepReport): string {
  const { points, singles, pairs, endStates, seconds, violations } = report;
  const shown = violations.slice(0, SHOWN).map(({ id, law, message }) => `  ${id}  law ${law}: ${message}\n`);
  const more = violations.length > SHOWN ? `  … and ${violations.length - SHOWN} more\n` : "";
  const laws = Object.entries(report.lawChecks).map(
    ([law, times]) =>
      `  law ${law.padStart(2)} at ${String(times).padStart(7)}: ${LAWS[law as keyof typeof LAWS]}\n`,
  );
  return [
    `${points} distinct points (${singles} single cuts, ${pairs} pairs), ${endStates} distinct end states, `,
    `${Math.round(points / seconds)} points/s, ${seconds.toFixed(1)} s\n`,
    ...laws,
    violations.length === 0 ? "Every law holds.\n" : `${violations.length} violations:\n`,
    ...shown,
    more,
    violations[0] ? `See one of them: npm run power -- --point ${violations[0].id}\n` : "",
  ].join("");
}

process.on("SIGINT", () => {
  process.stderr.write("\nStopped; nothing is left running.\n");
  process.exit(130);
});

main().then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    const isUsage =
      error instanceof UsageError ||
      error instanceof RangeError ||
      (error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS"));
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(
      isUsage ? `power: ${message}\n${errorInfo(1001)?.action ?? ""}\n` : `power: ${message}\n`,
    );
    process.exitCode = isUsage ? 2 : 1;
  },
);
