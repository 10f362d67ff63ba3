/** From a folder with agent.json and assembly/ to a module that passed its checks in two engines. */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { EdgePlugError } from "../errors.js";
import { fileError } from "../files.js";
import { boardMachine, runVectorsOnBoard } from "./board-machine.js";
import { checkAgent, type CheckResult } from "./check.js";
import { compileAgent } from "./compile.js";
import { parseAgentConfig, readAgentJson, type AgentConfig } from "./config.js";
import { DETAILS_SECTION, encodeDetails } from "./details.js";
import { inspectModule } from "./inspect-module.js";
import { V8Machine } from "./machine.js";
import { AgentSourceMap, sealSourceMap } from "./source-map.js";
import { withCustomSection, withoutCustomSection } from "./wasm-outline.js";

export const MODULE_FILE = "agent.wasm";
export const SOURCE_MAP_FILE = "agent.wasm.map";
const CONFIG_FILE = "agent.json";
const STAMP_FILE = "inputs.json";

/** Room over the worst case that was measured, when agent.json names no fuel. */
const FUEL_MARGIN = 1.2;
/** An error's way to env.abort takes some fuel that no good scan has shown. */
const FUEL_MIN = 200;
const INIT_FUEL_MIN = 1000;

export interface BuildOptions {
  /** Where agent.wasm, its source map and the completed agent.json go. Default: `build` in the agent's folder. */
  out?: string;
  /** Take what lies in `out` if it was built from the same sources by the same tools. Default: false. */
  skipUnchanged?: boolean;
  /** Coloured diagnostics of the compiler. Default: false. */
  colors?: boolean;
}

export interface BuildResult {
  /** With fuel filled in. */
  config: AgentConfig;
  wasm: Uint8Array;
  map: AgentSourceMap | undefined;
  out: string;
  check: CheckResult;
  warnings: string;
  /** Nothing had changed: what lay there was taken. */
  unchanged: boolean;
}

interface Stamp {
  tools: string;
  /** SHA-256 by path, relative to the agent's folder. */
  sources: Record<string, string>;
  check: CheckResult;
}

/**
 * Builds the agent in `folder`. Throws what reading agent.json, the compiler and the checks throw; then nothing is
 * written.
 */
export async function buildAgent(folder: string, options: BuildOptions = {}): Promise<BuildResult> {
  const directory = resolve(folder);
  const out = options.out ?? join(directory, "build");
  if (options.skipUnchanged === true) {
    const present = await readUnchanged(directory, out);
    if (present !== undefined) return present;
  }
  const assembled = await assembleAgent(directory, { colors: options.colors ?? false });
  const { wasm, map, warnings } = assembled;
  const { check, complete } = await checkAssembled(assembled);
  const stamp: Stamp = {
    tools: await toolsHash(),
    sources: await hashes(directory, assembled.sources),
    check,
  };
  await write(out, [
    [MODULE_FILE, wasm],
    [SOURCE_MAP_FILE, map.json],
    [CONFIG_FILE, `${JSON.stringify(complete, null, 2)}\n`],
    [STAMP_FILE, `${JSON.stringify(stamp, null, 2)}\n`],
  ]);
  return { config: parseAgentConfig(complete), wasm, map, out, check, warnings, unchanged: false };
}

/** A compiled module with its details inside, not yet checked or measured. */
export interface AssembledAgent {
  /** agent.json as it stands. */
  json: unknown;
  config: AgentConfig;
  wasm: Uint8Array;
  map: AgentSourceMap;
  /** Of the compiler. */
  warnings: string;
  /** Files that went into it, absolute, agent.json among them. */
  sources: string[];
}

/** Compiles the agent in `directory`. Throws what reading agent.json and the compiler throw. */
export async function assembleAgent(
  directory: string,
  { colors = false }: { colors?: boolean } = {},
): Promise<AssembledAgent> {
  const json = await readAgentJson(directory);
  const config = parseAgentConfig(json);
  const { memory } = config.limits;
  const compiled = await compileAgent(directory, { memory, generate: config.generate, colors });
  const plain = withoutCustomSection(compiled.wasm, "sourceMappingURL");
  const wasm = withCustomSection(plain, DETAILS_SECTION, encodeDetails(config, SOURCE_MAP_FILE));
  const sealed = sealSourceMap(compiled.sourceMap, compiled.functionNames, wasm);
  const map = AgentSourceMap.of(sealed, wasm);
  if (map === undefined) throw new EdgePlugError("INTERNAL", "The compiler's source map can't be read.");
  const sources = [...compiled.sources, join(directory, CONFIG_FILE)];
  return { json, config, wasm, map, warnings: compiled.warnings, sources };
}

/** What the checks found, and agent.json with the fuel that it left open. */
export interface CheckedAgent {
  check: CheckResult;
  complete: Record<string, unknown>;
}

/**
 * Checks what was compiled: imports and limits, vectors and `checkScans` scans in both engines, the vectors once more as
 * boards run them. Throws what inspectModule() and checkAgent() throw.
 */
export async function checkAssembled(
  { json, config, wasm, map }: AssembledAgent,
  checkScans = config.checkScans,
): Promise<CheckedAgent> {
  inspectModule(wasm, { kind: config.kind, ioBuffer: config.limits.ioBuffer, stateId: config.stateId });
  const board = await boardMachine(wasm, config, map);
  const check = checkAgent(
    { ...config, checkScans },
    board,
    () => new V8Machine(wasm, config.limits.ioBuffer),
  );
  const complete = withFuel(json, config, check);
  await runVectorsOnBoard(wasm, parseAgentConfig(complete), map);
  return { check, complete };
}

/** agent.json with the fuel that it left open. */
function withFuel(json: unknown, config: AgentConfig, check: CheckResult): Record<string, unknown> {
  const limits = {
    ...config.limits,
    fuel: config.limits.fuel ?? roundUp(Math.max(FUEL_MIN, check.worstFuel * FUEL_MARGIN)),
    initFuel: config.limits.initFuel ?? roundUp(Math.max(INIT_FUEL_MIN, check.worstInitFuel * FUEL_MARGIN)),
  };
  return { ...(json as Record<string, unknown>), limits };
}

/** To two significant digits, so that the figure stays the same through small changes. */
function roundUp(value: number): number {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, value))) - 1);
  return Math.ceil(value / step) * step;
}

async function write(out: string, files: [string, string | Uint8Array][]): Promise<void> {
  try {
    await mkdir(out, { recursive: true });
    for (const [name, contents] of files) await writeFile(join(out, name), contents);
  } catch (error) {
    throw fileError(out, error);
  }
}

/** The last build, if sources and tools are still the same. */
export async function readUnchanged(directory: string, out: string): Promise<BuildResult | undefined> {
  try {
    const stamp = JSON.parse(await readFile(join(out, STAMP_FILE), "utf8")) as Stamp;
    const paths = Object.keys(stamp.sources).map((path) => resolve(directory, path));
    const now = await hashes(directory, paths);
    if (stamp.tools !== (await toolsHash()) || JSON.stringify(now) !== JSON.stringify(stamp.sources))
      return undefined;
    const config = parseAgentConfig(await readAgentJson(out));
    const wasm = Uint8Array.from(await readFile(join(out, MODULE_FILE)));
    const map = AgentSourceMap.of(await readFile(join(out, SOURCE_MAP_FILE), "utf8"), wasm);
    return { config, wasm, map, out, check: stamp.check, warnings: "", unchanged: true };
  } catch {
    // no earlier build, or a damaged one: either way it is built anew
    return undefined;
  }
}

/** SHA-256 by path, relative to `directory`. */
export async function hashes(directory: string, paths: readonly string[]): Promise<Record<string, string>> {
  const entries = await Promise.all(
    [...new Set(paths)].sort().map(async (path) => {
      const digest = createHash("sha256")
        .update(await readFile(path))
        .digest("hex");
      return [relative(directory, path), digest] as const;
    }),
  );
  return Object.fromEntries(entries);
}

/** What besides the sources decides the result: these checks, the board's engine, the compiler. */
export async function toolsHash(): Promise<string> {
  const hash = createHash("sha256");
  const require = createRequire(import.meta.url);
  for (const folder of [dirname(fileURLToPath(import.meta.url)), dirname(require.resolve("@edgeplug/sim"))])
    for (const name of (await readdir(folder)).sort())
      if (/\.(js|wasm)$/.test(name)) hash.update(name).update(await readFile(join(folder, name)));
  hash.update(await readFile(require.resolve("assemblyscript/package.json")));
  return hash.digest("hex");
}
