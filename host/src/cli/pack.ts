/** edgeplug pack */
import { writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";

import { Command } from "commander";

import { findBuiltAgent, packAgent, signPackage } from "../agent/pack.js";
import { fileError } from "../files.js";
import { MANIFEST_MAX } from "../manifest.js";
import { serializePackage, serializeSignedManifest, type AgentPackage } from "../package.js";
import { openSigner, type SignerOptions } from "../signer/open.js";
import { interruptible } from "./interrupt.js";
import { count, hex, Output } from "./output.js";
import { withSigner } from "./signer-options.js";

interface PackOptions extends SignerOptions {
  out?: string;
  split?: boolean;
  json?: boolean;
}

const EXAMPLES = `
Examples:
  edgeplug pack                                      build the agent in this folder and pack it unsigned
  edgeplug pack --key publisher.key                  … and sign it
  edgeplug pack build --out release/agent.epk --split
  edgeplug pack --public-key publisher.pub \\
    --sign-with 'openssl pkeyutl -sign -rawin -inkey publisher.pem -in /dev/stdin'`;

export function packCommand(): Command {
  const command = new Command("pack")
    .summary("make a package of a built agent, signed or not")
    .description(
      "Makes agent.epk of a built agent. PATH is an agent's folder, which is built if need be, or an agent.wasm. Locked " +
        "boards take only packages that are signed by a publisher's key.",
    )
    .argument("[path]", "an agent's folder, or an agent.wasm with its agent.json beside it", ".")
    .option("--out <file>", "where the package goes (default: agent.epk beside agent.wasm)")
    .option("--split", "also write agent.bin, manifest.pb, manifest.raw and manifest.sig beside it")
    .option("--json", "print one JSON object")
    .addHelpText("after", EXAMPLES)
    .action(pack);
  return withSigner(command, "publisher");
}

async function pack(path: string, options: PackOptions): Promise<void> {
  const signer = await openSigner(options, "publisher");
  const agent = await findBuiltAgent(path);
  const unsigned = packAgent(agent.config, agent.wasm);
  const pkg =
    signer === undefined ? unsigned : await interruptible((signal) => signPackage(unsigned, signer, signal));
  const epk = options.out ?? join(agent.folder, "agent.epk");
  const bytes = serializePackage(pkg);
  const files: [string, Uint8Array | string][] = [[epk, bytes]];
  if (agent.map !== undefined) files.push([`${epk}.map`, agent.map.json]);
  if (options.split === true) files.push(...splitFiles(dirname(epk), pkg));
  for (const [file, contents] of files) await write(file, contents);
  const { manifest, manifestBytes, keyId } = pkg;
  const signature = keyId.length === 0 ? "unsigned" : `signed by ${hex(keyId)}`;
  new Output(options).result(
    [
      `${manifest.name} ${manifest.version}, release ${manifest.release}, ${signature}`,
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

async function write(path: string, contents: Uint8Array | string): Promise<void> {
  try {
    await writeFile(path, contents);
  } catch (error) {
    throw fileError(path, error);
  }
}
