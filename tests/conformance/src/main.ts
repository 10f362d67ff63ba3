#!/usr/bin/env node
/** `npm run conformance`: the WebAssembly specification's tests on the conformance image. */
import { resolve } from "node:path";

import { reportJunit } from "@edgeplug/report/junit";
import { CALLED_FROM } from "@edgeplug/report/results";

import { ImageError } from "./image.js";
import { LastingImage } from "./lasting-image.js";
import { readLeftOut } from "./left-out.js";
import { commandOf, HELP, parseOptions, UsageError, type Options } from "./options.js";
import { playScript, type ScriptResult } from "./play.js";
import { Progress } from "./progress.js";
import { junitCases, table, toResult } from "./result.js";
import { readSpecFolder, ScriptError, type Script } from "./script.js";

function scriptsOf({ spec, filters }: Options): readonly Script[] {
  const { scripts, others } = readSpecFolder(resolve(CALLED_FROM, spec));
  for (const name of others) process.stderr.write(`not played, since it is not of wast2json: ${name}\n`);
  if (filters.length === 0) return scripts;
  const chosen = scripts.filter(({ name }) => filters.some((text) => name.includes(text)));
  if (chosen.length > 0) return chosen;
  throw new UsageError(`--filter: no file's name contains ${filters.join(" or ")}`);
}

async function playAll(scripts: readonly Script[], { board, patience }: Options): Promise<ScriptResult[]> {
  const { leftOut } = readLeftOut();
  const image = new LastingImage(board, patience);
  const progress = new Progress();
  const results: ScriptResult[] = [];
  let failed = 0;
  try {
    for (const [at, script] of scripts.entries()) {
      progress.update(
        `${String(at + 1)} of ${String(scripts.length)} files: ${script.name}, ${String(failed)} failed so far`,
      );
      const result = await playScript(script, image, leftOut);
      failed += result.failures.length;
      results.push(result);
    }
    return results;
  } finally {
    progress.done();
    image.end();
  }
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  const when = new Date();
  const start = performance.now();
  const scripts = scriptsOf(options);
  const files = await playAll(scripts, options);
  const seconds = (performance.now() - start) / 1000;
  const { board, spec } = options;
  const info = { board, spec, when: when.toISOString(), command: commandOf(options), seconds };
  const result = toResult(files, info);
  const lines = table(result, readLeftOut().leftOut);
  process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : `${lines.join("\n")}\n`);
  const file = reportJunit(options, { ...info, suite: "conformance", seed: 0, cases: junitCases(result) });
  if (file !== undefined) process.stderr.write(`${file}\n`);
  const { passed, leftOut, failed } = result.totals;
  process.stderr.write(
    `${board}: ${String(passed)} assertions held, ${String(leftOut)} left out, ${String(failed)} failed, ${seconds.toFixed(0)} s\n`,
  );
  return result.passed ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    process.stderr.write("\nconformance: stopped; the image ends with this process\n");
    process.exit(130);
  });

try {
  process.exitCode = await main();
} catch (error) {
  process.exitCode = failed(error);
}

function failed(error: unknown): number {
  const say = (text: string): boolean => process.stderr.write(`conformance: ${text}\n`);
  if (error instanceof UsageError || error instanceof ScriptError) {
    say(error instanceof UsageError ? `${error.message}\nSee --help.` : error.message);
    return 2;
  }
  say(
    error instanceof ImageError || !(error instanceof Error) ? String(error) : (error.stack ?? error.message),
  );
  return 1;
}
