/** The parts that a verdict rests on: names of bytes, comparison, requests, the order of agents, the command. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { Random, SIM_WASM } from "@edgeplug/sim";
import { layoutOf } from "@edgeplug/test-support/flash";
import { EdgePlugError } from "edgeplug";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import {
  erasesByArea,
  exampleAgents,
  leaksAt,
  MemoryComparer,
  percentile,
  RequestStream,
  restAgents,
  RINGS,
  Roster,
  schedule,
  SIM_SYMBOLS,
  startBench,
  Symbols,
  type MemoryImage,
  type StressBench,
} from "../src/index.js";

const MAIN = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const QEMU_ELF = fileURLToPath(new URL("../../../build/qemu/qemu.elf", import.meta.url));
const STM32L552_ELF = fileURLToPath(new URL("../../../build/stm32l552/stm32l552.elf", import.meta.url));

/** A WebAssembly image without its custom sections. */
function withoutCustomSections(path: string): Buffer {
  const bytes = readFileSync(path);
  const kept = [bytes.subarray(0, 8)];
  for (let at = 8; at < bytes.length;) {
    const start = at++;
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] ?? 0;
      size |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    at += size;
    if (bytes[start] !== 0) kept.push(bytes.subarray(start, at));
  }
  return Buffer.concat(kept);
}

describe("names of bytes", () => {
  it("come from an image that is the shipped one but for its debug information", () => {
    expect(withoutCustomSections(SIM_SYMBOLS).equals(withoutCustomSections(fileURLToPath(SIM_WASM)))).toBe(
      true,
    );
  });

  it.each([
    [SIM_SYMBOLS, "process.temperature"],
    [QEMU_ELF, "process.temperature"],
    [STM32L552_ELF, "sending.written"],
  ])("lead to a place, and the place to its name (%s)", (path, ofTheBoard) => {
    const symbols = new Symbols(path);
    for (const name of [
      "ep_runtime.agents.bank[1].manifest.name[3]",
      "ep_runtime.clock.scans_run",
      ofTheBoard,
    ]) {
      const [range] = symbols.find(name);
      expect(symbols.nameOf(range?.address ?? 0)).toBe(name);
    }
    expect(symbols.find("ep_runtime.agents.bank[*].code")).toMatchObject([
      { size: 13_824 },
      { size: 13_824 },
    ]);
    expect(symbols.find("ep_runtime.no_such_thing")).toEqual([]);
    expect(symbols.find("nowhere")).toEqual([]);
    expect(symbols.nameOf(0xffff_0000)).toBe("0xffff0000");
  });
});

describe("the comparison of RAM", () => {
  let bench: StressBench;
  let image: MemoryImage;
  let comparer: MemoryComparer;

  beforeAll(async () => {
    bench = await startBench("sim", { seed: 1 });
    await bench.board.run(50);
    image = await bench.memory();
    comparer = new MemoryComparer(bench.symbols);
  });
  afterAll(() => bench.close());

  function changed(address: number): MemoryImage {
    const bytes = image.bytes.slice();
    bytes[address - image.base] = (bytes[address - image.base] ?? 0) ^ 0x10;
    return { ...image, bytes };
  }

  it("finds each byte that changed, wherever it lies, unless it belongs to a listed counter", () => {
    const random = new Random(9);
    const ring = bench.symbols.find("ep_runtime.events.tail")[0]?.address ?? 0;
    for (let tries = 0; tries < 200; tries++) {
      const address = image.base + random.below(image.bytes.length);
      if (address >= ring && address < ring + 4) continue; // turns the ring
      const { differences, moved } = comparer.compare(image, changed(address));
      expect(differences.length + moved.size, bench.symbols.nameOf(address)).toBe(1);
    }
  });

  it("does not mind listed counters", () => {
    const address = bench.symbols.find("ep_runtime.clock.scans_run")[0]?.address ?? 0;
    const { differences, moved } = comparer.compare(image, changed(address));
    expect({ differences, moved: [...moved] }).toEqual({
      differences: [],
      moved: ["ep_runtime.clock.scans_run"],
    });
  });

  it("takes a ring for what it holds, wherever its next place is", () => {
    const [whole] = bench.symbols.find("ep_runtime.events.ring");
    const [tail] = bench.symbols.find("ep_runtime.events.tail");
    const [kind] = bench.symbols.find("ep_runtime.events.ring[3].kind");
    const bytes = image.bytes.slice();
    const size = (whole?.size ?? 0) / 16;
    const at = (kind?.address ?? 0) - image.base;
    const start = (whole?.address ?? 0) - image.base;
    bytes[at] = 0x77;
    const turned = bytes.slice();
    turned.copyWithin(start + size, start, start + 15 * size);
    turned.set(bytes.subarray(start + 15 * size, start + 16 * size), start);
    turned[(tail?.address ?? 0) - image.base] = (turned[(tail?.address ?? 0) - image.base] ?? 0) + 1;
    expect(comparer.compare({ ...image, bytes }, { ...image, bytes: turned }).differences).toEqual([]);
  });

  it("takes a deeper stack for a leak, on sim from the first byte", () => {
    const comparison = comparer.compare(image, image);
    const first = { afterSwap: 2, stackHighWater: 1_000, comparison };
    expect(leaksAt({ ...first, afterSwap: 9 }, first, "sim")).toEqual([]);
    expect(leaksAt({ ...first, afterSwap: 9, stackHighWater: 1_001 }, first, "sim")).toHaveLength(1);
    const deepest = { ...first, afterSwap: 9, stackHighWater: 3_332 };
    expect(leaksAt(deepest, first, "qemu")).toEqual([]);
    expect(leaksAt({ ...deepest, stackHighWater: 3_333 }, first, "qemu")).toHaveLength(1);
  });
});

describe("requests", () => {
  const answer = (request: Uint8Array): Uint8Array => Uint8Array.of(7, ...request);
  const request = Uint8Array.of(1, 2);

  function roster(): Roster {
    const swaps = new Roster();
    swaps.coming(1, answer);
    swaps.runs(1);
    swaps.coming(2, undefined);
    return swaps;
  }

  it("count as served only by an agent that may have run, with its own answer", () => {
    const swaps = roster();
    expect(swaps.checkReply(1, 2, request, { data: answer(request), swapNumber: 1 })).toBeUndefined();
    expect(swaps.checkReply(1, 2, request, { data: request, swapNumber: 1 })).toMatch(/wrong/);
    expect(swaps.checkReply(2, 2, request, { data: answer(request), swapNumber: 1 })).toMatch(
      /while swap 2 ran/,
    );
    expect(swaps.checkReply(1, 2, request, { data: answer(request), swapNumber: 2 })).toMatch(
      /no request agent/,
    );
  });

  it("count as declined only while an agent may have run that serves none", () => {
    const swaps = roster();
    const declined = new EdgePlugError("NO_HANDLER");
    expect(swaps.checkError(1, 2, declined)).toBeUndefined();
    expect(swaps.checkError(1, 1, declined)).toMatch(/NO_HANDLER while swap 1 ran/);
    expect(swaps.checkError(0, 0, declined)).toMatch(/NO_HANDLER/);
    expect(swaps.checkError(0, 0, new EdgePlugError("NO_AGENT"))).toBeUndefined();
    expect(swaps.checkError(1, 2, new EdgePlugError("TIMEOUT"))).toMatch(/TIMEOUT/);
  });

  it("without an answer are lost", async () => {
    const swaps = roster();
    let calls = 0;
    const session = {
      call: (data: Uint8Array) =>
        ++calls === 2
          ? Promise.reject(new EdgePlugError("TIMEOUT"))
          : Promise.resolve({ data: answer(data), swapNumber: 1 }),
    };
    const clock = { pass: () => new Promise<void>((resolve) => setImmediate(resolve)) };
    const stream = new RequestStream(session, clock, swaps, new Random(1));
    while (calls < 4) await clock.pass();
    await stream.stop();
    expect(stream).toMatchObject({ sent: 4, served: 3, declined: 0, lost: 1 });
    expect(stream.faults).toEqual([expect.stringContaining("TIMEOUT")]);
  });
});

describe("the order of agents", () => {
  it("follows from the seed, repeats nobody at once and begins and ends with the two at rest", async () => {
    const examples = await exampleAgents();
    const rest = restAgents();
    const names = (swaps: number, seed: number): string[] =>
      schedule(swaps, examples, rest, seed).map(({ name }) => name);
    expect(names(100, 4)).toEqual(names(100, 4));
    expect(names(100, 4)).not.toEqual(names(100, 5));
    for (const swaps of [14, 15, 50, 1_000]) {
      const order = names(swaps, 1);
      const even = swaps - (swaps % 2);
      expect(order).toHaveLength(swaps);
      expect(order.filter((name, at) => name === order[at - 1])).toEqual([]);
      expect([...order.slice(0, 2), ...order.slice(even - 2, even)]).toEqual([
        "rest-a",
        "rest-b",
        "rest-a",
        "rest-b",
      ]);
      expect(order.every((name, at) => name !== "rest-b" || at % 2 === 1)).toBe(true);
    }
  });
});

it.each([SIM_SYMBOLS, QEMU_ELF, STM32L552_ELF])(
  "the rings of an image are those that are turned (%s)",
  (path) => {
    const symbols = new Symbols(path);
    const found = RINGS.filter(({ contents }) => symbols.find(contents).length > 0);
    // events; on an Arm image the serial line's two as well
    expect(found).toHaveLength(path === SIM_SYMBOLS ? 1 : 3);
    for (const { contents, count, element } of found) {
      const [whole, counter, one] = [contents, count, element].map((name) => symbols.find(name)[0]);
      expect([counter?.size, (whole?.size ?? 0) % (one?.size ?? 0)], contents).toEqual([4, 0]);
    }
  },
);

it("erases are counted by area and page", () => {
  const layout = layoutOf("qemu");
  const [a, b] = layout.slots;
  expect(erasesByArea([a, a, a + layout.eraseSize, b, layout.journal], layout)).toEqual({
    "slot A": { erases: 3, mostWornPage: 2 },
    "slot B": { erases: 1, mostWornPage: 1 },
    journal: { erases: 1, mostWornPage: 1 },
  });
});

it("percentiles are values that were seen", () => {
  const values = Array.from({ length: 100 }, (_, at) => 100 - at);
  expect([0.5, 0.95, 1].map((share) => percentile(values, share))).toEqual([50, 95, 100]);
});

it.each([["--board", "mars"], ["--swaps", "25"], ["--swaps", "many"], ["--seed", "-1"], ["--nonsense"]])(
  "the command exits with 2 when it is called wrongly (%s %s)",
  (...args) => {
    const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8" });
    expect(status).toBe(2);
    expect(stderr).toContain("See --help.");
  },
);
