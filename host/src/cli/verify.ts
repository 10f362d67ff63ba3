/** edgeplug verify */
import { Command } from "commander";

import { readPublicKey } from "../keys.js";
import { verifyPackage } from "../package.js";
import { count, hex, Output } from "./output.js";
import { readPackageFile } from "../package-file.js";

interface VerifyOptions {
  key?: string;
  agent?: string;
  json?: boolean;
}

const SIGNATURES = {
  verified: "signature holds",
  unverified: "signed, but not checked: pass the publisher's public key with --key",
  unsigned: "not signed",
} as const;

export function verifyCommand(): Command {
  return new Command("verify")
    .summary("check a package's digests and signature")
    .description(
      "Checks form, CRC-32 and SHA-512 of a package, and with --key its signature. Exit code 0: all of it holds.",
    )
    .argument("<file>", "an .epk, or a manifest.pb with --agent")
    .option("--key <file>", "the publisher's public key; the package must be signed by it")
    .option("--agent <file>", "the agent.bin that belongs to a manifest.pb")
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      "\nExamples:\n  edgeplug verify agent.epk --key publisher.pub\n  edgeplug verify manifest.pb --agent agent.bin --json",
    )
    .action(verify);
}

async function verify(file: string, options: VerifyOptions): Promise<void> {
  const key = options.key === undefined ? undefined : await readPublicKey(options.key);
  const pkg = await readPackageFile(file, options.agent);
  const signature = verifyPackage(pkg, key === undefined ? {} : { publicKey: key.publicKey });
  const { manifest } = pkg;
  new Output(options).result(
    [
      `${manifest.name} ${manifest.version}, release ${manifest.release}: ${count(manifest.payloadSize)} bytes, digests hold`,
      pkg.keyId.length === 0 ? SIGNATURES[signature] : `key ${hex(pkg.keyId)}: ${SIGNATURES[signature]}`,
    ],
    {
      name: manifest.name,
      version: manifest.version,
      release: manifest.release,
      signature,
      keyId: hex(pkg.keyId),
    },
  );
}
