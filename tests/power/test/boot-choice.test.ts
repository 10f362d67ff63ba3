// The boot choice for every combination of what may lie in flash, against a table of the hot-swap page's words.
//
// A slot's marks are read without a look at the other slot, and the choice is a function of what was read. So every
// combination of both slots is covered by three tests: each single slot through the real readers; each pair of what the
// readers can say through the choice; and whole boots, which show that nothing else comes between the two.
import { beforeAll, describe, expect, it } from "vitest";

import {
  BootChoice,
  HEADER_STATES,
  MARKS,
  markUnit,
  REJECTED,
  rejectionOf,
  type Booted,
  type SlotImage,
} from "../src/boot-choice.js";
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
} from "../src/boot-table.js";

const ROTTEN = 17; // edgeplug.Reason
const TORN = 16;
const OPERATOR = 9;
const TRAP = 1;
const LAST_NUMBER = 0xffff_ffff;

/** What a mark may look like once a board has been through anything: both copies. */
const MARK_STATES: readonly (readonly [CopyState, CopyState])[] = [
  ["blank", "blank"],
  ["valid", "blank"],
  ["torn", "blank"],
  ["unreadable", "unreadable"],
  ["valid", "valid"],
];
const [ABSENT, ONE_COPY, TORN_COPY, UNREADABLE, WHOLE] = MARK_STATES as [Pair, Pair, Pair, Pair, Pair];
type Pair = readonly [CopyState, CopyState];

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

let choice: BootChoice;

beforeAll(async () => {
  choice = await BootChoice.load();
});

/** Counts cases and keeps the first few that differ, so that a failure can be read. */
class Comparison {
  cases = 0;
  readonly #wrong: string[] = [];

  expect(what: () => object, got: object, wanted: object): void {
    this.cases++;
    const [found, expected] = [JSON.stringify(got), JSON.stringify(wanted)];
    if (found !== expected && this.#wrong.length < 3)
      this.#wrong.push(`${JSON.stringify(what())}\n  gives ${found}\n  not   ${expected}`);
  }

  end(what: string): void {
    console.log(`${what}: ${this.cases.toLocaleString("en")} combinations`);
    expect(this.#wrong.join("\n")).toBe("");
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

describe("a mark in two copies", () => {
  const KNOWLEDGE: readonly Knowledge[] = ["nothing", "holds", "absent"];

  it("says what the page's table says for each pair of copies, whatever the journal knows, before and after it is settled", () => {
    const all = new Comparison();
    for (const [place, mark] of MARKS.entries()) {
      for (const first of COPY_STATES)
        for (const second of COPY_STATES)
          for (const known of KNOWLEDGE) {
            const image = { ...NONE, header: "whole" as const, swapNumber: 7 };
            const bit = 1 << place;
            choice.format();
            choice.mount();
            choice.putSlot(0, image);
            choice.putCopy(0, place, 0, first, image);
            choice.putCopy(0, place, 1, second, image);
            if (known !== "nothing")
              choice.noteFacts(0, 7, known === "holds" ? bit : 0, known === "absent" ? bit : 0, OPERATOR);
            const before = choice.readMarks(0, 7, false);
            const settled = choice.readMarks(0, 7, true);
            const unit = markUnit(place, place === REJECTED ? settled.reason : 0, 7);
            const after = [0, 1].map((copy) => choice.copyIs(0, place, copy, unit));
            choice.mount();
            const again = choice.readMarks(0, 7, false);
            // blank copies show whether the journal knows by itself that it holds, valid ones that it doesn't
            choice.putCopy(0, place, 0, "blank", image);
            choice.putCopy(0, place, 1, "blank", image);
            const knowsHolds = choice.readMarks(0, 7, false).set === bit;
            choice.putCopy(0, place, 0, "valid", image);
            const knowsAbsent = choice.readMarks(0, 7, false).set === 0;

            const expected = pairOutcome(mark, first, second, known);
            const wanted = expected.holds ? bit : 0;
            all.expect(
              () => ({ mark, place, first, second, known }),
              {
                before: before.set,
                settled: settled.set,
                again: again.set,
                // what an unreadable copy holds is nobody's business
                completed: [first, second].map((copy, index) => copy === "blank" && after[index]),
                knowsHolds,
                knowsAbsent,
              },
              {
                before: wanted,
                settled: wanted,
                again: wanted,
                completed: [first, second].map(
                  (copy, index) => copy === "blank" && expected.after[index] === "valid",
                ),
                knowsHolds: expected.known === "holds",
                knowsAbsent: expected.known === "absent",
              },
            );
          }
    }
    all.end("pairs of copies");
  });

  it("tells why it was rejected, or that the reason can't be read any more", () => {
    const all = new Comparison();
    const image = { ...NONE, header: "whole" as const, swapNumber: 7 };
    for (const reason of [TRAP, OPERATOR, 15])
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
    all.end("reasons of pairs of copies");
  });

  it("counts only for the record that it was written for, in its own place", () => {
    const image = { ...NONE, header: "whole" as const, swapNumber: 7, marks: MARKS.map(() => WHOLE) };
    choice.format();
    choice.mount();
    choice.putSlot(0, image);
    expect(choice.readMarks(0, 7, false).set).toBe(0b111111);
    // of another record all are torn: STAGED and CONFIRMED never were, the others count
    expect(choice.readMarks(0, 8, false).set).toBe(0b101110);
  });
});

describe("one slot", () => {
  it("is to the boot choice what the page makes of its header, its payload and each of its marks", () => {
    const all = new Comparison();
    for (const header of HEADER_STATES) {
      // marks behind a header that doesn't hold mean nothing: each by itself is enough
      const marks = header === "whole" ? MARKS.map(() => MARK_STATES) : MARKS.map(() => [ABSENT, WHOLE]);
      for (const payloadGood of [true, false])
        for (const pairs of product(marks)) {
          const slot = all.cases & 1;
          const image = {
            ...NONE,
            header,
            payloadGood,
            marks: pairs,
            swapNumber: 5,
            attempts: all.cases & 3,
          };
          choice.format();
          choice.putSlot(slot, image);
          const { found } = choice.boot("power-on");
          all.expect(() => image, decisive(found.slots[slot as 0 | 1]), decisive(slotOf(image)));
        }
    }
    all.end("states of one slot");
  });
});

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

describe("the choice", () => {
  it("is the page's for every pair of slots, swap numbers, reset cause and count of resets", () => {
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
    all.end("choices between two slots");
  });
});

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
  if (equal) all.cases++;
  else all.expect(() => found, got, wanted);
}

describe("a whole boot", () => {
  /** Slots that stand for every class of the table. */
  const marks = (states: Partial<Record<number, Pair>>): readonly Pair[] =>
    MARKS.map((_, place) => states[place] ?? ABSENT);
  const confirmed = { 0: WHOLE, 1: WHOLE, 4: WHOLE };
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

  /** What shows of a boot from outside; a rotten slot may be rejected or left, as long as it doesn't run. */
  function outcome(slots: readonly [Slot, Slot], booted: Booted): object {
    return {
      runs: booted.runs,
      asAttempt: booted.asAttempt,
      kept: booted.kept,
      marks: booted.marks.map((marks, slot) => {
        const { rejected, payloadHolds } = slots[slot as 0 | 1];
        const rotten = !rejected && !payloadHolds && marks.reason === ROTTEN;
        return {
          attempts: [1, 2, 3].filter((place) => ((marks.set >> place) & 1) !== 0).length,
          confirmed: ((marks.set >> 4) & 1) !== 0,
          rejectedNow: rotten || rejected || marks.reason === 0 ? "no" : rejectionOf(marks.reason),
        };
      }),
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

  function bootAll(all: Comparison, numbers: readonly (readonly [number, number])[], journalLost: boolean) {
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
              compareBoot(all, [a, b], cause, { count, swapNumber: Math.max(aNumber, bNumber) }, journalLost);
            }
  }

  function compareBoot(
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

  it("does what the table says, for each class of slots beside each other", () => {
    const all = new Comparison();
    bootAll(all, NUMBERS.slice(0, 3), false);
    all.end("whole boots");
  });

  it("chooses by the slots alone when no valid copy of the journal is left", () => {
    const all = new Comparison();
    bootAll(all, NUMBERS.slice(0, 2), true);
    all.end("whole boots without a journal");
  });
});
