// Every example of the README is run, as it stands there.
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { RENODE_MISSING, renodeOrSkip } from "../src/index.js";
import { buildSelftest } from "./firmware/build.js";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const README = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const renode = renodeOrSkip();

interface Example {
  readonly title: string;
  readonly code: string;
  /** What runs it. */
  readonly runner: "vitest" | "node --test" | "node";
}

function runnerOf(code: string): Example["runner"] {
  if (code.includes('from "vitest"')) return "vitest";
  return code.includes("renode-test-harness/node-test") ? "node --test" : "node";
}

const examples: Example[] = README.split(/^#+ /m).flatMap((section) =>
  [...section.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = ""], index) => ({
    title: `${section.slice(0, section.indexOf("\n"))}, example ${index + 1}`,
    code,
    runner: runnerOf(code),
  })),
);

/** In the checkout, so that the package and vitest are found as from anywhere in it. */
let folder = "";

beforeAll(() => {
  mkdirSync(join(ROOT, "build"), { recursive: true });
  folder = mkdtempSync(join(ROOT, "build", "readme-"));
  // not this workspace's own
  writeFileSync(join(folder, "vitest.config.mjs"), "export default { test: { testTimeout: 120_000 } };\n");
  symlinkSync(join(ROOT, "build/qemu/selftest.elf"), join(folder, "qemu-selftest.elf"));
  if (renode) symlinkSync(buildSelftest().elf, join(folder, "stm32l552-selftest.elf"));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

function run(program: string, args: readonly string[]): Promise<string> {
  // it is not a part of the run that runs it
  const environment = { ...process.env };
  for (const name of ["VITEST", "NODE_TEST_CONTEXT"]) Reflect.deleteProperty(environment, name);
  return new Promise((resolve, reject) => {
    execFile(program, args, { cwd: folder, env: environment, timeout: 170_000 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${error.message}\n${stdout}\n${stderr}`));
      else resolve(stdout);
    });
  });
}

async function runExample({ code, runner }: Example, number: number): Promise<string> {
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
  const name = `example-${number}.${runner === "node" ? "" : "test."}mjs`;
  writeFileSync(join(folder, name), ts.transpileModule(code, { compilerOptions }).outputText);
  if (runner === "node") return run(process.execPath, [name]);
  if (runner === "node --test") return run(process.execPath, ["--test", "--test-reporter=tap", name]);
  const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
  return run(process.execPath, [vitest, "run", "--root", folder, "--config", "vitest.config.mjs", name]);
}

describe("the README's examples", { timeout: 180_000 }, () => {
  it("are of every kind", () => {
    expect(new Set(examples.map(({ runner }) => runner)).size).toBe(3);
    expect(examples.length).toBeGreaterThanOrEqual(7);
  });

  for (const [number, example] of examples.entries()) {
    const needsRenode = example.code.includes('"renode"');
    const skipped = needsRenode && !renode;
    it.skipIf(skipped)(`${example.title}, runs${skipped ? ` (${RENODE_MISSING})` : ""}`, async () => {
      const output = await runExample(example, number);
      if (example.runner === "node --test") expect(output).toMatch(/^# pass 1$/m);
      if (example.runner === "vitest") expect(output).toMatch(/1 passed/);
    });
  }

  it("fit the types", () => {
    const files = examples.map(({ code }, number) => {
      const path = join(folder, `types-${number}.ts`);
      writeFileSync(path, `${code}\nexport {};\n`);
      return path;
    });
    const program = ts.createProgram(files, {
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      types: ["node"],
    });
    const complaints = ts.getPreEmitDiagnostics(program).map(({ messageText, file, start = 0 }) => {
      const line = file ? file.text.slice(start, start + 60).split("\n")[0] : "";
      return `${ts.flattenDiagnosticMessageText(messageText, "\n")} at ${line ?? ""}`;
    });
    expect(complaints).toEqual([]);
  });
});
