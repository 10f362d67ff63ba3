#!/usr/bin/env node
/** `npm run differential`: random modules in the engine and in V8, damaged ones before it and wasm-validate. */
import { ConformanceImage } from "@edgeplug/conformance-suite/dist/image.js";

import { HELP, parseOptions, UsageError, type Board } from "./options.js";
import { runModules, runMutants, type Finding, type ModulesReport, type MutantsReport } from "./run.js";

const PROGRESS_MS = 5_000;
/** Differences that are shown. */
const SHOWN = 20;

const START: Readonly<Record<Board, () => ConformanceImage>> = {
  sim: () => ConformanceImage.sim(),
  qemu: () => ConformanceImage.qemu(),
  native: () => ConformanceImage.native(),
};

/** One line that rewrites itself; where nobody watches, one every few seconds. */
function progress(what: string, wanted: number): (done: number, findings: number) => void {
  let told = performance.now();
  return (done, findings) => {
    const last = done === wanted;
    if (!last && performance.now() - told < (process.stderr.isTTY ? 100 : PROGRESS_MS)) return;
    told = performance.now();
    const line = `${done.toLocaleString("en")} of ${wanted.toLocaleString("en")} ${what}, ${findings} differences`;
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}${last ? "\n" : ""}` : `${line}\n`);
  };
}

function number(value: number): string {
  return value.toLocaleString("en");
}

function modulesText(report: ModulesReport): string[] {
  const { modules, calls, traps, instructions, opcodes, overLimit, trappedAtStart, exhausted, skipped } =
    report;
  return [
    `${number(modules)} modules of ${number(instructions)} instructions (${opcodes.size} different ones): ` +
      `${number(calls)} calls compared, ${number(traps)} of them trapped`,
    `  ${overLimit} over a limit of the engine, ${trappedAtStart} trapped at their start, ${exhausted} compared up to where ` +
      `the engine's stack was full, ${skipped} not understood`,
  ];
}

function mutantsText({ mutants, valid, refused, overLimit }: MutantsReport): string[] {
  return [
    `${number(mutants)} damaged modules: ${number(valid)} valid, ${number(refused)} refused, ` +
      `${number(overLimit)} over a limit of the engine`,
  ];
}

function findingText({ id, what, files }: Finding, board: Board): string[] {
  return [
    `${id}: ${what}`,
    ...files.map((file) => `  ${file}`),
    `  again: npm run differential -- --board ${board} --replay ${id}`,
  ];
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  const { board, seed, first, count, firstMutant, mutants, json } = options;
  const begun = performance.now();
  const start = START[board];
  process.stderr.write(`differential: ${count} modules and ${mutants} mutants on ${board}, seed ${seed}\n`);
  const ofModules =
    count > 0
      ? await runModules({ start, seed, first, count, onProgress: progress("modules", count) })
      : undefined;
  const ofMutants =
    mutants > 0
      ? await runMutants({
          ...{ start, seed, first: firstMutant, count: mutants },
          onProgress: progress("mutants", mutants),
        })
      : undefined;
  const findings = [...(ofModules?.findings ?? []), ...(ofMutants?.findings ?? [])];
  const seconds = (performance.now() - begun) / 1000;
  const plain = ofModules && { ...ofModules, opcodes: Object.fromEntries(ofModules.opcodes) };
  const lines = [
    ...(ofModules ? modulesText(ofModules) : []),
    ...(ofMutants ? mutantsText(ofMutants) : []),
    ...findings.slice(0, SHOWN).flatMap((finding) => findingText(finding, board)),
    ...(findings.length > SHOWN ? [`... and ${number(findings.length - SHOWN)} more`] : []),
    `${findings.length} differences; ${seconds.toFixed(0)} s, seed ${seed} on ${board}`,
  ];
  const passed = findings.length === 0;
  const plainMutants = ofMutants && { ...ofMutants, replies: Object.fromEntries(ofMutants.replies) };
  const result = { board, seed, seconds, passed, modules: plain, mutants: plainMutants };
  process.stdout.write(json ? `${JSON.stringify(result)}\n` : `${lines.join("\n")}\n`);
  return passed ? 0 : 1;
}

process.once("SIGINT", () => {
  process.stderr.write("\ndifferential: stopped; what differed so far is in build/differential\n");
  process.exit(130);
});

try {
  process.exitCode = await main();
} catch (error) {
  const isUsage = error instanceof UsageError;
  const text =
    error instanceof Error ? (isUsage ? error.message : (error.stack ?? error.message)) : String(error);
  process.stderr.write(`differential: ${text}\n${isUsage ? "See --help.\n" : ""}`);
  process.exitCode = isUsage ? 2 : 1;
}
