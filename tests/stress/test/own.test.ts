/** Agents that nobody here knows: they take their turns, and one that can't run is refused before anything runs. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { Engine } from "@edgeplug/sim";
import {
  makePackage,
  padded,
  PUBLISHER,
  REQUEST,
  STRANGER,
  type PackageOptions,
} from "@edgeplug/test-support/agents";
import type { OwnAgent } from "@edgeplug/test-support/own-agents";
import { EdgePlugError, encodeKeyPair, serializePackage, type AgentPackage } from "edgeplug";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { readJunit } from "../../report/test/junit-schema.js";
import { leastSwaps, restAgents, Roster, stress, violations, WIDEST_TABLE } from "../src/index.js";

const LIMIT_MS = 120_000;
const MAIN = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const TRIAL = { healthyScans: 60, deadlineScans: 60_000, minRequests: 1 };

function own(name: string, module: string | Uint8Array, options: PackageOptions = {}): OwnAgent {
  const pkg = makePackage(module, { name, trial: TRIAL, ...options });
  return { path: name, name: `${name} ${pkg.manifest.version}`, pkg };
}

/** Takes of everything more than any example does, and leaves its traces in all of it. */
function greedy(): OwnAgent {
  const deep = `(func $deep (param i32) (local ${"i64 ".repeat(200)}) ${"(block ".repeat(100)}
    ${"(br_if 3 (local.get 0))".repeat(100)} ${"(i32.const 7)".repeat(300)} ${"(drop)".repeat(300)} ${")".repeat(100)})`;
  const wat = `(module
    (import "edgeplug" "output" (func $output (param i32 f32)))
    (memory 1) (global $count (mut i32) (i32.const 0)) (global i64 (i64.const 81985529216486895))
    (table 300 funcref)
    ${deep}
    (func (export "scan")
      (global.set $count (i32.add (global.get $count) (i32.const 1)))
      (call $deep (i32.const 1))
      (memory.fill (i32.rem_u (i32.mul (global.get $count) (i32.const 1021)) (i32.const 16000)) (i32.const 0xee) (i32.const 300))
      (call $output (i32.const 0) (f32.const 3))))`;
  const limits = { memory: 16_384, stackSlots: 900, callDepth: 60, fuel: 2_500, ioBuffer: 0 };
  return own("greedy", padded(wat, 9_000), { limits });
}

/** Answers with the request turned round; `count` also tells the how manieth it was. */
function turner(name: string, { count = false, ioBuffer = 256 } = {}): OwnAgent {
  const wat = `(module (memory 1) (global $count (mut i32) (i32.const 0))
    (func (export "io_buffer") (result i32) (i32.const 0))
    (func (export "handle") (param $size i32) (result i32)
      (global.set $count (i32.add (global.get $count) (i32.const 1)))
      (i32.store8 (i32.const 0) (i32.add (i32.load8_u (i32.const 0)) (${count ? "global.get $count" : "i32.const 1"})))
      (local.get $size)))`;
  return own(name, wat, { ...REQUEST, limits: { memory: 512, ioBuffer, fuel: 10_000 } });
}

describe("agents of one's own", () => {
  it(
    "take turns without the examples, whatever they ask for, and RAM is as it was",
    async () => {
      const mine = [greedy(), turner("turner"), turner("narrow", { ioBuffer: 16 })];
      const swaps = leastSwaps(mine.length);
      const report = await stress({ board: "sim", swaps, seed: 5, own: mine, examples: [] });
      expect(violations(report, "sim", swaps)).toEqual([]);
      const names = new Set(report.swaps.map(({ agent }) => agent));
      expect(names).toEqual(new Set(["rest-a", "rest-b", "greedy 1", "turner 1", "narrow 1"]));
      expect(report.rests.map(({ afterSwap }) => afterSwap)).toEqual([2, 10, 18]);
    },
    LIMIT_MS,
  );

  it(
    "have to answer equal requests equally",
    async () => {
      const mine = [turner("counter", { count: true })];
      const report = await stress({ board: "sim", swaps: 14, seed: 5, own: mine, examples: [] });
      const found = violations(report, "sim", 14);
      expect(found.some((each) => /^the answer of swap \d+ is wrong$/.test(each))).toBe(true);
    },
    LIMIT_MS,
  );

  it("are followed by two at rest that leave no byte of an arena as it was", async () => {
    const engine = await Engine.create();
    const load = (pkg: AgentPackage): void => {
      const { memory, stackSlots, callDepth, fuel, initFuel, ioBuffer } = pkg.manifest.limits;
      engine.load({
        ...{ code: pkg.payload, kind: "request", inputs: 0, outputs: 0 },
        limits: { memoryBytes: memory, stackSlots, callDepth, fuel, initFuel, ioBufferBytes: ioBuffer },
      });
    };
    const [widest] = restAgents([greedy()]);
    load(widest.pkg);
    const more = { ...widest.pkg, payload: withTable(widest.pkg.payload, WIDEST_TABLE + 1) };
    expect(() => load(more)).toThrow(/arena/);
  });
});

/** The number of the only table's elements, which stands in its module as LEB128. */
function withTable(module: Uint8Array, elements: number): Uint8Array {
  const leb = (value: number): Buffer => Buffer.from([(value & 0x7f) | 0x80, value >> 7]);
  const copy = Buffer.from(module);
  const at = copy.indexOf(Buffer.concat([Buffer.from([0x70, 0x00]), leb(WIDEST_TABLE)]));
  leb(elements).copy(copy, at + 2);
  return new Uint8Array(copy);
}

describe("npm run stress -- --agent", () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "edgeplug-own-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function file(name: string, contents: string | Uint8Array): string {
    const path = join(folder, name);
    writeFileSync(path, contents, { mode: 0o600 });
    return path;
  }

  function packed(name: string, options: PackageOptions = {}): string {
    return file(`${name}.epk`, serializePackage(turnerPackage(name, options)));
  }

  function turnerPackage(name: string, options: PackageOptions): AgentPackage {
    const { payload } = turner(name).pkg;
    return makePackage(payload, { ...REQUEST, name, trial: TRIAL, ...options });
  }

  function run(...args: string[]): { status: number | null; stdout: string; stderr: string; xml: string } {
    const xml = join(folder, "stress.xml");
    rmSync(xml, { force: true });
    const junit = ["--reporter", "junit", "--output", xml];
    const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args, ...junit], {
      encoding: "utf8",
      env: { ...process.env, EDGEPLUG_RESULTS: join(folder, "results"), INIT_CWD: folder },
    });
    return { status, stdout, stderr, xml: existsSync(xml) ? readFileSync(xml, "utf8") : "" };
  }

  it(
    "runs a package as it was signed, and tells each check to CI",
    () => {
      packed("mine");
      file("publisher.pub", encodeKeyPair(PUBLISHER, "publisher").publicPem);
      const asked = "--swaps 14 --seed 1 --agent mine.epk --only-agents --key publisher.pub";
      const { status, stderr, xml } = run(...asked.split(" "));
      expect(status, stderr).toBe(0);
      const { cases, failures, properties, suite } = readJunit(xml);
      expect(failures).toEqual({});
      expect(cases.map(({ attributes }) => attributes["name"])).toEqual([
        "mine.epk can run on sim",
        "every swap ends with the new agent confirmed",
        "some agents first run in the shadow of another one",
        "no scan is missed",
        "the board never starts anew",
        "no request is lost, and each answer is the right one",
        "RAM and stack are as they were (Law 9)",
      ]);
      expect(properties["command"]).toBe(
        `npm run stress -- --board sim --swaps 14 --seed 1 --agent mine.epk --only-agents --key publisher.pub`,
      );
      expect(Number(suite.attributes["time"])).toBeGreaterThan(0);
      expect(existsSync(join(folder, "results/stress-sim.json"))).toBe(true);
    },
    LIMIT_MS,
  );

  it("an agent may refuse what its buffer does not hold, and nothing else", () => {
    const roster = new Roster();
    roster.coming(1, (request) => request, 16);
    roster.runs(1);
    const refusal = new EdgePlugError("REQUEST_SIZE");
    expect(roster.checkError(1, 1, refusal, 17)).toBeUndefined();
    expect(roster.checkError(1, 1, refusal, 16)).toMatch(/REQUEST_SIZE/);
    expect(roster.checkError(1, 1, new EdgePlugError("NO_HANDLER"), 17)).toMatch(/NO_HANDLER/);
  });

  it.each<[what: string, exit: number, id: string, options: PackageOptions, args: string[]]>([
    ["of another board class", 23, "EP2011", { boardClass: 3 }, []],
    ["with more memory than there is", 23, "EP2013", { limits: { memory: 32_768, ioBuffer: 256 } }, []],
    ["with more channels than there are", 23, "EP2018", { kind: "control", inputs: 5 }, []],
    ["that is not signed", 22, "EP2009", { key: null }, ["--key", "publisher.pub"]],
    ["of another publisher", 22, "EP2008", { key: STRANGER }, ["--key", "publisher.pub"]],
  ])("refuses a package %s before a run, with exit code %i", (_, exit, id, options, args) => {
    packed("odd", options);
    file("publisher.pub", encodeKeyPair(PUBLISHER, "publisher").publicPem);
    rmSync(join(folder, "results"), { recursive: true, force: true });
    const { status, stdout, stderr, xml } = run("--swaps", "30", "--agent", "odd.epk", ...args);
    expect({ status, stdout }, stderr).toEqual({ status: exit, stdout: "" });
    expect(stderr).toMatch(new RegExp(`error ${id}: odd.epk: .*\n {2}try: `));
    expect(existsSync(join(folder, "results"))).toBe(false);
    expect(Object.keys(readJunit(xml).failures)).toEqual(["odd.epk can run on sim"]);
  });

  it("refuses a package whose signature was changed, or whose bytes are none", () => {
    const pkg = turnerPackage("changed", {});
    const signature = pkg.signature.map((byte, at) => (at === 9 ? byte ^ 1 : byte));
    file("changed.epk", serializePackage({ ...pkg, signature }));
    file("publisher.pub", encodeKeyPair(PUBLISHER, "publisher").publicPem);
    expect(run("--swaps", "30", "--agent", "changed.epk", "--key", "publisher.pub")).toMatchObject({
      status: 22,
    });
    file("nothing.epk", "nothing");
    expect(run("--swaps", "30", "--agent", "nothing.epk")).toMatchObject({ status: 20 });
    expect(run("--swaps", "30", "--agent", "nowhere.epk")).toMatchObject({ status: 10 });
    expect(run("--swaps", "30", "--agent", "changed.epk", "--agent", "changed.epk")).toMatchObject({
      status: 2,
    });
  });

  it("refuses packages that have no room beside each other", () => {
    const wat = `(module (func (export "scan")))`;
    for (const name of ["one", "two"])
      file(`${name}.epk`, serializePackage(own(name, wat, { limits: { fuel: 3_300, ioBuffer: 0 } }).pkg));
    expect(run("--swaps", "34", "--agent", "one.epk", "--agent", "two.epk")).toMatchObject({
      status: 23,
      stderr: expect.stringContaining("error EP2014: one.epk: It asks for 3300 fuel a scan") as string,
    });
  });
});
