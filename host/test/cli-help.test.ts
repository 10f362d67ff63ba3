import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import type { Command } from "commander";
import { describe, expect, it, onTestFinished } from "vitest";

import { createProgram } from "../src/cli/program.js";
import { completionScript, SHELLS } from "../src/completion/index.js";
import { errorId } from "../src/errors.js";
import { ERRORS } from "../src/generated/errors.js";
import { edgeplug } from "./support/run-cli.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

interface Line {
  code: number;
  name: string;
  exit: number;
  cause: string;
  action: string;
}

const LIST = JSON.parse(read("proto/errors.json")) as Line[];

function all(command: Command, path = command.name()): [string, Command][] {
  return [[path, command], ...command.commands.flatMap((child) => all(child, `${path} ${child.name()}`))];
}

function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({ writeOut: (part) => (text += part) });
  command.outputHelp();
  return text;
}

describe("help without examples", () => {
  it("is what no command has", async () => {
    const commands = all(await createProgram("all"));
    expect(commands.length).toBeGreaterThan(25);
    const bare = commands.filter(([, command]) => !/\nExamples?:\n {2}\S/.test(helpOf(command)));
    expect(bare.map(([path]) => path)).toEqual([]);
  });
});

describe("edgeplug dev and monitor", () => {
  it("say that --json prints more than one object", () => {
    for (const command of ["dev", "monitor"])
      expect(edgeplug([command, "--help"]).stdout).toMatch(/--json +print one JSON object a line\n/);
  });

  it.each(["--baud 9600", "--ca x", "--trust x", "--token-file x", "--client-cert x", "--client-key x"])(
    "dev refuses %s for a board that it starts itself",
    (words) => {
      const { code, stderr } = edgeplug(["dev", ...words.split(" ")]);
      expect(code).toBe(2);
      expect(stderr).toContain(`${words.split(" ")[0] ?? ""} is about a board that --device names`);
    },
  );
});

describe("edgeplug explain", () => {
  it("knows every code by number and by name, and names a page and a heading that are there", () => {
    const run = edgeplug(["explain", "--json"]);
    const lines = run.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Line & { error: string; docs: string });
    const about = (code: string): string | undefined => lines.find(({ error }) => error === code)?.docs;
    for (const code of ["EP3020", "EP5013"])
      expect(about(code), code).toBe("docs/agents.md#trying-beside-the-running-agent-shadow-mode");
    expect(lines.map(({ error }) => error)).toEqual(LIST.map(({ code }) => errorId(code)));
    for (const { error, docs } of lines) {
      const [page = "", heading] = docs.split("#");
      expect(existsSync(join(ROOT, page)), `${error}: ${docs}`).toBe(true);
      if (heading !== undefined) expect(headings(read(page)), `${error}: ${docs}`).toContain(heading);
    }
  });

  it("takes a code as people write it, and suggests near ones for one that is not there", () => {
    const { PORT_BUSY } = ERRORS;
    for (const word of ["EP7003", "ep7003", "7003", "PORT_BUSY", "port-busy"]) {
      const { code, stdout } = edgeplug(["explain", word]);
      expect({ word, code }).toEqual({ word, code: 0 });
      for (const part of [
        "EP7003 PORT_BUSY",
        PORT_BUSY.cause,
        PORT_BUSY.action,
        "exit code 73",
        "docs/cli.md#",
      ])
        expect(stdout).toContain(part);
    }
    const wrong = edgeplug(["explain", "PROT_BUSY"]);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain("Did you mean EP7003 PORT_BUSY");
  });
});

/** As GitHub makes anchors of headings. */
function headings(page: string): string[] {
  return [...page.matchAll(/^#+ (.+)$/gm)].map(([, text = ""]) =>
    text
      .toLowerCase()
      .replace(/[^\w\s-]/g, "")
      .replace(/\s+/g, "-"),
  );
}

describe("docs/cli.md", () => {
  it("lists each exit code once, with exactly the errors that end with it", () => {
    const section = /\n## Exit codes\n([\s\S]*?)\n## /.exec(read("docs/cli.md"))?.[1] ?? "";
    const table = new Map(
      [...section.matchAll(/^\| (\d+) +\|[^|]*\| ([^|]*)\|$/gm)].map(([, exit, errors = ""]) => [
        Number(exit),
        [...errors.matchAll(/EP\d{4}/g)].map(([id]) => id),
      ]),
    );
    const expected = new Map<number, string[]>();
    for (const { exit, code } of LIST) expected.set(exit, [...(expected.get(exit) ?? []), errorId(code)]);
    expect(table.get(0)).toEqual([]);
    table.delete(0);
    expect(Object.fromEntries(table)).toEqual(Object.fromEntries(expected));
  });

  it("shows every command and every option of edgeplug-push", async () => {
    const page = read("docs/cli.md");
    const commands = all(await createProgram("all")).filter(([, command]) => command.commands.length === 0);
    const help = spawnSync(process.execPath, [join(ROOT, "tools/edgeplug-push/dist/main.js"), "--help"]);
    const options = [...help.stdout.toString().matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)].map(
      ([, option = ""]) => option,
    );
    expect(options).toContain("--dry-run");
    const wanted = [...commands.map(([path]) => path), ...options];
    expect(wanted.filter((word) => !page.includes(word))).toEqual([]);
  });

  it("names tests that are there", () => {
    const section =
      /\n## Complaints, and the tests that do them\n([\s\S]*?)(\n## |$)/.exec(read("docs/cli.md"))?.[1] ?? "";
    const rows = [...section.matchAll(/^\| [^|]+\| `([^`]+)` *\| ([^|]+)\|$/gm)];
    expect(rows).toHaveLength(20);
    for (const [, file = "", name = ""] of rows) {
      const source = read(file).replace(/\s+/g, " ");
      const parts = name.split(";").map((part) => part.trim());
      expect(parts.filter((part) => !source.includes(part))).toEqual([]);
    }
  });
});

describe("shell completion", () => {
  /** What a shell offers where the last word is being typed. */
  const ASK = {
    bash: (script: string, words: string[]) => [
      "-c",
      `${script}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}
       _edgeplug; printf '%s\\n' "\${COMPREPLY[@]}"`,
    ],
    fish: (script: string, words: string[]) => ["-c", `${script}\ncomplete -C '${words.join(" ")}'`],
  };

  const offered = async (shell: "bash" | "fish", ...words: string[]): Promise<string[]> => {
    const script = completionScript(shell, await createProgram("all"));
    const { stdout, stderr } = spawnSync(shell, ASK[shell](script, words), { encoding: "utf8", cwd: ROOT });
    expect(stderr).toBe("");
    return stdout
      .split("\n")
      .map((line) => line.split("\t")[0] ?? "")
      .filter((line) => line !== "")
      .sort();
  };

  for (const shell of ["bash", "fish"] as const) {
    it(`in ${shell} offers what commander defines, at every place`, async () => {
      const program = await createProgram("all");
      const names = program.commands.map((command) => command.name()).sort();
      expect(await offered(shell, "edgeplug", "")).toEqual(names);
      expect(await offered(shell, "edgeplug", "board", "keys", "")).toEqual([
        "add",
        "list",
        "remove",
        "replace",
      ]);
      expect(await offered(shell, "edgeplug", "board", "run", "--board", "")).toEqual([
        "qemu",
        "renode",
        "sim",
      ]);
      expect(await offered(shell, "edgeplug", "monitor", "--unt")).toEqual(["--until"]);
      expect(await offered(shell, "edgeplug", "inspect", "READ")).toEqual(["README.md"]);
    });
  }

  it("scripts of all shells are well-formed", async () => {
    const folder = mkdtempSync(join(tmpdir(), "edgeplug-completion-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const program = await createProgram("all");
    for (const shell of SHELLS) {
      const file = join(folder, `completion.${shell}`);
      writeFileSync(file, completionScript(shell, program));
      const { status, stderr } = spawnSync(shell, ["-n", file]);
      expect({ shell, status, stderr: stderr.toString() }).toEqual({ shell, status: 0, stderr: "" });
    }
  });
});
