// The boot choice for every combination of what may lie in flash, against a table of the hot-swap page's words.
import { beforeAll, describe, expect, it } from "vitest";

import {
  compareBoots,
  compareChoices,
  comparePairs,
  compareReasons,
  compareSlots,
  marksOfAnother,
  type Comparison,
} from "../src/boot-cases.js";
import { BootChoice } from "../src/boot-choice.js";

let choice: BootChoice;

beforeAll(async () => {
  choice = await BootChoice.load();
});

/** Every combination has to be as in the table, and there have to be so many. */
function expectAll(what: string, { combinations, examples }: Comparison, least: number): void {
  console.log(`${what}: ${combinations.toLocaleString("en")} combinations`);
  expect(examples.join("\n")).toBe("");
  expect(combinations).toBeGreaterThanOrEqual(least);
}

describe("a mark in two copies", () => {
  it("says what the page's table says for each pair of copies, whatever the journal knows, before and after it is settled", () => {
    expectAll("pairs of copies", comparePairs(choice), 6 * 25 * 3);
  });

  it("tells why the slot was rejected, or that the reason can't be read any more", () => {
    expectAll("reasons of pairs of copies", compareReasons(choice), 3 * 25);
  });

  it("counts only for the record that it was written for", () => {
    expect(marksOfAnother(choice, 7)).toBe(0b111111);
    // of another record all are torn: STAGED and CONFIRMED never were, the others count
    expect(marksOfAnother(choice, 8)).toBe(0b101110);
  });
});

describe("the boot choice", () => {
  it("sees in one slot what the page makes of its header, its payload and each of its marks", () => {
    expectAll("states of one slot", compareSlots(choice), 2 * 5 ** 6);
  });

  it("is the page's for every pair of slots, swap numbers, reset cause and count of resets", () => {
    expectAll("choices between two slots", compareChoices(choice), 2_000_000);
  });

  it("makes whole boots do what the table says, for each class of slots beside each other", () => {
    expectAll("whole boots", compareBoots(choice, false), 20_000);
  });

  it("goes by the slots alone when no valid copy of the journal is left", () => {
    expectAll("whole boots without a journal", compareBoots(choice, true), 5_000);
  });
});
