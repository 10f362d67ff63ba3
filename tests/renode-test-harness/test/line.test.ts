import { PassThrough } from "node:stream";

import { describe, expect, it } from "vitest";

import { NoiseFilter, NoisyLine } from "../src/index.js";

const BYTES = Buffer.alloc(100_000, 0x55);

describe("a bad line", () => {
  it("without noise changes nothing", () => {
    expect(new NoiseFilter({}).pass(BYTES).equals(BYTES)).toBe(true);
  });

  it("corrupts, drops and doubles at the rates that it was given", () => {
    const corrupting = new NoiseFilter({ corrupt: 0.01 });
    const damaged = corrupting.pass(BYTES);
    const wrong = damaged.filter((byte) => byte !== 0x55).length;
    expect(wrong).toBe(corrupting.counters.corrupted);
    expect(wrong).toBeGreaterThan(850);
    expect(wrong).toBeLessThan(1150);
    const dropping = new NoiseFilter({ drop: 0.01 });
    expect(dropping.pass(BYTES)).toHaveLength(BYTES.length - dropping.counters.dropped);
    expect(dropping.counters.dropped).toBeGreaterThan(850);
    const doubling = new NoiseFilter({ duplicate: 0.01 });
    expect(doubling.pass(BYTES)).toHaveLength(BYTES.length + doubling.counters.duplicated);
    expect(doubling.counters.duplicated).toBeGreaterThan(850);
  });

  it("makes bursts of the length that it was given", () => {
    const filter = new NoiseFilter({ burst: 0.001, burstLength: 32 });
    const wrong = filter.pass(BYTES).filter((byte) => byte !== 0x55).length;
    expect(filter.counters.bursts).toBeGreaterThan(50);
    expect(wrong / filter.counters.bursts).toBeGreaterThan(25);
  });

  it("does the same again for the same seed, however the bytes are cut into pieces", () => {
    const noise = { seed: 42, corrupt: 0.02, drop: 0.01, duplicate: 0.01, burst: 0.001 };
    const whole = new NoiseFilter(noise).pass(BYTES);
    const pieces = new NoiseFilter(noise);
    const parts: Buffer[] = [];
    for (let at = 0; at < BYTES.length; at += 777) parts.push(pieces.pass(BYTES.subarray(at, at + 777)));
    expect(Buffer.concat(parts).equals(whole)).toBe(true);
    expect(new NoiseFilter({ ...noise, seed: 43 }).pass(BYTES).equals(whole)).toBe(false);
  });

  it("refuses rates that are none", () => {
    expect(() => new NoiseFilter({ corrupt: 1.5 })).toThrow(/corrupt: expected 0 to 1, got 1.5/);
    expect(() => new NoiseFilter({ drop: NaN })).toThrow(RangeError);
  });

  it("stands between a stream and its user, each way with noise of its own, and leaves the stream open", async () => {
    const wire = new PassThrough(); // what goes in comes back
    const line = new NoisyLine(wire, { toBoard: { drop: 1 } });
    line.write("lost");
    wire.write("heard");
    const [heard] = await new Promise<Buffer[]>((resolve) =>
      line.once("data", (bytes: Buffer) => {
        resolve([bytes]);
      }),
    );
    expect(heard?.toString()).toBe("heard");
    expect(line.toBoard.counters.dropped).toBe(4);
    line.destroy();
    await new Promise((resolve) => line.once("close", resolve));
    expect(wire.destroyed).toBe(false);
  });

  it("ends when the stream below it ends", async () => {
    const wire = new PassThrough();
    const line = new NoisyLine(wire, {});
    const closed = new Promise((resolve) => line.once("close", resolve));
    wire.destroy();
    await closed;
    expect(line.destroyed).toBe(true);
  });
});
