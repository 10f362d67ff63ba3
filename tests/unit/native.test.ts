// The C unit tests (firmware/tests/<module>/test_*.c, built by the CMake preset `native` under the address and
// undefined behaviour sanitizers): each TAP line of each program is a test here.
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const BUILT = join(ROOT, "build/native/tests");
const SOURCES = join(ROOT, "firmware/tests");

interface TapLine {
  readonly ok: boolean;
  readonly sentence: string;
  /** The `#` lines that came before it. */
  readonly notes: string;
}

interface Run {
  readonly lines: TapLine[];
  readonly planned: number | undefined;
  readonly status: number | string | null;
  readonly trouble: string;
}

interface Output {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number | string | null;
}

function execute(path: string): Promise<Output> {
  return new Promise((resolve) => {
    execFile(path, { timeout: 280_000, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      resolve({ stdout, stderr, status: error === null ? 0 : (error.code ?? error.signal ?? null) });
    });
  });
}

function readTap({ stdout, stderr, status }: Output): Run {
  const lines: TapLine[] = [];
  let notes: string[] = [];
  let planned: number | undefined;
  for (const line of stdout.split("\n")) {
    const result = /^(not )?ok - (.*)$/.exec(line);
    const plan = /^1\.\.(\d+)$/.exec(line);
    if (result !== null) {
      lines.push({ ok: result[1] === undefined, sentence: result[2] ?? "", notes: notes.join("\n") });
      notes = [];
    } else if (plan !== null) planned = Number(plan[1]);
    else if (line !== "") notes.push(line);
  }
  return {
    lines,
    planned,
    status,
    trouble: [...notes, stderr.slice(0, 4000)].filter((text) => text !== "").join("\n"),
  };
}

/** Two programs at a time: some take many seconds. */
async function runAll(paths: string[]): Promise<Map<string, Run>> {
  const runs = new Map<string, Run>();
  const queue = [...paths];
  const worker = async (): Promise<void> => {
    for (let path = queue.shift(); path !== undefined; path = queue.shift())
      runs.set(path, readTap(await execute(path)));
  };
  await Promise.all([worker(), worker()]);
  return runs;
}

/** What should have been built, so that a program that fell out of the build is missed. */
const expected = existsSync(SOURCES)
  ? readdirSync(SOURCES, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap(({ name: module }) =>
        readdirSync(join(SOURCES, module))
          .filter((file) => /^test_.*\.c$/.test(file))
          .map((file) => `${module}/${basename(file, ".c")}`),
      )
  : [];

test("there are native unit tests", () => {
  expect(expected.length).toBeGreaterThan(0);
});

const built = expected.map((program) => join(BUILT, program)).filter((path) => existsSync(path));
const runs = await runAll(built);

for (const program of expected) {
  const path = join(BUILT, program);
  const run = runs.get(path);
  describe(program, () => {
    if (run === undefined) {
      test("was built", () => expect.fail(`${path} is missing: run scripts/setup`));
      return;
    }
    for (const line of run.lines)
      test(line.sentence, () => {
        expect(line.ok, line.notes).toBe(true);
      });
    test("runs to its end, without a finding of the sanitizers", () => {
      const failed = run.lines.some((line) => !line.ok);
      expect(run.planned, run.trouble).toBe(run.lines.length);
      expect(run.status, run.trouble).toBe(failed ? 1 : 0);
    });
  });
}
