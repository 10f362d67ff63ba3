import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, it, onTestFinished } from "vitest";

import { reportPage } from "../src/page.js";
import { readResults, writeResult, type SuiteResult } from "../src/results.js";

const BASE = { when: "2030-01-02T03:04:05.000Z", seed: 7, seconds: 61, passed: true };

const RESULTS: SuiteResult[] = [
  {
    ...BASE,
    suite: "power",
    board: "sim",
    command: "npm run power",
    points: 123_456,
    endStates: 77,
    lawChecks: { "Law 1: the fallback is left alone": 4_321 },
    scenarios: ["l5", "nor"].map((geometry) => ({
      name: "update",
      geometry,
      points: 600,
      endStates: 5,
      operations: Array.from({ length: 60 }, (_, at) => ({
        atMs: at * 3.7,
        kind: at % 3 === 0 ? "erase" : "program",
        address: 0x0800_3800 + at * 8,
        size: 8,
        area: ["slot B payload", "slot B record", "slot B marks", "journal half 0"][at % 4] ?? "",
        outcomes: { old: Math.max(0, 40 - at), trial: at > 40 ? 5 : 0, new: at > 30 ? at - 30 : 0 },
      })),
    })),
  },
  {
    ...BASE,
    suite: "oracle",
    board: "sim",
    command: "npm test",
    engines: [
      { name: "erase the confirmed slot", law: "Law 1", points: 12 },
      { name: "<b>wrong tie</b>", points: 900 },
    ],
  },
  {
    ...BASE,
    suite: "stress",
    board: "sim",
    command: "npm run stress",
    swaps: Array.from({ length: 1000 }, (_, at) => ({
      number: at + 1,
      agent: ["voltage-event", "pid-biquad", "hash-sha256", "hash-blake2s"][at % 4] ?? "",
      kind: at % 4 < 2 ? ("control" as const) : ("request" as const),
      scans: 300 + ((at * 37) % 90),
      atMs: at * 410,
    })),
    swapsWanted: 1000,
    scansRun: 410_000,
    scansMissedByBoard: 0,
    scansMissedByObserver: 0,
    requests: 5_000,
    requestsLost: 0,
    swapScans: { p50: 340, p95: 385, max: 389 },
    wear: { "slot A": { erases: 500, mostWornPage: 500 } },
    memory: {
      comparedBytes: 60_000,
      differences: [],
      listedCounters: ["scans"],
      stackHighWaterBytes: [2560, 2560],
    },
    bytesCorrupted: 321,
  },
  {
    ...BASE,
    suite: "chaos",
    board: "qemu",
    command: "npm run chaos -- --board qemu",
    passed: false,
    packages: 1000,
    rate: 0.01,
    classes: [
      { name: "manifest field", where: "before sending", cases: 300, caughtBy: { EP2001: 300 }, slipped: 0 },
      {
        name: "bytes at random",
        where: "in transit",
        cases: 500,
        caughtBy: { "frame CRC": 480, retry: 20 },
        slipped: 0,
      },
      { name: "payload bits", where: "at rest", cases: 200, caughtBy: { scrub: 120, boot: 79 }, slipped: 1 },
    ],
    crashes: 0,
    lockOuts: 0,
    disturbed: 0,
    cleanRetries: { tried: 100, succeeded: 100 },
  },
  {
    ...BASE,
    suite: "fuzz",
    board: "native",
    command: "npm run fuzz",
    targets: [
      {
        name: "frames",
        executions: 10_000_000,
        seconds: 60,
        corpusFiles: 99,
        coveredEdges: 412,
        findings: 0,
      },
    ],
  },
];
const SIZES = [{ image: "stm32l552", parts: [{ name: "cryptography", bytes: 5864, target: 11264 }] }];

/** Tags that are opened and never closed, or the other way round. */
function unbalanced(page: string): string[] {
  const open: string[] = [];
  const alone = new Set(["meta", "i", "br"]);
  for (const [, closing, name = "", rest = ""] of page.matchAll(/<(\/?)([a-z][a-z0-9]*)([^>]*)>/g)) {
    if (alone.has(name) || rest.endsWith("/")) continue;
    if (closing !== "/") open.push(name);
    else if (open.pop() !== name) return [`</${name}>`];
  }
  return open;
}

describe("the report", () => {
  const page = reportPage(RESULTS, SIZES);

  it("needs nothing but itself: no script, no address, no file", () => {
    expect(page).not.toMatch(/<script|<link|<img|https?:|url\(|@import|src=/);
  });

  it("closes what it opens, and lets nobody's text be markup", () => {
    expect(unbalanced(page)).toEqual([]);
    expect(page).toContain("&lt;b&gt;wrong tie&lt;/b&gt;");
    expect(page).not.toMatch(/undefined(?!-behaviour)|NaN|\[object/);
  });

  it("shows every operation that was cut, every swap and every class of corruption", () => {
    expect(page.match(/<g><title>/g)).toHaveLength(120);
    expect(page.match(/<circle /g)).toHaveLength(1000);
    for (const name of ["manifest field", "bytes at random", "payload bits"]) expect(page).toContain(name);
  });

  it("says first what is broken, and never calls broken what held", () => {
    expect(page).toContain("Broken: chaos on qemu.");
    expect(page).toContain("1 slipped through");
    expect(page).toContain("not caught");
    const sound = reportPage(RESULTS.slice(0, 1), []);
    expect(sound).toContain("held.");
    expect(sound).not.toContain("Broken:");
  });

  it("names what has not run yet with the command that runs it", () => {
    const page = reportPage(RESULTS.slice(0, 1), []);
    expect(page).toContain("not run yet: <code>npm run chaos</code>");
    expect(page).not.toContain("<h2>Corruption");
  });

  it("knows every board that the suites run on, those under Renode last", () => {
    const swaps = RESULTS.filter(({ suite }) => suite === "stress");
    const boards = ["renode", "sim", "qemu"].flatMap((board) => swaps.map((run) => ({ ...run, board })));
    const page = reportPage(boards, []);
    const found = [...page.matchAll(/<h3>On (\w+):/g)].map(([, board]) => board);
    expect(found).toEqual(["sim", "qemu", "renode"]);
    expect(page).toContain("not run yet: <code>npm run chaos -- --board renode</code>");
    expect(page).toContain("not run yet: <code>npm run qemu -- --board renode</code>");
    expect(page).not.toContain("not run yet: <code>npm run stress -- --board renode</code>");
  });

  it("is dark where the reader's system is", () => {
    expect(page).toContain("prefers-color-scheme: dark");
  });
});

describe("results", () => {
  it("are read as they were written, the last run of each suite and board", () => {
    const folder = mkdtempSync(join(tmpdir(), "edgeplug-results-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    for (const result of RESULTS) writeResult(result, folder);
    writeResult({ ...BASE, suite: "fuzz", board: "native", command: "", targets: [] }, folder);
    const read = readResults(folder);
    expect(read).toHaveLength(RESULTS.length);
    expect(read.find(({ suite }) => suite === "power")).toEqual(RESULTS[0]);
    expect(read.find(({ suite }) => suite === "fuzz")).toMatchObject({ targets: [] });
    expect(readResults(join(folder, "nowhere"))).toEqual([]);
  });
});
