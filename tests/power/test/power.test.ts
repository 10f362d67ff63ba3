// Every scenario, every operation, every moment, both geometries, and as many second cuts as the time allows.
import { beforeAll, describe, expect, it } from "vitest";

import {
  keepResult,
  LAWS,
  parsePoint,
  pointId,
  replay,
  SCENARIOS,
  sweep,
  type Law,
  type SweepReport,
} from "../src/index.js";

const POINTS = 100_000;
/** Both cores of a slow machine. */
const SWEEP_TIMEOUT_MS = 600_000;

describe("after a power cut at any operation of any scenario, and at any of its recovery", () => {
  let report: SweepReport;

  beforeAll(async () => {
    const when = new Date().toISOString();
    report = await sweep();
    keepResult(report, when, "npm test");
    const { points, singles, pairs, endStates, seconds } = report;
    const rate = Math.round(points / seconds);
    console.log(
      `power: ${points} distinct points (${singles} single cuts, ${pairs} pairs), ${endStates} distinct end states, ` +
        `${rate} points/s, ${seconds.toFixed(1)} s`,
    );
  }, SWEEP_TIMEOUT_MS);

  it.each(Object.entries(LAWS) as [Law, string][])("law %s: %s", (law, _sentence) => {
    expect(report.lawChecks[law]).toBeGreaterThan(law === "7" ? 100 : POINTS / 2);
    const broken = report.violations.filter((violation) => violation.law === law);
    expect(broken.slice(0, 10)).toEqual([]);
  });

  it("no fewer than 100,000 flashes, no two alike, were booted", () => {
    expect(report.points).toBeGreaterThanOrEqual(POINTS);
    expect(report.endStates).toBeGreaterThan(POINTS / 4);
  });

  it("every operation of every scenario was cut, in both geometries", () => {
    expect(report.scenarios).toHaveLength(2 * SCENARIOS.length);
    const uncut = report.scenarios.flatMap(({ name, geometry, operations }) =>
      operations.flatMap(({ outcomes }, index) =>
        Object.keys(outcomes).length === 0 ? [`${name}/${geometry}@${index + 1}`] : [],
      ),
    );
    expect(uncut).toEqual([]);
  });
});

describe("the sweep", () => {
  it("finds the same, however many threads there are", { timeout: 120_000 }, async () => {
    const options = { scenarios: ["rollback"], pairs: 0.05 };
    const alone = await sweep({ ...options, workers: 1 });
    const together = await sweep({ ...options, workers: 2 });
    expect({ ...together, seconds: alone.seconds }).toEqual(alone);
  });

  it("refuses a scenario that it does not know", async () => {
    await expect(sweep({ scenarios: ["nothing"] })).rejects.toThrow("no scenario is called nothing");
  });
});

describe("a point", () => {
  it.each(["update/l5@17t2", "update/l5@17t2+4b", "over-half/nor@3a+1t6"])(
    "has an id that is read back: %s",
    (id) => {
      const point = parsePoint(id);
      expect(point && pointId(point)).toBe(id);
    },
  );

  it.each(["", "update", "update/l5", "update/arm@1b", "update/l5@0b", "update/l5@1t99", "update/l5@1b+"])(
    "has no id like %j",
    (id) => {
      expect(parsePoint(id)).toBeUndefined();
    },
  );

  it.each(["rollback/l5@2t3", "rollback/nor@2t5+1t2", "update/nor@17a"])(
    "is told alike each time: %s",
    async (id) => {
      const { lines, violations } = await replay(id);
      expect(violations).toEqual([]);
      expect(lines.at(-1)).toBe("Every law holds.");
      expect(lines.some((line) => line.startsWith("The power goes at operation"))).toBe(true);
      expect(lines.some((line) => /slot A: old, swap 1/.test(line))).toBe(true);
      expect((await replay(id)).lines).toEqual(lines);
    },
  );

  it("that does not exist is refused with what there is", async () => {
    await expect(replay("rollback/l5@900b")).rejects.toThrow("scenario rollback has 6 operations");
    await expect(replay("rollback/l5@1b+900b")).rejects.toThrow(/recovery has \d+ operations/);
    await expect(replay("rollback")).rejects.toThrow("is no point");
  });
});
