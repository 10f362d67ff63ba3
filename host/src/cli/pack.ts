/** edgeplug pack */
import { writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";

import { Command } from "commander";

import { findBuiltAgent, packAgent } from "../agent/pack.js";
import { EdgePlugError } from "../errors.js";
import { fileError } from "../files.js";
import { MANIFEST_MAX } from "../manifest.js";
import { serializePackage, serializeSignedManifest, type AgentPackage } from "../package.js";
import { count, hex, Output } from "./output.js";
import { openSecretKey } from "./passphrase.js";

interface PackOptions {
  key?: string;
  out?: string;
  split?: boolean;
  json?: boolean;
}

export function packCommand(): Command {
  return new Command("pack")
    .summary("make a package of a built agent, signed or not")
    .description(
      "Makes agent.epk of a built agent. PATH is an agent's folder, which is built if need be, or an agent.wasm.",
    )
    .argument("[path]", "an agent's folder, or an agent.wasm with its agent.json beside it", ".")
    .option("--key <file>", "sign with this publisher's private key; locked boards take only signed packages")
    .option("--out <file>", "where the package goes (default: agent.epk beside agent.wasm)")
    .option("--split", "also write agent.bin, manifest.pb, manifest.raw and manifest.sig beside it")
    .option("--json", "print one JSON object")
    .action(pack);
}

async function pack(path: string, options: PackOptions): Promise<void> {
  const secretKey = options.key === undefined ? undefined : await publisherKey(options.key);
  const agent = await findBuiltAgent(path);
  const pkg = packAgent(agent.config, agent.wasm, secretKey === undefined ? {} : { secretKey });
  const epk = options.out ?? join(agent.folder, "agent.epk");
  const bytes = serializePackage(pkg);
  const files: [string, Uint8Array][] = [[epk, bytes]];
  if (options.split === true) files.push(...splitFiles(dirname(epk), pkg));
  for (const [file, contents] of files) await write(file, contents);
  const { manifest, manifestBytes, keyId } = pkg;
  const signer = keyId.length === 0 ? "unsigned" : `signed by ${hex(keyId)}`;
  new Output(options).result(
    [
      `${manifest.name} ${manifest.version}, release ${manifest.release}, ${signer}`,
      `manifest ${manifestBytes.length} of ${MANIFEST_MAX} bytes, agent ${count(manifest.payloadSize)} bytes`,
      ...files.map(([file]) => `wrote: ${relative("", file)}`),
    ],
    {
      name: manifest.name,
      version: manifest.version,
      release: manifest.release,
      keyId: hex(keyId),
      manifestBytes: manifestBytes.length,
      payloadBytes: manifest.payloadSize,
      bytes: bytes.length,
      files: files.map(([file]) => file),
    },
  );
}

async function publisherKey(path: string): Promise<Uint8Array> {
  const key = await openSecretKey(path);
  if (key.role === "operator")
    throw new EdgePlugError(
      "KEY_FILE",
      `${path} is an operator key, and those sign commands, never packages.`,
      {
        action: "Use a publisher key: `edgeplug keygen --role publisher`.",
      },
    );
  return key.secretKey;
}

/** manifest.raw and manifest.sig are for openssl, manifest.pb and agent.bin for `edgeplug-push --manifest --agent`. */
function splitFiles(folder: string, pkg: AgentPackage): [string, Uint8Array][] {
  const files: [string, Uint8Array][] = [
    [join(folder, "agent.bin"), pkg.payload],
    [join(folder, "manifest.pb"), serializeSignedManifest(pkg)],
    [join(folder, "manifest.raw"), pkg.manifestBytes],
  ];
  if (pkg.signature.length > 0) files.push([join(folder, "manifest.sig"), pkg.signature]);
  return files;
}

async function write(path: string, contents: Uint8Array): Promise<void> {
  try {
    await writeFile(path, contents);
  } catch (error) {
    throw fileError(path, error);
  }
}
