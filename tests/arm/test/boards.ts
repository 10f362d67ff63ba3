/** Which of the Arm boards a run of these tests has. */
import { ARM_BOARDS, type ArmBoard } from "@edgeplug/arm-suite";
import { BACKENDS, whySkipped } from "@edgeplug/test-support/backends";
import { keepRenodes } from "@edgeplug/test-support/board";
import { afterAll, describe } from "vitest";

/** One describe for each Arm board; where one can't be had, its tests are skipped, and the name says why. */
export function onArmBoards(title: string, tests: (board: ArmBoard) => void): void {
  for (const board of ARM_BOARDS.filter((name) => BACKENDS.includes(name))) {
    const skipped = whySkipped(board, { long: true });
    const name = `on ${board}, ${title}`;
    if (skipped === undefined)
      describe(name, () => {
        if (board === "renode") afterAll(keepRenodes());
        tests(board);
      });
    else describe.skip(`${name} (${skipped})`, () => tests(board));
  }
}
