/** `--key`, `--sign-with` and `--public-key`: the same options and words wherever something gets signed. */
import type { Command } from "commander";

import type { KeyRole } from "../keys.js";

const OWNERS: Record<KeyRole, string> = { publisher: "a publisher's", operator: "an operator's" };

export function withSigner(command: Command, role: KeyRole): Command {
  const owner = OWNERS[role];
  return command
    .option("--key <file>", `sign with ${owner} private key`)
    .option(
      "--sign-with <command>",
      "or by a command: bytes on its standard input, 64 raw bytes on its output",
    )
    .option("--public-key <file>", `${owner} public key, by which --sign-with's signatures must hold`);
}
