import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { MEMORY_MAPS } from "@edgeplug/sim";
import { beforeAll, describe, expect, it } from "vitest";

import { boardMachine } from "../src/agent/board-machine.js";
import { buildAgent, type BuildResult } from "../src/agent/build.js";
import type { AgentMachine } from "../src/agent/machine.js";
import { randomNumbers } from "../src/agent/stimulus.js";
import { packAgent } from "../src/agent/pack.js";
import { SCAN_SHARE } from "../src/foresee.js";
import { agentFolder, folderWith } from "./support/files.js";
import { printedSeed, TestRandom } from "./support/random.js";

const AGENTS = join(dirname(fileURLToPath(import.meta.url)), "../../firmware/agents");
const FOLDERS = readdirSync(AGENTS).filter((name) => !name.includes("."));

/** 70 % of a scan, for the active agent and the candidate together, on the boards that the examples are shown on. */
const FUEL_OF_A_SCAN = Math.min(
  ...[MEMORY_MAPS.qemu, MEMORY_MAPS.sim].map(
    ({ tickMicros, nanosPerFuel }) => (700 * tickMicros) / nanosPerFuel,
  ),
);

const builds = new Map<string, BuildResult>();

beforeAll(async () => {
  const out = folderWith();
  for (const folder of FOLDERS)
    builds.set(folder, await buildAgent(join(AGENTS, folder), { out: join(out, folder) }));
}, 120_000);

function built(folder: string): BuildResult {
  const build = builds.get(folder);
  if (build === undefined) throw new TypeError(`${folder} was not built`);
  return build;
}

/** The agent in the board's own engine, started. */
async function started({ wasm, config }: BuildResult): Promise<AgentMachine> {
  const machine = (await boardMachine(wasm, config))();
  machine.start();
  return machine;
}

/** Feeds samples by time in scans; gives the outputs after each. */
function feed(
  machine: AgentMachine,
  from: number,
  to: number,
  voltage: (scan: number) => number,
): number[][] {
  const outputs: number[][] = [];
  for (let scan = from; scan < to; scan++) {
    machine.inputs[0] = voltage(scan);
    machine.scan(scan * 1000);
    outputs.push([...machine.outputs]);
  }
  return outputs;
}

const mains =
  (rms: number) =>
  (scan: number): number =>
    rms * Math.SQRT2 * Math.sin((2 * Math.PI * scan) / 20);

describe("the example agents", () => {
  it("fit a slot, a manifest and, two at a time, a scan", () => {
    const fuels: number[] = [];
    for (const [folder, { wasm, config, check }] of builds) {
      expect(wasm.length, folder).toBeLessThanOrEqual(13_824);
      expect(packAgent(config, wasm).manifestBytes.length, folder).toBeLessThanOrEqual(304);
      expect(check.worstFuel, folder).toBeLessThanOrEqual(config.limits.fuel ?? 0);
      if (config.kind === "control") fuels.push(config.limits.fuel ?? Infinity);
    }
    const [first = 0, second = 0] = fuels.sort((a, b) => b - a);
    expect(first + second).toBeLessThanOrEqual(FUEL_OF_A_SCAN);
  });

  it("fit beside each other on every board, but for the pairs that their page lists with the scan they need", () => {
    const control = [...builds].flatMap(([folder, { config }]) =>
      config.kind === "control" ? [{ folder, fuel: config.limits.fuel ?? Infinity }] : [],
    );
    const misfits = Object.values(MEMORY_MAPS).flatMap(({ board, nanosPerFuel, tickMicros }) =>
      control.flatMap((one) =>
        control
          .filter(({ folder }) => one.folder <= folder)
          .map((other) => ({
            ...{ board, one: one.folder, other: other.folder },
            scan: Math.ceil(((one.fuel + other.fuel) * nanosPerFuel) / (10 * SCAN_SHARE)),
          }))
          .filter(({ scan }) => scan > tickMicros),
      ),
    );
    expect(new Set(misfits.map(({ board }) => board))).toEqual(new Set(["stm32l552"]));
    const page = readFileSync(new URL("../../firmware/agents/README.md", import.meta.url), "utf8");
    const rows = [...page.matchAll(/^\| `([\w-]+)` \| `([\w-]+)` \| ([\d,]+) \|$/gm)];
    expect(
      rows.map(([, one, other, scan]) => ({ one, other, scan: Number(scan?.replace(",", "")) })),
    ).toEqual(misfits.map(({ one, other, scan }) => ({ one, other, scan })));
  });

  it("hold one that fills a slot: at least 13 KiB", () => {
    expect(built("waveform-classifier").wasm.length).toBeGreaterThanOrEqual(13 * 1024);
  });
});

describe("voltage-event", () => {
  it("measures the RMS of each sine without ripple, from the first whole cycle on", async () => {
    for (const rms of [100, 230, 300]) {
      const outputs = feed(await started(built("voltage-event")), 0, 200, mains(rms));
      for (const [value] of outputs.slice(20)) expect(value).toBeCloseTo(rms, 2);
    }
  });

  it("tells a sag and its end once each, with hysteresis between 90 % and 92 %", async () => {
    const machine = await started(built("voltage-event"));
    feed(machine, 0, 100, mains(230));
    expect(feed(machine, 100, 200, mains(209)).every(([, event]) => event === 0)).toBe(true);
    expect(feed(machine, 200, 300, mains(200)).at(-1)?.[1]).toBe(1);
    expect(feed(machine, 300, 400, mains(209)).every(([, event]) => event === 1)).toBe(true);
    expect(feed(machine, 400, 500, mains(230)).at(-1)?.[1]).toBe(0);
    const log = machine.takeLog();
    expect(log).toHaveLength(2);
    expect(log[0]).toMatch(/^sag, 20\d\.\d V$/);
    expect(log[1]).toMatch(/^sag over, (19\d|20\d) ms$/);
  });

  it("hands a sag under way to release 2, which tells its end and its duration", async () => {
    const old = await started(built("voltage-event"));
    feed(old, 0, 100, mains(230));
    feed(old, 100, 150, mains(180));
    const state = old.save();
    const next = await started(built("voltage-event-2"));
    next.restore(state);
    const during = feed(next, 150, 200, mains(180));
    expect(during.every(([, event]) => event === 1)).toBe(true);
    expect(during[0]?.[0]).toBeCloseTo(180, 2);
    expect(during.at(-1)?.[2]).toBeCloseTo(50, 1);
    const after = feed(next, 200, 300, mains(230)).at(-1);
    expect(after?.[1]).toBe(0);
    expect(after?.[3]).toBeGreaterThan(90);
    expect(after?.[3]).toBeLessThan(115);
    expect(next.takeLog()).toEqual([expect.stringMatching(/^sag over, \d+ ms, 50\.0 V$/)]);
  });

  it("release 2 hands back to release 1, which leaves unread what it doesn't know", async () => {
    const newer = await started(built("voltage-event-2"));
    feed(newer, 0, 150, mains(180));
    const older = await started(built("voltage-event"));
    older.restore(newer.save());
    expect(feed(older, 150, 151, mains(180))[0]?.[1]).toBe(1);
  });
});

describe("pid-biquad", () => {
  it.each([0.1, 0.3, 1])("brings a plant with a time constant of %f s to its set point", async (seconds) => {
    const machine = await started(built("pid-biquad"));
    machine.inputs[2] = 50;
    let plant = 0;
    let highest = 0;
    for (let scan = 1; scan <= 6000; scan++) {
      machine.inputs[1] = plant;
      machine.scan(scan * 1000);
      plant += (((machine.outputs[1] ?? 0) - plant) * 0.001) / seconds;
      highest = Math.max(highest, plant);
    }
    expect(plant).toBeCloseTo(50, 1);
    expect(highest).toBeLessThan(55);
  });

  it("goes on in another instance exactly where it was", async () => {
    const [first, second] = [await started(built("pid-biquad")), await started(built("pid-biquad"))];
    const random = randomNumbers(7);
    for (let scan = 0; scan < 500; scan++) {
      first.inputs[1] = random() * 100;
      first.inputs[2] = 40;
      first.scan(scan * 1000);
    }
    second.restore(first.save());
    for (let scan = 500; scan < 600; scan++) {
      for (const machine of [first, second]) {
        machine.inputs[1] = scan % 37;
        machine.inputs[2] = 40;
        machine.scan(scan * 1000);
      }
      expect(second.outputs).toEqual(first.outputs);
    }
  });
});

describe.each([
  ["hash-sha256", "sha256"],
  ["hash-blake2s", "blake2s256"],
])("%s", (folder, algorithm) => {
  it("agrees with Node's own implementation at every length from 0 to 512", async () => {
    const machine = await started(built(folder));
    const random = new TestRandom(printedSeed(folder));
    for (let size = 0; size <= 512; size++) {
      const request = random.bytes(size);
      const expected = createHash(algorithm).update(request).digest("hex");
      expect(Buffer.from(machine.handle(request)).toString("hex"), `${size} bytes`).toBe(expected);
    }
  });
});

interface Prototypes {
  CLASSES: string[];
  SHAPES: ((time: number) => number)[][];
}

describe("waveform-classifier", () => {
  it("names each shape of its table at amplitudes, phases and noise that the table doesn't have", async () => {
    const path = join(AGENTS, "waveform-classifier/prototypes.mjs");
    const { CLASSES, SHAPES } = (await import(pathToFileURL(path).href)) as Prototypes;
    const machine = await started(built("waveform-classifier"));
    const random = new TestRandom(printedSeed("waveform-classifier"));
    let right = 0;
    let runs = 0;
    SHAPES.forEach((shapes, label) => {
      for (const shape of shapes) {
        const offset = random.below(1000) / 1000;
        const amplitude = 60 + random.below(300);
        machine.start();
        const outputs = feed(machine, 0, 300, (scan) => {
          const noise = (random.below(1000) / 500 - 1) * 0.01;
          return amplitude * (shape(((scan + offset) / 20) % 1) + noise);
        });
        runs++;
        if (outputs.at(-1)?.[0] === label) right++;
      }
    });
    expect(CLASSES).toHaveLength(SHAPES.length);
    // a shape whose own zero crossing is disturbed may be taken for its neighbour
    expect(right / runs).toBeGreaterThan(0.85);
  });

  it("tells an interruption, and that a wave without zero crossings is unknown", async () => {
    const machine = await started(built("waveform-classifier"));
    expect(feed(machine, 0, 200, mains(230)).at(-1)?.[0]).toBe(0);
    expect(feed(machine, 200, 260, () => 0).at(-1)?.[0]).toBe(11);
    expect(feed(machine, 260, 400, () => 100).at(-1)?.[0]).toBe(12);
    expect(feed(machine, 400, 600, mains(230)).at(-1)?.[0]).toBe(0);
    const log = machine.takeLog();
    expect(log[0]).toMatch(/^clean, peak 32\d\.\d V$/);
    expect(log.some((line) => line.startsWith("interruption"))).toBe(true);
  });

  it("notices a sag within the seven cycles that follow it", async () => {
    const machine = await started(built("waveform-classifier"));
    feed(machine, 0, 200, mains(230));
    const outputs = feed(machine, 200, 360, (scan) => mains(scan < 211 ? 230 : 60)(scan));
    expect(outputs.some(([label]) => label === 6)).toBe(true);
  });
});

describe("the agents that misbehave", () => {
  it.each([
    ["bad-trap", "AGENT_TRAP", /sensor model diverged assembly\/index\.ts:8/],
    ["bad-loop", "AGENT_FUEL", /fuel/],
    ["bad-bounds", "AGENT_TRAP", /out of bounds memory access/],
    ["bad-slow", "AGENT_FUEL", /fuel/],
    ["bad-hog", "AGENT_TRAP", /out of bounds memory access/],
  ])("%s works for a while, then ends in %s", async (folder, code, message) => {
    const machine = await started(built(folder));
    feed(machine, 0, 80, () => 12);
    expect(machine.outputs[0]).toBe(12);
    expect(() => feed(machine, 80, 1000, () => 12)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error,
    );
  });

  it("bad-guard works for a while, then leaves its range", async () => {
    const { config } = built("bad-guard");
    const outputs = feed(await started(built("bad-guard")), 0, 1000, () => 12);
    const max = config.outputs[0]?.max ?? 0;
    const hits = outputs.filter(([value = 0]) => value > max).length;
    expect(outputs[199]?.[0]).toBe(12);
    expect(hits).toBe(800);
    expect(hits).toBeGreaterThan(config.trial.maxGuardHits);
  });
});

describe("the SDK", () => {
  const machineOf = async (source: string, outputs = 1): Promise<AgentMachine> => {
    const folder = agentFolder(source, {
      inputs: [{ name: "in", min: -3, max: 3 }],
      outputs: Array.from({ length: outputs }, (_, at) => ({ name: `o${at}`, min: -1e9, max: 1e9 })),
    });
    return started(await buildAgent(folder));
  };

  it("computes sines within 0.00003", async () => {
    const machine = await machineOf(`import { input, output, sineOfTurns } from "@edgeplug/sdk";
export function scan(): void { output(0, sineOfTurns(input(0))); }\n`);
    for (let turns = -3; turns <= 3; turns += 0.003) {
      machine.inputs[0] = turns;
      machine.scan(0);
      expect(Math.abs((machine.outputs[0] ?? 9) - Math.sin(2 * Math.PI * Math.fround(turns)))).toBeLessThan(
        3e-5,
      );
    }
  });

  it("writes log lines of text, whole numbers and tenths, cut at 64 bytes", async () => {
    const machine =
      await machineOf(`import { input, say, sayInteger, sayTenths, sendLine, log } from "@edgeplug/sdk";
export function scan(): void {
  say("v="); sayTenths(input(0)); say(" n="); sayInteger(-1204); say(" m="); sayInteger(i32.MIN_VALUE); say(" z="); sayInteger(0); sendLine();
  log("0123456789012345678901234567890123456789012345678901234567890123456789");
}\n`);
    machine.inputs[0] = -2.56;
    machine.scan(0);
    expect(machine.takeLog()).toEqual([
      "v=-2.6 n=-1204 m=-2147483648 z=0",
      "0123456789012345678901234567890123456789012345678901234567890123",
    ]);
  });

  it("clamps, and tells the time of the scan", async () => {
    const machine = await machineOf(
      `import { clamp, input, nowMicros, output } from "@edgeplug/sdk";
export function scan(): void { output(0, clamp(input(0), -1, 1)); output(1, <f32>nowMicros()); }\n`,
      2,
    );
    for (const [value, clamped] of [
      [0.5, 0.5],
      [2, 1],
      [-2, -1],
    ] as const) {
      machine.inputs[0] = value;
      machine.scan(5000);
      expect([...machine.outputs.slice(0, 2)]).toEqual([clamped, 5000]);
    }
  });
});
