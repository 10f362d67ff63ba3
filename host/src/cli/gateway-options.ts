/** What goes with `--device HOST:PORT`, the same in `edgeplug` and `edgeplug-push`: whom to trust, and how to log in. */
import type { Command } from "commander";

import { EdgePlugError } from "../errors.js";
import { checkGatewayOptions, type GatewayOptions } from "../gateway/client/options.js";
import type { TrustQuestion } from "../gateway/client/trust.js";

export interface GatewayFlags {
  ca?: string;
  trust?: string;
  tokenFile?: string;
  clientCert?: string;
  clientKey?: string;
}

export function withGateway(command: Command): Command {
  return command
    .option("--ca <file>", "gateway: trust only certificates that this authority (PEM) signed for the host")
    .option("--trust <fingerprint>", "gateway: trust this one from now on, by the fingerprint that it shows")
    .option("--token-file <file>", "gateway: token to log in with (or EDGEPLUG_TOKEN, or `edgeplug login`)")
    .option("--client-cert <file>", "gateway: certificate (PEM) to log in with …")
    .option("--client-key <file>", "… and its private key");
}

/**
 * `interactive`: a person may be asked whether an unknown gateway is to be trusted, if there is a terminal. Throws USAGE
 * for what contradicts itself.
 */
export function gatewayOptions(flags: GatewayFlags, interactive: boolean): GatewayOptions {
  const { ca, trust, tokenFile, clientCert, clientKey } = flags;
  checkGatewayOptions({ ca, trust, clientCert, clientKey });
  const canAsk = interactive && process.stdin.isTTY === true && process.stderr.isTTY === true;
  return { ca, trust, tokenFile, clientCert, clientKey, ask: canAsk ? askForTrust : undefined };
}

async function askForTrust({ gateway, fingerprint, names }: TrustQuestion): Promise<boolean> {
  const { createInterface } = await import("node:readline/promises");
  process.stderr.write(
    `The gateway at ${gateway} is not known here.\n` +
      `  fingerprint  ${fingerprint}\n` +
      `  good for     ${names.join(", ")}\n` +
      `Compare the fingerprint with the one that \`edgeplug gateway\` shows where it runs.\n`,
  );
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  // the end of input is an answer too, and on a terminal in raw mode Ctrl-C is no signal
  const ended = new Promise<string>((resolve) => reader.once("close", () => resolve("")));
  const stopped = new Promise<never>((_resolve, reject) =>
    reader.once("SIGINT", () => reject(new EdgePlugError("INTERRUPTED"))),
  );
  try {
    const answer = await Promise.race([reader.question("Trust it from now on? [y/N] "), ended, stopped]);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    reader.close();
  }
}
