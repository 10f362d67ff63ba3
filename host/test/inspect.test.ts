import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it, vi } from "vitest";

import { buildAgent } from "../src/agent/build.js";
import { findAgent } from "../src/agent/find.js";
import { packAgent } from "../src/agent/pack.js";
import { profileAgent } from "../src/agent/profile.js";
import { serializePackage } from "../src/package.js";
import { agentFolder } from "./support/files.js";
import { edgeplug } from "./support/run-cli.js";

// commands are processes of their own, and wait for cores that others use
vi.setConfig({ testTimeout: 120_000 });

/** Takes most in scan 700, and has one function that is larger than the others. */
const UNEVEN = `import { input, log, output } from "@edgeplug/sdk";

const table = memory.data(100);
let n: i32 = 0;

// @ts-ignore: decorator
@inline
function put(at: i32): void {
  store<u8>(table + at, <u8>at);
}

function big(x: f32): f32 {
  if (x > 1e30) return big(x / 2); // a function that calls itself is never put into another
  put(1); put(2); put(3); put(4); put(5); put(6); put(7); put(8); put(9); put(10);
  return x * x * x + x / 7 - sqrt<f32>(x) * nearest<f32>(x) + floor<f32>(x);
}

export function scan(): void {
  n++;
  let x: f32 = input(0);
  if (n == 700) for (let i = 0; i < 50; i++) x += big(x);
  if (n == 800) x += big(x + 1);
  if (n == 9000) log("late");
  output(0, x);
}
`;
const folder = (): string =>
  agentFolder(UNEVEN, { outputs: [{ name: "out", min: -1e9, max: 1e9 }], checkScans: 1000 });

describe("edgeplug inspect", () => {
  it("finds the scan that takes most of 10,000, and its margin to the limit", async () => {
    const path = folder();
    const { worst } = await profileAgent(await findAgent(path));
    expect(worst).toMatchObject({ runs: 10_000, at: 700 });
    expect(worst).not.toHaveProperty("limit");
    const { config, wasm, out } = await buildAgent(path);
    writeFileSync(join(out, "agent.epk"), serializePackage(packAgent(config, wasm)));
    const { stdout, code } = edgeplug(["inspect", join(out, "agent.epk"), "--json"]);
    expect(code).toBe(0);
    const { module, limits } = JSON.parse(stdout) as {
      limits: { fuel: number };
      module: { worst: { fuel: number; limit: number; margin: number } };
    };
    expect(module.worst).toMatchObject({ runs: 10_000, at: 700, fuel: worst.fuel, limit: limits.fuel });
    expect(module.worst.margin).toBeCloseTo(1 - worst.fuel / limits.fuel, 9);
    expect(module.worst.margin).toBeGreaterThan(0.1);
    const short = await profileAgent(await findAgent(path), 699);
    expect(short.worst.fuel).toBeLessThan(worst.fuel / 5);
  });

  it("shows sections, imports, memory, and the largest functions with their source", async () => {
    const profile = await profileAgent(await findAgent(folder()), 0);
    expect(profile.imports.sort()).toEqual(["edgeplug.input", "edgeplug.log", "edgeplug.output"]);
    expect(profile.exports).toEqual(["scan"]);
    expect(profile.memory).toMatchObject({ limit: 4096, declaredPages: 1 });
    expect(profile.memory.staticData).toBeGreaterThan(64);
    expect(profile.memory.staticData).toBeLessThan(4096);
    const names = profile.sections.map(({ name }) => name);
    expect(names).toContain("code");
    expect(names.at(-1)).toBe("custom edgeplug");
    const framing = profile.sections.reduce((sum, { size }) => sum - size, profile.bytes) - 8;
    expect(framing).toBeGreaterThanOrEqual(2 * names.length);
    expect(framing).toBeLessThanOrEqual(3 * names.length + 16);
    const { largest, count } = profile.functions;
    expect(count).toBe(2);
    // what the optimizer has put into it doesn't give a function its name
    expect(largest).toMatchObject([
      { name: "scan", index: 4 },
      { name: "big", index: 3, place: { file: "assembly/index.ts" } },
    ]);
    expect(largest[0]?.bytes).toBeGreaterThan(largest[1]?.bytes ?? Infinity);
    expect(profile.worst).toEqual({ runs: 0, fuel: 0, at: 0 });
  });

  it("tells of an agent that fails on the way, and goes on to tell all else", () => {
    const source = `import { output } from "@edgeplug/sdk";
let n: i32 = 0;
export function scan(): void {
  if (++n == 300) unreachable();
  output(0, 1);
}
`;
    const path = agentFolder(source);
    const { stdout, code } = edgeplug(["inspect", path]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/worst +\d+ fuel in scan \d+ of 299; no limit yet, `edgeplug build` sets one\n/);
    expect(stdout).toMatch(/ended there: .*unreachable at assembly\/index\.ts:4:\d+\./);
    expect(edgeplug(["inspect", path, "--scans", "many"]).code).toBe(2);
  });
});
