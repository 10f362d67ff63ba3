/** edgeplug build */
import { relative } from "node:path";
import { setFlagsFromString } from "node:v8";

import { Command } from "commander";

import { buildAgent, type BuildResult } from "../agent/build.js";
import { PAYLOAD_MAX } from "../manifest.js";
import { count, Output, plural } from "./output.js";

interface BuildOptions {
  out?: string;
  skipUnchanged?: boolean;
  json?: boolean;
}

export function buildCommand(): Command {
  return new Command("build")
    .summary("compile an agent and check it in the board's own engine")
    .description(
      "Compiles the agent in FOLDER (agent.json and assembly/index.ts), runs its test vectors and 10,000 scans in V8 " +
        "and in the board's own engine, compares the two bit for bit, and writes agent.wasm.",
    )
    .argument("[folder]", "the agent's folder", ".")
    .option("--out <folder>", "where agent.wasm goes (default: build in the agent's folder)")
    .option("--skip-unchanged", "keep the last build if its sources are still the same")
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      "\nExamples:\n  edgeplug build my-agent\n  edgeplug build my-agent --out build --json",
    )
    .action(build);
}

async function build(folder: string, options: BuildOptions): Promise<void> {
  // the compiler is WebAssembly too, and runs once: optimising it takes longer than it saves
  setFlagsFromString("--liftoff-only");
  const output = new Output(options);
  const result = await buildAgent(folder, {
    ...(options.out === undefined ? {} : { out: options.out }),
    skipUnchanged: options.skipUnchanged ?? false,
    colors: process.stderr.isTTY,
  });
  if (result.warnings !== "") output.note(result.warnings.trimEnd());
  output.result(describe(result), record(result));
}

function describe({ config, wasm, check, out, unchanged }: BuildResult): string[] {
  const runs = plural(check.runs, config.kind === "control" ? "scan" : "request");
  const lines = [
    `${config.name} ${config.version}: ${count(wasm.length)} of ${count(PAYLOAD_MAX)} bytes`,
    `checked: ${plural(check.vectors, "vector")}, ${runs}; V8 and the board's engine agree`,
    `fuel: at most ${count(check.worstFuel)} a ${config.kind === "control" ? "scan" : "request"}, ` +
      `limit ${count(config.limits.fuel ?? 0)}`,
  ];
  if (check.stateSize > 0) lines.push(`state: ${plural(check.stateSize, "byte")} handed over`);
  if (check.guardHits > 0)
    lines.push(`guards: ${plural(check.guardHits, "output")} would have been held back`);
  return [...lines, `${unchanged ? "unchanged" : "wrote"}: ${relative("", out)}/agent.wasm`];
}

function record({ config, wasm, check, out, unchanged }: BuildResult): object {
  return {
    name: config.name,
    version: config.version,
    release: config.release,
    kind: config.kind,
    bytes: wasm.length,
    limits: config.limits,
    ...check,
    out,
    unchanged,
  };
}
