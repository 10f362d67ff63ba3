/** `edgeplug verify`: what stands between a package and a board, told before a byte is sent. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { packAgent, serializePackage } from "edgeplug";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { assembleAgent } from "../../host/src/agent/build.js";
import { EDGEPLUG, EDGEPLUG_PUSH as PUSH, runToolText } from "./support/tool.js";

const LONG_MS = 120_000;

interface Report {
  ok: boolean;
  warnings: number;
  cached: boolean;
  checks: { group: string; name: string; verdict: string; text: string; error?: { name: string } }[];
}

let place = "";
beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), "edgeplug-verify-"));
});
afterAll(() => {
  rmSync(place, { recursive: true, force: true });
});

const run = (file: string, ...args: string[]): ReturnType<typeof runToolText> =>
  runToolText(file, args, { folder: place, env: { XDG_CACHE_HOME: join(place, "cache") } });

async function verify(...args: string[]): Promise<Report & { code: number }> {
  const { code, stdout } = await run(EDGEPLUG, "verify", "--json", ...args);
  return { code, ...(JSON.parse(stdout.split("\n")[0] ?? "") as Report) };
}

const SDK = 'import { input, output } from "@edgeplug/sdk";\n';
const ECHO = `${SDK}export function scan(): void { output(0, input(0)); }\n`;

/** A package with just these figures, which no build has measured. */
async function epk(name: string, source: string, config: object = {}): Promise<string> {
  const folder = join(place, name);
  mkdirSync(join(folder, "assembly"), { recursive: true });
  writeFileSync(join(folder, "assembly/index.ts"), source);
  const base = {
    name: "sample",
    version: "1",
    release: 1,
    inputs: [{ name: "level", unit: "%", min: -500, max: 500 }],
    outputs: [{ name: "valve", min: -500, max: 500 }],
    limits: { memory: 1024, fuel: 200, initFuel: 1000 },
    trial: { healthyScans: 50 },
  };
  writeFileSync(join(folder, "agent.json"), JSON.stringify({ ...base, ...config }));
  const { config: parsed, wasm } = await assembleAgent(folder);
  const file = join(place, `${name}.epk`);
  writeFileSync(file, serializePackage(packAgent(parsed, wasm)));
  return file;
}

const found = (report: Report, name: string): Report["checks"][number] | undefined =>
  report.checks.find((check) => check.name === name);

describe("edgeplug verify", () => {
  it("lets no gateway try a package, which would go on and activate it", async () => {
    const { stageOnly } = await import("../../host/src/verify/stage-only.js");
    const behind = { device: "plant.example:50051", push: () => expect.fail("it was pushed") };
    await expect(stageOnly(behind as never, {} as never, new AbortController().signal)).rejects.toMatchObject(
      {
        code: "USAGE",
      },
    );
  });

  it(
    "tells all groups, as a table and as an object, and keeps what the engines found by the digest of the bytes",
    async () => {
      const file = await epk("echo", ECHO, { vectors: [{ inputs: [2], outputs: [2] }] });
      const first = await verify(file);
      expect(first).toMatchObject({ code: 0, ok: true, cached: false });
      expect([...new Set(first.checks.map(({ group }) => group))]).toEqual([
        "compatibility",
        "performance",
        "security",
        "correctness",
      ]);
      expect(found(first, "imports")?.text).toBe("edgeplug.output, edgeplug.input");
      expect(found(first, "both engines")).toMatchObject({
        verdict: "ok",
        text: "agree bit for bit in 10,000 scans",
      });
      expect(found(first, "channels")).toMatchObject({ verdict: "open" });
      const again = await verify(file);
      expect(again).toMatchObject({ code: 0, cached: true, checks: first.checks });
      expect(await verify(file, "--no-cache")).toMatchObject({ cached: false, checks: first.checks });
      const cache = join(place, "cache/edgeplug/checks");
      for (const name of readdirSync(cache))
        writeFileSync(join(cache, name), readFileSync(join(cache, name)).subarray(9));
      expect(await verify(file)).toMatchObject({ code: 0, cached: false, checks: first.checks });
      expect(await verify(await epk("other", ECHO, { version: "2" }))).toMatchObject({ cached: false });
      const { stdout } = await run(EDGEPLUG, "verify", file);
      expect(stdout).toMatch(/^performance {4}scan time +ok +200 fuel: 3\.3 % of a scan on stm32l552/m);
      expect(stdout).toMatch(/^11 ok, 1 warning, 0 failed, 1 open; .*earlier check of the same bytes$/m);
    },
    LONG_MS,
  );

  it(
    "fails a package by the first thing that is wrong with it, kept or not, with its exit code",
    async () => {
      const cases: [
        name: string,
        source: string,
        config: object,
        check: string,
        code: number,
        error: string,
      ][] = [
        ["vector", ECHO, { vectors: [{ inputs: [2], outputs: [3] }] }, "board's engine", 51, "VECTOR"],
        [
          "late",
          `${SDK}let n = 0;\nexport function scan(): void {\n  if (++n > 9000) unreachable();\n  output(0, 1);\n}\n`,
          {},
          "both engines",
          52,
          "AGENT_TRAP",
        ],
        ["slow", ECHO, { limits: { memory: 1024, fuel: 4500, initFuel: 4500 } }, "scan time", 23, "FUEL"],
      ];
      for (const [name, source, config, check, code, error] of cases) {
        const file = await epk(name, source, config);
        for (const cached of [false, true]) {
          const report = await verify(file);
          expect({ case: name, ...report }).toMatchObject({ case: name, code, ok: false, cached });
          expect(found(report, check)).toMatchObject({ verdict: "failed", error: { name: error } });
        }
      }
      const vector = await verify(join(place, "vector.epk"));
      expect(found(vector, "V8")).toMatchObject({ verdict: "open", text: "not run" });
      expect((await run(EDGEPLUG, "verify", join(place, "late.epk"))).stderr).toMatch(
        /^error EP5008: In scan 9001: /,
      );
      expect((await run(EDGEPLUG, "verify", join(place, "late.epk"), "--on-board")).code).toBe(2);
    },
    LONG_MS,
  );

  it(
    "compares with the present agent: channels, fuel, releases; both together have to fit into the scan",
    async () => {
      const present = await epk("present", ECHO, {
        release: 5,
        securityVersion: 2,
        limits: { memory: 1024, fuel: 1700, initFuel: 2000 },
      });
      const changed = {
        inputs: [
          { name: "flow", unit: "l/s", min: 0, max: 1 },
          { name: "more", min: 0, max: 1 },
        ],
        outputs: [],
      };
      const idle = `${SDK}export function scan(): void { input(0); }\n`;
      const limits = { memory: 1024, fuel: 2600, initFuel: 3000 };
      const report = await verify(await epk("changed", idle, { ...changed, limits }), "--present", present);
      const channels = report.checks.filter(({ name }) => name === "channels");
      expect(channels.map(({ verdict, text }) => `${verdict}: ${text}`)).toEqual([
        "warning: input 0 was level (%), is flow (l/s) (sample 1)",
        "warning: input 1 is new: more (sample 1)",
        "warning: output 0 is gone: valve (sample 1)",
      ]);
      expect(found(report, "growth")).toMatchObject({
        verdict: "warning",
        text: "2,600 fuel, 1,700 of sample 1: 1.53 ×",
      });
      expect(found(report, "scan time")).toMatchObject({ verdict: "failed", error: { name: "FUEL" } });
      expect(found(report, "release")).toMatchObject({ verdict: "failed", error: { name: "RELEASE" } });
      expect(found(report, "security version")).toMatchObject({ verdict: "failed" });
      expect(report.code).toBe(23);
      const alone = await verify(join(place, "changed.epk"));
      expect(found(alone, "scan time")).toMatchObject({ verdict: "ok" });
      const other = await verify(
        await epk("another", ECHO, { name: "other", securityVersion: 2 }),
        "--present",
        present,
      );
      expect(other).toMatchObject({ code: 0 });
      expect(found(other, "channels")).toMatchObject({
        verdict: "ok",
        text: "1 input, 1 output, as of sample 1",
      });
      expect(found(other, "growth")).toMatchObject({ verdict: "ok" });
    },
    LONG_MS,
  );

  it(
    "asks a board without changing it; with --on-board the board checks the package, and its agent runs on",
    async () => {
      const device = ["--device", `sim:${join(place, "board.flash")}`];
      expect(
        await run(
          PUSH,
          ...device,
          await epk("old", ECHO, { limits: { memory: 1024, fuel: 1000, initFuel: 1000 } }),
        ),
      ).toMatchObject({
        code: 0,
      });
      const status = async (): Promise<string> =>
        (await run(PUSH, ...device, "--status")).stdout.match(/^agent .*$/m)?.[0] ?? "none";
      const before = await status();
      /** Both slots; the journal tells of each boot, and each command here is one. */
      const slots = async (): Promise<string> =>
        (await run(PUSH, ...device, "--info")).stdout.match(/^slot .*$/gm)?.join("\n") ?? "none";
      const slotsBefore = await slots();
      expect(slotsBefore).toContain("sample 1");
      const next = await epk("next", ECHO, {
        version: "2",
        release: 2,
        inputs: [{ name: "height", min: 0, max: 1 }],
        limits: { memory: 1024, fuel: 1501, initFuel: 1600 },
        vectors: [{ inputs: [4], outputs: [4] }],
      });
      const asked = await verify(next, ...device);
      expect(asked).toMatchObject({ code: 0, ok: true });
      expect(found(asked, "channels")?.text).toBe("input 0 was level (%), is height (sample 1)");
      expect(found(asked, "growth")).toMatchObject({ verdict: "warning" });
      expect(found(asked, "board: fuel")).toMatchObject({ verdict: "ok", text: "1501 a scan beside 1000" });
      expect(await slots()).toBe(slotsBefore);
      const tried = await verify(next, ...device, "--on-board");
      expect(found(tried, "on the board")).toMatchObject({ verdict: "ok" });
      expect(tried.code).toBe(0);
      expect(await status()).toBe(before);
      const push = await run(PUSH, ...device, next);
      expect(push, push.stderr).toMatchObject({ code: 0 });
      const older = await verify(join(place, "old.epk"), ...device, "--on-board");
      expect(older).toMatchObject({ code: 24 });
      expect(found(older, "board: release")).toMatchObject({ verdict: "failed", error: { name: "RELEASE" } });
      expect(found(older, "on the board")).toMatchObject({ verdict: "open", text: "not sent" });
    },
    LONG_MS,
  );
});
