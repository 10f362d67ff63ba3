import { describe, expect, it } from "vitest";

import { cobsDecode, cobsEncode } from "../src/cobs.js";
import { encodeFrame, FrameDecoder, Unwrapper, wrapFrame } from "../src/frames.js";
import { printedSeed, TestRandom } from "./support/random.js";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("cobs", () => {
  // Examples of the COBS paper and of its Wikipedia page.
  it.each([
    ["00", "0101"],
    ["0000", "010101"],
    ["11220033", "0311220233"],
    ["11223344", "0511223344"],
    ["11000000", "0211010101"],
  ])("encodes %s as %s", (data, encoded) => {
    expect(hex(cobsEncode(Buffer.from(data, "hex")))).toBe(encoded);
    expect(hex(cobsDecode(Buffer.from(encoded, "hex")) ?? new Uint8Array())).toBe(data);
  });

  it("gives back any bytes, holds no zero and takes one byte in 254 at most", () => {
    const random = new TestRandom(printedSeed("cobs round trip"));
    for (let run = 0; run < 2000; run++) {
      // few distinct values make both long runs without zeros and many zeros likely
      const data = random.bytes(random.below(1100), random.chance(0.5) ? 256 : 2 + random.below(3));
      const bytes = random.chance(0.3) ? data.map((byte) => byte || 1) : data;
      const encoded = cobsEncode(bytes);
      expect(encoded.includes(0)).toBe(false);
      expect(encoded.length).toBeLessThanOrEqual(bytes.length + Math.floor(bytes.length / 254) + 1);
      expect(hex(cobsDecode(encoded) ?? Buffer.from("none"))).toBe(hex(bytes));
    }
  });

  it("takes a group of 254 bytes with and without a closing group", () => {
    const data = new Uint8Array(254).fill(9);
    expect(cobsDecode(Uint8Array.of(0xff, ...data))).toEqual(data);
    expect(cobsDecode(Uint8Array.of(0xff, ...data, 0x01))).toEqual(data);
  });

  it("refuses what no encoder makes", () => {
    for (const bad of ["", "05", "0511", "0311002233", "00"])
      expect(cobsDecode(Buffer.from(bad, "hex"))).toBeUndefined();
  });
});

describe("frames", () => {
  const ack = (id: number, nextOffset: number) => encodeFrame({ response: { id, chunk: { nextOffset } } });

  it("come out whole however the bytes are cut into reads", () => {
    const random = new TestRandom(printedSeed("frames in pieces"));
    const lines = Array.from({ length: 300 }, (_, id) => ack(id + 1, random.below(14000)));
    const stream = Buffer.concat(lines);
    const decoder = new FrameDecoder();
    const ids: number[] = [];
    for (let at = 0; at < stream.length;) {
      const size = 1 + random.below(40);
      for (const frame of decoder.push(stream.subarray(at, at + size))) ids.push(frame.response?.id ?? 0);
      at += size;
    }
    expect(ids).toEqual(lines.map((_, id) => id + 1));
    expect(decoder.dropped).toBe(0);
  });

  it("that were damaged never reach the reader, and the next good one does", () => {
    const random = new TestRandom(printedSeed("damaged frames"));
    const decoder = new Unwrapper();
    let delivered = 0;
    for (let run = 0; run < 3000; run++) {
      const body = random.bytes(1 + random.below(600));
      const line = wrapFrame(body);
      const bad = Uint8Array.from(line);
      const at = 1 + random.below(bad.length - 2);
      bad[at] = (bad[at] ?? 0) ^ (1 << random.below(8));
      for (const got of decoder.push(bad)) {
        expect(hex(got)).toBe(hex(body)); // a flip never yields other bytes than those sent
        delivered++;
      }
      expect(decoder.push(line).map(hex)).toEqual([hex(body)]);
    }
    expect(delivered).toBe(0);
    expect(decoder.dropped).toBeGreaterThanOrEqual(3000);
  });

  it("that are lost, cut short, doubled or mixed with noise leave the others alone", () => {
    const random = new TestRandom(printedSeed("disturbed stream"));
    const decoder = new FrameDecoder();
    const expected: number[] = [];
    const parts: Uint8Array[] = [];
    for (let id = 1; id <= 500; id++) {
      const line = ack(id, id);
      const fate = random.below(5);
      if (fate === 0) continue;
      if (fate === 1) parts.push(line.subarray(0, 1 + random.below(line.length - 2)));
      if (fate === 2) parts.push(random.bytes(random.below(50)));
      if (fate === 3) {
        parts.push(line);
        expected.push(id);
      }
      // the leading delimiter of a whole frame ends whatever came before
      if (fate !== 1) {
        parts.push(line);
        expected.push(id);
      }
    }
    const ids = decoder.push(Buffer.concat(parts)).map((frame) => frame.response?.id ?? 0);
    expect(ids).toEqual(expected);
  });

  it("longer than the board's limit are dropped without being kept, and refused before they are sent", () => {
    const unwrapper = new Unwrapper(100);
    expect(unwrapper.push(wrapFrame(new Uint8Array(97).fill(1)))).toEqual([]);
    expect(unwrapper.push(new Uint8Array(5_000_000).fill(1))).toEqual([]);
    expect(unwrapper.push(wrapFrame(new Uint8Array(96).fill(1)))).toHaveLength(1);
    expect(unwrapper.dropped).toBe(2);
    expect(() => wrapFrame(new Uint8Array(97), 100)).toThrow(/101 bytes; the board takes 100/);
  });

  it("whose CRC holds but that are no message are counted", () => {
    const decoder = new FrameDecoder();
    expect(decoder.push(wrapFrame(Uint8Array.of(0x0a, 0x7f, 0x01)))).toEqual([]);
    expect(decoder.dropped).toBe(1);
  });
});
