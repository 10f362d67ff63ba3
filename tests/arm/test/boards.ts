/** Which of the Arm boards a run of these tests has. */
import { ARM_BOARDS, type ArmBoard } from "@edgeplug/arm-suite";
import { BACKENDS } from "@edgeplug/test-support/backends";
import { findRenode, RENODE_MISSING } from "renode-test-harness";
import { describe } from "vitest";

/** `npm run renode` names it; there is no time for both in `npm test`. */
const RENODE_NAMED = process.env["EDGEPLUG_BOARDS"] !== undefined;

/** One describe for each Arm board; where one can't be had, its tests are skipped, and the name says why. */
export function onArmBoards(title: string, tests: (board: ArmBoard) => void): void {
  for (const board of ARM_BOARDS.filter((name) => BACKENDS.includes(name))) {
    const skipped = board === "renode" ? whyNoRenode() : undefined;
    const name = `on ${board}, ${title}`;
    if (skipped === undefined) describe(name, () => tests(board));
    else describe.skip(`${name} (${skipped})`, () => tests(board));
  }
}

function whyNoRenode(): string | undefined {
  if (!RENODE_NAMED) return "skipped: npm run renode has them";
  return findRenode() === undefined ? RENODE_MISSING : undefined;
}
