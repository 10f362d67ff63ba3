/** The session against the real runtime, on the sim board: what a scripted peer can't show. */
import { SimBoard } from "@edgeplug/sim";
import { describe, expect, it } from "vitest";

import { EdgePlugError } from "../src/errors.js";
import { edgeplug } from "../src/generated/messages.js";
import { serializePackage } from "../src/package.js";
import { DeviceSession } from "../src/session/session.js";
import { SimTransport } from "../src/transports/sim.js";
import type { Transport } from "../src/transports/transport.js";
import { packageOf } from "./support/packages.js";
import { push } from "./support/push.js";
import { printedSeed, TestRandom } from "./support/random.js";

const BAUD = 115_200;
const FULL_SLOT = 13_824;

/** (module (func (export "scan") BODY)) with a custom section that fills it up to `size` bytes. */
function module(size: number, body: readonly number[] = []): Uint8Array {
  const code = [0x0a, body.length + 4, 1, body.length + 2, 0, ...body, 0x0b];
  const head = [
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...[0x01, 4, 1, 0x60, 0, 0],
    ...[0x03, 2, 1, 0],
    ...[0x07, 8, 1, 4, 0x73, 0x63, 0x61, 0x6e, 0, 0],
    ...code,
  ];
  const rest = size - head.length - 4; // id, two bytes of size, name length
  const length = rest + 1;
  const filler = new TestRandom(size).bytes(rest);
  return Uint8Array.of(...head, 0, (length & 0x7f) | 0x80, length >> 7, 0, ...filler);
}

const fields = (name: string, release: number): edgeplug.Manifest.$Properties => ({
  name,
  version: String(release),
  release,
  trial: { healthyScans: 200, deadlineScans: 2000, attempts: 2 },
});
const full = packageOf(module(FULL_SLOT), fields("filler", 1));
const small = packageOf(module(600), fields("small", 1));
const UNREACHABLE = [0x00];
const trapping = packageOf(module(200, UNREACHABLE), fields("trapping", 1));

async function boardOf(geometry: "l5" | "nor" = "l5"): Promise<{ board: SimBoard; line: SimTransport }> {
  const board = await SimBoard.create({ geometry, serial: { baud: BAUD } });
  return { board, line: new SimTransport("sim:", board, BAUD) };
}

/** A line that loses, corrupts and doubles, on the way to the board and back. */
function noisy(line: SimTransport, random: TestRandom, share: number): Transport {
  const mangle = (bytes: Uint8Array): Uint8Array =>
    bytes.map((byte) => (random.chance(share) ? random.below(256) : byte));
  return {
    name: line.name,
    baud: line.baud,
    clock: line.clock,
    closed: line.closed,
    onData: (listener) => line.onData((bytes) => listener(mangle(bytes))),
    write: (bytes) => line.write(mangle(bytes)),
    close: () => line.close(),
  };
}

describe("a full slot of the real runtime", () => {
  it.each(["l5", "nor"] as const)(
    "is sent once, byte for byte, on %s flash, and comes back the same",
    async (geometry) => {
      const { line } = await boardOf(geometry);
      const session = await DeviceSession.connect(line);
      const result = await push(session, full);
      expect(result).toMatchObject({ swapNumber: 1, payloadBytesSent: FULL_SLOT, restarts: 0 });
      const status = await session.status();
      expect(status.counters).toMatchObject({ scansMissed: 0, framesDropped: 0, receiveOverruns: 0 });
      const saved = await session.save();
      expect(Buffer.compare(saved.bytes, serializePackage(full))).toBe(0);
      const wireMs = ((full.manifestBytes.length + FULL_SLOT) * 10_000) / BAUD;
      console.log(
        `full slot on ${geometry}: staged after ${result.stagedMs.toFixed(0)} ms of virtual time, ` +
          `${(result.stagedMs / wireMs).toFixed(2)} × the wire time of manifest and payload`,
      );
      await session.close();
    },
  );

  it("arrives whole over a line that corrupts one byte in 500, both ways", async () => {
    const seed = printedSeed("noisy line to the real runtime");
    const { board, line } = await boardOf();
    const session = await DeviceSession.connect(noisy(line, new TestRandom(seed), 0.002), {
      timeoutMs: 30_000,
    });
    const result = await push(session, full, { silenceMs: 25_000, timeoutMs: 600_000 });
    expect(result.active.name).toBe("filler");
    expect(result.payloadBytesSent).toBeGreaterThan(FULL_SLOT);
    const slot = board.flash.peek(board.geometry.base, FULL_SLOT);
    expect(Buffer.compare(slot, full.payload)).toBe(0);
    await session.close();
  });

  it("resumes above offset 0 after a power cut in the middle, and ends confirmed", async () => {
    const { board, line } = await boardOf();
    const session = await DeviceSession.connect(line);
    const begins: { offset: number; resumed: boolean }[] = [];
    let cuts = 0;
    const result = await push(session, full, {}, (step) => {
      if (step.step === "begin") begins.push(step);
      if (step.step === "sending" && step.acknowledged > 6000 && cuts === 0) {
        cuts++;
        board.cutPower();
        board.powerOn();
      }
    });
    expect(begins).toHaveLength(2);
    expect(begins[1]).toMatchObject({ resumed: true });
    expect(begins[1]?.offset).toBeGreaterThanOrEqual(4096);
    expect(result.restarts).toBe(1);
    expect(result.payloadBytesSent).toBeLessThan(FULL_SLOT + 4096);
    await session.close();
  });
});

describe("a board of the real runtime", () => {
  it("keeps its agent when the new one traps, and says so", async () => {
    const { line } = await boardOf();
    const session = await DeviceSession.connect(line);
    await push(session, small);
    const error = await push(session, trapping).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(EdgePlugError);
    expect(error).toMatchObject({ code: "ROLLED_BACK" });
    expect((error as EdgePlugError).message).toMatch(/small 1 \(swap 1\) runs again/);
    expect((await session.status()).counters).toMatchObject({ rollbacks: 1, scansMissed: 0 });
    await session.close();
  });

  it("is busy for a second push while one is under way, and finishes the first", async () => {
    const { line } = await boardOf();
    const session = await DeviceSession.connect(line);
    let second: Promise<unknown> | undefined;
    const result = await push(session, full, {}, (step) => {
      if (step.step === "sending" && second === undefined) {
        second = push(session, small).catch((error: unknown) => error);
      }
    });
    expect(await second).toMatchObject({ code: "BUSY" });
    expect(result).toMatchObject({ swapNumber: 1, restarts: 0 });
    await session.close();
  });

  it("drops a transfer that is aborted, and takes up where it ended", async () => {
    const { line } = await boardOf();
    const session = await DeviceSession.connect(line);
    const controller = new AbortController();
    const stopped = await push(session, full, { signal: controller.signal }, (step) => {
      if (step.step === "sending" && step.acknowledged > 7000) controller.abort();
    }).catch((error: unknown) => error);
    expect(stopped).toMatchObject({ code: "INTERRUPTED" });
    expect((await session.status()).phase).toBe(edgeplug.UpdatePhase.UPDATE_PHASE_IDLE);
    const result = await push(session, full);
    expect(result.resumed).toBe(true);
    expect(result.offset).toBeGreaterThanOrEqual(6144);
    expect(result.payloadBytesSent).toBe(FULL_SLOT - result.offset);
    await session.close();
  });
});
