// What strangers get: the package as npm packs it.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const SIM = fileURLToPath(new URL("../../../firmware/boards/sim", import.meta.url));

interface Manifest {
  readonly exports: Record<string, { readonly types: string; readonly default: string }>;
  readonly scripts?: Record<string, string>;
  readonly dependencies?: Record<string, string>;
}

const manifest = JSON.parse(readFileSync(join(HERE, "package.json"), "utf8")) as Manifest;

let folder = "";
let installed = "";
let files: string[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "harness-pack-"));
  const packed = execFileSync("npm", ["pack", "--json", "--silent", "--pack-destination", folder], {
    cwd: HERE,
    encoding: "utf8",
  });
  const [{ filename, files: list }] = JSON.parse(packed) as [{ filename: string; files: { path: string }[] }];
  files = list.map(({ path }) => path);
  installed = join(folder, "node_modules/renode-test-harness");
  mkdirSync(installed, { recursive: true });
  execFileSync("tar", ["-xzf", join(folder, filename), "--strip-components=1", "-C", installed]);
  mkdirSync(join(folder, "node_modules/@edgeplug"));
  symlinkSync(SIM, join(folder, "node_modules/@edgeplug/sim"));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe("the package", () => {
  it("has its entry points with their types, Renode's parts and the README, and nothing else", () => {
    for (const { types, default: code } of Object.values(manifest.exports))
      expect(files).toEqual(expect.arrayContaining([types.slice(2), code.slice(2)]));
    const parts = readdirSync(join(HERE, "renode"), { recursive: true, encoding: "utf8" });
    const renode = parts.filter((name) => /\.\w+$/.test(name)).map((name) => `renode/${name}`);
    expect(renode.length).toBeGreaterThan(12);
    expect(files).toEqual(expect.arrayContaining([...renode, "README.md", "package.json"]));
    const sources = readdirSync(join(HERE, "src")).map((name) => name.replace(/\.ts$/, ""));
    const others = files.filter(
      (path) =>
        !renode.includes(path) &&
        !["README.md", "package.json"].includes(path) &&
        !sources.some((name) => path === `dist/${name}.js` || path === `dist/${name}.d.ts`),
    );
    expect(others).toEqual([]);
  });

  it("runs nothing when it is installed, and needs no package but the board in this process", () => {
    expect(Object.keys(manifest.scripts ?? {})).toEqual([]);
    expect(Object.keys(manifest.dependencies ?? {})).toEqual(["@edgeplug/sim"]);
  });

  it("works from where it is installed, without vitest", () => {
    const script = `
      import { existsSync } from "node:fs";
      import { STM32L552, withBoard } from "renode-test-harness";
      import { says } from "renode-test-harness/assert";
      import { boardTest } from "renode-test-harness/node-test";
      const missing = [STM32L552.description, ...STM32L552.models].filter((path) => !existsSync(path));
      const time = await withBoard({ backend: "sim", paused: true }, async (board) => {
        await board.runFor(20);
        return board.virtualTime();
      });
      console.log(JSON.stringify({ missing, ran: time >= 20, kinds: [typeof says, typeof boardTest] }));`;
    const output = execFileSync(process.execPath, ["--input-type=module", "-e", script], {
      cwd: dirname(dirname(installed)),
      encoding: "utf8",
    });
    expect(JSON.parse(output)).toEqual({ missing: [], ran: true, kinds: ["function", "function"] });
  });
});
