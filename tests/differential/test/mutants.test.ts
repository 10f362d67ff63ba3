// Damaged modules before the engine and before wasm-validate. The program is Debian's; npm's stand-ins for it, which come
// first where npm runs things, take half a second each.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConformanceImage } from "@edgeplug/conformance-suite/dist/image.js";
import { describe, expect, test } from "vitest";
import { VALIDATE_ARGUMENTS, judgement } from "../dist/judge.js";
import { mutantOf, runMutants } from "../dist/run.js";

const SEED = 6;
const MUTANTS = 20_000;

const REFUSALS = join(import.meta.dirname, "../../../firmware/runtime/wasm/refusals.def");

/** How many refusals of a kind there are: the first are malformed, then EP_WASM_NEXT_RESULT begins another kind. */
function refusals(kind: string): number {
  const parts = `EP_WASM_NEXT_RESULT(EP_WASM_MALFORMED)${readFileSync(REFUSALS, "utf8")}`.split(
    "EP_WASM_NEXT_RESULT(",
  );
  const part = parts.find((text) => text.startsWith(`EP_WASM_${kind})`)) ?? "";
  const count = part.match(/^EP_WASM_REFUSAL\(/gm)?.length ?? 0;
  expect(count, kind).toBeGreaterThan(0);
  return count;
}

describe("damaged modules", () => {
  test(
    `of ${String(MUTANTS)} the engine takes those that wasm-validate takes`,
    { timeout: 600_000 },
    async () => {
      const report = await runMutants({ start: () => ConformanceImage.sim(), seed: SEED, count: MUTANTS });
      expect(report.findings).toEqual([]);
      // else they would say little
      expect(report.valid).toBeGreaterThan(MUTANTS / 10);
      expect(report.refused).toBeGreaterThan(MUTANTS / 2);
      expect(report.overLimit).toBeLessThan(MUTANTS / 100);
      const said = (kind: string): number =>
        [...report.replies.keys()].filter((reply) => reply.startsWith(`err ${kind} `)).length;
      // all but the version, and locals that are too many for the spec, which are over the engine's limit before
      expect(said("malformed")).toBeGreaterThanOrEqual(refusals("MALFORMED") - 2);
      expect(said("invalid")).toBe(refusals("INVALID"));
      expect(said("unsupported")).toBe(refusals("UNSUPPORTED"));
    },
  );

  test("an engine that takes what it must not, or refuses what it must take, is found", async () => {
    for (const [from, to] of [
      ["err invalid type mismatch", "ok"],
      ["ok", "err malformed magic"],
      ["err malformed illegal opcode", "err trap unreachable"],
    ] as const) {
      const folder = mkdtempSync(join(tmpdir(), "edgeplug-mutants-"));
      const image = ConformanceImage.sim();
      let changed = 0;
      const start = () => ({
        requests: async (bytes: Uint8Array, answers: number) =>
          (await image.requests(bytes, answers)).map((line) => {
            if (line !== from) return line;
            changed++;
            return to;
          }),
        kill: () => {
          image.kill();
        },
      });
      const { findings } = await runMutants({ start, seed: SEED, count: 500, folder });
      rmSync(folder, { recursive: true });
      expect(findings.length, `${from} as ${to}`).toBe(changed);
      expect(changed).toBeGreaterThan(3);
    }
  });

  test("the judge in this process says what the program wasm-validate says", () => {
    const folder = mkdtempSync(join(tmpdir(), "edgeplug-validate-"));
    const file = join(folder, "mutant.wasm");
    const verdicts = Array.from({ length: 60 }, (_, i) => {
      const bytes = mutantOf(SEED, 7 * i);
      writeFileSync(file, bytes);
      let program = true;
      try {
        execFileSync("/usr/bin/wasm-validate", [...VALIDATE_ARGUMENTS, file], { stdio: "pipe" });
      } catch {
        program = false;
      }
      return [program, judgement(bytes) === undefined];
    });
    rmSync(folder, { recursive: true });
    expect(verdicts.filter(([program, judge]) => program !== judge)).toEqual([]);
    expect(verdicts.filter(([program]) => program).length).toBeGreaterThan(5);
    expect(verdicts.filter(([program]) => !program).length).toBeGreaterThan(20);
  });
});
