// The rules of the C# models in ../../renode, on a bench of their own (bench/Renode.cs): a small program, compiled and run by mono,
// prints a TAP line a rule, and each of them is a test here. That the bench's interfaces are Renode's is seen where the models run in Renode.
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const RENODE = join(import.meta.dirname, "../../renode");
const TESTS = import.meta.dirname;

const scratch = mkdtempSync(join(tmpdir(), "renode-models-"));
afterAll(() => {
  rmSync(scratch, { recursive: true });
});

interface Output {
  readonly stdout: string;
  readonly trouble: string;
  /** The exit code; a word if there was none. */
  readonly status: number | string;
}

function execute(program: string, args: readonly string[]): Promise<Output> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: 60_000, maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
      const status = error === null ? 0 : (error.code ?? error.signal ?? "unknown");
      resolve({ stdout, status, trouble: `${program}: ${stderr}${error?.message ?? ""}` });
    });
  });
}

function sources(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".cs"))
    .map((name) => join(folder, name));
}

const files = [RENODE, join(RENODE, "models"), TESTS, join(TESTS, "bench")].flatMap(sources);
const program = join(scratch, "models.exe");
const options = ["-langversion:7", "-warnaserror", "-debug", "-r:System.Core.dll", `-out:${program}`];
const compiled = await execute("mcs", [...options, ...files]);
const run = compiled.status === 0 ? await execute("mono", ["--debug", program]) : undefined;

test("the models compile as C# 7 without a warning (mono-mcs and mono-runtime come with scripts/setup)", () => {
  expect(compiled.status, compiled.stdout + compiled.trouble).toBe(0);
});

if (run !== undefined) {
  const lines = run.stdout.split("\n");
  let notes: string[] = [];
  let planned = 0;
  let seen = 0;
  for (const line of lines) {
    const [, not, sentence] = /^(not )?ok - (.*)$/.exec(line) ?? [];
    const [, plan] = /^1\.\.(\d+)$/.exec(line) ?? [];
    if (sentence !== undefined) {
      const why = notes.join("\n");
      notes = [];
      seen += 1;
      test(sentence, () => {
        expect(not, why).toBeUndefined();
      });
    } else if (plan !== undefined) planned = Number(plan);
    else if (line !== "") notes.push(line);
  }
  test("the program runs to its end, and no rule was left out", () => {
    expect(run.status, run.trouble).toBe(0);
    expect(planned).toBe(seen);
    expect(seen).toBeGreaterThan(120);
  });
}
