/** edgeplug gateway token add | list | revoke */
import { Command, Option } from "commander";

import { administer } from "../gateway/administer.js";
import { newToken, ROLES, tokenHash, type Role } from "../gateway/logins.js";
import { duration, stateFolder, when, withStateFolder, type StateOptions } from "./gateway-state-options.js";
import { Output } from "./output.js";

interface AddOptions extends StateOptions {
  role: Role;
  expires?: number;
}

export function tokenCommand(): Command {
  const token = new Command("token")
    .summary("make, list or revoke tokens")
    .description(
      "Tokens let people and scripts into the gateway. A change counts from the next call on, also while the gateway runs.",
    )
    .addHelpText(
      "after",
      "\nExamples:\n  edgeplug gateway token add alice --role operator\n  edgeplug gateway token list",
    );
  for (const command of [addCommand(), listCommand(), revokeCommand()]) token.addCommand(command);
  return token;
}

function addCommand(): Command {
  return withStateFolder(
    new Command("add")
      .summary("make a token and show it once")
      .description(
        "Makes a token for NAME and prints it. The gateway keeps only its SHA-256: nobody can show the token again.",
      )
      .argument("<name>", "whose it is, as the audit log will call them")
      .addOption(
        new Option("--role <role>", "what it allows; each role may do what the ones before it may")
          .choices(ROLES)
          .default("viewer"),
      )
      .option("--expires <time>", "when it ends, from now: 12h, 30d, 2w, 1y (default: never)", duration)
      .addHelpText(
        "after",
        "\nExamples:\n  edgeplug gateway token add maria --role operator\n" +
          "  edgeplug gateway token add ci --role operator --expires 30d --json",
      ),
  ).action(async (name: string, options: AddOptions) => {
    const token = newToken();
    const expires = options.expires === undefined ? 0 : Date.now() + options.expires;
    const { role } = options;
    await administer(stateFolder(options), "token-add", {
      name,
      role,
      hash: tokenHash(token).toString("hex"),
      expires,
    });
    const output = new Output(options);
    output.result([token], {
      name,
      role,
      token,
      expires: expires === 0 ? null : new Date(expires).toISOString(),
    });
    output.note(
      `  token of ${name} (${role}); it is not shown again. Use it with EDGEPLUG_TOKEN or --token-file.`,
    );
  });
}

function listCommand(): Command {
  return withStateFolder(
    new Command("list")
      .summary("list tokens: name, role, when made, used and ending")
      .addHelpText("after", "\nExample:\n  edgeplug gateway token list"),
  ).action(async (options: StateOptions) => {
    const { tokens } = await administer(stateFolder(options), "token-list", {});
    const lines = tokens.map(
      ({ name, role, created, expires, lastUsed }) =>
        `${name.padEnd(20)} ${role.padEnd(9)} made ${when(created)}, used ${when(lastUsed)}, ends ${when(expires)}`,
    );
    new Output(options).result(lines.length === 0 ? ["no tokens"] : lines, { tokens });
  });
}

function revokeCommand(): Command {
  return withStateFolder(
    new Command("revoke")
      .summary("make a token worthless, from the next call on")
      .argument("<name>", "whose token")
      .addHelpText("after", "\nExample:\n  edgeplug gateway token revoke maria"),
  ).action(async (name: string, options: StateOptions) => {
    await administer(stateFolder(options), "token-revoke", { name });
    new Output(options).result([`the token of ${name} is worthless`], { revoked: name });
  });
}
