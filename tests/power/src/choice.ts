/** Which agents may run after a power-on, by the page's boot rules, over all that a flash may read as. */
import {
  BLANK,
  CONFIRMED,
  REJECTED,
  STAGED,
  TORN,
  TRIAL,
  VALID,
  type FlashView,
  type SlotView,
} from "./flash-view.js";
import { journalFacts, KIND, type Entry, type JournalFacts } from "./journal-view.js";
import type { Agent } from "./packages.js";

/** Nothing runs. */
export const SAFE = "safe mode";

/** What boot may do. Agents by digest. */
export interface Choice {
  /** Who may be seen running until all is settled, SAFE included. */
  readonly running: ReadonlySet<string>;
  /** Who may run once it is. */
  readonly final: ReadonlySet<string>;
  /** Slot of the confirmed agent that runs or would be fallen back to, if that is beyond doubt. */
  readonly fallback: number | undefined;
}

/** One way to read a slot. */
export interface Reading {
  readonly agent: Agent;
  readonly swapNumber: number;
  readonly payload: boolean;
  readonly staged: boolean;
  readonly confirmed: boolean;
  readonly rejected: boolean;
  readonly attempts: number;
}

/** The same view is asked about by several laws. */
const choices = new WeakMap<FlashView, Choice>();

export function choiceOf(view: FlashView): Choice {
  let choice = choices.get(view);
  if (choice === undefined) choices.set(view, (choice = makeChoice(view)));
  return choice;
}

function makeChoice(view: FlashView): Choice {
  const facts = journalFacts(view.halves);
  const running = new Set<string>();
  const final = new Set<string>();
  const fallbacks = new Set<number | undefined>();
  for (const a of readingsOf(view.slots[0], 0, facts))
    for (const b of readingsOf(view.slots[1], 1, facts)) {
      const { run, trial } = choose([a, b]);
      fallbacks.add(run);
      const back = (run === 0 ? a : b)?.agent.digest ?? SAFE;
      const runner = run === undefined ? SAFE : back;
      running.add(runner);
      if (trial !== undefined) running.add(trial.agent.digest);
      final.add(trial?.agent.verdict === "good" ? trial.agent.digest : runner);
    }
  return { running, final, fallback: fallbacks.size === 1 ? [...fallbacks][0] : undefined };
}

/** The page's "Which slot runs", 2 to 4, after a power-on. */
function choose(slots: readonly [Reading | undefined, Reading | undefined]): {
  run: number | undefined;
  trial: Reading | undefined;
} {
  let run: number | undefined;
  let trial: Reading | undefined;
  slots.forEach((slot, index) => {
    if (slot === undefined || slot.rejected || !slot.payload) return;
    const best = run === undefined ? undefined : slots[run];
    if (slot.confirmed && (best === undefined || slot.swapNumber > best.swapNumber)) run = index;
    const left = slot.attempts > 0 && slot.attempts < attemptsOf(slot.agent);
    if (!slot.confirmed && left && (trial === undefined || slot.swapNumber > trial.swapNumber)) trial = slot;
  });
  // what is older than the agent of rule 3 has had its trial, whatever has become of its CONFIRMED
  const best = run === undefined ? undefined : slots[run];
  return { run, trial: trial && best && trial.swapNumber < best.swapNumber ? undefined : trial };
}

export function attemptsOf({ pkg }: Agent): number {
  return pkg.manifest.trial.attempts || 3;
}

type Readings = readonly (Reading | undefined)[];

const readings = new WeakMap<JournalFacts, [WeakMap<SlotView, Readings>, WeakMap<SlotView, Readings>]>();

/** All ways to read a slot; undefined: as empty. */
export function readingsOf(slot: SlotView, index: number, facts: JournalFacts): Readings {
  let known = readings.get(facts);
  if (known === undefined) readings.set(facts, (known = [new WeakMap(), new WeakMap()]));
  const ofSlot = known[index === 0 ? 0 : 1];
  let found = ofSlot.get(slot);
  if (found === undefined) ofSlot.set(slot, (found = makeReadings(slot, index, facts)));
  return found;
}

function makeReadings(slot: SlotView, index: number, facts: JournalFacts): Readings {
  const { agent, swapNumber } = slot;
  if (slot.intact === "no" || agent === undefined) return [undefined];
  const noted = notesOf(index, swapNumber, facts);
  const holds = (mark: number) => waysOf(slot, mark, noted);
  let attempts = [0];
  for (let mark = TRIAL; mark < CONFIRMED; mark++)
    attempts = [...new Set(attempts.flatMap((count) => holds(mark).map((yes) => count + (yes ? 1 : 0))))];
  const ways: (Reading | undefined)[] = slot.intact === "maybe" ? [undefined] : [];
  for (const payload of slot.payload === "maybe" ? [true, false] : [slot.payload === "yes"])
    for (const confirmed of holds(CONFIRMED))
      for (const rejected of holds(REJECTED))
        for (const count of attempts)
          ways.push({
            agent,
            swapNumber,
            payload,
            staged: holds(STAGED).includes(true),
            confirmed,
            rejected,
            attempts: count,
          });
  return ways;
}

/** What the journal says of a record's marks, bit by mark. */
export interface Notes {
  /** For certain. */
  readonly set: number;
  readonly absent: number;
  /** Perhaps. */
  readonly maySet: number;
  readonly mayAbsent: number;
}

const notes = new WeakMap<JournalFacts, Map<number, Notes>>();

export function notesOf(slot: number, swapNumber: number, facts: JournalFacts): Notes {
  let known = notes.get(facts);
  if (known === undefined) notes.set(facts, (known = new Map()));
  const key = 2 * swapNumber + slot;
  let found = known.get(key);
  if (found === undefined) known.set(key, (found = makeNotes(slot, swapNumber, facts)));
  return found;
}

function makeNotes(slot: number, swapNumber: number, { known, possible }: JournalFacts): Notes {
  const sure = replay(slot, swapNumber, known);
  const all = possible.filter((entry) => concerns(entry, slot, swapNumber));
  return {
    ...sure,
    maySet: all.reduce((bits, entry) => bits | setBits(entry), 0),
    mayAbsent: all.reduce((bits, entry) => bits | (entry.kind === KIND.facts ? (entry.data[1] ?? 0) : 0), 0),
  };
}

function replay(slot: number, swapNumber: number, known: readonly Entry[]): { set: number; absent: number } {
  let set = 0;
  let absent = 0;
  for (const entry of known) {
    if (!concerns(entry, slot, swapNumber)) continue;
    if (entry.kind === KIND.facts) {
      set = entry.data[0] ?? 0;
      absent = entry.data[1] ?? 0;
    } else set |= setBits(entry);
  }
  return { set, absent };
}

function concerns(entry: Entry, slot: number, swapNumber: number): boolean {
  return (
    entry.slot === slot &&
    entry.swapNumber === swapNumber &&
    (entry.kind === KIND.facts || entry.kind === KIND.rejected)
  );
}

function setBits(entry: Entry): number {
  return entry.kind === KIND.rejected ? 1 << REJECTED : (entry.data[0] ?? 0);
}

/** Whether a mark holds: one answer, or both if it is open. */
export function waysOf(slot: SlotView, mark: number, notes: Notes): boolean[] {
  const bit = 1 << mark;
  if ((notes.set & bit) !== 0) return [true];
  if ((notes.absent & bit) !== 0 && (notes.maySet & bit) === 0) return [false];
  const ways = readableWays(slot, mark);
  if ((notes.maySet & bit) !== 0) ways.add(true);
  if ((notes.mayAbsent & bit) !== 0) ways.add(false);
  return [...ways];
}

/** By the table of torn values: a torn TRIAL is an attempt used, a torn REJECTED rejects, the others never were. */
function readableWays(slot: SlotView, mark: number): Set<boolean> {
  const copies = slot.marks[mark]?.copies ?? [BLANK, BLANK];
  const tornHolds = mark === REJECTED || (mark >= TRIAL && mark < CONFIRMED);
  const ways = new Set<boolean>();
  for (const first of [BLANK, VALID, TORN])
    for (const second of [BLANK, VALID, TORN])
      if ((copies[0] & first) !== 0 && (copies[1] & second) !== 0) {
        const seen = first | second;
        ways.add((seen & VALID) !== 0 || (tornHolds && (seen & TORN) !== 0));
      }
  return ways;
}
