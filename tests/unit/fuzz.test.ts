// Every fuzz target for a fixed number of executions from the seeds alone: the same inputs on every machine, however fast it is
// (`npm run fuzz` for longer runs, which keep what they learn).
import { expect, test } from "vitest";
import { writeSeeds } from "../../scripts/fuzz/seeds.mjs";
import { fuzzAll, TARGETS, type FuzzOutcome } from "../../scripts/fuzz/targets.mjs";

const SEED = 20260;

const began: Promise<FuzzOutcome[]> = (async () => {
  console.log(`fuzzing with seed ${SEED}`);
  return fuzzAll(TARGETS, { fresh: writeSeeds, seed: SEED, jobs: 2 });
})();

const targets = TARGETS.map((target, index) => ({ ...target, index }));

test.for(targets)("fuzzing of $name finds nothing", { timeout: 300_000 }, async ({ index }) => {
  const outcome = (await began)[index];
  expect(outcome?.findings.map(({ what, repeat }) => `${what}\nagain: ${repeat}`)).toEqual([]);
});

test.for(targets)(
  "fuzzing of $name gets beyond the first checks",
  { timeout: 300_000 },
  async ({ index, edges, runs }) => {
    const outcome = (await began)[index];
    expect(outcome?.executions).toBeGreaterThanOrEqual(runs);
    expect(outcome?.coveredEdges).toBeGreaterThan(edges);
  },
);
