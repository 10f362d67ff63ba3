/** An agent, however it is named: the folder of its sources, a module that was built, or a package. */
import { access } from "node:fs/promises";
import { basename, join, resolve } from "node:path";

import { readPackageFile } from "../package-file.js";
import { isDirectory } from "../files.js";
import type { AgentPackage } from "../package.js";
import { verifyPackage } from "../package.js";
import { assembleAgent, hashes, MODULE_FILE, readUnchanged, type AssembledAgent } from "./build.js";
import type { AgentConfig } from "./config.js";
import { findBuiltAgent } from "./pack.js";
import { packagedConfig } from "./packaged.js";
import { findSourceMap, type AgentSourceMap } from "./source-map.js";

export interface FoundAgent {
  /** Where fuel is left out, nobody has measured it yet. */
  config: AgentConfig;
  wasm: Uint8Array;
  /** Undefined where none is at hand: traps then tell a byte of the module. */
  map: AgentSourceMap | undefined;
  /** Undefined for what is not packed yet. */
  pkg: AgentPackage | undefined;
}

/** What was compiled in this process, by folder, with the digests of its sources. */
const compiled = new Map<string, { digests: string; agent: AssembledAgent }>();

/**
 * Sources are compiled in memory, unless their last build is still theirs; nothing is written and nothing is checked. Throws
 * what reading, compiling and verifying throw.
 */
export async function findAgent(path: string): Promise<FoundAgent> {
  if (!(await isDirectory(path))) {
    if (basename(path).endsWith(".wasm")) return { ...(await findBuiltAgent(path)), pkg: undefined };
    const pkg = await readPackageFile(path);
    verifyPackage(pkg);
    const map = await findSourceMap(pkg.payload, path);
    return { config: packagedConfig(pkg), wasm: pkg.payload, map, pkg };
  }
  const built = await access(join(path, MODULE_FILE)).then(
    () => true,
    () => false,
  );
  if (built) return { ...(await findBuiltAgent(path)), pkg: undefined };
  const folder = resolve(path);
  return {
    ...((await readUnchanged(folder, join(folder, "build"))) ?? (await compile(folder))),
    pkg: undefined,
  };
}

async function compile(folder: string): Promise<AssembledAgent> {
  const before = compiled.get(folder);
  if (before !== undefined) {
    const digests = await digestsOf(folder, before.agent).catch(() => undefined);
    if (digests === before.digests) return before.agent;
  }
  const agent = await assembleAgent(folder);
  compiled.set(folder, { digests: await digestsOf(folder, agent), agent });
  return agent;
}

async function digestsOf(folder: string, { sources }: AssembledAgent): Promise<string> {
  return JSON.stringify(await hashes(folder, sources));
}
