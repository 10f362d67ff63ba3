import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { announceBoard, runningBoards, startBoard, boardFixture, type Board } from "../src/index.js";

const DIST = new URL("../dist/index.js", import.meta.url).href;
const SELFTEST = new URL("../../../build/sim/selftest.wasm", import.meta.url);

let folder = "";
const before = process.env["XDG_RUNTIME_DIR"];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "harness-test-"));
  process.env["XDG_RUNTIME_DIR"] = folder;
});

afterEach(() => {
  if (before === undefined) delete process.env["XDG_RUNTIME_DIR"];
  else process.env["XDG_RUNTIME_DIR"] = before;
  rmSync(folder, { recursive: true });
});

describe("the list of running boards", () => {
  it("shows a board until it is withdrawn", () => {
    expect(runningBoards()).toEqual([]);
    const withdraw = announceBoard({ name: "bench/1", backend: "qemu", port: "/dev/pts/7" });
    expect(runningBoards()).toEqual([
      { name: "bench/1", backend: "qemu", port: "/dev/pts/7", pid: process.pid },
    ]);
    withdraw();
    expect(runningBoards()).toEqual([]);
  });

  it.each([
    ["exits", "process.exit(0)"],
    ["is killed", "process.kill(process.pid, 'SIGKILL')"],
  ])("forgets the boards of a process that %s", (_, end) => {
    const script = `const { announceBoard } = await import(${JSON.stringify(DIST)});
      announceBoard({ name: "gone", backend: "sim", port: "/tmp/gone" }); ${end}`;
    spawnSync(process.execPath, ["--input-type=module", "-e", script]);
    expect(runningBoards()).toEqual([]);
  });
});

describe("the fixture", () => {
  it("gives a running board and closes it, also when the test fails", async () => {
    const fixture = boardFixture({ backend: "sim", wasm: SELFTEST });
    let seen: Board | undefined;
    const failing = fixture({}, async (board) => {
      seen = board;
      expect(board.powered).toBe(true);
      await Promise.reject(new Error("the test failed"));
    });
    await expect(failing).rejects.toThrow("the test failed");
    expect(seen?.powered).toBe(false);
  });

  it("starts whatever backend is named", async () => {
    const board = await startBoard({ backend: "sim", wasm: SELFTEST });
    expect(board.backend).toBe("sim");
    await board.close();
  });
});
