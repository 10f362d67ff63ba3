/** edgeplug keygen */
import { Command, Option } from "commander";

import { writeKeyPair, type KeyRole } from "../keys.js";
import { newPassphrase } from "../signer/passphrase.js";
import { newSecretKey } from "../signing.js";
import { hex, Output } from "./output.js";

interface KeygenOptions {
  out?: string;
  role: KeyRole;
  passphrase?: boolean;
  force?: boolean;
  json?: boolean;
}

export function keygenCommand(): Command {
  return new Command("keygen")
    .summary("make a key pair")
    .description(
      "Makes an Ed25519 key pair: FILE (private, mode 0600) and FILE.pub. A publisher key signs packages and nothing " +
        "else, an operator key signs commands to locked boards and nothing else.",
    )
    .option("--out <file>", "where the private key goes (default: ROLE.key)")
    .addOption(
      new Option("--role <role>", "what it may sign").choices(["publisher", "operator"]).default("publisher"),
    )
    .option(
      "--passphrase",
      "close the private key by a passphrase: asked for, or taken from EDGEPLUG_PASSPHRASE",
    )
    .option("--force", "replace files that exist")
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      `
Examples:
  edgeplug keygen                                        publisher.key and publisher.key.pub
  edgeplug keygen --role operator --passphrase
  edgeplug keygen --role operator --out maria.key`,
    )
    .action(keygen);
}

async function keygen(options: KeygenOptions): Promise<void> {
  const path = options.out ?? `${options.role}.key`;
  const key = await writeKeyPair(path, newSecretKey(), options.role, {
    ...(options.passphrase === true ? { passphrase: await newPassphrase() } : {}),
    force: options.force ?? false,
  });
  const id = hex(key.keyId);
  new Output(options).result(
    [
      `${options.role} key ${id}`,
      `private  ${path}  (keep it; nobody can make it again)`,
      `public   ${path}.pub`,
    ],
    { role: options.role, keyId: id, publicKey: hex(key.publicKey), private: path, public: `${path}.pub` },
  );
}
