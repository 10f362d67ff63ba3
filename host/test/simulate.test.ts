import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { buildAgent } from "../src/agent/build.js";
import { findBuiltAgent, packAgent } from "../src/agent/pack.js";
import { serializePackage } from "../src/package.js";
import { AgentTrap, parseCsv, readCsv, simulate, type Simulation } from "../src/simulate/index.js";
import { failureOf } from "./support/failure.js";
import { agentFolder, ECHO, folderWith } from "./support/files.js";

const SDK = 'import { input, log, nowMicros, output } from "@edgeplug/sdk";\n';

/** Doubles its first input, adds the second one, and says when the sum is over 100. */
const DOUBLER = `${SDK}export function scan(): void {
  const sum: f32 = 2 * input(0) + input(1);
  if (sum > 100) log("much");
  output(0, sum);
  output(1, <f32>nowMicros());
}
`;
const CHANNELS = {
  inputs: [
    { name: "level", min: -500, max: 500 },
    { name: "offset", min: -500, max: 500 },
  ],
  outputs: [
    { name: "valve", min: -1000, max: 1000 },
    { name: "time", min: 0, max: 1e9 },
  ],
};

const doubler = (): string => agentFolder(DOUBLER, CHANNELS);

describe("simulate", () => {
  it("takes inputs as numbers, lists, functions and tables, by name or in order", async () => {
    const folder = doubler();
    const valve = async (inputs: object, scans?: number): Promise<number[]> =>
      (await simulate(folder, { inputs: inputs as never })).run(scans).output("valve");
    expect(await valve({ level: 3 }, 2)).toEqual([6, 6]);
    expect(await valve([[1, 2, 3], 10])).toEqual([12, 14, 16]);
    expect(await valve({ level: [1, 2], offset: [0, 0, 1, 2] })).toEqual([2, 4, 5, 6]);
    expect(await valve({ offset: (scan: number, seconds: number) => scan + 1000 * seconds }, 3)).toEqual([
      1, 3, 5,
    ]);
    expect(await valve((scan: number) => [scan, 0.5], 2)).toEqual([2.5, 4.5]);
    expect(await valve(parseCsv("time;offset;level\n0;1;2,5\n1;2;3\n"))).toEqual([6, 8]);
    const file = join(folderWith({ "data.csv": '# logged\n"level","offset"\n1,2\n\n3,4\n' }), "data.csv");
    expect(await valve(readCsv(file))).toEqual([4, 10]);
    expect(await valve(parseCsv("1\t2\t99\n5\t6\t99\n"))).toEqual([4, 16]);
  });

  it("refuses inputs that make no sense, and says which", async () => {
    const folder = doubler();
    const refusal = async (inputs: object, scans?: number): Promise<string> => {
      const error = await failureOf(async () =>
        (await simulate(folder, { inputs: inputs as never })).run(scans),
      );
      return `${error.code}: ${error.message}`;
    };
    expect(await refusal({ lefel: 1 }, 1)).toBe(
      'INPUT_DATA: The agent has no input "lefel"; its inputs are "level", "offset".',
    );
    expect(await refusal([1, 2, 3], 1)).toContain("inputs for 3 channels");
    expect(await refusal({ level: 1 })).toBe("INPUT_DATA: These inputs have no end.");
    expect(await refusal({ level: [] }, 1)).toContain("is empty");
    expect(await refusal(parseCsv("level,time\n1,2"))).toContain(
      'no column "offset"; its columns are "level"',
    );
    expect(await refusal(parseCsv("1\n2"))).toContain("1 columns and no names");
    expect(await refusal(() => [1, 2, 3], 1)).toContain("Scan 1: expected 2 numbers");
    for (const [text, words] of [
      ["", "is empty"],
      ["a,b\n", "not one row"],
      ["a,b\n1,2\n3\n", "line 3: expected 2 columns, found 1"],
      ["a,b\n1,two\n", 'line 2: "two" is no number'],
      ["a,b\n1,\n", 'line 2: "" is no number'],
    ] as const)
      expect(() => parseCsv(text)).toThrow(words);
    expect(() => readCsv(join(folder, "none.csv"))).toThrow("does not exist");
  });

  it("goes scan by scan, a millisecond each, and remembers everything", async () => {
    const agent = await simulate(doubler(), { inputs: { level: 1 } });
    const first = agent.scan();
    expect(first).toMatchObject({
      scan: 1,
      micros: 1000,
      inputs: [1, 0],
      wanted: [2, 1000],
      outputs: [2, 1000],
    });
    expect(first.fuel).toBeGreaterThan(5);
    expect(agent.scan({ level: 60, offset: 1 })).toMatchObject({
      scan: 2,
      outputs: [121, 2000],
      log: ["much"],
    });
    expect(agent.scan([7])).toMatchObject({ scan: 3, outputs: [14, 3000], log: [] });
    agent.setInputs({ offset: 9 });
    agent.run(2);
    expect(agent.output("valve")).toBe(9);
    expect(agent.output(1)).toBe(5000);
    expect(() => agent.output("vlave")).toThrow('no channel "vlave": there are "valve", "time"');
    const { history } = agent;
    expect(history.output("valve")).toEqual([2, 121, 14, 9, 9]);
    expect(history.input("level")).toEqual([1, 60, 7, 0, 0]);
    expect(history.log).toEqual(["much"]);
    expect(agent.events).toEqual([{ kind: "log", scan: 2, text: "much" }]);
    expect(history.worstFuel).toBe(agent.worstFuel);
    expect(agent.worstFuel).toBeLessThanOrEqual(agent.fuelLimit);
  });

  it("follows agent.json's scan divider: time goes by that much faster", async () => {
    const agent = await simulate(agentFolder(DOUBLER, { ...CHANNELS, scanDivider: 20 }), {
      inputs: { offset: (_, seconds) => seconds },
    });
    expect(agent.run(3).output("time")).toEqual([20_000, 40_000, 60_000]);
    expect(agent.history.output("valve")).toEqual([0, 0.02, 0.04].map(Math.fround));
  });

  it("holds outputs within their guards as the board does: range, slew from the last value, no NaN", async () => {
    const source = `${SDK}export function scan(): void { output(0, input(0)); output(1, input(0)); output(2, input(0)); }\n`;
    const folder = agentFolder(source, {
      inputs: [{ name: "in", min: -500, max: 500 }],
      outputs: [
        { name: "range", min: -10, max: 20 },
        { name: "slew", min: -100, max: 100, slew: 3 },
        { name: "safe", min: 5, max: 50, failSafe: 7 },
      ],
    });
    const agent = await simulate(folder, { inputs: { in: [1, 99, -99, NaN] } });
    expect(agent.outputs).toEqual([0, 0, 7]);
    const run = agent.run();
    expect(run.output("range")).toEqual([1, 20, -10, -10]);
    expect(run.output("slew")).toEqual([1, 4, 1, 1]);
    expect(run.output("safe")).toEqual([5, 50, 5, 5]);
    expect(run.wanted("slew")).toEqual([1, 99, -99, NaN]);
    expect(run.scans.map(({ guardHits }) => guardHits)).toEqual([1, 3, 3, 3]);
    expect(run.guardHits).toBe(10);
    expect(agent.events[1]).toEqual({
      kind: "guard",
      scan: 2,
      text: "range held at 20, wanted 99; slew held at 4, wanted 99; safe held at 50, wanted 99",
    });
  });
});

describe("a trap in a simulation", () => {
  const TRAPPING = `${SDK}let n = 0;
function wild(at: usize): void {
  store<u8>(at, 1);
}
export function scan(): void {
  n++;
  output(0, 100 + <f32>n);
  if (n == 2) wild(60000);
  if (n == 3) throw new Error("enough");
  if (n == 4) while (n > 0) output(0, input(0));
}
`;
  const start = async (config: object, traps?: "report"): Promise<Simulation> =>
    simulate(
      agentFolder(TRAPPING, { outputs: [{ name: "out", min: -1e6, max: 1e6, failSafe: -1 }], ...config }),
      {
        traps,
      },
    );

  it("is thrown with file, line and the fuel that it took, and the machine can go on", async () => {
    const agent = await start({});
    agent.scan();
    const wild = await failureOf(() => agent.scan());
    expect(wild).toBeInstanceOf(AgentTrap);
    expect(wild).toMatchObject({ code: "AGENT_TRAP", place: { file: "assembly/index.ts", line: 4 } });
    expect(wild.message).toMatch(
      /^The agent trapped: out of bounds memory access at assembly\/index\.ts:4:\d+\.$/,
    );
    expect(() => agent.scan()).toThrow(/: enough assembly\/index\.ts:10:\d+\.$/);
    const loop = await failureOf(() => agent.scan());
    expect(loop).toMatchObject({ code: "AGENT_FUEL", place: { file: "assembly/index.ts", line: 11 } });
    expect(agent.worstFuel).toBeGreaterThanOrEqual(agent.fuelLimit);
    expect(agent.scan().outputs).toEqual([105]);
    expect(agent.events.map(({ kind, scan }) => [kind, scan])).toEqual([
      ["trap", 2],
      ["trap", 3],
      ["trap", 4],
    ]);
  });

  it("can be reported instead; outputs then hold, or go to fail-safe, as agent.json says", async () => {
    const held = (await start({}, "report")).run(5);
    expect(held.output("out")).toEqual([101, 101, 101, 101, 105]);
    expect(held.traps.map(({ code }) => code)).toEqual(["AGENT_TRAP", "AGENT_TRAP", "AGENT_FUEL"]);
    expect(held.traps[1]?.reason).toMatch(/^enough assembly\/index\.ts:10:/);
    const safe = (await start({ onTrap: "failSafe" }, "report")).run(5);
    expect(safe.output("out")).toEqual([101, -1, -1, -1, 105]);
  });

  it("names the byte where there is no source map", async () => {
    const folder = agentFolder(TRAPPING, { checkScans: 1 });
    const { config, wasm } = await buildAgent(folder);
    const epk = join(folderWith({ "agent.epk": serializePackage(packAgent(config, wasm)) }), "agent.epk");
    const agent = await simulate(epk);
    agent.scan();
    const trap = await failureOf(() => agent.scan());
    expect(trap.message).toMatch(/out of bounds memory access at byte \d+ of its module\.$/);
    expect(trap).toMatchObject({ place: undefined });
  });
});

describe("a simulation of a request agent", () => {
  const REVERSER = `import { io } from "@edgeplug/sdk";
export { io_buffer } from "@edgeplug/sdk";
export function handle(size: i32): i32 {
  if (size > 100) return 600;
  for (let i = 0; i < size >> 1; i++) {
    const a = load<u8>(io + i);
    store<u8>(io + i, load<u8>(io + size - 1 - i));
    store<u8>(io + size - 1 - i, a);
  }
  return size;
}
`;

  it("gives replies and their fuel, and refuses what a board would", async () => {
    const agent = await simulate(agentFolder(REVERSER, { kind: "request", inputs: [], outputs: [] }));
    expect(agent.request("stressed").text).toBe("desserts");
    const reply = agent.request(Uint8Array.of(1, 2, 3));
    expect(reply.bytes).toEqual(Uint8Array.of(3, 2, 1));
    expect(reply.fuel).toBeGreaterThan(0);
    expect(await failureOf(() => agent.request(new Uint8Array(101)))).toMatchObject({ code: "REPLY" });
    expect(await failureOf(() => agent.request(new Uint8Array(513)))).toMatchObject({ code: "REQUEST_SIZE" });
    const control = await simulate(agentFolder(ECHO));
    expect(await failureOf(() => control.request("x"))).toMatchObject({ code: "NO_HANDLER" });
  });
});

describe("a hand-over in a simulation", () => {
  const counter = (step: number, stateId = 9): string =>
    agentFolder(
      `import { beginState, openState, output, putI32, stateSize, takeI32 } from "@edgeplug/sdk";
export { io_buffer } from "@edgeplug/sdk";
let n: i32 = 0;
export function scan(): void { n += ${step}; if (n % 2 == 0) output(0, <f32>n); }
export function save(): i32 { beginState(); putI32(n); return stateSize(); }
export function restore(size: i32): void { openState(size); n = takeI32(); }
`,
      { stateId, limits: { ioBuffer: 64 }, outputs: [{ name: "out", min: -1000, max: 1000 }] },
    );

  it("passes state and outputs on as a swap does, only between equal state ids", async () => {
    const old = await simulate(counter(2));
    old.run(5);
    const next = await simulate(counter(1));
    expect(next.takeOver(old)).toBe(4);
    expect(next.outputs).toEqual([10]);
    expect(next.run(2).output("out")).toEqual([10, 12]);
    const other = await simulate(counter(3, 8));
    expect(other.takeOver(old)).toBe(0);
    expect(other.run(2).output("out")).toEqual([10, 6]);
  });

  it("can be made by hand, and a state that is cut off traps", async () => {
    const agent = await simulate(counter(2));
    agent.run(3);
    expect(agent.save()).toEqual(Uint8Array.of(6, 0, 0, 0));
    agent.restore(Uint8Array.of(100, 0, 0, 0));
    expect(agent.scan().outputs).toEqual([102]);
    expect(() => {
      agent.restore(Uint8Array.of(1));
    }).toThrow(/state ends too early/);
    expect(await failureOf(() => agent.restore(new Uint8Array(65)))).toMatchObject({ code: "HANDOVER" });
  });
});

describe("what simulate takes", () => {
  it("folder, build, module and package run alike; a changed source is compiled anew, nothing is written", async () => {
    const folder = agentFolder(ECHO);
    const outputs = async (path: string): Promise<number[]> =>
      (await simulate(path, { inputs: { in: [1, 2, 3] } })).run().output(0);
    expect(await outputs(folder)).toEqual([1, 2, 3]);
    expect(await failureOf(() => findBuiltAgent(join(folder, "build")))).toMatchObject({
      code: "FILE_NOT_FOUND",
    });
    const { config, wasm } = await buildAgent(folder);
    writeFileSync(join(folder, "agent.epk"), serializePackage(packAgent(config, wasm)));
    for (const name of ["", "build", "build/agent.wasm", "agent.epk"])
      expect(await outputs(join(folder, name)), name).toEqual([1, 2, 3]);
    writeFileSync(join(folder, "assembly/index.ts"), ECHO.replace("input(0)", "-input(0)"));
    expect(await outputs(folder)).toEqual([-1, -2, -3]);
    expect(await outputs(join(folder, "build"))).toEqual([1, 2, 3]);
  });
});
