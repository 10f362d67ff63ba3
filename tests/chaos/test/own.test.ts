/** Packages that nobody here knows are corrupted in place of the suite's own. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { RECORD_PAYLOAD_MAX } from "edgeplug/record-layout";
import { serializePackage, verifyPackage } from "edgeplug";
import {
  DEEDS,
  failingAgent,
  makePackage,
  PUBLISHER,
  publicKeyOf,
  REQUEST,
  requestAgent,
  type PackageOptions,
} from "@edgeplug/test-support/agents";
import type { OwnAgent } from "@edgeplug/test-support/own-agents";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { readJunit } from "../../report/test/junit-schema.js";
import { KINDS, runChaos, SimBench, type CaseReport, type Figures } from "../src/index.js";
import { parseOptions, UsageError } from "../src/options.js";
import { Workshop } from "../src/parcels.js";

vi.setConfig({ testTimeout: 300_000 });

const MAIN = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const SEED = 20_261_121;
/** Each class comes so often. */
const ROUNDS = 2;

function own(name: string, module: string, options: PackageOptions = {}): OwnAgent {
  return { path: `${name}.epk`, name: `${name} 1`, pkg: makePackage(module, { name, ...options }) };
}

/** Writes another value in each scan, and counts nothing: what tells the suite's agents apart tells nothing about it. */
const RESTLESS = own(
  "restless",
  `(module (import "edgeplug" "output" (func $output (param i32 f32))) (memory 1) (global $value (mut f32) (f32.const 0))
    (func (export "scan")
      (global.set $value (f32.sub (f32.const 77) (global.get $value)))
      (call $output (i32.const 0) (global.get $value))))`,
  { outputs: 1, limits: { ioBuffer: 0 }, trial: { healthyScans: 2_000 } },
);
const ANSWERING = own("answering", requestAgent(7), REQUEST);

async function run(
  agents: readonly OwnAgent[],
  packages: number,
): Promise<{ figures: Figures; failed: CaseReport[] }> {
  const bench = await SimBench.create(SEED);
  try {
    return await runChaos(bench, { packages, fullSlots: 2, seed: SEED, rate: 0.01, own: agents });
  } finally {
    await bench.close();
  }
}

describe("packages of one's own", () => {
  it("of either kind are corrupted in every class, and none slips through", async () => {
    const { figures, failed } = await run([RESTLESS, ANSWERING], ROUNDS * KINDS.length);
    expect(failed.map(({ number, story, violations }) => ({ number, story, violations }))).toEqual([]);
    expect(figures).toMatchObject({ crashes: 0, lockOuts: 0, disturbed: 0 });
    expect(figures.classes).toHaveLength(KINDS.length);
  });

  it("are what the cases are about: their module and limits, as they are or padded to a slot", () => {
    const workshop = new Workshop(1, [RESTLESS.pkg, ANSWERING.pkg]);
    for (const [index, { pkg: theirs }] of [RESTLESS, ANSWERING].entries()) {
      const { payload, manifest } = workshop.candidate(index).pkg;
      expect(payload).toEqual(theirs.payload);
      expect(manifest).toMatchObject({ kind: theirs.manifest.kind, limits: theirs.manifest.limits });
      for (const { pkg } of [workshop.full(index), workshop.severalChunks(index)])
        expect(pkg.payload.subarray(0, theirs.payload.length)).toEqual(theirs.payload);
      expect(workshop.full(index).pkg.payload).toHaveLength(RECORD_PAYLOAD_MAX);
      expect(workshop.severalChunks(index).pkg.payload.length).toBeGreaterThan(1_024);
      for (const { pkg } of [workshop.candidate(index), workshop.full(index), workshop.complete(index)])
        expect(verifyPackage(pkg, { publicKey: publicKeyOf(PUBLISHER) })).toBe("verified");
    }
  });

  it("are given back if they fail without being corrupted", async () => {
    const failing = own("failing", failingAgent(3, 4, DEEDS.trap));
    await expect(run([RESTLESS, failing], 3)).rejects.toMatchObject({
      code: "ROLLED_BACK",
      exit: 60,
      message: expect.stringMatching(/^failing\.epk: .*trap/) as string,
    });
  });
});

describe("npm run chaos -- --agent", () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "edgeplug-own-"));
    writeFileSync(join(folder, "restless.epk"), serializePackage(RESTLESS.pkg));
    const { pkg } = own("elsewhere", requestAgent(7), { ...REQUEST, boardClass: 3 });
    writeFileSync(join(folder, "elsewhere.epk"), serializePackage(pkg));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function command(
    args: string,
    env: NodeJS.ProcessEnv = {},
  ): { status: number | null; stderr: string; xml: string } {
    const xml = join(folder, "results/chaos-sim.xml");
    rmSync(xml, { force: true });
    const { status, stderr } = spawnSync(
      process.execPath,
      [MAIN, ...args.split(" "), "--reporter", "junit"],
      {
        encoding: "utf8",
        env: { ...process.env, EDGEPLUG_RESULTS: "results", INIT_CWD: folder, ...env },
      },
    );
    return { status, stderr, xml: existsSync(xml) ? readFileSync(xml, "utf8") : "" };
  }

  it("tells CI of each class, with the seconds that it took", () => {
    const { status, stderr, xml } = command("--packages 4 --full 1 --seed 1 --agent restless.epk");
    expect(status, stderr).toBe(0);
    const { cases, failures, properties } = readJunit(xml);
    expect(failures).toEqual({});
    expect(cases.map(({ attributes }) => attributes["name"])).toEqual([
      "restless.epk can run on sim",
      "before sending: manifest: identity",
      "at rest: payload, without power",
      "in transit: bytes corrupted at the given rate",
      "before sending: manifest: versions",
      "at rest: payload, while it runs",
    ]);
    expect(cases.slice(1).every(({ attributes }) => Number(attributes["time"]) > 0)).toBe(true);
    expect(properties["command"]).toBe(
      "npm run chaos -- --board sim --rate 1% --packages 4 --full 1 --seed 1 --agent restless.epk",
    );
  });

  it("fails the class in which something slips through, and says how to see it again", () => {
    const broken = fileURLToPath(
      new URL("../../../build/sim/broken/payload-not-checked-at-boot.wasm", import.meta.url),
    );
    const { status, xml } = command("--packages 5 --full 0 --seed 1", { EDGEPLUG_SIM_WASM: broken });
    expect(status).toBe(1);
    const { failures } = readJunit(xml);
    const [name, ...others] = Object.keys(failures);
    expect({ name, others }).toEqual({ name: "at rest: payload, without power", others: [] });
    expect(failures["at rest: payload, without power"]?.text).toMatch(
      /^case 1: SLIPPED: [^]*\nagain: npm run chaos -- --board sim --rate 1% --packages 5 --full 0 --seed 1 --case 1$/,
    );
  });

  it("refuses a package for another board before anything runs, with exit code 23", () => {
    const { status, stderr, xml } = command("--agent elsewhere.epk");
    expect(status).toBe(23);
    expect(stderr).toMatch(/error EP2011: elsewhere\.epk: .*\n {2}try: /);
    expect(Object.keys(readJunit(xml).failures)).toEqual(["elsewhere.epk can run on sim"]);
  });

  it.each(["--reporter tap", "--output a.xml", "--key publisher.pub"])("makes no sense of %s", (args) => {
    expect(() => parseOptions(args.split(" "))).toThrow(UsageError);
  });
});
