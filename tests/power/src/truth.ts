/** What is beyond doubt at a moment of a scenario, so that no cut may take it away. */
import { choiceOf, readingsOf } from "./choice.js";
import type { FlashView } from "./flash-view.js";
import { journalFacts, KIND, type Entry, type HalfView, type JournalFacts } from "./journal-view.js";

/** What a scenario asks for that would otherwise break a law. */
export interface Permissions {
  /** Reasons for which a confirmed agent may be rejected (operator, resets, rotten). */
  readonly leave: ReadonlySet<number>;
  /** The spent list is being cleared. */
  readonly clearing: boolean;
  /** Public keys in hex that may go, each with the one that takes its place. */
  readonly drops: ReadonlyMap<string, string | undefined>;
  readonly unlocking: boolean;
}

export const NO_PERMISSIONS: Permissions = {
  leave: new Set(),
  clearing: false,
  drops: new Map(),
  unlocking: false,
};

export interface Truth {
  /** Digests of packages that are spent. */
  readonly spent: ReadonlySet<string>;
  /** Highest security version of journal and confirmed slots. */
  readonly floor: number;
  /** Public keys in hex with their roles. */
  readonly keys: ReadonlyMap<string, number>;
  /** Public keys in hex that are gone for good. */
  readonly gone: ReadonlySet<string>;
  readonly locked: boolean;
  /** It was locked, and an operator has unlocked it. */
  readonly opened: boolean;
  /** The journaled half of the highest nonce that was told, or is in the journal. */
  readonly nonce: number;
  /** Highest swap number given. */
  readonly swapNumber: number;
  readonly bootNumber: number;
  /** The confirmed agent with the highest swap number that could run, by digest. */
  readonly best: string | undefined;
}

export const NOTHING_KNOWN: Truth = {
  spent: new Set(),
  floor: 0,
  keys: new Map(),
  gone: new Set(),
  locked: false,
  opened: false,
  nonce: 0,
  swapNumber: 0,
  bootNumber: 0,
  best: undefined,
};

export function spends(entry: Entry): boolean {
  return entry.kind === KIND.rejected && entry.extra !== 0;
}

export function digestOf(entry: Entry): string {
  return Buffer.from(entry.data).toString("hex");
}

/** What an entry of the kinds BOOT and STATE says of the board's counters. */
export function countersOf({ data }: Entry): { bootNumber: number; nonce: number; securityVersion: number } {
  const view = new DataView(data.buffer, data.byteOffset);
  return {
    bootNumber: view.getUint32(4, true),
    nonce: view.getUint32(8, true),
    securityVersion: view.getUint32(12, true),
  };
}

/** The newest entry that says so for certain. */
export function lastCounters({ known }: JournalFacts): ReturnType<typeof countersOf> | undefined {
  const last = known.findLast(({ kind }) => kind === KIND.boot || kind === KIND.state);
  return last && countersOf(last);
}

/**
 * What was known before, and what a flash that nobody has cut says besides. `told`: the journaled half of the latest
 * nonce, as the board told it.
 */
export function learn(before: Truth, view: FlashView, permissions: Permissions, told: number): Truth {
  const facts = journalFacts(view.halves);
  const listed = facts.known.filter(spends).map(digestOf);
  const counters = lastCounters(facts);
  const confirmed = view.slots.flatMap((slot, index) => {
    const readings = readingsOf(slot, index, facts);
    return readings.every((one) => one?.confirmed === true) ? readings : [];
  });
  const floors = confirmed.map((one) => one?.agent.pkg.manifest.securityVersion ?? 0);
  const { half } = facts;
  const best = choiceOf(view).fallback;
  const reading = best === undefined ? undefined : view.slots[best]?.agent?.digest;
  return {
    spent: new Set(permissions.clearing ? [] : [...before.spent, ...listed]),
    floor: Math.max(before.floor, counters?.securityVersion ?? 0, ...floors),
    ...learnAuthority(before, half, permissions),
    nonce: Math.max(before.nonce, counters?.nonce ?? 0, told),
    swapNumber: Math.max(
      before.swapNumber,
      ...view.slots.map((slot) => (slot.intact === "yes" ? slot.swapNumber : 0)),
    ),
    bootNumber: Math.max(before.bootNumber, counters?.bootNumber ?? 0),
    best: reading ?? (permissions.leave.size > 0 ? undefined : before.best),
  };
}

/** Keys and lock, once it is beyond doubt which half counts. */
function learnAuthority(
  before: Truth,
  half: HalfView | undefined,
  { drops, unlocking }: Permissions,
): Pick<Truth, "keys" | "gone" | "locked" | "opened"> {
  const found = new Map((half?.keys ?? []).map(({ role, key }) => [key, role]));
  const isGone = (key: string) => half !== undefined && !found.has(key);
  return {
    keys: new Map([...before.keys, ...found].filter(([key]) => !drops.has(key))),
    gone: new Set([...before.gone, ...[...drops.keys()].filter(isGone)]),
    locked: !unlocking && (before.locked || half?.locked === true),
    opened: before.opened || (unlocking && half?.locked === false),
  };
}
