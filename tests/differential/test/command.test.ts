// The command line of npm run differential.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { UsageError, parseOptions } from "../dist/options.js";

const MAIN = join(import.meta.dirname, "../dist/main.js");

function differential(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr });
    });
  });
}

describe("npm run differential", () => {
  test("20,000 modules and a million mutants on sim, unless told otherwise", () => {
    expect(parseOptions(["--seed", "7"])).toEqual({
      ...{ board: "sim", seed: 7, first: 0, count: 20_000, firstMutant: 0, mutants: 1_000_000, json: false },
    });
    expect(parseOptions(["--help"])).toBeUndefined();
  });

  test("a case of a run is replayed by its seed and number", () => {
    expect(parseOptions(["--replay", "7:123", "--board", "qemu"])).toMatchObject({
      ...{ board: "qemu", seed: 7, first: 123, count: 1, mutants: 0 },
    });
    expect(parseOptions(["--replay", "7:m123"])).toMatchObject({
      ...{ board: "sim", seed: 7, count: 0, firstMutant: 123, mutants: 1 },
    });
  });

  test.each([
    ["--board", "stm32"],
    ["--count", "-1"],
    ["--seed", "x"],
    ["--count", "0", "--mutants", "0"],
    ["--replay", "123"],
    ["--replay", "1:2", "--count", "3"],
    ["--nonsense"],
  ])("%s %s is refused", (...args) => {
    expect(() => parseOptions(args)).toThrow(UsageError);
  });

  test(
    "it tells what it compared, as lines and as JSON, and exits with 0",
    { timeout: 120_000 },
    async () => {
      const lines = await differential("--count", "2", "--mutants", "50", "--seed", "5");
      expect(lines.code).toBe(0);
      expect(lines.stdout).toMatch(
        /^2 modules of [\d,]+ instructions \(\d+ different ones\): \d+ calls compared/,
      );
      expect(lines.stdout).toMatch(
        /\n50 damaged modules: \d+ valid, \d+ refused, \d+ over a limit of the engine\n/,
      );
      expect(lines.stdout).toMatch(/\n0 differences; \d+ s, seed 5 on sim\n$/);
      expect(lines.stderr).toContain("2 of 2 modules, 0 differences");

      const json = await differential("--count", "0", "--mutants", "50", "--seed", "5", "--json");
      const result = JSON.parse(json.stdout) as { passed: boolean; mutants: { mutants: number } };
      expect(result).toMatchObject({ seed: 5, passed: true, mutants: { mutants: 50, findings: [] } });
    },
  );

  test("called wrongly it says so and exits with 2", async () => {
    const { code, stderr } = await differential("--board", "stm32");
    expect(code).toBe(2);
    expect(stderr).toContain("--board: expected sim, qemu, native, got stm32");
  });
});
