/** edgeplug login HOST:PORT | edgeplug logout HOST:PORT */
import { addAbortSignal } from "node:stream";

import { Command } from "commander";

import { EdgePlugError } from "../errors.js";
import type { GatewayAddress } from "../gateway/client/address.js";
import { gatewayOptions, withGateway, type GatewayFlags } from "./gateway-options.js";
import { interruptible } from "./interrupt.js";
import { Output } from "./output.js";

interface LoginOptions extends GatewayFlags {
  json?: boolean;
}

export function loginCommand(): Command {
  return withGateway(
    new Command("login")
      .summary("keep the token for a gateway")
      .description(
        "Asks for a token, or reads it from standard input, tries it at the gateway, and keeps it where only you can read " +
          "it. From then on --device HOST:PORT needs nothing else. An unknown gateway shows its fingerprint first.",
      )
      .argument("<gateway>", "HOST:PORT")
      .option("--json", "print one JSON object"),
  )
    .addHelpText(
      "after",
      "\nExamples:\n  edgeplug login plant.example:50051\n" +
        "  edgeplug login plant.example:50051 --trust SHA256:… < token.txt",
    )
    .action(login);
}

export function logoutCommand(): Command {
  return new Command("logout")
    .summary("forget the token for a gateway, and with --all that it was trusted")
    .argument("<gateway>", "HOST:PORT")
    .option("--all", "also forget its fingerprint: the next use is a first use")
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      "\nExamples:\n  edgeplug logout plant.example:50051\n  edgeplug logout plant.example:50051 --all",
    )
    .action(logout);
}

async function login(name: string, options: LoginOptions): Promise<void> {
  const address = await parseGateway(name);
  const { GatewayClient } = await import("../gateway/client/gateway-client.js");
  const { cleanToken, keptTokens, loginMeans } = await import("../gateway/client/login.js");
  const { establishTrust } = await import("../gateway/client/trust.js");
  await interruptible(async (signal) => {
    const settings = { ...gatewayOptions(options, options.json !== true), signal };
    // Whose gateway it is comes first: nobody types a token for somebody else's.
    const trust = await establishTrust(address, settings);
    const token =
      options.tokenFile === undefined ? cleanToken(await readToken(signal), "The input") : undefined;
    const means = loginMeans(address.gateway, { ...settings, token });
    const client = GatewayClient.over(address, trust, means);
    try {
      const { login: who, role, version } = await client.call("getGateway", {}, { signal });
      keptTokens().set(address.gateway, means.token);
      const roles = ["no role", "viewer", "operator", "admin"];
      const roleName = roles[role] ?? `role ${role}`;
      new Output(options).result([`logged in at ${address.gateway} as ${who} (${roleName})`], {
        gateway: address.gateway,
        login: who,
        role: roleName,
        version,
      });
    } finally {
      client.close();
    }
  });
}

async function logout(name: string, options: { all?: boolean; json?: boolean }): Promise<void> {
  const { gateway } = await parseGateway(name);
  const { keptTokens } = await import("../gateway/client/login.js");
  keptTokens().set(gateway, undefined);
  if (options.all === true) {
    const { knownGateways } = await import("../gateway/client/trust.js");
    knownGateways().set(gateway, undefined);
  }
  new Output(options).result([`logged out at ${gateway}`], { gateway, forgotten: options.all === true });
}

async function parseGateway(name: string): Promise<GatewayAddress> {
  const { parseGatewayName } = await import("../gateway/client/address.js");
  const address = parseGatewayName(name);
  if (address !== undefined && address.board === "") return address;
  throw new EdgePlugError("USAGE", `"${name}" names no gateway.`, {
    action: "Name it as HOST:PORT, say plant.example:50051.",
  });
}

/** A line from a terminal, without echo, or all of the input, until the signal. */
async function readToken(signal: AbortSignal): Promise<string> {
  if (process.stdin.isTTY === true) {
    const { askOnTerminal } = await import("../signer/passphrase.js");
    return (await askOnTerminal("Token: ")) ?? "";
  }
  const parts: Buffer[] = [];
  try {
    for await (const part of addAbortSignal(signal, process.stdin)) parts.push(part as Buffer);
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
  return Buffer.concat(parts).toString("utf8");
}
