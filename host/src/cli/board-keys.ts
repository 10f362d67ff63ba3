/** edgeplug board keys list | add | remove | replace */
import { stat } from "node:fs/promises";

import { Command, Option } from "commander";

import { EdgePlugError } from "../errors.js";
import { readPublicKey, type KeyRole } from "../keys.js";
import type { BoardCommand, BoardSession } from "../session/board-session.js";
import { keyRoleName } from "../session/messages.js";
import { openSigner, type SignerOptions } from "../signer/open.js";
import { withDevice, withSession, type DeviceOptions } from "./device-options.js";
import { hex, Output } from "./output.js";
import { withSigner } from "./signer-options.js";

interface KeyOptions extends DeviceOptions, SignerOptions {
  role?: KeyRole;
}

/** A key of the board, and what is to be known of it before it is removed. */
interface BoardKey {
  role: string;
  keyId: string;
  /** The only one of its role: it can be replaced, but not removed. */
  last: boolean;
  /** Slots whose packages it signed: they run on without it, but would not be taken again. */
  slots: string[];
}

const SLOT_NAMES = ["A", "B"];
const KEY_ID = /^[0-9a-f]{1,16}$/i;

export function keysCommand(): Command {
  const keys = new Command("keys")
    .summary("list, add, remove or replace a board's keys")
    .addHelpText(
      "after",
      "\nExamples:\n  edgeplug board keys list --device auto\n  edgeplug board keys add publisher.pub --device auto",
    );
  for (const command of [listCommand(), addCommand(), removeCommand(), replaceCommand()])
    keys.addCommand(command);
  return keys;
}

function listCommand(): Command {
  return withDevice(
    new Command("list")
      .summary("say which keys a board has")
      .description(
        "Lists the board's keys: role, id, whether it is the last one of its role, and what it signed.",
      )
      .addHelpText("after", "\nExample:\n  edgeplug board keys list --device /dev/ttyUSB0"),
  ).action((options: DeviceOptions) =>
    withSession(options, async (session, signal) => printKeys(await boardKeys(session, signal), options)),
  );
}

function addCommand(): Command {
  const command = new Command("add")
    .summary("give a board a public key")
    .description("Adds a key. A locked board wants this signed by an operator whose key it has.")
    .argument("<file>", "public key file")
    .addOption(
      new Option("--role <role>", "what the key may sign (default: what the key file says)").choices([
        "publisher",
        "operator",
      ]),
    )
    .addHelpText(
      "after",
      `
Examples:
  edgeplug board keys add publisher.key.pub --device /dev/ttyUSB0
  edgeplug board keys add new.key.pub --device /dev/ttyUSB0 --key operator.key`,
    );
  return withSigner(withDevice(command), "operator").action((file: string, options: KeyOptions) =>
    change(options, async () => {
      const key = await readPublicKey(file);
      const role = options.role ?? key.role;
      if (role === undefined) {
        throw new EdgePlugError("USAGE", `${file} does not say what the key may sign.`, {
          action: "Pass --role publisher or --role operator.",
        });
      }
      return { kind: "addKey", role, publicKey: key.publicKey };
    }),
  );
}

function removeCommand(): Command {
  const command = new Command("remove")
    .summary("take a key from a board")
    .description("Removes a key. The last one of a role can't be removed, only replaced.")
    .argument("<key>", "key id, or the first digits of one; or the public key file")
    .addHelpText(
      "after",
      `
Examples:
  edgeplug board keys remove 3f2a --device /dev/ttyUSB0 --key operator.key
  edgeplug board keys remove old.key.pub --device /dev/ttyUSB0 --key operator.key`,
    );
  return withSigner(withDevice(command), "operator").action((key: string, options: KeyOptions) =>
    change(options, async (session, signal) => {
      const { keyId } = await findKey(key, session, signal);
      return { kind: "removeKey", keyId: Buffer.from(keyId, "hex") };
    }),
  );
}

function replaceCommand(): Command {
  const command = new Command("replace")
    .summary("put a new key in an old one's place")
    .description(
      "Replaces a key by another one of the same role, in one step: a cut of power leaves the old one or the new one.",
    )
    .argument("<key>", "the key that goes: its id, or the first digits of it; or its public key file")
    .argument("<file>", "public key file of the one that comes")
    .addHelpText(
      "after",
      `
Example:
  edgeplug board keys replace 3f2a new.key.pub --device /dev/ttyUSB0 --key operator.key`,
    );
  return withSigner(withDevice(command), "operator").action(
    (key: string, file: string, options: KeyOptions) =>
      change(options, async (session, signal) => {
        const next = await readPublicKey(file);
        const old = await findKey(key, session, signal);
        if (next.role !== undefined && next.role !== old.role) {
          throw new EdgePlugError(
            "KEY_ROLE",
            `${file} is a key of role ${next.role}, ${old.keyId} is ${old.role}.`,
            {
              action: "Replace a key by one of the same role.",
            },
          );
        }
        return { kind: "replaceKey", keyId: Buffer.from(old.keyId, "hex"), publicKey: next.publicKey };
      }),
  );
}

async function change(
  options: KeyOptions,
  commandOf: (session: BoardSession, signal: AbortSignal) => Promise<BoardCommand>,
): Promise<void> {
  const signer = await openSigner(options, "operator");
  await withSession(options, async (session, signal) => {
    await session.execute(await commandOf(session, signal), { signer, signal });
    printKeys(await boardKeys(session, signal), options);
  });
}

async function boardKeys(session: BoardSession, signal: AbortSignal): Promise<BoardKey[]> {
  const keys = (await session.listKeys({ signal })).map(({ role, keyId }) => ({
    role: keyRoleName(role),
    keyId: hex(keyId),
  }));
  const signers = (await session.slots({ signal })).map((slot) => hex(slot.keyId));
  return keys.map(({ role, keyId }) => ({
    role,
    keyId,
    last: keys.filter((other) => other.role === role).length === 1,
    slots: SLOT_NAMES.filter((_, index) => signers[index] === keyId),
  }));
}

function printKeys(keys: readonly BoardKey[], options: DeviceOptions): void {
  const lines = keys.map(({ role, keyId, last, slots }) => {
    const marks = [
      ...(last ? [`the only ${role}'s key`] : []),
      ...(slots.length > 0 ? [`signed slot ${slots.join(" and ")}`] : []),
    ];
    return `${role.padEnd(10)} ${keyId}${marks.length === 0 ? "" : `  ${marks.join(", ")}`}`;
  });
  new Output(options).result(lines.length === 0 ? ["no keys"] : lines, { keys });
}

/** Among the board's own keys. Throws KEY_UNKNOWN, or USAGE if several begin so. */
async function findKey(name: string, session: BoardSession, signal: AbortSignal): Promise<BoardKey> {
  const wanted = await keyIdPrefix(name);
  const keys = await boardKeys(session, signal);
  const matches = keys.filter(({ keyId }) => keyId.startsWith(wanted));
  const [key] = matches;
  if (key === undefined) {
    throw new EdgePlugError("KEY_UNKNOWN", `The board has no key ${wanted}.`, {
      action: "See which it has: `edgeplug board keys list`.",
    });
  }
  if (matches.length > 1) {
    const ids = matches.map(({ keyId }) => keyId).join(", ");
    throw new EdgePlugError("USAGE", `${matches.length} keys begin with ${wanted}: ${ids}.`, {
      action: "Name it by more digits.",
    });
  }
  return key;
}

/** A file of that name goes first; no board's key id is likely to be one's file name too. */
async function keyIdPrefix(name: string): Promise<string> {
  const isFile = await stat(name).then(
    (found) => found.isFile(),
    () => false,
  );
  if (!isFile && KEY_ID.test(name)) return name.toLowerCase();
  return hex((await readPublicKey(name)).keyId);
}
