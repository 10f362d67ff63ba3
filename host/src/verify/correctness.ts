/** A packed agent run in both engines on this machine; what came of it is kept by the digest of all that it depends on. */
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

import { boardMachine, runPackedModule } from "../agent/board-machine.js";
import { toolsHash } from "../agent/build.js";
import { checkAgent, checkVectors, type CheckResult } from "../agent/check.js";
import { V8Machine } from "../agent/machine.js";
import { packagedConfig } from "../agent/packaged.js";
import type { AgentSourceMap } from "../agent/source-map.js";
import { EdgePlugError, type ErrorName } from "../errors.js";
import { plural } from "../numbers.js";
import type { AgentPackage } from "../package.js";

export interface EngineCheck {
  name: string;
  text: string;
  error?: EdgePlugError | undefined;
  /** Not run, since what came before it failed. */
  skipped: boolean;
}

export interface Correctness {
  engines: EngineCheck[];
  /** Undefined if the runs did not come to their end. */
  figures?: CheckResult | undefined;
  /** It was not run now: the same bytes were checked before by the same tools. */
  cached: boolean;
}

/** As it is kept: errors by their code and words. */
interface Kept {
  engines: {
    name: string;
    text: string;
    skipped: boolean;
    error?: { code: ErrorName; message: string; action: string };
  }[];
  figures?: CheckResult;
}

export interface CorrectnessOptions {
  /** Traps then name file and line. */
  map?: AgentSourceMap | undefined;
  /** Whether to look for kept results, and keep new ones. Default: true. */
  cache?: boolean;
}

export async function checkCorrectness(
  pkg: AgentPackage,
  { map, cache = true }: CorrectnessOptions = {},
): Promise<Correctness> {
  const file = cache ? await cacheFile(pkg, map !== undefined) : undefined;
  const before = file === undefined ? undefined : await readKept(file);
  if (before !== undefined) return before;
  const result = await runBoth(pkg, map);
  if (file !== undefined) await keep(file, result);
  return { ...result, cached: false };
}

/** The board's engine goes first: V8 has no fuel, and would never come back from an endless loop. */
async function runBoth(
  pkg: AgentPackage,
  map: AgentSourceMap | undefined,
): Promise<Omit<Correctness, "cached">> {
  const config = packagedConfig(pkg);
  const vectors = plural(config.vectors.length, "test vector");
  const v8 = (): V8Machine => new V8Machine(pkg.payload, config.limits.ioBuffer);
  const engines: EngineCheck[] = [];
  let figures: CheckResult | undefined;
  const check = async (name: string, good: () => string, run: () => Promise<void> | void): Promise<void> => {
    const skipped = engines.some(({ error }) => error !== undefined);
    if (skipped) engines.push({ name, text: "not run", skipped });
    else {
      const error = await failure(run);
      engines.push({ name, text: error === undefined ? good() : error.message, error, skipped });
    }
  };
  await check(
    "board's engine",
    () => `valid, starts, ${vectors} agree`,
    async () => {
      checkVectors(config, await boardMachine(pkg.payload, config, map));
      await runPackedModule(pkg.payload, pkg.manifest, map);
    },
  );
  await check(
    "V8",
    () => `valid, starts, ${vectors} agree`,
    () => void checkVectors(config, v8),
  );
  await check(
    "both engines",
    () =>
      `agree bit for bit in ${plural(figures?.runs ?? 0, config.kind === "control" ? "scan" : "request")}`,
    async () => {
      figures = checkAgent(config, await boardMachine(pkg.payload, config, map), v8);
    },
  );
  return { engines, figures };
}

async function failure(run: () => Promise<void> | void): Promise<EdgePlugError | undefined> {
  try {
    await run();
    return undefined;
  } catch (thrown) {
    const error = EdgePlugError.from(thrown);
    if (error.code === "SETUP" || error.code === "INTERNAL") throw error;
    return error;
  }
}

/** XDG_CACHE_HOME/edgeplug, else ~/.cache/edgeplug; on Windows %LOCALAPPDATA%\edgeplug. */
async function cacheFile(pkg: AgentPackage, mapped: boolean): Promise<string> {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = process.env;
  const base =
    xdg !== undefined && xdg !== ""
      ? xdg
      : process.platform === "win32" && local !== undefined
        ? local
        : join(homedir(), ".cache");
  const hash = createHash("sha256")
    .update(await toolsHash())
    .update(mapped ? "lines" : "bytes");
  const digest = hash.update(pkg.manifestBytes).update(pkg.payload).digest("hex");
  return join(base, "edgeplug/checks", `${digest}.json`);
}

async function readKept(file: string): Promise<Correctness | undefined> {
  try {
    const { engines, figures } = JSON.parse(await readFile(file, "utf8")) as Kept;
    return {
      engines: engines.map(({ error, ...rest }) => ({
        ...rest,
        ...(error === undefined ? {} : { error: new EdgePlugError(error.code, error.message, error) }),
      })),
      figures,
      cached: true,
    };
  } catch {
    return undefined; // not there, or damaged: checked anew
  }
}

/** A cache that can't be written only costs time. */
async function keep(file: string, { engines, figures }: Omit<Correctness, "cached">): Promise<void> {
  const kept: Kept = {
    engines: engines.map(({ name, text, skipped, error }) => ({
      name,
      text,
      skipped,
      ...(error === undefined
        ? {}
        : { error: { code: error.code, message: error.message, action: error.action } }),
    })),
    ...(figures === undefined ? {} : { figures }),
  };
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, JSON.stringify(kept));
  } catch {
    return;
  }
}
