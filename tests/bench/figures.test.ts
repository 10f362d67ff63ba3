/** The figures of docs/measurements.md that one machine gives like any other, held against their targets. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

import { beforeAll, describe, expect, it } from "vitest";

const BENCH = fileURLToPath(new URL("../../scripts/bench.mjs", import.meta.url));

interface Figures {
  sizes: Record<string, { name: string; bytes: number; target?: number; over: boolean }[]>;
  crypto: { name: string; instructions: number; stack: number }[];
  agents: { agent: string; runs: number; max: number; maxFuel: number; limit: number; trapped: boolean }[];
  fuel: {
    unit: number;
    limit: number;
    rows: { name: string; variant: string; instructions: number; fuel: number; ratio: number }[];
    fused: { name: string; variant: string; ratio: number }[];
  };
  boards: { board: string; nanosPerFuel: number }[];
  work: { unit: string; charged: number; taken: number }[];
  update: { ratio: number; payload: number; payloadBytesSent: number; scansMissed: number };
}

let figures: Figures;

beforeAll(async () => {
  const output = await new Promise<string>((resolve, reject) => {
    const args = [BENCH, "--exact", "--json", "--scans", "300"];
    // a missed target is told by the exit code too: here each has its own test
    execFile(process.execPath, args, { maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      if (stdout === "") reject(new Error(stderr, { cause: error }));
      else resolve(stdout);
    });
  });
  figures = JSON.parse(output) as Figures;
}, 120_000);

describe("figures", () => {
  it("an Ed25519 verification takes at most 4 million instructions and 3 KiB of stack", () => {
    const verify = figures.crypto.find(({ name }) => name === "ed25519_verify_300_bytes");
    expect(verify?.instructions).toBeLessThanOrEqual(4_000_000);
    expect(verify?.stack).toBeLessThanOrEqual(3072);
  });

  it("no part of the flash has outgrown its ceiling, and the hot-swap engine's RAM is within 1 KiB", () => {
    const rows = Object.values(figures.sizes).flat();
    expect(rows.filter(({ over }) => over)).toEqual([]);
    const ram = rows.filter(({ name }) => name.startsWith("static RAM"));
    expect(ram).toHaveLength(2);
    for (const { bytes } of ram) expect(bytes).toBeLessThanOrEqual(1024);
  });

  it("no instruction costs more than twice as much per fuel as i32.add with its dispatch", () => {
    const { rows, limit } = figures.fuel;
    expect(rows.length).toBeGreaterThan(250);
    const dear = rows.filter(({ ratio }) => ratio > limit);
    const needs = dear.map(
      ({ name, variant, instructions, fuel }) =>
        `${name} ${variant}: ${fuel} fuel, needs ${Math.ceil(instructions / limit)}`,
    );
    expect(needs).toEqual([]);
  });

  it("sequences that are fused keep the same law as a whole", () => {
    const { fused, rows, limit } = figures.fuel;
    expect(fused.length).toBeGreaterThanOrEqual(rows.length);
    expect(fused.filter(({ ratio }) => ratio > limit)).toEqual([]);
  });

  it("nanosecond per fuel of the qemu board covers the dearest instruction", () => {
    const { rows, limit } = figures.fuel;
    const dearest = Math.max(limit, ...rows.map(({ ratio }) => ratio));
    const qemu = figures.boards.find(({ board }) => board === "qemu");
    expect(qemu?.nanosPerFuel).toBeGreaterThanOrEqual(8 * dearest);
  });

  it("example agents stay within their fuel, and only the bad ones trap", () => {
    for (const { agent, runs, maxFuel, limit, trapped } of figures.agents) {
      expect(runs, agent).toBeGreaterThan(0);
      if (agent.startsWith("bad-")) continue;
      expect(trapped, agent).toBe(false);
      expect(maxFuel, agent).toBeLessThanOrEqual(limit);
    }
  });

  it("sim charges no less for the main loop's work than the Arm objects take", () => {
    for (const { unit, charged, taken } of figures.work) expect(charged, unit).toBeGreaterThanOrEqual(taken);
  });

  it("an update of a full slot takes at most 1.25 times the line's time and misses no scan", () => {
    const { ratio, payload, payloadBytesSent, scansMissed } = figures.update;
    expect(payload).toBe(13_824);
    // nothing was sent twice, which would have made the line's time longer
    expect(payloadBytesSent).toBe(payload);
    expect(ratio).toBeLessThanOrEqual(1.25);
    expect(scansMissed).toBe(0);
  });
});
