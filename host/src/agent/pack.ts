/** From a built module to a package. */
import { access, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";

import { EdgePlugError } from "../errors.js";
import { isDirectory, readInputFile } from "../files.js";
import { crc32 } from "../frames.js";
import { ABI } from "../generated/limits.js";
import {
  boardClass,
  checkManifest,
  encodeManifest,
  MANIFEST_FORMAT,
  MANIFEST_MAX,
  type AgentGuards,
  type AgentManifest,
} from "../manifest.js";
import type { AgentPackage } from "../package.js";
import type { Signer } from "../signer/signer.js";
import { keyId, publicKeyOf, sha512, sign } from "../signing.js";
import { buildAgent, MODULE_FILE } from "./build.js";
import { readAgentConfig, type AgentConfig } from "./config.js";
import { DETAILS_SECTION } from "./details.js";
import { inspectModule } from "./inspect-module.js";
import { findSourceMap, type AgentSourceMap } from "./source-map.js";

export interface PackOptions {
  /** The publisher's secret key, 32 bytes. Without one the package is unsigned, for open boards only. */
  secretKey?: Uint8Array;
}

/** A built module with its completed agent.json, and the folder that both lie in. */
export interface BuiltAgent {
  config: AgentConfig;
  wasm: Uint8Array;
  /** Undefined if none lies there that is this module's. */
  map: AgentSourceMap | undefined;
  folder: string;
}

/**
 * Finds what to pack: an agent.wasm with agent.json beside it, a folder with both, or the folder of an agent's
 * sources, which is built first if its last build is out of date. Throws what buildAgent() throws.
 */
export async function findBuiltAgent(path: string): Promise<BuiltAgent> {
  if (!(await isDirectory(path))) return readBuilt(path);
  if (!(await exists(join(path, MODULE_FILE)))) {
    const { config, wasm, map, out } = await buildAgent(path, { skipUnchanged: true });
    return { config, wasm, map, folder: out };
  }
  return readBuilt(join(path, MODULE_FILE));
}

async function readBuilt(path: string): Promise<BuiltAgent> {
  const folder = dirname(path);
  const wasm = Uint8Array.from(await readInputFile(path, (name) => readFile(name)));
  return { config: await readAgentConfig(folder), wasm, map: await findSourceMap(wasm, path), folder };
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

/** Makes the package. Throws AGENT_CHECK, MANIFEST_TOO_LARGE, or what inspectModule() and checkManifest() throw. */
export function packAgent(config: AgentConfig, wasm: Uint8Array, options: PackOptions = {}): AgentPackage {
  const outline = inspectModule(wasm, {
    kind: config.kind,
    ioBuffer: config.limits.ioBuffer,
    stateId: config.stateId,
  });
  const { fuel, initFuel } = config.limits;
  if (
    fuel === undefined ||
    initFuel === undefined ||
    !outline.custom.some(({ name }) => name === DETAILS_SECTION)
  )
    throw new EdgePlugError("AGENT_CHECK", "The module is not one that `edgeplug build` made and measured.", {
      action: "Run `edgeplug build`, and pack the agent.wasm that it writes.",
    });
  const manifest = manifestOf(config, { ...config.limits, fuel, initFuel }, wasm);
  checkManifest(manifest);
  const manifestBytes = encodeManifest(manifest);
  if (manifestBytes.length > MANIFEST_MAX) throw tooLarge(config, manifestBytes.length);
  const { secretKey } = options;
  return {
    manifestBytes,
    manifest,
    keyId: secretKey === undefined ? new Uint8Array(0) : keyId(publicKeyOf(secretKey)),
    signature: secretKey === undefined ? new Uint8Array(0) : sign(manifestBytes, secretKey),
    payload: wasm,
  };
}

/** The package with `signer`'s signature over its manifest. Throws what the signer throws. */
export async function signPackage(
  pkg: AgentPackage,
  signer: Signer,
  signal?: AbortSignal,
): Promise<AgentPackage> {
  return { ...pkg, keyId: signer.keyId, signature: await signer.sign(pkg.manifestBytes, signal) };
}

function manifestOf(config: AgentConfig, limits: AgentManifest["limits"], wasm: Uint8Array): AgentManifest {
  return {
    format: MANIFEST_FORMAT,
    name: config.name,
    version: config.version,
    kind: config.kind,
    boardClass: boardClass(config.board),
    abi: ABI,
    release: config.release,
    securityVersion: config.securityVersion,
    payloadSize: wasm.length,
    payloadCrc32: crc32(wasm),
    payloadSha512: sha512(wasm),
    limits,
    inputs: config.inputs.length,
    outputs: config.outputs.length,
    guards: guardsOf(config),
    trial: config.trial,
    onTrap: config.onTrap,
    stateId: config.stateId,
    scanDivider: config.scanDivider === 1 ? 0 : config.scanDivider,
  };
}

/** Lists that say nothing are left out: four bytes an output are a good part of 304. */
export function guardsOf({ outputs }: AgentConfig): AgentGuards {
  const some = (field: "slew" | "failSafe"): boolean => outputs.some((output) => output[field] !== undefined);
  return {
    min: outputs.map(({ min }) => Math.fround(min)),
    max: outputs.map(({ max }) => Math.fround(max)),
    slew: some("slew") ? outputs.map(({ slew }) => Math.fround(slew ?? Infinity)) : [],
    failSafe: some("failSafe") ? outputs.map(({ failSafe }) => Math.fround(failSafe ?? 0)) : [],
  };
}

/** Says by name what would bring the manifest down to size, the least painful first. */
function tooLarge(config: AgentConfig, size: number): EdgePlugError {
  const list = 4 * config.outputs.length + 2;
  const ways: [string, number][] = [
    [`shorten version (${config.version.length} characters)`, Math.max(0, config.version.length - 5)],
    [`shorten name (${config.name.length} characters)`, Math.max(0, config.name.length - 8)],
    ["drop slew from all outputs", guardsOf(config).slew.length > 0 ? list : 0],
    ["drop failSafe from all outputs", guardsOf(config).failSafe.length > 0 ? list : 0],
    ["use fewer outputs", 16],
  ];
  const over = size - MANIFEST_MAX;
  const useful = ways.filter(([, gain]) => gain > 0).map(([what, gain]) => `${what} (-${gain})`);
  return new EdgePlugError(
    "MANIFEST_TOO_LARGE",
    `The manifest takes ${size} bytes, ${over} more than the ${MANIFEST_MAX} that a slot holds.`,
    { action: `In agent.json: ${useful.join(", or ")}.`, detail: size },
  );
}
