/** The packages of the story: the first two built here from source, the others taken from what set-up built. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import {
  buildAgent,
  findBuiltAgent,
  packAgent,
  writeKeyPair,
  type AgentPackage,
  type PublicKeyFile,
} from "edgeplug";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface Keys {
  publisher: PublicKeyFile;
  publisherSecret: Uint8Array;
  operator: PublicKeyFile;
  /** A key that the board never hears of. */
  strangerSecret: Uint8Array;
}

/** Makes the key files in `folder`, as `edgeplug keygen` does. */
export async function makeKeys(folder: string): Promise<Keys> {
  const publisherSecret = Uint8Array.from(randomBytes(32));
  return {
    publisherSecret,
    publisher: await writeKeyPair(join(folder, "publisher"), publisherSecret, "publisher"),
    operator: await writeKeyPair(join(folder, "operator"), Uint8Array.from(randomBytes(32)), "operator"),
    strangerSecret: Uint8Array.from(randomBytes(32)),
  };
}

/** Compiles, checks and packs an example agent from its source. */
export async function buildPackage(
  agent: string,
  folder: string,
  secretKey: Uint8Array,
): Promise<AgentPackage> {
  const built = await buildAgent(join(ROOT, "firmware/agents", agent), { out: join(folder, agent) });
  return packAgent(built.config, built.wasm, { secretKey });
}

/** Signs what set-up built. */
export async function packBuilt(agent: string, secretKey: Uint8Array): Promise<AgentPackage> {
  const built = await findBuiltAgent(join(ROOT, "build/agents", agent));
  return packAgent(built.config, built.wasm, { secretKey });
}

/** The same package with one byte of its signed manifest flipped, inside the payload's digest. */
export function withFlippedByte(pkg: AgentPackage): AgentPackage {
  const manifestBytes = Uint8Array.from(pkg.manifestBytes);
  const digest = Buffer.from(manifestBytes).indexOf(Buffer.from(pkg.manifest.payloadSha512));
  manifestBytes[digest + 7] = (manifestBytes[digest + 7] ?? 0) ^ 0x10;
  return { ...pkg, manifestBytes };
}

export function title(pkg: AgentPackage): string {
  return `${pkg.manifest.name} ${pkg.manifest.version}`;
}
