/** edgeplug gateway cert issue | add | list | revoke */
import { existsSync } from "node:fs";
import { open, readFile } from "node:fs/promises";

import { Command, Option } from "commander";

import { EdgePlugError } from "../errors.js";
import { fileError, readInputFile } from "../files.js";
import { administer } from "../gateway/administer.js";
import { ROLES, type Role } from "../gateway/roles.js";
import { duration, stateFolder, when, withStateFolder, type StateOptions } from "./gateway-state-options.js";
import { Output } from "./output.js";

interface IssueOptions extends StateOptions {
  role: Role;
  out?: string;
  expires: number;
}

const DAY_MS = 86_400_000;

export function certCommand(): Command {
  const cert = new Command("cert")
    .summary("issue, list or revoke client certificates")
    .description(
      "Client certificates let people and scripts into the gateway in place of tokens. The role is kept by the gateway, " +
        "not in the certificate; a change counts from the next call on, also while the gateway runs.",
    )
    .addHelpText("after", "\nExamples:\n  edgeplug gateway cert issue --help\n  edgeplug gateway cert list");
  for (const command of [issueCommand(), addCommand(), listCommand(), revokeCommand()])
    cert.addCommand(command);
  return cert;
}

function withRole(command: Command): Command {
  return command.addOption(
    new Option("--role <role>", "what it allows; each role may do what the ones before it may")
      .choices(ROLES)
      .default("viewer"),
  );
}

function issueCommand(): Command {
  return withStateFolder(
    withRole(
      new Command("issue")
        .summary("make a key and a certificate for a client")
        .description(
          "Makes a key here, lets the gateway's authority sign it, and writes FILE (certificate) and FILE.key (mode 0600).",
        )
        .argument("<name>", "whose it is, as the audit log will call them")
        .option("--out <file>", "where the certificate goes (default: NAME.pem)")
        .addOption(
          new Option("--expires <time>", "when it ends, from now: 12h, 30d, 2w, 1y")
            .argParser(duration)
            .default(365 * DAY_MS, "1y"),
        ),
    ).addHelpText(
      "after",
      "\nExample:\n  edgeplug gateway cert issue maria --role operator --out maria.pem\n" +
        "  edgeplug-push --device plant:50051 --client-cert maria.pem --client-key maria.pem.key --info",
    ),
  ).action(async (name: string, options: IssueOptions) => {
    const out = options.out ?? `${name}.pem`;
    for (const path of [out, `${out}.key`]) if (existsSync(path)) throw exists(path);
    const { newClientKey } = await import("../gateway/authority.js");
    const { key, spki } = await newClientKey();
    const { certificate, serial, expires } = await administer(stateFolder(options), "cert-issue", {
      name,
      role: options.role,
      spki: Buffer.from(spki).toString("base64"),
      days: options.expires / DAY_MS,
    });
    await writeNew(`${out}.key`, key, 0o600);
    await writeNew(out, certificate, 0o644);
    new Output(options).result(
      [
        `certificate of ${name} (${options.role}), serial ${serial}, until ${when(expires)}`,
        `public   ${out}`,
        `private  ${out}.key`,
      ],
      { name, role: options.role, serial, expires, certificate: out, key: `${out}.key` },
    );
  });
}

function addCommand(): Command {
  return withStateFolder(
    withRole(
      new Command("add")
        .summary("let a certificate of another authority in")
        .description(
          "Gives a role to a certificate that another authority issued. The gateway looks at such certificates only if " +
            "that authority is named with --client-ca.",
        )
        .argument("<name>", "whose it is, as the audit log will call them")
        .argument("<file>", "the certificate, PEM"),
    ).addHelpText(
      "after",
      "\nExample:\n  edgeplug gateway cert add maria maria-from-our-pki.pem --role operator",
    ),
  ).action(async (name: string, file: string, options: IssueOptions) => {
    const certificate = await readInputFile(file, (path) => readFile(path, "utf8"));
    const { role } = options;
    const { serial, expires } = await administer(stateFolder(options), "cert-add", {
      name,
      role,
      certificate,
    });
    new Output(options).result(
      [`certificate of ${name} (${role}), serial ${serial}, until ${when(expires)}`],
      {
        name,
        role,
        serial,
        expires,
      },
    );
  });
}

function listCommand(): Command {
  return withStateFolder(
    new Command("list")
      .summary("list client certificates: serial, name, role, when made, used and ending")
      .addHelpText("after", "\nExample:\n  edgeplug gateway cert list"),
  ).action(async (options: StateOptions) => {
    const { certificates } = await administer(stateFolder(options), "cert-list", {});
    const lines = certificates.map(({ serial, name, role, created, expires, lastUsed, revoked }) => {
      const end = revoked === null ? `ends ${when(expires)}` : `revoked ${when(revoked)}`;
      return `${serial}  ${name.padEnd(20)} ${role.padEnd(9)} made ${when(created)}, used ${when(lastUsed)}, ${end}`;
    });
    new Output(options).result(lines.length === 0 ? ["no client certificates"] : lines, { certificates });
  });
}

function revokeCommand(): Command {
  return withStateFolder(
    new Command("revoke")
      .summary("make a client certificate worthless, from the next call on")
      .argument("<serial>", "its serial number, from `edgeplug gateway cert list`")
      .addHelpText("after", "\nExample:\n  edgeplug gateway cert revoke 4ed8714105d1d4c9753bd272f310be4f"),
  ).action(async (serial: string, options: StateOptions) => {
    const { name } = await administer(stateFolder(options), "cert-revoke", { serial });
    new Output(options).result([`the certificate ${serial} of ${name} is worthless`], {
      revoked: serial,
      name,
    });
  });
}

/** Existing keys are not replaced: nobody can make them again. */
async function writeNew(path: string, text: string, mode: number): Promise<void> {
  try {
    const file = await open(path, "wx", mode);
    try {
      await file.writeFile(text);
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw exists(path);
    throw fileError(path, error);
  }
}

function exists(path: string): EdgePlugError {
  return new EdgePlugError("FILE_EXISTS", `${path} exists already.`);
}
