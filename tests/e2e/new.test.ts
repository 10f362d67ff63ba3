/** `edgeplug new`, and all the way from there to a board. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const COMMANDS = {
  edgeplug: "host/dist/cli/main.js",
  "edgeplug-push": "tools/edgeplug-push/dist/main.js",
  tsc: "node_modules/typescript/bin/tsc",
};
const LONG_MS = 180_000;

interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

function run(cwd: string, file: string, args: readonly string[]): Promise<Ran> {
  const env = {
    ...process.env,
    PATH: `${join(ROOT, "node_modules/.bin")}${delimiter}${process.env["PATH"]}`,
  };
  return new Promise((resolve) => {
    execFile(file, args, { cwd, env, encoding: "utf8" }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === "number" ? error.code : error ? -1 : 0, stdout, stderr });
    });
  });
}

const command = (cwd: string, name: keyof typeof COMMANDS, ...args: string[]): Promise<Ran> =>
  run(cwd, process.execPath, [join(ROOT, COMMANDS[name]), ...args]);

describe("edgeplug new", () => {
  let place = "";
  beforeAll(() => {
    place = mkdtempSync(join(tmpdir(), "edgeplug-new-"));
  });
  afterAll(() => {
    rmSync(place, { recursive: true, force: true });
  });

  for (const template of ["control", "request"] as const) {
    it(
      `makes a ${template} agent whose printed commands lead from its test to a board`,
      async () => {
        const made = await command(place, "edgeplug", "new", `my-${template}`, "--template", template);
        expect(made).toMatchObject({ code: 0, stderr: "" });
        const next = [...made.stdout.matchAll(/^ {2}(.*?)(?: +#.*)?$/gm)].map(([, line = ""]) => line);
        expect(next).toEqual([
          `cd my-${template}`,
          "npm test",
          "edgeplug dev",
          "edgeplug build",
          "edgeplug pack",
          "edgeplug-push --device sim: build/agent.epk",
        ]);
        // dev goes on until somebody ends it; dev.test.ts does
        const first = next.slice(0, 5).filter((line) => line !== "edgeplug dev");
        const script = first.concat("edgeplug verify build/agent.epk").join(" && ");
        const { code, stdout, stderr } = await run(place, "sh", ["-ec", script]);
        expect({ code, stderr: code === 0 ? "" : stderr + stdout }).toEqual({ code: 0, stderr: "" });
        expect(stdout).toMatch(/Tests .*passed/);
        expect(stdout).toContain("V8 and the board's engine agree");
        const folder = join(place, `my-${template}`);
        const push = await command(folder, "edgeplug-push", "--device", "sim:", "build/agent.epk");
        expect(push, push.stderr).toMatchObject({ code: 0 });
        expect(push.stdout).toContain("stays");
      },
      LONG_MS,
    );
  }

  it(
    "has settings by which types show in an editor, and the compiler's errors at their line",
    async () => {
      await command(place, "edgeplug", "new", "typed");
      const folder = join(place, "typed");
      for (const project of ["assembly", "."])
        expect(await command(folder, "tsc", "--noEmit", "-p", project), project).toMatchObject({
          code: 0,
          stdout: "",
        });
      const source = join(folder, "assembly/index.ts");
      writeFileSync(source, readFileSync(source, "utf8").replace("output(SMOOTH,", "outptu(SMOOTH,"));
      expect((await command(folder, "tsc", "--noEmit", "-p", "assembly")).stdout).toMatch(
        /^assembly\/index\.ts\(\d+,3\): error TS2552: .*outptu/,
      );
      const { stderr, code } = await command(folder, "edgeplug", "build");
      expect(code).toBe(12);
      const { tasks } = JSON.parse(readFileSync(join(folder, ".vscode/tasks.json"), "utf8")) as {
        tasks: { problemMatcher: { pattern: Record<string, string | number>[] } }[];
      };
      const lines = stderr.split("\n");
      const pattern = tasks[0]?.problemMatcher.pattern ?? [];
      const at = lines.findIndex((line) => line.startsWith("ERROR"));
      const found = pattern.map(({ regexp }, index) =>
        new RegExp(String(regexp)).exec(lines[at + index] ?? ""),
      );
      expect(
        found.every((match) => match !== null),
        stderr,
      ).toBe(true);
      const { file, line, column } = pattern.at(-1) ?? {};
      expect([file, line, column].map((group) => found.at(-1)?.[Number(group)])).toEqual([
        "assembly/index.ts",
        expect.stringMatching(/^\d+$/),
        "3",
      ]);
    },
    LONG_MS,
  );

  it("refuses names that can't be one, and folders with something in them, and leaves these alone", async () => {
    for (const name of ["My-Agent", "9lives", "with space", "a-name-of-21-letters-", "-x-"]) {
      const { code, stderr } = await command(place, "edgeplug", "new", "--", name);
      expect({ name, code }).toEqual({ name, code: 2 });
      expect(stderr).toMatch(/^error EP1001: .*\n {2}try: /);
    }
    mkdirSync(join(place, "taken"));
    writeFileSync(join(place, "taken/notes"), "mine");
    const taken = await command(place, "edgeplug", "new", "taken", "--json");
    expect(taken.code).toBe(10);
    expect(JSON.parse(taken.stdout)).toMatchObject({ error: "EP1004", name: "FILE_EXISTS" });
    expect(readFileSync(join(place, "taken/notes"), "utf8")).toBe("mine");
    expect(existsSync(join(place, "taken/agent.json"))).toBe(false);
    writeFileSync(join(place, "file"), "");
    expect((await command(place, "edgeplug", "new", "file")).code).toBe(10);
    mkdirSync(join(place, "empty"));
    const empty = await command(place, "edgeplug", "new", "empty", "--json");
    expect(JSON.parse(empty.stdout)).toMatchObject({ name: "empty", template: "control", ready: true });
  });
});
