// Every fuzz target for some seconds, from the seeds and whatever earlier runs have kept (`npm run fuzz` for longer ones).
import { expect, test } from "vitest";
import { writeSeeds } from "../../scripts/fuzz/seeds.mjs";
import { fuzzAll, TARGETS, type FuzzOutcome } from "../../scripts/fuzz/targets.mjs";

/** Two at a time: 60 s of one core in all. */
const SECONDS = 8;
const SEED = 20260;

const began: Promise<FuzzOutcome[]> = (async () => {
  for (const { name } of TARGETS) writeSeeds(name);
  console.log(`fuzzing with seed ${SEED}`);
  return fuzzAll(TARGETS, { seconds: SECONDS, seed: SEED, jobs: 2 });
})();

const targets = TARGETS.map((target, index) => ({ ...target, index }));

test.for(targets)("fuzzing of $name finds nothing", { timeout: 300_000 }, async ({ index }) => {
  const outcome = (await began)[index];
  expect(outcome?.findings.map(({ what, repeat }) => `${what}\nagain: ${repeat}`)).toEqual([]);
});

test.for(targets)(
  "fuzzing of $name gets beyond the first checks",
  { timeout: 300_000 },
  async ({ index, edges }) => {
    const outcome = (await began)[index];
    expect(outcome?.executions).toBeGreaterThan(0);
    expect(outcome?.coveredEdges).toBeGreaterThan(edges);
  },
);
