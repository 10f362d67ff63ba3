/** What a board says about itself, before and after, and what therefore must have caught the rot. */
import {
  historyKindName,
  reasonName,
  slotStateName,
  type DeviceSession,
  type HistoryEntry,
  type SlotInfo,
  type Status,
} from "edgeplug/device";
import { edgeplug } from "edgeplug/messages";
import type { FlashImage } from "@edgeplug/test-support/flash";

import type { Outcome, Runner, Trial } from "./case.js";
import { helpTrial } from "./force.js";
import { generation } from "./rot.js";

const { EventKind, Reason, UpdatePhase } = edgeplug;
const SETTLE_MS = 30_000;
const POLL_MS = 10;

export interface Account {
  readonly status: Status;
  readonly slots: readonly SlotInfo[];
  readonly history: readonly HistoryEntry[];
  readonly keys: string;
  readonly image: FlashImage;
}

export async function account(trial: Trial, session: DeviceSession): Promise<Account> {
  const [status, slots] = [await session.status(), await session.slots()];
  const keys = (await session.listKeys()).map(
    ({ role, keyId }) => `${role} ${Buffer.from(keyId).toString("hex")}`,
  );
  const history = await session.history({ limit: 32 });
  return { status, slots, history, keys: keys.join(), image: await trial.bench.image() };
}

/** Waits out whatever goes on; a trial that waits for the host's word gets it. */
export async function settle(session: DeviceSession): Promise<Status> {
  const { clock } = session.connection.transport;
  const end = clock.now() + SETTLE_MS;
  for (;;) {
    const status = await session.status();
    if (status.phase === UpdatePhase.UPDATE_PHASE_IDLE) return status;
    if (clock.now() > end) throw new Error(`the board stays in phase ${status.phase}`);
    if (status.phase === UpdatePhase.UPDATE_PHASE_TRIAL) await helpTrial(session, status);
    await session.connection.pause(POLL_MS);
  }
}

/** Listens for what the scrub has to say. */
export function hearScrub(session: DeviceSession): () => boolean {
  let heard = false;
  session.connection.onEvent(({ kind, reason }) => {
    if (kind === EventKind.EVENT_KIND_HEALTH && reason === Reason.REASON_ROTTEN) heard = true;
  });
  return () => heard;
}

/** What the difference between two accounts says about rot in `slot` (undefined: in the journal). */
export function whatCaught(before: Account, after: Account, slot: 0 | 1 | undefined): string {
  if (after.status.journalError !== 0) return "JOURNAL";
  if (slot !== undefined) return caughtInSlot(before, after, slot);
  if (([0, 1] as const).some((half) => generation(before.image, half) !== generation(after.image, half)))
    return "boot: journal half rewritten";
  const known = new Set(after.history.map(nameOf));
  const oldest = Math.min(...after.history.map(({ sequence }) => sequence));
  const lost = before.history.some((entry) => entry.sequence > oldest && !known.has(nameOf(entry)));
  return lost ? "boot: entry CRC" : "harmless";
}

function caughtInSlot(before: Account, after: Account, slot: 0 | 1): string {
  const news = after.history.filter(({ sequence }) => sequence > (before.history[0]?.sequence ?? 0));
  if (news.some(({ reason }) => reason === Reason.REASON_ROTTEN)) return "boot: payload hash";
  const states = [before, after].map(({ slots }) => slotStateName(slots[slot]?.state ?? 0));
  const [was, is] = states;
  if (is === "empty" || is === "unreadable") return "boot: record CRC";
  if (is === "rejected" && was !== is) {
    const why = reasonName(after.slots[slot]?.reason ?? 0);
    return why === "torn" ? "boot: torn mark" : `boot: rejected, ${why}`;
  }
  const tried = news.some(({ kind, slot: at }) => historyKindName(kind) === "trial" && at === slot);
  if ((was !== "trial" && tried) || (was === "confirmed" && is !== was)) return "boot: torn mark";
  const moved = before.status.active?.swapNumber !== after.status.active?.swapNumber;
  return moved ? "boot: payload hash" : "harmless";
}

/** What a boot may have made of a record in which bits read differently each time. */
export const WAVERING = ["boot: took a wavering record", "boot: passed over a wavering record"] as const;

/**
 * Where the record of `owner` wavers, what is read of it later says nothing about what boot has read: the board's word
 * for who runs does. It is the owner, or exactly who would run if there were no such record; the outputs have to agree.
 */
export function unlessItWavers(
  trial: Trial,
  after: Account,
  owner: "old" | "new",
  otherwise: Runner,
  outcome: Outcome,
): Outcome {
  if (!trial.recordWavers) return outcome;
  const swapNumber = owner === "old" ? trial.scene.old.swapNumber : outcome.swapNumber;
  const took = after.status.active?.swapNumber === swapNumber;
  return { ...outcome, caughtBy: WAVERING[took ? 0 : 1], mayRun: [took ? owner : otherwise] };
}

function nameOf({ sequence, kind, swapNumber }: HistoryEntry): string {
  return `${sequence} ${kind} ${swapNumber}`;
}
