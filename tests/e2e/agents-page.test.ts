/** docs/agents.md, from its first command to its last, with the files that it shows. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

import { expect, it, onTestFinished } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const LONG_MS = 600_000;

/** The page as one script: commands as they stand, files written where they are shown. */
function script(page: string): { lines: string[]; commands: number; files: number } {
  const lines: string[] = [];
  let [commands, files] = [0, 0];
  for (const [, file, language, body = ""] of page.matchAll(
    /(?:^`([\w./-]+)`:\n\n)?^```(\w+)\n([\s\S]*?)^```$/gm,
  )) {
    if (file !== undefined) {
      files++;
      lines.push(`mkdir -p "$(dirname ${file})"`, `cat > ${file} <<'END-OF-FILE'`, `${body}END-OF-FILE`);
    } else if (language === "sh") {
      commands += body.trimEnd().split("\n").length;
      lines.push(body.trimEnd());
    } else throw new Error(`a block of ${language} that is neither run nor written: ${body.slice(0, 60)}`);
  }
  return { lines, commands, files };
}

it(
  "every command on the page about agents works, in the order of the page",
  async () => {
    const { lines, commands, files } = script(readFileSync(join(ROOT, "docs/agents.md"), "utf8"));
    expect(commands).toBeGreaterThan(25);
    expect(files).toBeGreaterThan(7);
    const cwd = mkdtempSync(join(tmpdir(), "edgeplug-page-"));
    onTestFinished(() => rmSync(cwd, { recursive: true, force: true }));
    const env = {
      ...process.env,
      PATH: `${join(ROOT, "node_modules/.bin")}${delimiter}${process.env["PATH"]}`,
      XDG_CACHE_HOME: join(cwd, "cache"),
    };
    const { code, output } = await new Promise<{ code: unknown; output: string }>((resolve) => {
      const child = execFile("bash", ["-ex"], { cwd, env, maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
        resolve({ code: error?.code ?? 0, output: `${stdout}\n${stderr}` });
      });
      child.stdin?.end(lines.join("\n"));
    });
    expect({ code, output: code === 0 ? "" : output.slice(-6000) }).toEqual({ code: 0, output: "" });
    expect(output).toContain("my-agent 2.0.0");
    expect(output).toContain("cbf43926");
    expect(output).toMatch(/output smooth \(%\)/);
  },
  LONG_MS,
);
