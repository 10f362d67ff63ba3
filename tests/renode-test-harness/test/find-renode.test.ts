import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { findRenode, RENODE_MISSING } from "../src/index.js";

const DIST = new URL("../dist/index.js", import.meta.url).href;

let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "harness-test-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function put(path: string, text: string, mode = 0o755): string {
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

const RENODE = "#!/bin/sh\necho 'Renode v1.16.1.13220'\necho '  build: 2026'\n";

describe("looking for Renode", () => {
  it("finds it on the PATH, with its version", () => {
    const path = put(join(folder, "renode"), RENODE);
    expect(findRenode({ PATH: `/nowhere:${folder}` })).toEqual({ path, version: "1.16.1" });
  });

  it("goes by RENODE first: the program, or the folder with it", () => {
    const program = put(join(folder, "my-renode"), RENODE);
    const other = join(folder, "other");
    mkdirSync(other);
    put(join(other, "renode"), RENODE.replace("1.16.1", "1.15.3"));
    expect(findRenode({ RENODE: program, PATH: other })?.path).toBe(program);
    expect(findRenode({ RENODE: other, PATH: "" })).toEqual({
      path: join(other, "renode"),
      version: "1.15.3",
    });
  });

  it("finds nothing where there is none: a folder, a file that is no program, one that isn't Renode", () => {
    expect(findRenode({ PATH: folder })).toBeUndefined();
    mkdirSync(join(folder, "renode"));
    expect(findRenode({ PATH: folder })).toBeUndefined();
    rmSync(join(folder, "renode"), { recursive: true });
    put(join(folder, "renode"), RENODE, 0o644);
    expect(findRenode({ PATH: folder })).toBeUndefined();
    expect(findRenode({ RENODE: put(join(folder, "else"), "#!/bin/sh\necho hello\n") })).toBeUndefined();
    expect(findRenode({ RENODE: put(join(folder, "fails"), "#!/bin/sh\nexit 1\n") })).toBeUndefined();
  });

  it("says once a process which it is, or that tests are skipped", () => {
    const script = `const { renodeOrSkip } = await import(${JSON.stringify(DIST)}); renodeOrSkip(); renodeOrSkip();`;
    const say = (environment: NodeJS.ProcessEnv): string =>
      spawnSync(process.execPath, ["--input-type=module", "-e", script], {
        env: environment,
        encoding: "utf8",
      }).stderr;
    expect(say({ PATH: "/nowhere" })).toBe(`${RENODE_MISSING}\n`);
    const path = put(join(folder, "renode"), RENODE);
    expect(say({ PATH: `${folder}:/bin:/usr/bin` })).toBe(`Renode 1.16.1: ${path}\n`);
  });
});
