/**
 * Engines broken on purpose (firmware/runtime/hotswap/defects.h), each with one guard taken away, and the law that has to
 * notice. What is expected follows from the page and was written down before the sweep was asked.
 */
import { existsSync } from "node:fs";

import type { GeometryName } from "@edgeplug/sim";

import { compareBoots, compareChoices, comparePairs, type Comparison } from "./boot-cases.js";
import { BootChoice } from "./boot-choice.js";
import { sweep } from "./sweep.js";
import type { Law } from "./watch.js";

export interface Defect {
  /** Its macro's name in small letters and blanks. */
  readonly name: string;
  /** The law that catches it, or the table of boot-table.ts. */
  readonly law: Law | "table";
  /** What it breaks, and how that comes to light. */
  readonly why: string;
  /** Scenarios that show it; none for one that only the table can see. */
  readonly scenarios: readonly string[];
  /** Default: "l5" alone. */
  readonly geometries?: readonly GeometryName[];
}

export const DEFECTS: readonly Defect[] = [
  {
    name: "erase the confirmed slot",
    law: "1",
    why: "an update is received into the slot that would be fallen back to",
    scenarios: ["update"],
  },
  {
    name: "mark before read back",
    law: "2",
    why: "STAGED is programmed before what was received has been verified: for a while bytes that arrived damaged have it too",
    scenarios: ["damaged"],
  },
  {
    name: "payload not checked at boot",
    law: "2",
    why: "neither boot nor the copy to RAM looks at the digest: rotten bytes run, which nobody ever confirmed",
    scenarios: ["rot-value"],
  },
  {
    name: "three resets never reject",
    law: "2",
    why: "a confirmed agent may reset the board for ever, though another could run",
    scenarios: ["resets"],
  },
  {
    name: "half received slot in use",
    law: "3",
    why: "what a cut left half-received can't be replaced by another package: the board is locked out",
    scenarios: ["update"],
  },
  {
    name: "resume without erase",
    law: "3",
    why: "a resume programs over what the cut left in the page: flash refuses",
    scenarios: ["resume"],
  },
  {
    name: "resume trusts blank bytes",
    law: "3",
    why: "progress is guessed from which pages look blank: one that is half there counts, and the update fails",
    scenarios: ["resume"],
  },
  {
    name: "security version at staging",
    law: "3",
    why: "the security version rises before anything is confirmed: what the board runs may not be updated any more",
    scenarios: ["security-trap"],
  },
  {
    name: "single mark",
    law: "4",
    why: "one copy only is programmed: there is none to complete it from, or to fall back on",
    scenarios: ["update"],
  },
  {
    name: "trust a torn mark",
    law: "4",
    why: "a CONFIRMED that reads as neither blank nor valid counts, and is completed",
    scenarios: ["update"],
  },
  {
    name: "no second copy completed",
    law: "4",
    why: "boot relies on one copy and completes nothing",
    scenarios: ["update"],
  },
  {
    name: "last entry not written again",
    law: "4",
    why: "a journal entry of which a bit wavers is relied on as it is",
    scenarios: ["trap", "attempts"],
  },
  {
    name: "activation before the mark",
    law: "5",
    why: "the candidate runs before TRIAL stands: a cut in between costs no attempt, so there is no end to them",
    scenarios: ["update"],
  },
  {
    name: "forget the spent list",
    law: "5",
    why: "spent packages don't survive a compaction of the journal",
    scenarios: ["wrap-spent"],
  },
  {
    name: "rejected before spent",
    law: "5",
    why: "REJECTED is programmed before the journal's entry: a cut in between leaves a failed package that may come again",
    scenarios: ["trap"],
  },
  {
    name: "used up attempts spend",
    law: "5",
    why: "power cuts alone put a package on the spent list, though nothing is wrong with it",
    scenarios: ["attempts"],
  },
  {
    name: "shadow run spends nothing",
    law: "5",
    why: "a package that differs from the running agent is rejected, but may come again by itself",
    scenarios: ["shadow-reject"],
  },
  {
    name: "activated after a failed shadow run",
    law: "2",
    why: "whatever a shadow run came to, the candidate is staged again: one that was found to differ runs",
    scenarios: ["shadow-reject"],
  },
  {
    name: "rejected not first",
    law: "6",
    why: "after a watchdog reset in a trial the old agent runs, but nothing says why: the next boot tries the new one again",
    scenarios: ["watchdog"],
  },
  {
    name: "rollback without a mark",
    law: "6",
    why: "the operator leaves a slot that isn't rejected: having the higher number, it is back at the next boot",
    scenarios: ["rollback"],
  },
  {
    name: "confirm at boot",
    law: "8",
    why: "a trial that boots again is confirmed by that alone",
    scenarios: ["update"],
  },
  {
    name: "trial counted by resets",
    law: "8",
    why: "each further boot counts for half of the healthy scans",
    scenarios: ["update"],
  },
  {
    name: "journal without ping pong",
    law: "10",
    why: "a full half is compacted into itself: a cut after the erase leaves keys, lock and spent list nowhere",
    scenarios: ["keys"],
  },
  {
    name: "keys in one half",
    law: "10",
    why: "a new key or the lock stands in one half only, which may rot",
    scenarios: ["keys"],
  },
  {
    name: "lock fails open",
    law: "10",
    why: "a board whose journal is gone counts as open",
    scenarios: ["update"],
  },
  {
    name: "last key removable",
    law: "10",
    why: "an operator may take away the last operator's key: nobody can command the board any more",
    scenarios: ["remove"],
  },
  {
    name: "replaced in two steps",
    law: "10",
    why: "the old key is taken away before the new one is written: a cut in between leaves neither",
    scenarios: ["replace"],
  },
  {
    name: "command done twice",
    law: "5",
    why: "a command that comes again is carried out again: packages that failed since are taken off the spent list",
    scenarios: ["replay"],
  },
  {
    name: "nonce not journaled",
    law: "11",
    why: "a nonce is told that no boot after this one would know of",
    scenarios: ["challenge"],
  },
  {
    name: "number from the active slot",
    law: "11",
    why: "the other slot's swap number isn't looked at: two records may come to have the same",
    scenarios: ["update"],
  },
  {
    name: "b wins a tie",
    law: "table",
    why: "of two confirmed slots with the same number B runs; the engine never gives the same number twice",
    scenarios: [],
  },
  {
    name: "read once",
    law: "table",
    why: "a bit that reads differently twice may be taken for what it happens to be at first",
    scenarios: [],
  },
];

/** Defects of the sweep that the table sees as well. */
export const IN_TABLE: readonly string[] = [
  "b wins a tie",
  "no second copy completed",
  "read once",
  "rejected not first",
  "single mark",
  "three resets never reject",
  "trust a torn mark",
];

const BROKEN = new URL("../../../build/sim/broken/", import.meta.url);

/** The image of a defect; with `folder` "boot-choice/" its boot choice. */
export function imageOf({ name }: Pick<Defect, "name">, folder = ""): URL {
  const image = new URL(`${folder}${name.replaceAll(" ", "-")}.wasm`, BROKEN);
  if (!existsSync(image)) throw new Error(`${image.pathname} is missing: run scripts/setup first`);
  return image;
}

export interface Caught {
  /** The laws that were broken in the first unit of work that broke any. */
  readonly laws: readonly Law[];
  readonly points: number;
  /** The first violation by the expected law, or the first of all. */
  readonly how: string;
}

/** Sweeps a broken engine until something shows, from the last operations on. */
export async function tryDefect(defect: Defect, workers = 2): Promise<Caught> {
  const { scenarios, geometries = ["l5"] } = defect;
  const options = { wasm: imageOf(defect), scenarios, geometries, pairs: false, workers };
  const { violations, points } = await sweep({ ...options, stopAtFirstViolation: true, lastFirst: true });
  const first = violations.find(({ law }) => law === defect.law) ?? violations[0];
  return {
    laws: [...new Set(violations.map(({ law }) => law))],
    points,
    how: first === undefined ? "" : `${first.id}: ${first.message}`,
  };
}

/** Compares a broken boot choice with the table, part by part until one differs. */
export async function tryTable(defect: Defect): Promise<Comparison> {
  const choice = await BootChoice.load(imageOf(defect, "boot-choice/"));
  let combinations = 0;
  for (const compare of [comparePairs, compareChoices, (one: BootChoice) => compareBoots(one, false)]) {
    const result = compare(choice);
    combinations += result.combinations;
    result.combinations = combinations;
    if (result.differing > 0) return result;
  }
  throw new Error(`the table sees nothing of "${defect.name}" in ${combinations} combinations`);
}
export { LAWS } from "./laws.js";
export { sweep };
