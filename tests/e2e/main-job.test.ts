/** What `npm start` does, and that its closing lines and exit code tell the truth. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { BACKENDS, whySkipped } from "@edgeplug/test-support/backends";
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

/** The classifier fills a scan of the smaller board: a ninth swap makes room for it. */
const SWAPS = { qemu: 8, renode: 9 } as const;

describe("the main job", () => {
  for (const board of (["qemu", "renode"] as const).filter((name) => BACKENDS.includes(name))) {
    const skipped = whySkipped(board, { long: true });
    const title = `on ${board} is done, from source to a push that a power cut interrupted`;
    it.skipIf(skipped !== undefined)(
      skipped === undefined ? title : `${title} (${skipped})`,
      async () => {
        const args = [DEMO, "--board", board];
        const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 1 << 22 });
        expect(stdout.trimEnd().split("\n").slice(-7)).toEqual([
          `swaps: ${SWAPS[board]} of ${SWAPS[board]}`,
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
  }
});

if (BACKENDS.includes("sim"))
  describe("the tally of the main job", () => {
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
