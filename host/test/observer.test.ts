import { describe, expect, it } from "vitest";

import { cobsEncode } from "../src/cobs.js";
import { crc32 } from "../src/frames.js";
import { GapChecker, ObserverDecoder, type Observation } from "../src/observer.js";
import { TestRandom } from "./support/random.js";

function record(scan: number, timeUs: number, swapNumber = 1, outputs = [0, 0.5, -1, 2]): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, scan, true);
  view.setUint32(4, timeUs, true);
  view.setUint32(8, swapNumber, true);
  outputs.forEach((value, index) => view.setFloat32(12 + 4 * index, value, true));
  view.setUint32(28, crc32(bytes.subarray(0, 28)), true);
  return Uint8Array.of(...cobsEncode(bytes), 0);
}

const seen = (scan: number, timeUs: number, spoilt = 0): Observation => ({
  scan,
  timeUs,
  swapNumber: 1,
  outputs: [],
  spoilt,
});

describe("the outside observer", () => {
  it("reads records in pieces of any size and drops damaged ones", () => {
    const bad = record(2, 2000);
    bad[20] = (bad[20] ?? 0) ^ 0x40;
    const stream = Buffer.concat([
      record(1, 1000),
      bad,
      record(3, 3000),
      new Uint8Array(500).fill(7),
      Uint8Array.of(0),
    ]);
    for (const piece of [1, 7, 1000]) {
      const decoder = new ObserverDecoder();
      const scans: [number, number][] = [];
      for (let at = 0; at < stream.length; at += piece) {
        for (const { scan, spoilt } of decoder.push(stream.subarray(at, at + piece)))
          scans.push([scan, spoilt]);
      }
      expect(scans).toEqual([
        [1, 0],
        [3, 1],
      ]);
      expect(decoder.spoilt).toBe(1);
    }
    expect(new ObserverDecoder().push(record(7, 9, 5))).toEqual([
      { scan: 7, timeUs: 9, swapNumber: 5, outputs: [0, 0.5, -1, 2], spoilt: 0 },
    ]);
  });

  it("finds no gap in scans that jitter, however long, and over both counters' wrap", () => {
    const random = new TestRandom(5);
    const checker = new GapChecker();
    for (let scan = 0; scan < 20_000; scan++) {
      const time = 2 ** 32 - 5_000_000 + scan * 1000 + random.below(400);
      checker.add(seen((2 ** 32 - 700 + scan) % 2 ** 32, time % 2 ** 32));
    }
    expect(checker).toMatchObject({ missed: 0, restarts: 0, scans: 20_000, gaps: [] });
  });

  it("notices a scan that the timer says was due, whatever the board counted", () => {
    const checker = new GapChecker();
    checker.add(seen(1, 1000));
    checker.add(seen(2, 2010));
    const gap = checker.add(seen(3, 4005)); // the board did not count the masked scan
    expect(gap).toMatchObject({ missed: 1, unseen: 0, before: { scan: 2 }, after: { scan: 3 } });
    expect(checker.add(seen(4, 5000))).toBeUndefined();
    expect(checker.add(seen(9, 10_000))).toMatchObject({ missed: 4, unseen: 4 }); // records lost on the way
    expect(checker.missed).toBe(5);
  });

  it("takes a boot for a new beginning, not for a gap", () => {
    const checker = new GapChecker();
    checker.add(seen(5000, 5_000_000));
    expect(checker.add(seen(1, 1000))).toBeUndefined();
    expect(checker).toMatchObject({ missed: 0, restarts: 1 });
  });

  it("forgives the one record that a restart cut, and no other", () => {
    const checker = new GapChecker();
    checker.add(seen(5000, 5_000_000));
    checker.add(seen(0, 0, 1));
    expect(checker.spoilt).toBe(0);
    checker.add(seen(1, 1000, 1));
    expect(checker.spoilt).toBe(1);
    checker.add(seen(0, 0, 3));
    expect(checker).toMatchObject({ missed: 0, restarts: 2, spoilt: 3 });
  });
});
