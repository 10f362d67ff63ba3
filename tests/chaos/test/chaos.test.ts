// The laws of corruption, on as many packages as fit into a minute. `npm run chaos` is the long version.
import { BACKENDS, whySkipped } from "@edgeplug/test-support/backends";
import { describe, expect, it, vi } from "vitest";

import {
  KINDS,
  QemuBench,
  RenodeBench,
  runChaos,
  SimBench,
  type CaseReport,
  type Figures,
} from "../src/index.js";
import type { Bench } from "../src/bench.js";
import { FIELD_GROUPS, fieldsOf } from "../src/fields.js";
import { Workshop } from "../src/parcels.js";

vi.setConfig({ testTimeout: 300_000 });

const LONG_MS = 1_200_000;

/** EDGEPLUG_TEST_SEED tries another one. */
const SEED = Number(process.env["EDGEPLUG_TEST_SEED"] ?? 20_261_121);
const RATE = 0.01;
console.log(`chaos: EDGEPLUG_TEST_SEED=${SEED}`);

interface Run {
  figures: Figures;
  failed: CaseReport[];
}

async function run(bench: Bench, packages: number, numbers?: readonly number[]): Promise<Run> {
  try {
    return await runChaos(bench, { packages, seed: SEED, rate: RATE, numbers });
  } finally {
    await bench.close();
  }
}

/** Each failed case, as it is to be repeated. */
function stories(board: string, failed: readonly CaseReport[]): string[] {
  return failed.map(({ number, story, violations }) =>
    [
      `npm run chaos -- --board ${board} --seed ${SEED} --case ${number}`,
      ...story,
      ...violations.map(({ law, what }) => `${law}: ${what}`),
    ].join("\n  "),
  );
}

if (BACKENDS.includes("sim"))
  describe("on sim", () => {
    it("of 1,000 corruptions of every class none slips through, crashes or locks the board, or disturbs its agent", async () => {
      const { figures, failed } = await run(await SimBench.create(SEED), 1_000);
      expect(stories("sim", failed)).toEqual([]);
      expect(figures).toMatchObject({ packages: 1_000, crashes: 0, lockOuts: 0, disturbed: 0 });
      expect(figures.classes.map(({ name }) => name).sort()).toEqual(KINDS.map(({ name }) => name).sort());
      expect(figures.cleanRetries.tried).toBeGreaterThan(100);
      expect(figures.cleanRetries.succeeded).toBe(figures.cleanRetries.tried);
    });

    it("a case repeats by seed and number alone, whatever ran before it", async () => {
      const numbers = [2, 19, 60];
      const together: string[][] = [];
      const bench = await SimBench.create(SEED);
      const onCase = ({ story }: CaseReport): void => void together.push([...story]);
      await runChaos(bench, { packages: 100, seed: SEED, rate: RATE, numbers, onCase });
      await bench.close();
      const alone: string[][] = [];
      for (const number of numbers) {
        const other = await SimBench.create(SEED);
        const told = ({ story }: CaseReport): void => void alone.push([...story]);
        await runChaos(other, { packages: 100, seed: SEED, rate: RATE, numbers: [number], onCase: told });
        await other.close();
      }
      expect(alone).toEqual(together);
    });
  });

if (BACKENDS.includes("qemu"))
  describe("on qemu", () => {
    // of each kind those that need little of the board's time
    const names = [
      ...["manifest: identity", "signature", "payload: bits", "payload: a chunk of another package"],
      ...["frames cut", "chunks of another package", "garbage between frames"],
      ...["payload, without power", "marks, without power", "used half of the journal, while it runs"],
    ];

    it("of 10 corruptions none slips through, crashes or locks the board, or disturbs its agent", async () => {
      const numbers = names.map((name) => KINDS.findIndex((kind) => kind.name === name));
      const { figures, failed } = await run(await QemuBench.create(), KINDS.length, numbers);
      expect(stories("qemu", failed)).toEqual([]);
      expect(figures).toMatchObject({ packages: 10, crashes: 0, lockOuts: 0, disturbed: 0 });
      expect(figures.classes.map(({ name }) => name).sort()).toEqual([...names].sort());
    });
  });

if (BACKENDS.includes("renode")) {
  const skipped = whySkipped("renode", { long: true });
  describe.skipIf(skipped !== undefined)(`on renode${skipped === undefined ? "" : ` (${skipped})`}`, () => {
    it(
      "of a corruption of every class none slips through, crashes or locks the board, or disturbs its agent",
      async () => {
        const { figures, failed } = await run(await RenodeBench.create(), KINDS.length);
        expect(stories("renode", failed)).toEqual([]);
        expect(figures).toMatchObject({ packages: KINDS.length, crashes: 0, lockOuts: 0, disturbed: 0 });
      },
      LONG_MS,
    );
  });
}

if (BACKENDS.includes("sim"))
  describe("the manifest that is corrupted", () => {
    it("holds every field that a manifest can have, and the groups of fields leave none out", () => {
      const { pkg } = new Workshop(1).complete(0);
      expect([...fieldsOf(pkg.manifestBytes).keys()].sort()).toEqual(
        Object.values(FIELD_GROUPS).flat().sort(),
      );
    });
  });
