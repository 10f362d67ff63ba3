/** Somebody's own packages for the suites' boards: read, and refused before a run if they can't run there. */
import { stat } from "node:fs/promises";
import { resolve } from "node:path";

import {
  CompileError,
  EdgePlugError,
  findBuiltAgent,
  packAgent,
  readPublicKey,
  verifyPackage,
  type AgentPackage,
} from "edgeplug";
import { foreseePush, type Hello } from "edgeplug/device";
import { readPackageFile } from "edgeplug/package-file";

import { startBoard, type Backend } from "./board.js";

export interface OwnAgent {
  /** As it was named. */
  readonly path: string;
  /** `name version`. */
  readonly name: string;
  readonly pkg: AgentPackage;
}

/** Percent of a scan that agents may take beside each other (firmware/runtime/hotswap/update.c). */
const SCAN_SHARE = 70;

/** The publisher's public key from a file of `edgeplug keygen`. Throws KEY_FILE, or what reading it throws. */
async function readPublisher(path: string): Promise<Uint8Array> {
  const { publicKey, role } = await readPublicKey(path);
  if (role === "operator")
    throw new EdgePlugError(
      "KEY_FILE",
      `${path} is an operator's key; packages are signed by a publisher's.`,
    );
  return publicKey;
}

export interface OwnAgentFiles {
  /** Each an .epk, or what `edgeplug pack` takes: an agent's folder, which is built if need be, or an agent.wasm. */
  readonly paths: readonly string[];
  /** The publisher's public key: each package has to be signed by it. Undefined: signatures are not looked at. */
  readonly key?: string | undefined;
  /** The folder that relative paths are meant from. */
  readonly from: string;
}

export interface OwnAgents {
  readonly agents: readonly OwnAgent[];
  readonly publisher: Uint8Array | undefined;
}

/** Throws what reading, building and verifying throw, with the path before it. */
export async function readOwnAgents({ paths, key, from }: OwnAgentFiles): Promise<OwnAgents> {
  const publisher = key === undefined ? undefined : await readPublisher(resolve(from, key));
  const agents: OwnAgent[] = [];
  for (const path of paths)
    agents.push(
      await about(path, async () => {
        const pkg = await readOne(resolve(from, path));
        verifyPackage(pkg, publisher === undefined ? {} : { publicKey: publisher });
        return { path, name: `${pkg.manifest.name} ${pkg.manifest.version}`, pkg };
      }),
    );
  for (const [at, { path, pkg }] of agents.entries())
    if (agents.slice(0, at).some((other) => Buffer.compare(other.pkg.manifestBytes, pkg.manifestBytes) === 0))
      throw new EdgePlugError("USAGE", `${path}: the same package comes twice.`);
  return { agents, publisher };
}

async function readOne(path: string): Promise<AgentPackage> {
  const isFile = (await stat(path).catch(() => undefined))?.isFile() ?? false;
  if (isFile && !path.endsWith(".wasm")) return readPackageFile(path);
  const { config, wasm } = await findBuiltAgent(path);
  return packAgent(config, wasm);
}

/**
 * Asks a blank board of that kind whether it would take each of them, also beside `others`, the packages that take turns
 * with them. Throws what the board would answer: BOARD_CLASS, ABI, CHANNELS, MEMORY, FUEL, or what is wrong with a module.
 */
export async function checkOwnAgents(
  agents: readonly OwnAgent[],
  backend: Backend,
  others: readonly AgentPackage[] = [],
): Promise<void> {
  const board = await startBoard(backend);
  try {
    const session = await board.connect();
    for (const { path, pkg } of agents)
      await about(path, async () => {
        const { checks } = await foreseePush(session, pkg);
        const refusal = checks.find(({ error }) => error !== undefined)?.error;
        if (refusal !== undefined) throw refusal;
        const beside = [...others, ...agents.map((agent) => agent.pkg)].filter((other) => other !== pkg);
        checkFuel(pkg, beside, session.hello);
      });
  } finally {
    await board.close();
  }
}

/** A swap between control agents needs room for both in one scan. */
function checkFuel(pkg: AgentPackage, others: readonly AgentPackage[], hello: Hello): void {
  if (pkg.manifest.kind !== "control") return;
  const budget = Math.floor((hello.tickUs * 10 * SCAN_SHARE) / hello.nanosPerFuel);
  const { fuel } = pkg.manifest.limits;
  for (const { manifest } of others) {
    if (manifest.kind !== "control" || fuel + manifest.limits.fuel <= budget) continue;
    throw new EdgePlugError(
      "FUEL",
      `It asks for ${fuel} fuel a scan, and ${manifest.name} ${manifest.version}, with which it takes turns, for ` +
        `${manifest.limits.fuel}; both have to fit into ${budget}.`,
    );
  }
}

/** What a command says of an error: cause and remedy. */
export function complaint(thrown: unknown): string {
  const error = EdgePlugError.from(thrown);
  const details = error instanceof CompileError ? error.diagnostics : "";
  return `${details}error ${error.id}: ${error.message}\n  try: ${error.action}`;
}

/** A case for each of them: that it may run on the board. What an error doesn't name has held so far. */
export function ownAgentCases(
  paths: readonly string[],
  board: string,
  error?: EdgePlugError,
): { name: string; failures: string[] }[] {
  const names = [...new Set(paths)];
  const guilty = names.find((path) => error?.message.startsWith(path)) ?? names[0];
  return names.map((path) => ({
    name: `${path} can run on ${board}`,
    failures: error !== undefined && path === guilty ? [complaint(error)] : [],
  }));
}

/** Says whose error it is. */
export async function about<T>(path: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (thrown) {
    const error = EdgePlugError.from(thrown);
    if (error.code === "INTERNAL" || error.message.startsWith(path)) throw thrown;
    throw new EdgePlugError(error.code, `${path}: ${error.message}`, {
      cause: error,
      action: error.action,
      detail: error.detail,
    });
  }
}
