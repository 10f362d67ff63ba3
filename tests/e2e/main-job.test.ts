/** What `npm start` does, and that its closing lines and exit code tell the truth. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { describe, expect, it } from "vitest";

import { isGood, tallyLines, type Tally } from "../../demo/src/tally.js";

const DEMO = fileURLToPath(new URL("../../demo/dist/main.js", import.meta.url));
const STORY_MS = 240_000;

const GOOD: Tally = {
  swaps: { done: 8, of: 8 },
  scansRun: 9000,
  scansMissed: 0,
  requestsLost: 0,
  refused: { done: 2, of: 2 },
  rollbacks: { done: 2, of: 2 },
  resumed: true,
};

describe("the main job", () => {
  it(
    "is done on the Arm image, from source to a push that a power cut interrupted",
    async () => {
      const { stdout } = await promisify(execFile)(process.execPath, [DEMO], { maxBuffer: 1 << 22 });
      expect(stdout.trimEnd().split("\n").slice(-7)).toEqual([
        "swaps: 8 of 8",
        expect.stringMatching(/^scans run: [1-9]\d{3,}$/),
        "scans missed: 0",
        "requests lost: 0",
        "refused: 2 of 2",
        "rollbacks: 2 of 2",
        "resumed after power cut: yes",
      ]);
    },
    STORY_MS,
  );

  it("closes with one line for each figure, in a form that scripts can read", () => {
    expect(tallyLines({ ...GOOD, resumed: false, scansMissed: 3 })).toEqual([
      "swaps: 8 of 8",
      "scans run: 9000",
      "scans missed: 3",
      "requests lost: 0",
      "refused: 2 of 2",
      "rollbacks: 2 of 2",
      "resumed after power cut: no",
    ]);
  });

  it("counts as done only if all of it held", () => {
    expect(isGood(GOOD)).toBe(true);
    const spoilt: Partial<Tally>[] = [
      { swaps: { done: 7, of: 8 } },
      { swaps: { done: 0, of: 0 } },
      { scansRun: 0 },
      { scansMissed: 1 },
      { requestsLost: 1 },
      { refused: { done: 1, of: 2 } },
      { rollbacks: { done: 1, of: 2 } },
      { resumed: false },
    ];
    for (const change of spoilt) expect(isGood({ ...GOOD, ...change }), JSON.stringify(change)).toBe(false);
  });
});
