// The power goes while an Arm image updates itself: exactly at each flash operation, in the middle of it, and carelessly.
import { writeResult } from "@edgeplug/report/results";
import {
  machineOf,
  powerResult,
  runCuts,
  runKills,
  SCENARIOS,
  violationsOf,
  type CutsRun,
  type Kill,
} from "@edgeplug/arm-suite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { onArmBoards } from "./boards.js";

const SEED = 1;
/** Of each scenario, in the order of SCENARIOS. */
const POINTS = { qemu: [121, Infinity], renode: [60, 40] } as const;
const REAL_CUTS = { qemu: 2, renode: 12 } as const;
const CARELESS_KILLS = { qemu: 4, renode: 6 } as const;
/** Boards side by side. Under QEMU they keep to the wall's time, and wait for it most of theirs. */
const LANES = { qemu: 4, renode: 2 } as const;
/** Points at least, in all. */
const CUTS = { qemu: 200, renode: 120 } as const;
/** How to do it again. */
const COMMANDS = { qemu: "npm test", renode: "npm run renode" } as const;
const LIMIT = 1_200_000;

onArmBoards("power", (board) => {
  const machine = machineOf(board);
  const when = new Date();
  const runs: CutsRun[] = [];
  let kills: Kill[] = [];

  beforeAll(async () => {
    for (const [at, scenario] of SCENARIOS.entries()) {
      const count = POINTS[board][at] ?? 0;
      const options = { seed: SEED, count, kills: REAL_CUTS[board], lanes: LANES[board] };
      runs.push(await runCuts(machine, scenario, options));
    }
    kills = await runKills(machine, { seed: SEED, kills: CARELESS_KILLS[board], lanes: LANES[board] });
  }, LIMIT);

  afterAll(() => {
    if (kills.length > 0)
      writeResult(powerResult(runs, kills, { board, when, command: COMMANDS[board], seed: SEED }));
  });

  /** What broke this law, anywhere. */
  function broken(law: string): string[] {
    return violationsOf(runs, []).filter((text) => text.includes(`: ${law}: `));
  }

  function checks(law: string): number {
    const points = runs.flatMap(({ verdicts }) => verdicts);
    return points.reduce((sum, point) => sum + (point.checks.get(law) ?? 0), 0);
  }

  describe("an update, its power cut at the flash operations", () => {
    it(`is cut at ${CUTS[board]} points and more, from Begin's erase to the note of the confirmation`, () => {
      const points = runs.reduce((sum, { verdicts }) => sum + verdicts.length, 0);
      expect(points).toBeGreaterThanOrEqual(CUTS[board]);
      for (const { recording, verdicts } of runs) {
        const { operations } = recording.history;
        expect(operations[0]).toMatchObject({ kind: "erase" });
        expect(new Set(operations.map(({ area }) => area.replace(/^slot . /, "")))).toEqual(
          new Set(["payload", "record", "marks", "journal half 1"]),
        );
        const cut = new Set(verdicts.map(({ point }) => point.operation));
        const facts = operations.flatMap(({ kind, area }, at) =>
          kind === "erase" || area.endsWith("marks") || (board === "qemu" && !area.endsWith("payload"))
            ? [at + 1]
            : [],
        );
        expect(facts.filter((operation) => !cut.has(operation))).toEqual([]);
      }
    });

    it("changes flash by erases and programs alone, each as the chip's rules have it", () => {
      // a recorder under a debugger compares the image at each operation, too, and throws otherwise
      for (const { recording } of runs)
        expect(Buffer.compare(recording.end, recording.history.last), recording.scenario.name).toBe(0);
    });

    it("really cut at an operation leaves just what the operations before it made", () => {
      const killed = runs.flatMap((run) => run.kills);
      expect(killed).toHaveLength(SCENARIOS.length * REAL_CUTS[board]);
      expect(killed.filter(({ faults }) => faults.length > 0)).toEqual([]);
    });

    it.each([
      ["Law 1", "never has a byte of the old agent's slot changed, until the new one is confirmed"],
      [
        "Law 2",
        "runs the old agent as it was confirmed, or the new one once its attempt is on record, whole",
      ],
      ["Law 5", "spends no package"],
      ["Law 8", "confirms a new agent by scans that ran after the cut alone"],
      ["outputs", "gives the machine the outputs of the agent that it says runs, or fail-safe values before"],
      ["no scan missed", "misses no scan after the boot"],
    ])("%s: %s", (law) => {
      expect(broken(law)).toEqual([]);
      expect(checks(law)).toBeGreaterThanOrEqual(law === "Law 8" ? 10 : CUTS[board]);
    });

    it.each([
      ["Law 3", "takes the very next update, and the one that was cut"],
      ["Law 6", "changes nothing at a second boot but the journal's note of it"],
    ])("%s: at each distinct end state it %s", (law) => {
      expect(broken(law)).toEqual([]);
      const states = runs.reduce((sum, { endStates }) => sum + endStates, 0);
      expect(states).toBeGreaterThanOrEqual(20);
      expect(checks(law)).toBeGreaterThanOrEqual(states);
    });

    it("runs the old agent after some cuts and the new one after others", () => {
      const outcomes = runs.flatMap(({ verdicts }) => verdicts.map(({ outcome }) => outcome));
      expect(new Set(outcomes)).toEqual(new Set(["old", "new"]));
    });
  });

  it("after a careless cut at any time of a push the board runs an agent that may, and takes the next push", () => {
    expect(kills).toHaveLength(CARELESS_KILLS[board]);
    expect(violationsOf([], kills)).toEqual([]);
  });
});
