/** edgeplug run */
import { writeFile } from "node:fs/promises";
import { relative } from "node:path";

import { Command } from "commander";

import type { FoundAgent } from "../agent/find.js";
import { EdgePlugError } from "../errors.js";
import { fileError } from "../files.js";
import type { PlotLine } from "../plot/terminal.js";
import type { CsvTable } from "../simulate/csv.js";
import type { Run, SimulationEvent } from "../simulate/run.js";
import { count, Output, plural } from "./output.js";

interface RunOptions {
  inputs?: string;
  scans?: string;
  plot?: boolean;
  svg?: string;
  out?: string;
  width?: string;
  json?: boolean;
}

const SCANS_MAX = 1_000_000;
const DEFAULT_SCANS = 1_000;
const EVENTS_SHOWN = 20;
const WIDTH_MAX = 120;
const MARKS = { log: "l", guard: "g", trap: "T" } as const;

const EXAMPLES = `
Examples:
  edgeplug run my-agent --inputs data.csv --plot
  edgeplug run agent.epk --inputs data.csv --svg run.svg
  edgeplug run my-agent --inputs data.csv --out outputs.csv --json
  edgeplug run my-agent --scans 5000 --plot          on the inputs of the checks`;

export function runCommand(): Command {
  return new Command("run")
    .summary("run an agent on recorded inputs, and draw what comes of it")
    .description(
      "Runs a control agent in the board's own engine, one scan for each row of a CSV file whose columns are named like the " +
        "agent's inputs, and shows outputs (as the machine would get them), events and fuel. Traps don't end it: the machine runs " +
        "on as a board would. AGENT is an agent's folder, an agent.wasm or a package. Exit code 52 if it trapped.",
    )
    .argument("<agent>", "an agent's folder, an agent.wasm, or an .epk")
    .option(
      "--inputs <file>",
      "CSV with a row for each scan; the last row stays (default: the inputs of the checks)",
    )
    .option("--scans <count>", "how many (default: as many as there are rows, else 1,000)")
    .option("--plot", "draw inputs, outputs and events in the terminal")
    .option("--svg <file>", "write the same as a picture")
    .option("--out <file>", "write the outputs as CSV")
    .option("--width <characters>", "of the drawing (default: the terminal's)")
    .option("--json", "print one JSON object")
    .addHelpText("after", EXAMPLES)
    .action(run);
}

async function run(path: string, options: RunOptions): Promise<void> {
  const wanted = number("--scans", options.scans, SCANS_MAX);
  const width = number("--width", options.width, 1000) ?? Math.min(process.stdout.columns ?? 80, WIDTH_MAX);
  const { findAgent } = await import("../agent/find.js");
  const { readCsv } = await import("../simulate/csv.js");
  const table = options.inputs === undefined ? undefined : readCsv(options.inputs);
  const found = await findAgent(path);
  if (found.config.kind !== "control")
    throw new EdgePlugError(
      "NO_HANDLER",
      `${found.config.name} is a request agent, which has no inputs to run on.`,
      {
        action: "Ask it in a unit test (docs/agents.md), or on a board with `edgeplug-push --request`.",
      },
    );
  const result = await simulateRun(found, table, wanted);
  const period = found.config.scanDivider / 1000;
  if (options.svg !== undefined) await write(options.svg, await svg(found, result, period));
  if (options.out !== undefined) await write(options.out, csv(result));
  const drawn = options.plot === true && options.json !== true ? await drawing(result, width) : [];
  new Output(options).result([...drawn, ...summary(found, result, options)], record(found, result, period));
  if (result.traps.length > 0) process.exitCode = new EdgePlugError("AGENT_TRAP").exit;
}

async function simulateRun(
  found: FoundAgent,
  table: CsvTable | undefined,
  scans: number | undefined,
): Promise<Run> {
  const { simulateFound } = await import("../simulate/index.js");
  const inputs = table ?? (await checkInputs(found));
  const agent = await simulateFound(found, { inputs, traps: "report" });
  return agent.run(scans ?? agent.inputLength ?? DEFAULT_SCANS);
}

/** The same signals that `build` tries, from the first scan on. */
async function checkInputs({ config }: FoundAgent): Promise<() => readonly number[]> {
  const { stimulus } = await import("../agent/stimulus.js");
  const next = stimulus(config.inputs);
  const row = new Float32Array(config.inputs.length);
  return () => {
    next(row);
    return [...row];
  };
}

function lines({ config, scans }: Run): (PlotLine & { kind: "input" | "output" })[] {
  const channels = (
    kind: "input" | "output",
    list: "inputs" | "outputs",
  ): (PlotLine & { kind: "input" | "output" })[] =>
    config[list].map(({ name, unit }, at) => ({
      kind,
      name,
      unit,
      values: scans.map((scan) => scan[list][at] ?? NaN),
    }));
  return [...channels("input", "inputs"), ...channels("output", "outputs")];
}

async function drawing(result: Run, width: number): Promise<string[]> {
  const { eventRow, terminalPlot } = await import("../plot/terminal.js");
  const events = result.events.map(({ scan, kind }) => ({ scan, mark: MARKS[kind] }));
  const kinds = lines(result).map((line) => ({ ...line, name: `${line.kind} ${line.name}` }));
  const row = events.length === 0 ? [] : [eventRow(events, result.scans.length, width)];
  return [...terminalPlot(kinds, { width }), ...row, ""];
}

async function svg({ config }: FoundAgent, result: Run, period: number): Promise<string> {
  const { svgPlot } = await import("../plot/svg.js");
  return svgPlot({
    title: `${config.name} ${config.version}, ${plural(result.scans.length, "scan")}`,
    step: period,
    lines: lines(result),
    events: result.events
      .filter((event) => !goesOn(event, result))
      .map(({ kind, scan, text }) => ({ kind, at: scan * period, text: `scan ${scan}: ${text}` })),
  });
}

/** A guard that held in the scan before too: one mark is enough. */
function goesOn({ kind, scan }: SimulationEvent, { scans }: Run): boolean {
  const before = scans[scan - 1 - (scans[0]?.scan ?? 1)];
  return kind === "guard" && before !== undefined && before.guardHits > 0;
}

/** A column for each output, and the scan and its fuel. */
function csv({ config, scans }: Run): string {
  const rows = scans.map(({ scan, outputs, fuel }) => [scan, ...outputs, fuel].join(","));
  return `${["scan", ...config.outputs.map(({ name }) => `"${name}"`), "fuel"].join(",")}\n${rows.join("\n")}\n`;
}

function summary({ config }: FoundAgent, result: Run, options: RunOptions): string[] {
  const { scans, events } = result;
  const { fuel } = config.limits;
  const shown = events.slice(0, EVENTS_SHOWN).map(eventLine);
  if (events.length > EVENTS_SHOWN) shown.push(`… and ${plural(events.length - EVENTS_SHOWN, "more event")}`);
  return [
    ...shown,
    `${config.name} ${config.version}: ${plural(scans.length, "scan")}, ${plural(result.traps.length, "trap")}, ` +
      `${plural(result.guardHits, "output")} held by guards`,
    `fuel: at most ${count(result.worstFuel)} a scan${fuel === undefined ? "" : `, limit ${count(fuel)}`}`,
    ...[options.svg, options.out].flatMap((file) =>
      file === undefined ? [] : [`wrote: ${relative("", file)}`],
    ),
  ];
}

function eventLine({ kind, scan, text }: SimulationEvent): string {
  return `${`scan ${count(scan)}`.padEnd(14)}${kind.padEnd(6)}${text}`;
}

function record({ config }: FoundAgent, result: Run, period: number): object {
  return {
    name: config.name,
    version: config.version,
    scans: result.scans.length,
    period,
    traps: result.traps.length,
    guardHits: result.guardHits,
    worstFuel: result.worstFuel,
    fuelLimit: config.limits.fuel ?? null,
    inputs: channelRecords(result, "inputs"),
    outputs: channelRecords(result, "outputs"),
    fuel: result.scans.map(({ fuel }) => fuel),
    events: result.events.map(({ kind, scan, text, trap }) => ({
      kind,
      scan,
      text,
      ...(trap?.place === undefined ? {} : { place: trap.place }),
    })),
  };
}

/** JSON has no NaN and no infinity: null stands for them. */
function channelRecords({ config, scans }: Run, list: "inputs" | "outputs"): object[] {
  return config[list].map(({ name, unit }, at) => ({
    name,
    unit,
    values: scans.map((scan) => scan[list][at] ?? null),
  }));
}

function number(option: string, text: string | undefined, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new EdgePlugError("USAGE", `${option} ${text} is no number from 1 to ${count(max)}.`);
}

async function write(path: string, contents: string): Promise<void> {
  try {
    await writeFile(path, contents);
  } catch (error) {
    throw fileError(path, error);
  }
}
