// What of the bench under Renode needs no Renode.
import { describe, expect, it } from "vitest";

import { rotten } from "../src/emulated-bench.js";
import { unitsOf } from "../src/renode-bench.js";

describe("rot", () => {
  it("is about every double word that one of its bytes lies in", () => {
    expect(unitsOf(8, 8)).toEqual([8]);
    expect(unitsOf(9, 8)).toEqual([8, 16]);
    expect(unitsOf(15, 1)).toEqual([8]);
    expect(unitsOf(7, 10)).toEqual([0, 8, 16]);
  });

  it("inverts the bits of its masks, and no others", () => {
    const image = Uint8Array.of(0, 0xff, 0x0f, 0xaa);
    expect([...rotten(image, 1, Uint8Array.of(0x01, 0xf0))]).toEqual([0xfe, 0xff]);
  });
});
