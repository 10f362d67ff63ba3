/** What is wrong is noticed: each check of a stress run fails for what it is there for. */
import { fileURLToPath } from "node:url";

import { controlAgent, DEEDS, failingAgent, makePackage } from "@edgeplug/test-support/agents";
import { beforeAll, describe, expect, it } from "vitest";

import { exampleAgent, stress, violations, type StressAgent, type StressOptions } from "../src/index.js";

const LIMIT_MS = 120_000;
const SEED = 3;

function image(name: string): string {
  return fileURLToPath(new URL(`../../../build/sim/${name}.wasm`, import.meta.url));
}

async function runWith(options: Partial<StressOptions>, swaps = 26): Promise<string[]> {
  return violations(await stress({ board: "sim", swaps, seed: SEED, ...options }), "sim", swaps);
}

describe("a stress run notices", () => {
  let simple: StressAgent;

  beforeAll(() => {
    simple = {
      name: "simple",
      pkg: makePackage(controlAgent({ value: 1 }), { name: "simple" }),
      answer: undefined,
    };
  });

  it(
    "a byte that each swap takes and never gives back, and names it",
    async () => {
      const found = await runWith({ wasm: image("leak") });
      expect(found).toContain("after swap 14: ep_agents_leaked: 02 was, 0e is");
      expect(found.some((each) => each.startsWith("after swap 26:"))).toBe(true);
    },
    LIMIT_MS,
  );

  it(
    "a stack that goes deeper with each swap",
    async () => {
      const found = await runWith({ wasm: image("stack") });
      expect(found).not.toEqual([]);
      for (const each of found)
        expect(each).toMatch(/^after swap \d+: the stack went \d+ bytes deeper than until swap 14$/);
    },
    LIMIT_MS,
  );

  it(
    "a scan that did not run, by both counts",
    async () => {
      const found = await runWith(
        { disturb: (number, { board }) => number === 5 && board.sim?.skipScans(1) },
        14,
      );
      expect(found).toContain("1 scans missed by the board's count");
      expect(found).toContain("1 scans missed by the observer's");
    },
    LIMIT_MS,
  );

  it(
    "a board that starts anew",
    async () => {
      const found = await runWith({ disturb: (number, { board }) => number === 5 && board.sim?.reset() }, 14);
      expect(found).toContain("the board started anew 1 times");
    },
    LIMIT_MS,
  );

  it(
    "an agent that does not stay",
    async () => {
      const pkg = makePackage(failingAgent(2, 5, DEEDS.trap), { name: "trap", limits: { fuel: 2_000 } });
      const found = await runWith({ examples: [{ name: "trap", pkg, answer: undefined }, simple] }, 14);
      expect(found.some((each) => each.includes("failed its trial: trap"))).toBe(true);
      expect(found.some((each) => / of 14 swaps were confirmed$/.test(each))).toBe(true);
    },
    LIMIT_MS,
  );

  it(
    "an answer by another algorithm than that of the agent which it names",
    async () => {
      const liar = await exampleAgent("hash-sha256", "blake2s256");
      const found = await runWith({ examples: [liar, simple] }, 14);
      expect(found.some((each) => /^the answer of swap \d+ is wrong$/.test(each))).toBe(true);
      expect(found.some((each) => /^\d+ of \d+ requests lost$/.test(each))).toBe(true);
    },
    LIMIT_MS,
  );

  it(
    "an answer where none is due",
    async () => {
      const honest = await exampleAgent("hash-sha256", "sha256");
      const found = await runWith({ examples: [{ ...honest, answer: undefined }, simple] }, 14);
      expect(found.some((each) => /^swap \d+ answered, which is no request agent$/.test(each))).toBe(true);
    },
    LIMIT_MS,
  );
});
