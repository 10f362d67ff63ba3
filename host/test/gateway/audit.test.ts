import { spawnSync } from "node:child_process";
import { appendFileSync, copyFileSync, existsSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { GENESIS, writeEntry } from "../../src/gateway/audit-entry.js";
import { rotateAudit } from "../../src/gateway/audit-rotate.js";
import {
  AUDIT_FILE,
  AuditLog,
  knownHead,
  verifyAudit,
  type AuditLink,
  type AuditReport,
} from "../../src/gateway/audit.js";
import { splitLines, verifyLines, type VerifyOptions } from "../../src/gateway/audit-verify.js";
import { FailedLogins } from "../../src/gateway/failed-logins.js";
import { GatewayState } from "../../src/gateway/state.js";
import { folderWith } from "../support/files.js";
import { GatewayChild } from "../support/gateway-child.js";
import { printedSeed, TestRandom } from "../support/random.js";
import { edgeplug } from "../support/run-cli.js";

const ENTRY = { who: "maria", address: "192.0.2.7", what: "deploy", device: "a1b2", outcome: "ok" };

/** A log of a gateway that has ended, and where its database says that it ends. */
function endedLog(entries = 4): { folder: string; path: string; head: AuditLink | undefined } {
  const folder = join(folderWith(), "state");
  const head = inLog(folder, (log, state) => {
    for (let n = 1; n <= entries; n++) log.append({ ...ENTRY, detail: `number ${n}` });
    return knownHead(state);
  });
  return { folder, path: join(folder, AUDIT_FILE), head };
}

function inLog<T>(folder: string, act: (log: AuditLog, state: GatewayState) => T, now?: () => Date): T {
  const state = GatewayState.open(folder);
  try {
    const log = AuditLog.openIn(state, now === undefined ? {} : { now });
    try {
      return act(log, state);
    } finally {
      log.close();
    }
  } finally {
    state.close();
  }
}

function lines(path: string): string[] {
  return readFileSync(path, "utf8").split("\n").slice(0, -1);
}

describe("verification finds", () => {
  let path: string;
  let head: AuditLink | undefined;
  let original: Buffer;

  beforeAll(() => {
    ({ path, head } = endedLog(3));
    original = readFileSync(path);
  });

  const check = (bytes: Buffer, known: VerifyOptions = { head }): AuditReport =>
    verifyLines(splitLines([bytes]), known);

  it("nothing wrong with an honest log", () => {
    expect(check(original)).toMatchObject({ ok: true, entries: 3, endKnown: true, problems: [] });
  });

  it("every change of a single byte", () => {
    const random = new TestRandom(printedSeed("changed bytes of the audit log"));
    let line = 1;
    for (let at = 0; at < original.length; at++) {
      const bytes = Buffer.from(original);
      bytes[at] = (bytes[at] ?? 0) ^ (1 + random.below(255));
      const report = check(bytes);
      expect(report.ok, `byte ${at}`).toBe(false);
      expect(report.problems[0]?.line, `byte ${at}`).toBe(line);
      if (original[at] === 0x0a) line++;
    }
  });

  it("every byte that is taken out, and every one that is put in", () => {
    for (let at = 0; at < original.length; at++) {
      const without = Buffer.concat([original.subarray(0, at), original.subarray(at + 1)]);
      expect(check(without).ok, `without byte ${at}`).toBe(false);
      const twice = Buffer.concat([original.subarray(0, at + 1), original.subarray(at)]);
      expect(check(twice).ok, `byte ${at} twice`).toBe(false);
    }
  });

  it("every line that is taken out, doubled, or has changed its place, and says where", () => {
    const all = lines(path);
    const joined = (list: readonly string[]): Buffer => Buffer.from(list.map((line) => `${line}\n`).join(""));
    for (let at = 0; at < all.length; at++) {
      const without = check(joined(all.filter((_line, index) => index !== at)));
      expect(without.problems[0]).toMatchObject(
        at === all.length - 1 ? { kind: "end", line: at + 1 } : { kind: "missing", line: at + 1 },
      );
      const doubled = check(joined(all.flatMap((line, index) => (index === at ? [line, line] : [line]))));
      expect(doubled.problems[0]).toMatchObject({ line: at + 2 });
      for (let to = 0; to < all.length; to++) {
        const moved = [...all];
        moved.splice(to, 0, ...moved.splice(at, 1));
        if (to !== at) expect(check(joined(moved)).ok, `line ${at + 1} at ${to + 1}`).toBe(false);
      }
    }
  });

  it("every cut at the end", () => {
    for (let size = 0; size < original.length; size++)
      expect(check(original.subarray(0, size)).ok, `${size} bytes left`).toBe(false);
  });

  it("an entry that somebody else wrote, wherever in the chain it is put, with a hash that fits", () => {
    const all = lines(path);
    for (let at = 0; at <= all.length; at++) {
      const before = all[at - 1];
      const link = before === undefined ? GENESIS : (JSON.parse(before) as AuditLink);
      const forged = writeEntry({ ...ENTRY, who: "mallory" }, link, new Date()).line;
      const put = [...all.slice(0, at), forged, ...all.slice(at)];
      expect(check(Buffer.from(put.map((line) => `${line}\n`).join(""))).ok, `put in as line ${at + 1}`).toBe(
        false,
      );
    }
  });

  it("an entry that was replaced by another one with a hash that fits", () => {
    const all = lines(path);
    for (let at = 0; at < all.length; at++) {
      const before = all[at - 1];
      const link = before === undefined ? GENESIS : (JSON.parse(before) as AuditLink);
      const forged = writeEntry({ ...ENTRY, who: "mallory" }, link, new Date()).line;
      const bytes = Buffer.from(all.map((line, index) => `${index === at ? forged : line}\n`).join(""));
      expect(check(bytes).problems[0], `line ${at + 1}`).toMatchObject({ line: at + 2 });
    }
  });

  it("a chain that was made anew from some entry on", () => {
    const all = lines(path);
    let link: AuditLink = JSON.parse(all[0] ?? "") as AuditLink;
    const forged = [all[0] ?? ""];
    for (let n = 2; n <= all.length; n++) {
      const made = writeEntry({ ...ENTRY, who: "mallory" }, link, new Date());
      forged.push(made.line);
      link = made.link;
    }
    const bytes = Buffer.from(forged.map((line) => `${line}\n`).join(""));
    expect(check(bytes).problems).toMatchObject([{ kind: "end" }]);
    expect(check(bytes, {}).ok).toBe(true); // without anything that knows the end, nobody can tell
    expect(check(bytes, { expectHead: head?.hash }).ok).toBe(false);
  });
});

describe("after a crash", () => {
  it("a torn last line stays, and the next entry says what it is and what it was to be", () => {
    const { folder, path } = endedLog();
    const whole = lines(path);
    truncateSync(path, readFileSync(path).length - 30);
    const torn = readFileSync(path, "utf8").split("\n").at(-1) ?? "";
    const report = inLog(folder, (log, state) => verifyAudit(log.path, { head: knownHead(state) }));
    expect(report).toMatchObject({ ok: true, recovered: 1, entries: 4 });
    const after = lines(path);
    expect(after[3]).toBe(torn);
    const entry = JSON.parse(after[4] ?? "") as { what: string; detail: string; torn: { bytes: number } };
    expect(entry).toMatchObject({ what: "recovered", torn: { bytes: torn.length } });
    expect(entry.detail).toContain(whole[3]);
    inLog(folder, (log) => log.append(ENTRY));
    expect(verifyAudit(path)).toMatchObject({ ok: true, entries: 5 });
  });

  it("in the middle of closing a torn line, at any byte of it, the log is closed by the next start", () => {
    const { folder, path } = endedLog(2);
    truncateSync(path, readFileSync(path).length - 30);
    const before = readFileSync(path).length;
    inLog(folder, () => undefined);
    const closed = readFileSync(path);
    const files = ["gateway.db", AUDIT_FILE].map(
      (name) => [join(folder, name), readFileSync(join(folder, name))] as const,
    );
    const random = new TestRandom(printedSeed("cuts while a torn line is closed"));
    for (let round = 0; round < 12; round++) {
      for (const [file, bytes] of files) writeFileSync(file, bytes);
      truncateSync(path, before + (round < 2 ? round : random.below(closed.length - before)));
      const report = inLog(folder, (log, state) => verifyAudit(log.path, { head: knownHead(state) }));
      expect(report, `${readFileSync(path).length} bytes`).toMatchObject({ ok: true });
    }
  });

  it("kill -9 between any two writes loses no entry that was acknowledged, and breaks no chain", async () => {
    const folder = join(folderWith(), "state");
    const random = new TestRandom(printedSeed("kill -9 while entries are written"));
    let acknowledged = 0;
    for (let round = 0; round < 4; round++) {
      const child = GatewayChild.start(
        `const { GatewayState } = await use("state.js");
         const { AuditLog } = await use("audit.js");
         const log = AuditLog.openIn(GatewayState.open(process.argv[1]));
         for (;;) { log.append({ who: "x", what: "y", detail: "z".repeat(500), outcome: "ok" }); say(String(log.head.seq)); }`,
        { args: [folder] },
      );
      onTestFinished(() => child.kill());
      for (let count = 1 + random.below(20); count > 0; count--) await child.line();
      await child.kill();
      acknowledged = Math.max(acknowledged, ...child.seen.map(Number));
      const report = inLog(folder, (log, state) => verifyAudit(log.path, { head: knownHead(state) }));
      expect(report.ok).toBe(true);
      expect(report.head.seq).toBeGreaterThanOrEqual(acknowledged);
    }
  });

  it("a log whose last entry was cut off gets it back in words, since the database has it", () => {
    const { folder, path } = endedLog();
    const whole = lines(path);
    writeFileSync(
      path,
      whole
        .slice(0, 3)
        .map((line) => `${line}\n`)
        .join(""),
    );
    inLog(folder, () => undefined);
    expect((JSON.parse(lines(path)[3] ?? "") as { detail: string }).detail).toContain(whole[3]);
  });
});

describe("a gateway does not go on with a log that", () => {
  it.each<[string, (path: string) => void]>([
    ["lacks its last two entries", (path) => rewrite(path, (all) => all.slice(0, 2))],
    ["is gone", (path) => writeFileSync(path, "")],
    [
      "was changed in the middle",
      (path) => rewrite(path, (all) => all.map((line) => line.replace("number 2", "number 7"))),
    ],
    [
      "has a changed last line",
      (path) => rewrite(path, (all) => all.map((line) => line.replace("number 4", "number 7"))),
    ],
    ["has bytes after its end", (path) => appendFileSync(path, "{}")],
    [
      "has a forged entry at its end",
      (path) => {
        const last = JSON.parse(lines(path).at(-1) ?? "") as AuditLink;
        appendFileSync(path, `${writeEntry(ENTRY, last, new Date()).line}\n`);
      },
    ],
  ])("%s, and leaves it as it is", (_what, tamper) => {
    const { folder, path } = endedLog();
    tamper(path);
    const bytes = readFileSync(path);
    expect(() => inLog(folder, () => undefined)).toThrowError(
      expect.objectContaining({ code: "AUDIT_BROKEN" }) as Error,
    );
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  it("but with a new one that names the old one's SHA-256", () => {
    const { folder, path } = endedLog();
    rewrite(path, (all) => all.slice(1));
    const state = GatewayState.open(folder);
    const old = rotateAudit(state, "local:root");
    state.close();
    expect(existsSync(join(folder, old ?? ""))).toBe(true);
    expect(lines(path)).toHaveLength(1);
    expect(lines(path)[0]).toContain(old);
    inLog(folder, (log) => log.append(ENTRY));
    expect(verifyAudit(path)).toMatchObject({ ok: true, entries: 2 });
  });
});

function rewrite(path: string, change: (all: string[]) => string[]): void {
  writeFileSync(
    path,
    change(lines(path))
      .map((line) => `${line}\n`)
      .join(""),
  );
}

describe("a write that ends in the middle", () => {
  it("is taken back: the log ends with a whole entry, and goes on once there is room", async (context) => {
    if (spawnSync("prlimit", ["--version"]).status !== 0) return context.skip("needs prlimit");
    const path = join(folderWith(), AUDIT_FILE);
    const child = GatewayChild.start(
      `const { AuditLog, verifyAudit } = await use("audit.js");
       let line = "";
       const log = AuditLog.open(process.argv[1], { head: { read: () => line, write: (next) => { line = next; } } });
       const append = () => log.append({ who: "x", what: "y", detail: "z".repeat(700), outcome: "ok" });
       try { for (;;) append(); } catch (error) { say(error.code); }
       say(String(verifyAudit(log.path).ok && JSON.parse(line).seq === log.head.seq));
       process.stdin.once("data", () => { append(); say(String(verifyAudit(log.path).ok)); process.exit(); });`,
      { args: [path], fileSizeLimit: 10_000 },
    );
    onTestFinished(() => child.kill());
    expect(await child.line()).toBe("GATEWAY_STATE");
    expect(await child.line()).toBe("true");
    spawnSync("prlimit", [`--pid=${child.pid}`, "--fsize=unlimited"]);
    child.tell("room");
    expect(await child.line()).toBe("true");
  });
});

describe("a clock that goes back", () => {
  it("is written down, and stops nothing", () => {
    const times = ["2026-05-01T12:00:00Z", "2026-05-01T11:00:00Z", "2026-05-01T11:00:01Z"].map(
      (time) => new Date(time),
    );
    const folder = join(folderWith(), "state");
    inLog(
      folder,
      (log) => {
        for (let n = 0; n < 3; n++) log.append(ENTRY);
      },
      () => times.shift() ?? new Date(),
    );
    const path = join(folder, AUDIT_FILE);
    const entries = lines(path).map((line) => JSON.parse(line) as { what: string; detail?: string });
    expect(entries.map(({ what }) => what)).toEqual(["deploy", "clock-back", "deploy", "deploy"]);
    expect(entries[1]?.detail).toBe("3600 s");
    expect(verifyAudit(path)).toMatchObject({ ok: true, clockSteps: 1 });
  });
});

describe("edgeplug audit verify", () => {
  it("says that a log is whole, and notes its head", () => {
    const { folder, head } = endedLog();
    const run = edgeplug(["audit", "verify", "--state", folder, "--json"]);
    expect(run.code).toBe(0);
    expect(JSON.parse(run.stdout)).toMatchObject({
      ok: true,
      entries: 4,
      head: { seq: 4, hash: head?.hash },
    });
  });

  it("ends with AUDIT_BROKEN and the line, and does not touch the log that it looks at", () => {
    const { folder, path } = endedLog();
    truncateSync(path, readFileSync(path).length - 30);
    const bytes = readFileSync(path);
    const run = edgeplug(["audit", "verify", "--state", folder]);
    expect(run.code).toBe(88);
    expect(run.stderr).toContain("EP8011");
    expect(run.stdout).toContain(`${path}:4:`);
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  it("finds by a noted hash that a copy's end was cut off", () => {
    const { path, head } = endedLog();
    const copy = join(folderWith(), "copy.log");
    copyFileSync(path, copy);
    rewrite(copy, (all) => all.slice(0, 3));
    expect(edgeplug(["audit", "verify", copy]).code).toBe(0);
    expect(edgeplug(["audit", "verify", copy, "--expect-head", head?.hash ?? ""]).code).toBe(88);
  });
});

describe("failed logins", () => {
  it("of any number of addresses fill the log with a few lines a minute, and none is left uncounted", () => {
    let now = 0;
    const written: string[] = [];
    const failures = new FailedLogins({
      append: ({ address, detail }) => void written.push(`${address ?? "others"}: ${detail ?? ""}`),
      monotonicMs: () => now,
    });
    const tries = 30_000;
    for (let n = 0; n < tries; n++) {
      failures.note(`192.0.2.${n % 200}`, "unknown token");
      now += 2;
    }
    failures.close();
    const counted = written.reduce((sum, line) => sum + Number(/: (\d+) /.exec(line)?.[1] ?? 1), 0);
    expect(counted).toBe(tries);
    expect(written.length).toBeLessThan(40);
    expect(written.slice(0, 3)).toEqual(
      ["192.0.2.0", "192.0.2.1", "192.0.2.2"].map((address) => `${address}: unknown token`),
    );
  });
});
