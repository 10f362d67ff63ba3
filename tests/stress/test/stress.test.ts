/** The runs of `npm run stress`, short: a thousand swaps on sim, fifty on the Arm image; `npm run renode` has a hundred. */
import { BACKENDS, whySkipped, type Backend } from "@edgeplug/test-support/backends";
import { beforeAll, describe, expect, it } from "vitest";

import { LISTED_COUNTERS, stress, violations, type StressReport } from "../src/index.js";

const SEED = 20_261_121;
// for what hangs for good; no measure of anything
const LIMIT_MS = 600_000;

const RUNS: readonly { board: Backend; swaps: number }[] = [
  { board: "sim", swaps: 1_000 },
  { board: "qemu", swaps: 50 },
  { board: "renode", swaps: 100 },
];

for (const { swaps, board } of RUNS.filter((run) => BACKENDS.includes(run.board))) {
  const skipped = whySkipped(board, { long: true });
  const title = `${swaps} swaps on ${board}, under requests and noise,`;
  describe.skipIf(skipped !== undefined)(skipped === undefined ? title : `${title} (${skipped})`, () => {
    let report: StressReport;

    beforeAll(async () => {
      report = await stress({ board, swaps, seed: SEED });
    }, LIMIT_MS);

    it("are all confirmed, between agents of different kinds", () => {
      expect(report.failures).toEqual([]);
      expect(report.swaps.map(({ number }) => number)).toEqual(
        Array.from({ length: swaps }, (_, at) => at + 1),
      );
      expect(new Set(report.swaps.map(({ kind }) => kind))).toEqual(new Set(["control", "request"]));
      expect(new Set(report.swaps.map(({ agent }) => agent)).size).toBe(7);
    });

    it("begin in the shadow of the agent before them, where that is of the same kind, every now and then", () => {
      const shadowed = report.swaps.filter((swap) => swap.shadowed);
      expect(new Set(shadowed.map(({ kind }) => kind))).toEqual(new Set(["control", "request"]));
      expect(shadowed.length).toBeGreaterThan(swaps / 10);
    });

    it("cost no scan, by the board's count and by that of somebody who only sees the outputs", () => {
      const { counters } = report.status;
      expect(counters.scansMissed).toBe(0);
      expect(counters.ticksElapsed).toBe(counters.scansRun);
      expect(report.scansMissedByObserver).toBe(0);
      expect(report.recordsLost).toBe(0);
      expect(report.scansObserved).toBeGreaterThanOrEqual(counters.scansRun);
      expect(report.restarts).toBe(0);
    });

    it("lose no request: the agent that an answer names has given it, or the board says that nobody can", () => {
      const { lost, faults, served, declined } = report.requests;
      expect({ lost, faults }).toEqual({ lost: 0, faults: [] });
      expect(Math.min(served, declined)).toBeGreaterThan(swaps);
      expect(report.spoiltBytes).toBeGreaterThan(swaps / 10);
    });

    it("leave RAM as it was after the second, but for the listed counters, and the stack no deeper", () => {
      expect(report.rests.map(({ afterSwap }) => afterSwap)).toContain(2);
      expect(report.rests.at(-1)?.afterSwap).toBe(swaps);
      expect(report.rests.flatMap(({ comparison }) => comparison.differences)).toEqual([]);
      expect(violations(report, board, swaps)).toEqual([]);
    });

    it("erase each slot equally often, and the journal by far less", () => {
      const { "slot A": a, "slot B": b, journal } = report.wear;
      expect(Math.abs((a?.mostWornPage ?? 0) - (b?.mostWornPage ?? 0))).toBeLessThanOrEqual(1);
      expect(a?.mostWornPage).toBe(swaps / 2);
      expect(journal?.mostWornPage).toBeGreaterThan(0);
      expect(journal?.mostWornPage).toBeLessThan(swaps / 8);
      expect(Object.keys(report.wear).sort()).toEqual(["journal", "slot A", "slot B"]);
    });

    if (board === "sim")
      it("need every counter that is listed", () => {
        const moved = new Set(report.rests.flatMap(({ comparison }) => [...comparison.moved]));
        const here = LISTED_COUNTERS.filter(({ rare }) => rare !== true)
          .map(({ name }) => name)
          .filter((name) => report.listedCounters.some((line) => line.startsWith(`${name} `)));
        expect(here.filter((name) => !moved.has(name))).toEqual([]);
      });
  });
}

if (BACKENDS.includes("sim"))
  it("equal seeds give equal runs on sim", async () => {
    const [one, other] = [
      await stress({ board: "sim", swaps: 14, seed: 5 }),
      await stress({ board: "sim", swaps: 14, seed: 5 }),
    ];
    expect(other).toEqual(one);
  });
