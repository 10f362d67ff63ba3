/**
 * The boot choice of one image against the tables, for every combination of what may lie in flash.
 *
 * A slot's marks are read without a look at the other slot, and the choice is a function of what was read. So every
 * combination of both slots is covered in three parts: each single slot through the real readers; each pair of what the
 * readers can say through the choice; and whole boots, which show that nothing else comes between the two.
 */
import {
  HEADER_STATES,
  MARKS,
  markUnit,
  REJECTED,
  rejectionOf,
  type BootChoice,
  type Booted,
  type SlotImage,
} from "./boot-choice.js";
import {
  chooseBoot,
  COPY_STATES,
  pairOutcome,
  RESET_CAUSES,
  type Choice,
  type CopyState,
  type Found,
  type Knowledge,
  type ResetCause,
  type Slot,
} from "./boot-table.js";

const ROTTEN = 17; // edgeplug.Reason
const TORN = 16;
const OPERATOR = 9;
const TRAP = 1;
const RESETS = 15;
const LAST_NUMBER = 0xffff_ffff;

type Pair = readonly [CopyState, CopyState];

/** What a mark may look like once a board has been through anything: both copies. */
const ABSENT: Pair = ["blank", "blank"];
const ONE_COPY: Pair = ["valid", "blank"];
const TORN_COPY: Pair = ["torn", "blank"];
const UNREADABLE: Pair = ["unreadable", "unreadable"];
const WHOLE: Pair = ["valid", "valid"];
const MARK_STATES: readonly Pair[] = [ABSENT, ONE_COPY, TORN_COPY, UNREADABLE, WHOLE];

/** Swap numbers below, equal, above, and at the limit. */
const NUMBERS: readonly (readonly [number, number])[] = [
  [5, 6],
  [5, 5],
  [6, 5],
  [LAST_NUMBER - 1, LAST_NUMBER],
  [LAST_NUMBER, LAST_NUMBER],
  [LAST_NUMBER, 1],
];

const NONE: SlotImage = {
  header: "absent",
  payloadGood: true,
  marks: MARKS.map(() => ABSENT),
  swapNumber: 1,
  attempts: 0,
  reason: TRAP,
};

/** How many combinations were compared, and those that differ from the table. */
export class Comparison {
  combinations = 0;
  differing = 0;
  /** The first few, in words. */
  readonly examples: string[] = [];

  expect(what: () => object, got: object, wanted: object): void {
    this.combinations++;
    const [found, expected] = [JSON.stringify(got), JSON.stringify(wanted)];
    if (found === expected) return;
    this.differing++;
    if (this.examples.length < 3)
      this.examples.push(`${JSON.stringify(what())}\n  gives ${found}\n  not   ${expected}`);
  }
}

/** What the page makes of a slot. */
function slotOf(image: SlotImage): Slot {
  const none = { confirmed: false, rejected: false, attempts: 0, attemptsAllowed: 0, swapNumber: 0 };
  if (image.header !== "whole") return { recordHolds: false, payloadHolds: false, ...none };
  const holds = image.marks.map(([first, second], place) => {
    const mark = MARKS[place];
    return mark !== undefined && pairOutcome(mark, first, second).holds;
  });
  return {
    recordHolds: true,
    payloadHolds: image.payloadGood,
    confirmed: holds[4] === true,
    rejected: holds[REJECTED] === true,
    attempts: holds.slice(1, 4).filter((used) => used).length,
    attemptsAllowed: image.attempts === 0 ? 3 : image.attempts,
    swapNumber: image.swapNumber,
  };
}

/** The readers may leave unsaid what makes no difference: payload of a slot that can't run. */
function decisive(slot: Slot): Slot {
  const canRun = !slot.rejected && (slot.confirmed || slot.attempts > 0);
  return { ...slot, payloadHolds: slot.payloadHolds && canRun };
}

/** All combinations of one choice from each list. */
function* product<T>(lists: readonly (readonly T[])[]): Generator<T[]> {
  const [first, ...rest] = lists;
  if (first === undefined) {
    yield [];
    return;
  }
  for (const others of product(rest)) for (const one of first) yield [one, ...others];
}

/** What a mark of one slot comes to, settled by a boot or not, and what the journal knows of it by itself. */
function comparePair(
  choice: BootChoice,
  all: Comparison,
  place: number,
  [first, second]: Pair,
  known: Knowledge,
): void {
  const mark = MARKS[place] ?? "STAGED";
  const image: SlotImage = { ...NONE, header: "whole", swapNumber: 7 };
  const bit = 1 << place;
  choice.format();
  choice.mount();
  choice.putSlot(0, image);
  choice.putCopy(0, place, 0, first, image);
  choice.putCopy(0, place, 1, second, image);
  if (known !== "nothing")
    choice.noteFacts(0, 7, known === "holds" ? bit : 0, known === "absent" ? bit : 0, OPERATOR);
  const before = choice.readMarks(0, 7, false).set;
  const settled = choice.readMarks(0, 7, true);
  const unit = markUnit(place, place === REJECTED ? settled.reason : 0, 7);
  // what a copy that was not blank holds is nobody's business
  const completed = [first, second].map(
    (copy, index) => copy === "blank" && choice.copyIs(0, place, index, unit),
  );
  choice.mount();
  const again = choice.readMarks(0, 7, false).set;
  // blank copies show whether the journal knows by itself that the mark holds, valid ones that it doesn't
  choice.putCopy(0, place, 0, "blank", image);
  choice.putCopy(0, place, 1, "blank", image);
  const knowsHolds = choice.readMarks(0, 7, false).set === bit;
  choice.putCopy(0, place, 0, "valid", image);
  const knowsAbsent = choice.readMarks(0, 7, false).set === 0;

  const wanted = pairOutcome(mark, first, second, known);
  const set = wanted.holds ? bit : 0;
  all.expect(
    () => ({ mark, place, first, second, known }),
    { before, settled: settled.set, again, completed, knowsHolds, knowsAbsent },
    {
      ...{ before: set, settled: set, again: set },
      completed: [first, second].map((copy, index) => copy === "blank" && wanted.after[index] === "valid"),
      knowsHolds: wanted.known === "holds",
      knowsAbsent: wanted.known === "absent",
    },
  );
}

/** Each pair of copies of each mark, whatever the journal knows. */
export function comparePairs(choice: BootChoice): Comparison {
  const all = new Comparison();
  for (const place of MARKS.keys())
    for (const first of COPY_STATES)
      for (const second of COPY_STATES)
        for (const known of ["nothing", "holds", "absent"] as const)
          comparePair(choice, all, place, [first, second], known);
  return all;
}

/** Why a slot was rejected, for each pair of copies of REJECTED. */
export function compareReasons(choice: BootChoice): Comparison {
  const all = new Comparison();
  const image: SlotImage = { ...NONE, header: "whole", swapNumber: 7 };
  for (const reason of [TRAP, OPERATOR, RESETS])
    for (const first of COPY_STATES)
      for (const second of COPY_STATES) {
        choice.format();
        choice.mount();
        choice.putSlot(0, image);
        choice.putCopy(0, REJECTED, 0, first, { swapNumber: 7, reason });
        choice.putCopy(0, REJECTED, 1, second, { swapNumber: 7, reason });
        choice.readMarks(0, 7, true);
        choice.mount();
        const legible = first === "valid" || second === "valid";
        const blank = first === "blank" && second === "blank";
        all.expect(
          () => ({ reason, first, second }),
          { reason: choice.readMarks(0, 7, false).reason },
          { reason: blank ? 0 : legible ? reason : TORN },
        );
      }
  return all;
}

/** Bits of the marks that count if all are whole but belong to the record `swapNumber`, while the slot's is 7. */
export function marksOfAnother(choice: BootChoice, swapNumber: number): number {
  choice.format();
  choice.mount();
  choice.putSlot(0, { ...NONE, header: "whole", swapNumber: 7, marks: MARKS.map(() => WHOLE) });
  return choice.readMarks(0, swapNumber, false).set;
}

/** Each state of one slot: what the readers tell the choice, and what the page makes of it. */
export function compareSlots(choice: BootChoice): Comparison {
  const all = new Comparison();
  for (const header of HEADER_STATES) {
    // marks behind a header that doesn't hold mean nothing
    const marks = header === "whole" ? MARKS.map(() => MARK_STATES) : MARKS.map(() => [ABSENT, WHOLE]);
    for (const payloadGood of [true, false])
      for (const pairs of product(marks)) {
        const slot = (all.combinations & 1) as 0 | 1;
        const attempts = all.combinations & 3;
        const image: SlotImage = { ...NONE, header, payloadGood, marks: pairs, swapNumber: 5, attempts };
        choice.format();
        choice.putSlot(slot, image);
        const { found } = choice.boot("power-on");
        all.expect(() => image, decisive(found.slots[slot]), decisive(slotOf(image)));
      }
  }
  return all;
}

/** All that the readers may say of a slot. */
function everySlot(swapNumber: number): Slot[] {
  const flags = [false, true];
  const slots: Slot[] = [];
  for (const recordHolds of flags)
    for (const payloadHolds of flags)
      for (const confirmed of flags)
        for (const rejected of flags)
          for (const attempts of [0, 1, 2, 3])
            for (const attemptsAllowed of [1, 2, 3])
              slots.push({
                ...{ recordHolds, payloadHolds, confirmed, rejected },
                ...{ attempts, attemptsAllowed, swapNumber },
              });
  // of a record that doesn't hold the readers say nothing else
  return slots.filter((slot, index) => slot.recordHolds || index === 0);
}

/** Each pair of slots, swap numbers, reset cause and count of resets through the choice by itself. */
export function compareChoices(choice: BootChoice): Comparison {
  const all = new Comparison();
  for (const [aNumber, bNumber] of NUMBERS) {
    const [ofA, ofB] = [everySlot(aNumber), everySlot(bNumber)];
    const agents = [...new Set([aNumber, bNumber, 77])];
    const resets = agents.flatMap((swapNumber) => [0, 1, 2, 3].map((count) => ({ swapNumber, count })));
    for (const a of ofA)
      for (const b of ofB)
        for (const cause of RESET_CAUSES)
          for (const facts of resets) {
            const found: Found = { slots: [a, b], cause, resets: facts };
            compareChoice(all, found, choice.choose(found), chooseBoot(found));
          }
  }
  return all;
}

/** As Comparison.expect(), without texts for what is equal: there are millions. */
function compareChoice(all: Comparison, found: Found, got: Choice, wanted: Choice): void {
  const equal =
    got.rejects[0] === wanted.rejects[0] &&
    got.rejects[1] === wanted.rejects[1] &&
    got.attempt === wanted.attempt &&
    got.confirmed === wanted.confirmed &&
    got.kept === wanted.kept &&
    got.resets.count === wanted.resets.count &&
    got.resets.swapNumber === wanted.resets.swapNumber;
  if (equal) all.combinations++;
  else all.expect(() => found, got, wanted);
}

// ---- whole boots ----------------------------------------------------------------------------------------------

/** Slots that stand for every class of the table. */
const marks = (states: Partial<Record<number, Pair>>): readonly Pair[] =>
  MARKS.map((_, place) => states[place] ?? ABSENT);
const confirmed: Partial<Record<number, Pair>> = { 0: WHOLE, 1: WHOLE, 4: WHOLE };
const LIVES: readonly (readonly Pair[])[] = [
  marks({}),
  marks({ 0: WHOLE }),
  marks({ 0: WHOLE, 1: WHOLE }),
  marks({ 0: WHOLE, 1: ONE_COPY }),
  marks({ 0: WHOLE, 1: TORN_COPY }),
  marks({ 0: WHOLE, 1: WHOLE, 2: UNREADABLE }),
  marks({ 0: WHOLE, 1: WHOLE, 2: WHOLE, 3: ONE_COPY }),
  marks(confirmed),
  marks({ ...confirmed, 4: ONE_COPY }),
  marks({ ...confirmed, 4: TORN_COPY }),
  marks({ ...confirmed, 4: UNREADABLE }),
  marks({ ...confirmed, 5: WHOLE }),
  marks({ ...confirmed, 5: TORN_COPY }),
  marks({ 0: WHOLE, 1: WHOLE, 5: ONE_COPY }),
];

function images(swapNumber: number, attempts: number): SlotImage[] {
  const whole = LIVES.flatMap((life) =>
    [true, false].map((payloadGood): SlotImage => ({
      ...NONE,
      ...{ header: "whole", payloadGood, marks: life, swapNumber, attempts },
    })),
  );
  const broken = HEADER_STATES.slice(1).map((header): SlotImage => ({
    ...NONE,
    header,
    marks: marks(confirmed),
    swapNumber,
    attempts,
  }));
  return [...whole, ...broken];
}

/** Reasons that the page's "Which slot runs" gives. A rotten slot may be rejected for good or left for a better reading, but
 * never the confirmed one that nothing else can stand in for. */
function rejectionNow(
  { rejected, payloadHolds, confirmed }: Slot,
  reason: number,
  runs: number | undefined,
): string {
  if (rejected || reason === 0) return "no";
  if (reason !== ROTTEN) return rejectionOf(reason) ?? "no";
  return payloadHolds || (confirmed && runs === undefined) ? "rotten, wrongly" : "no";
}

/** What shows of a boot from outside. */
function outcome(slots: readonly [Slot, Slot], booted: Booted): object {
  return {
    runs: booted.runs,
    asAttempt: booted.asAttempt,
    kept: booted.kept,
    marks: booted.marks.map(({ set, reason }, slot) => ({
      attempts: [1, 2, 3].filter((place) => ((set >> place) & 1) !== 0).length,
      confirmed: ((set >> 4) & 1) !== 0,
      rejectedNow: rejectionNow(slots[slot as 0 | 1], reason, booted.runs),
    })),
  };
}

function wanted(slots: readonly [Slot, Slot], made: Choice): object {
  return {
    runs: made.attempt ?? made.confirmed,
    asAttempt: made.attempt !== undefined,
    kept: made.kept,
    marks: slots.map((slot, index) => ({
      attempts: slot.attempts + (made.attempt === index ? 1 : 0),
      confirmed: slot.confirmed,
      rejectedNow: made.rejects[index as 0 | 1] ?? "no",
    })),
  };
}

/** Slots of each class beside each other; with `journalLost`, after all of the journal has become unreadable. */
export function compareBoots(choice: BootChoice, journalLost: boolean): Comparison {
  const all = new Comparison();
  const numbers = NUMBERS.slice(0, journalLost ? 2 : 3);
  for (const [aNumber, bNumber] of numbers)
    for (const a of images(aNumber, 2))
      for (const b of images(bNumber, 0))
        for (const cause of RESET_CAUSES)
          for (const count of journalLost ? [0] : [0, 2]) {
            choice.format();
            choice.mount();
            if (count > 0) choice.noteResets(count, Math.max(aNumber, bNumber));
            choice.putSlot(0, a);
            choice.putSlot(1, b);
            if (journalLost) choice.loseJournal();
            compareBoot(
              choice,
              all,
              [a, b],
              cause,
              { count, swapNumber: Math.max(aNumber, bNumber) },
              journalLost,
            );
          }
  return all;
}

function compareBoot(
  choice: BootChoice,
  all: Comparison,
  [a, b]: readonly [SlotImage, SlotImage],
  cause: ResetCause,
  resets: Found["resets"],
  journalLost: boolean,
): void {
  const slots = [slotOf(a), slotOf(b)] as const;
  const booted = choice.boot(cause);
  const made = chooseBoot({ slots, cause, resets });
  all.expect(
    () => ({ a, b, cause, resets }),
    { ...outcome(slots, booted), damaged: booted.journalDamaged },
    { ...wanted(slots, made), damaged: journalLost },
  );
}
