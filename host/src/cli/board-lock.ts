/** edgeplug board lock, edgeplug board unlock */
import { Command } from "commander";

import { EdgePlugError } from "../errors.js";
import { edgeplug } from "../generated/messages.js";
import type { BoardSession } from "../session/board-session.js";
import { keyRoleName } from "../session/messages.js";
import { openSigner, type SignerOptions } from "../signer/open.js";
import { withDevice, withSession, type DeviceOptions } from "./device-options.js";
import { hex, Output } from "./output.js";
import { withSigner } from "./signer-options.js";

const { SLOT_STATE_CONFIRMED, SLOT_STATE_TRIAL } = edgeplug.SlotState;
const SLOT_NAMES = ["A", "B"];

export function lockCommand(): Command {
  return withDevice(
    new Command("lock")
      .summary("make a board take signed packages and commands only")
      .description(
        "Locks the board: from now on it takes only packages of publishers and commands of operators whose keys it has. " +
          "Both kinds of key have to be on it first, and the packages in its slots have to be signed by one of them.",
      )
      .addHelpText(
        "after",
        `
Examples:
  edgeplug board keys add publisher.key.pub --device /dev/ttyUSB0
  edgeplug board keys add operator.key.pub --device /dev/ttyUSB0
  edgeplug board lock --device /dev/ttyUSB0`,
      ),
  ).action(async (options: DeviceOptions) => {
    await withSession(options, async (session, signal) => {
      if (!session.hello.locked) await requireLockable(session, signal);
      await session.execute({ kind: "lock" }, { signal });
      await tellLock(session, options);
    });
  });
}

export function unlockCommand(): Command {
  return withSigner(
    withDevice(
      new Command("unlock")
        .summary("make a locked board take unsigned packages and commands again")
        .description("Opens a locked board by an operator's signature. Its keys stay.")
        .addHelpText(
          "after",
          `
Example:
  edgeplug board unlock --device /dev/ttyUSB0 --key operator.key`,
        ),
    ),
    "operator",
  ).action(async (options: DeviceOptions & SignerOptions) => {
    const signer = await openSigner(options, "operator");
    await withSession(options, async (session, signal) => {
      await session.execute({ kind: "unlock" }, { signer, signal });
      await tellLock(session, options);
    });
  });
}

async function tellLock(session: BoardSession, options: DeviceOptions): Promise<void> {
  const { locked, boardId } = await session.refresh();
  new Output(options).result([`board ${hex(boardId)} is ${locked ? "locked" : "open"}`], {
    boardId: hex(boardId),
    locked,
  });
}

/** Says all that is missing at once; the board itself would only refuse. Throws LOCK_REFUSED. */
async function requireLockable(session: BoardSession, signal: AbortSignal): Promise<void> {
  const keys = (await session.listKeys({ signal })).map((key) => ({
    id: hex(key.keyId),
    role: keyRoleName(key.role),
  }));
  const missing: string[] = [];
  const actions: string[] = [];
  for (const role of ["publisher", "operator"]) {
    if (keys.some((key) => key.role === role)) continue;
    missing.push(`it has no ${role}'s key`);
    actions.push(`\`edgeplug board keys add ${role}.key.pub\``);
  }
  for (const [index, slot] of (await session.slots({ signal })).entries()) {
    if (slot.state !== SLOT_STATE_CONFIRMED && slot.state !== SLOT_STATE_TRIAL) continue;
    const id = hex(slot.keyId);
    if (keys.some((key) => key.id === id && key.role === "publisher")) continue;
    const why =
      id === "" ? "is unsigned" : `is signed by key ${id}, which is no publisher's key of this board`;
    missing.push(`${slot.name} ${slot.version} in slot ${SLOT_NAMES[index] ?? index} ${why}`);
    actions.push(
      id === "" ? "push signed packages until both slots hold one" : `add the publisher's key ${id}`,
    );
  }
  if (missing.length === 0) return;
  throw new EdgePlugError("LOCK_REFUSED", `The board can't be locked: ${missing.join("; ")}.`, {
    action: `${sentence([...new Set(actions)].join(", and "))}.`,
  });
}

function sentence(text: string): string {
  return text.charAt(0) === "`" ? `Run ${text}` : text.charAt(0).toUpperCase() + text.slice(1);
}
