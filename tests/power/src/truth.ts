/** What is beyond doubt at a moment of a scenario, so that no cut may take it away. */
import { choiceOf, readingsOf } from "./choice.js";
import type { FlashView } from "./flash-view.js";
import { journalFacts, KIND, type Entry } from "./journal-view.js";

/** What a scenario asks for that would otherwise break a law. */
export interface Permissions {
  /** Reasons for which a confirmed agent may be rejected (operator, resets, rotten). */
  readonly leave: ReadonlySet<number>;
  /** The spent list is being cleared. */
  readonly clearing: boolean;
}

export const NO_PERMISSIONS: Permissions = { leave: new Set(), clearing: false };

export interface Truth {
  /** Digests of packages that are spent. */
  readonly spent: ReadonlySet<string>;
  /** Highest security version of journal and confirmed slots. */
  readonly floor: number;
  /** Public keys in hex with their roles. */
  readonly keys: ReadonlyMap<string, number>;
  readonly locked: boolean;
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
  locked: false,
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

/** What was known before, and what a flash that nobody has cut says besides. */
export function learn(before: Truth, view: FlashView, permissions: Permissions): Truth {
  const facts = journalFacts(view.halves);
  const listed = facts.known.filter(spends).map(digestOf);
  const states = facts.known.filter(({ kind }) => kind === KIND.boot || kind === KIND.state);
  const lastState = states.at(-1);
  const state = lastState && new DataView(lastState.data.buffer, lastState.data.byteOffset);
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
    floor: Math.max(before.floor, state?.getUint32(12, true) ?? 0, ...floors),
    keys: new Map([...before.keys, ...(half?.keys ?? []).map(({ role, key }) => [key, role] as const)]),
    locked: before.locked || (half?.locked ?? false),
    swapNumber: Math.max(
      before.swapNumber,
      ...view.slots.map((slot) => (slot.intact === "yes" ? slot.swapNumber : 0)),
    ),
    bootNumber: Math.max(before.bootNumber, state?.getUint32(4, true) ?? 0),
    best: reading ?? (permissions.leave.size > 0 ? undefined : before.best),
  };
}
