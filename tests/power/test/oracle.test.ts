// Engines broken on purpose: what the sweep of power cuts says about them is worth as much as what it says about the whole
// one, which passes every scenario in power.test.ts. Each has to be caught, and by the law that its defect offends against.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { writeResult } from "@edgeplug/report/results";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { DEFECTS, IN_TABLE, LAWS, tryDefect, tryTable, type Defect } from "../src/oracle.js";

const HOTSWAP = fileURLToPath(new URL("../../../firmware/runtime/hotswap/", import.meta.url));
const SECONDS = 1_000;

const engines: { name: string; law?: string; points: number }[] = [];
let begun = new Date();

beforeAll(() => {
  begun = new Date();
});

afterAll(() => {
  const caught = engines.filter(({ law }) => law !== undefined).length;
  console.log(`broken engines: ${caught} of ${DEFECTS.length} caught`);
  writeResult({
    ...{ suite: "oracle", board: "sim", when: begun.toISOString(), seed: 0 },
    command: "npx vitest run tests/power/test/oracle.test.ts",
    seconds: (Date.now() - begun.getTime()) / SECONDS,
    passed: caught === DEFECTS.length,
    engines,
  });
});

const catcherOf = ({ law }: Defect): string => (law === "table" ? "the table" : `Law ${law}`);

const swept = DEFECTS.filter(({ law }) => law !== "table");

describe("an engine broken on purpose", () => {
  it("is one of those that the firmware can be built as", () => {
    const sources = readdirSync(HOTSWAP).filter((name) => name.endsWith(".c"));
    const text = sources.map((name) => readFileSync(`${HOTSWAP}${name}`, "utf8")).join("\n");
    const names = [...text.matchAll(/EP_DEFECT\(([A-Z_]+)\)/g)].map(([, name = ""]) =>
      name.toLowerCase().replaceAll("_", " "),
    );
    expect(DEFECTS.map(({ name }) => name).sort()).toEqual([...new Set(names)].sort());
  });
});

// each on one thread, some beside each other: a thread's start costs more than most of them need to be caught
describe.concurrent("the sweep of power cuts", () => {
  for (const defect of swept)
    it(
      `the defect "${defect.name}" is caught by ${catcherOf(defect)}`,
      { timeout: 180 * SECONDS },
      async ({ expect }) => {
        const { laws, points, how } = await tryDefect(defect, 1);
        const isCaught = laws.some((law) => law === defect.law);
        const law =
          isCaught && defect.law !== "table" ? { law: `Law ${defect.law}: ${LAWS[defect.law]}` } : {};
        engines.push({ name: defect.name, points, ...law });
        expect(laws, how).toContain(defect.law);
      },
    );
});

describe("the table of boot choices", () => {
  for (const defect of DEFECTS.filter(({ name }) => IN_TABLE.includes(name)))
    it(`the defect "${defect.name}" is caught by the table of boot choices`, async () => {
      const { differing, combinations } = await tryTable(defect);
      expect(differing).toBeGreaterThan(0);
      if (defect.law === "table")
        engines.push({ name: defect.name, law: "the table of boot choices", points: combinations });
    });
});
