// Rollback as somebody sees it who has the machine's outputs and nothing else.
import { FAILURES, machineOf, watchFailure, watchMissedDeadline } from "@edgeplug/arm-suite";
import { expect, it, vi } from "vitest";

import { onArmBoards } from "./boards.js";

vi.setConfig({ testTimeout: 300_000 });

onArmBoards("on the outputs' line, where each scan leaves one record,", (board) => {
  const machine = machineOf(board);

  it.each(FAILURES)(
    "the scan in which a new agent $what carries the old agent's outputs, and no record is missing",
    async ({ module, options }) => {
      const { records, violations } = await watchFailure(machine, module, options);
      expect(violations).toEqual([]);
      expect(records.filter(({ swapNumber }) => swapNumber === 2)).toHaveLength(10);
    },
  );

  it("the scan after a missed one carries the old agent's outputs, and only the missed one's record is missing", async () => {
    const { records, violations } = await watchMissedDeadline(machine);
    expect(violations).toEqual([]);
    expect(records.filter(({ swapNumber }) => swapNumber === 2).length).toBeGreaterThan(400);
  });
});
