/** edgeplug board spent list | clear */
import { stat } from "node:fs/promises";

import { Command } from "commander";

import { EdgePlugError } from "../errors.js";
import { sha512 } from "../signing.js";
import { openSigner, type SignerOptions } from "../signer/open.js";
import { withDevice, withSession, type DeviceOptions } from "./device-options.js";
import { hex, Output, plural } from "./output.js";
import { readPackageFile } from "../package-file.js";
import { withSigner } from "./signer-options.js";

const DIGEST_SIZE = 16;
const DIGEST = /^[0-9a-f]{1,32}$/i;

export function spentCommand(): Command {
  const spent = new Command("spent")
    .summary("list the packages that a board refuses because they failed on it, or clear them")
    .addHelpText(
      "after",
      "\nExamples:\n  edgeplug board spent list --device auto\n  edgeplug board spent clear --help",
    );
  spent.addCommand(listCommand());
  spent.addCommand(clearCommand());
  return spent;
}

function listCommand(): Command {
  return withDevice(
    new Command("list")
      .summary("say which packages a board refuses")
      .description(
        "Lists the packages that failed their trial on this board, newest first, by their manifests' digests.",
      )
      .addHelpText("after", "\nExample:\n  edgeplug board spent list --device /dev/ttyUSB0"),
  ).action((options: DeviceOptions) =>
    withSession(options, async (session, signal) => printSpent(await session.spent({ signal }), options)),
  );
}

function clearCommand(): Command {
  const command = new Command("clear")
    .summary("let a board take such a package again")
    .description(
      "Takes one package off the list, or all of them. A locked board wants this signed by an operator.",
    )
    .argument("[package]", "a digest as `list` shows it, or the first digits of one; or the .epk file")
    .option("--all", "clear the whole list")
    .addHelpText(
      "after",
      `
Examples:
  edgeplug board spent clear 8d1f --device /dev/ttyUSB0
  edgeplug board spent clear agent.epk --device /dev/ttyUSB0 --key operator.key
  edgeplug board spent clear --all --device /dev/ttyUSB0 --key operator.key`,
    );
  return withSigner(withDevice(command), "operator").action(clear);
}

async function clear(
  name: string | undefined,
  options: DeviceOptions & SignerOptions & { all?: boolean },
): Promise<void> {
  if ((name === undefined) !== (options.all === true)) {
    throw new EdgePlugError("USAGE", "Name a package, or pass --all.", {
      action: "See which there are: `edgeplug board spent list`.",
    });
  }
  const prefix = name === undefined ? undefined : await digestPrefix(name);
  const signer = await openSigner(options, "operator");
  await withSession(options, async (session, signal) => {
    const digest = prefix === undefined ? undefined : findSpent(prefix, await session.spent({ signal }));
    await session.execute(
      { kind: "clearSpent", ...(digest === undefined ? {} : { digest }) },
      { signer, signal },
    );
    printSpent(await session.spent({ signal }), options);
  });
}

async function digestPrefix(name: string): Promise<string> {
  const isFile = await stat(name).then(
    (found) => found.isFile(),
    () => false,
  );
  if (!isFile && DIGEST.test(name)) return name.toLowerCase();
  const { manifestBytes } = await readPackageFile(name);
  return hex(sha512(manifestBytes).subarray(0, DIGEST_SIZE));
}

/** Throws USAGE unless the list has exactly one that begins so. */
function findSpent(prefix: string, spent: readonly Uint8Array[]): Uint8Array {
  const matches = spent.filter((digest) => hex(digest).startsWith(prefix));
  const [digest] = matches;
  if (digest !== undefined && matches.length === 1) return digest;
  const found = matches.length === 0 ? "No package" : plural(matches.length, "package");
  throw new EdgePlugError("USAGE", `${found} of the board's spent list: ${prefix}.`, {
    action: "See which there are: `edgeplug board spent list`.",
  });
}

function printSpent(spent: readonly Uint8Array[], options: DeviceOptions): void {
  const digests = spent.map(hex);
  new Output(options).result(digests.length === 0 ? ["no spent packages"] : digests, { spent: digests });
}
