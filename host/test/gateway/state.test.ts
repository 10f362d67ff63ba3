import { spawnSync } from "node:child_process";
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { describe, expect, it, onTestFinished } from "vitest";

import { GatewayState } from "../../src/gateway/state.js";
import { folderWith } from "../support/files.js";
import { GatewayChild } from "../support/gateway-child.js";
import { printedSeed, TestRandom } from "../support/random.js";

const TABLE = ["CREATE TABLE pairs (number INTEGER PRIMARY KEY, half TEXT NOT NULL, filler BLOB)"];

/** Writes pairs of rows, two in a transaction, and says each number when it is stored. */
const WRITER = `
  const { GatewayState } = await use("state.js");
  const state = GatewayState.open(process.argv[1]);
  state.migrate("pairs", ${JSON.stringify(TABLE)});
  let number = Number(state.all("SELECT coalesce(max(number), 0) AS top FROM pairs")[0].top);
  for (;;) {
    state.transaction(() => {
      for (const half of ["left", "right"])
        state.run("INSERT INTO pairs VALUES (?, ?, ?)", [++number, half, new Uint8Array(9000)]);
    });
    say(String(number));
  }`;

function openState(folder: string): GatewayState {
  const state = GatewayState.open(folder);
  onTestFinished(() => state.close());
  return state;
}

describe("after kill -9", () => {
  it("everything that was acknowledged is in the database, and of no transaction only a half", async () => {
    const folder = join(folderWith(), "state");
    const random = new TestRandom(printedSeed("kill -9 in the middle of writes"));
    let acknowledged = 0;
    for (let round = 0; round < 4; round++) {
      const child = GatewayChild.start(WRITER, { args: [folder] });
      onTestFinished(() => child.kill());
      for (let lines = 1 + random.below(40); lines > 0; lines--) acknowledged = Number(await child.line());
      await child.kill();
      acknowledged = Math.max(acknowledged, ...child.seen.map(Number));
      const state = GatewayState.open(folder);
      const [row] = state.all(
        "SELECT count(*) AS rows, max(number) AS top, sum(half = 'left') AS lefts FROM pairs",
      );
      state.close();
      expect(row?.["rows"]).toBe(row?.["top"]);
      expect(Number(row?.["top"])).toBeGreaterThanOrEqual(acknowledged);
      expect(Number(row?.["lefts"]) * 2).toBe(row?.["rows"]);
    }
  });

  it("a large transaction that had begun to reach the disk is undone", async () => {
    const folder = join(folderWith(), "state");
    const child = GatewayChild.start(
      `const { GatewayState } = await use("state.js");
       const state = GatewayState.open(process.argv[1]);
       state.migrate("pairs", ${JSON.stringify(TABLE)});
       state.transaction(() => {
         for (let n = 1; n <= 2000; n++) state.run("INSERT INTO pairs VALUES (?, 'old', ?)", [n, new Uint8Array(1000)]);
       });
       state.all("PRAGMA cache_size = 10"); // pages leave the memory before the end of the transaction
       state.transaction(() => {
         state.run("UPDATE pairs SET half = 'new'");
         say("begun");
         process.kill(process.pid, "SIGKILL");
       });`,
      { args: [folder] },
    );
    onTestFinished(() => child.kill());
    await child.lineThat((line) => line === "begun");
    await child.kill();
    const rows = openState(folder).all("SELECT half, count(*) AS n FROM pairs GROUP BY half");
    expect(rows).toEqual([{ half: "old", n: 2000 }]);
  });
});

describe("a state folder", () => {
  it("belongs to one process, which a second one names", async () => {
    const folder = join(folderWith(), "state");
    const child = GatewayChild.start(WRITER, { args: [folder] });
    onTestFinished(() => child.kill());
    await child.line();
    expect(() => GatewayState.open(folder)).toThrowError(
      expect.objectContaining({
        code: "GATEWAY_STATE",
        message: expect.stringContaining(`process ${child.pid}`) as string,
      }) as Error,
    );
    await child.kill();
    openState(folder);
  });

  it("is not held by a dead process whose number another one has now", () => {
    const folder = join(folderWith(), "state");
    GatewayState.open(folder).close();
    const owner = { pid: process.ppid, run: "another-boot 1", kind: "gateway" };
    writeFileSync(join(folder, "gateway.pid"), JSON.stringify(owner));
    openState(folder);
    expect(JSON.parse(readFileSync(join(folder, "gateway.pid"), "utf8"))).toMatchObject({ pid: process.pid });
  });

  it("and all in it can be read by its user only", () => {
    const folder = join(folderWith(), "deep", "state");
    const state = openState(folder);
    state.migrate("pairs", TABLE);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(folder)) {
      const stats = statSync(join(folder, name));
      if (stats.isFile()) expect(stats.mode & 0o077, name).toBe(0);
    }
  });

  it("that others can read and that has other people's files in it is refused, and left as it is", () => {
    const folder = folderWith({ "letter.txt": "private" });
    mkdirSync(join(folder, "open"), { mode: 0o755 });
    writeFileSync(join(folder, "open", "letter.txt"), "");
    expect(() => GatewayState.open(join(folder, "open"))).toThrowError(/can be read by others/);
    expect(statSync(join(folder, "open")).mode & 0o777).toBe(0o755);
  });
});

describe("root", () => {
  it("leaves no files in another user's state folder that this user could not read", (context) => {
    if (process.getuid?.() !== 0) return context.skip("needs root");
    const folder = join(folderWith(), "state");
    GatewayState.open(folder).close();
    chownSync(join(folder, "gateway.db"), 65534, 65534);
    expect(() => GatewayState.open(folder)).toThrowError(/uid 65534/);
    expect(readdirSync(folder)).toEqual(["gateway.db"]);
  });
});

describe("a damaged database", () => {
  it.each([
    ["overwritten from the start", 0],
    ["overwritten in the middle", 8192],
  ])("%s is named and never replaced", (_how, at) => {
    const folder = join(folderWith(), "state");
    const state = GatewayState.open(folder);
    state.migrate("pairs", TABLE);
    for (let n = 1; n <= 50; n++)
      state.run("INSERT INTO pairs VALUES (?, 'left', ?)", [n, new Uint8Array(500)]);
    state.close();
    const file = join(folder, "gateway.db");
    const bytes = readFileSync(file);
    bytes.fill(0xa5, at, at + 2048);
    writeFileSync(file, bytes);
    expect(() => GatewayState.open(folder)).toThrowError(
      expect.objectContaining({
        code: "GATEWAY_STATE",
        message: expect.stringContaining(file) as string,
        action: expect.stringContaining("backup") as string,
      }) as Error,
    );
    expect(readFileSync(file).equals(bytes)).toBe(true);
    expect(existsSync(join(folder, "gateway.pid"))).toBe(false);
  });
});

describe("a database that is gone", () => {
  it("is not begun anew beside its own write-ahead log", async () => {
    const folder = join(folderWith(), "state");
    const child = GatewayChild.start(WRITER, { args: [folder] });
    onTestFinished(() => child.kill());
    await child.line();
    await child.kill();
    rmSync(join(folder, "gateway.db"));
    expect(() => GatewayState.open(folder)).toThrowError(/gateway\.db is gone/);
    rmSync(join(folder, "gateway.db-wal"));
    openState(folder);
  });
});

/** Writes until it can't, says why, and goes on when it is told that there is room. */
const FILLER = `
  const { GatewayState } = await use("state.js");
  const { AuditLog, verifyAudit, knownHead } = await use("audit.js");
  const state = GatewayState.open(process.argv[1]);
  state.migrate("pairs", ${JSON.stringify(TABLE)});
  const audit = AuditLog.openIn(state);
  let stored = 0, audited = 0;
  const attempt = (act) => { try { act(); return "ok"; } catch (error) { return error.code + ": " + error.message; } };
  const store = () => { state.run("INSERT INTO pairs VALUES (?, 'x', ?)", [stored + 1, new Uint8Array(8000)]); stored++; };
  const note = () => { audit.append({ who: "x", what: "fill", detail: "y".repeat(1900), outcome: "ok" }); audited++; };
  let problem;
  do problem = attempt(() => { store(); note(); }); while (problem === "ok");
  say(problem);
  while (attempt(note) === "ok");
  say("full");
  process.stdin.once("data", () => {
    say(attempt(store) + " " + attempt(note));
    const rows = Number(state.all("SELECT count(*) AS n FROM pairs")[0].n);
    const report = verifyAudit(audit.path, { head: knownHead(state) });
    say(JSON.stringify({ rows, stored, entries: report.entries, audited, ok: report.ok, sound: state.all("PRAGMA integrity_check") }));
    process.exit();
  });`;

async function afterFull(child: GatewayChild, makeRoom: () => void): Promise<void> {
  await child.lineThat((line) => line === "full");
  makeRoom();
  child.tell("room");
  expect(await child.line()).toBe("ok ok");
  const after = JSON.parse((await child.line()) ?? "") as Record<string, unknown>;
  expect(after).toMatchObject({ ok: true, sound: [{ integrity_check: "ok" }] });
  expect(after["rows"]).toBe(after["stored"]);
  expect(after["entries"]).toBe(after["audited"]);
}

describe("a full disk", () => {
  it("is said in words, loses nothing, and is no matter once there is room", async (context) => {
    const disk = folderWith();
    if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=600k", "tmpfs", disk]).status !== 0)
      return context.skip("needs a disk of its own, which only root may mount");
    onTestFinished(() => void spawnSync("umount", ["-l", disk]));
    writeFileSync(join(disk, "ballast"), new Uint8Array(200_000));
    const child = GatewayChild.start(FILLER, { args: [join(disk, "state")] });
    onTestFinished(() => child.kill());
    expect(await child.line()).toMatch(/^GATEWAY_STATE: .*the disk is full/);
    await afterFull(child, () => rmSync(join(disk, "ballast")));
  });

  it("and so it is with files that may not grow", async (context) => {
    if (spawnSync("prlimit", ["--version"]).status !== 0) return context.skip("needs prlimit");
    const child = GatewayChild.start(FILLER, { args: [join(folderWith(), "state")], fileSizeLimit: 200_000 });
    onTestFinished(() => child.kill());
    expect(await child.line()).toMatch(/^GATEWAY_STATE: /);
    await afterFull(child, () => spawnSync("prlimit", [`--pid=${child.pid}`, "--fsize=unlimited"]));
  });
});
