import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { buildAgent } from "../src/agent/build.js";
import { CompileError } from "../src/agent/compile.js";
import { readDetails } from "../src/agent/details.js";
import { packAgent } from "../src/agent/pack.js";
import { EdgePlugError } from "../src/errors.js";
import { readPackage, serializePackage } from "../src/package.js";
import { agentFolder, ECHO } from "./support/files.js";

async function refusal(folder: string): Promise<string> {
  try {
    await buildAgent(folder);
    return "nothing";
  } catch (error) {
    if (!(error instanceof EdgePlugError)) throw error;
    expect(existsSync(join(folder, "build")), "nothing is written").toBe(false);
    return `${error.code}: ${error.message}`;
  }
}

const SDK = 'import { input, log, output } from "@edgeplug/sdk";\n';

describe("building an agent", () => {
  it("gives a module that any tool can read, with its details inside and its fuel measured", async () => {
    const folder = agentFolder(ECHO, {
      description: "echoes",
      vectors: [{ inputs: [2.5], scans: 3, outputs: [2.5] }],
    });
    const { wasm, config, check } = await buildAgent(folder);
    execFileSync("wasm-validate", [join(folder, "build/agent.wasm")]);
    expect(Uint8Array.from(readFileSync(join(folder, "build/agent.wasm")))).toEqual(wasm);
    expect(readDetails(wasm)).toEqual({
      description: "echoes",
      inputs: [{ name: "in", unit: "", min: -10, max: 10 }],
      outputs: [{ name: "out", unit: "", min: -100, max: 100 }],
      vectors: 1,
      sourceMap: "agent.wasm.map",
    });
    expect(check).toMatchObject({ vectors: 1, runs: 200, guardHits: 0, stateSize: 0 });
    expect(check.worstFuel).toBeGreaterThan(3);
    expect(config.limits.fuel).toBeGreaterThanOrEqual(check.worstFuel * 1.2);
    const map = JSON.parse(readFileSync(join(folder, "build/agent.wasm.map"), "utf8")) as {
      sources: string[];
    };
    expect(map.sources).toContain("assembly/index.ts");
  });

  it("twice, in two places, gives the same bytes: module, source map and package", async () => {
    const config = { vectors: [{ inputs: [1], outputs: [1] }] };
    const [first, second] = [agentFolder(ECHO, config), agentFolder(ECHO.replaceAll("\n", "\r\n"), config)];
    const builds = [await buildAgent(first), await buildAgent(second)] as const;
    expect(builds[0].wasm).toEqual(builds[1].wasm);
    for (const name of ["agent.wasm", "agent.wasm.map", "agent.json"])
      expect(readFileSync(join(first, "build", name))).toEqual(readFileSync(join(second, "build", name)));
    const secretKey = new Uint8Array(32).fill(5);
    const packages = builds.map(({ config: complete, wasm }) =>
      serializePackage(packAgent(complete, wasm, { secretKey })),
    );
    expect(packages[0]).toEqual(packages[1]);
  });

  it("again without a change takes what is there; any change builds anew", async () => {
    const folder = agentFolder(ECHO);
    await buildAgent(folder);
    const again = await buildAgent(folder, { skipUnchanged: true });
    expect(again.unchanged).toBe(true);
    writeFileSync(join(folder, "assembly/index.ts"), ECHO.replace("input(0)", "input(0) * 2"));
    const changed = await buildAgent(folder, { skipUnchanged: true });
    expect(changed.unchanged).toBe(false);
    expect(changed.wasm).not.toEqual(again.wasm);
  });

  it("may compute sources by a script, which are compiled and never written", async () => {
    const source = `${SDK}import { GAIN } from "./gain";\nexport function scan(): void { output(0, input(0) * GAIN); }\n`;
    const folder = agentFolder(source, { generate: "gain.mjs", vectors: [{ inputs: [2], outputs: [6] }] });
    writeFileSync(
      join(folder, "gain.mjs"),
      'export const sources = () => ({ "assembly/gain.ts": "export const GAIN: f32 = 3;" });\n',
    );
    expect((await buildAgent(folder)).check.vectors).toBe(1);
    expect(existsSync(join(folder, "assembly/gain.ts"))).toBe(false);
    const bad = agentFolder(source, { generate: "gain.mjs" });
    writeFileSync(join(bad, "gain.mjs"), "export const x = 1;\n");
    expect(await refusal(bad)).toContain(
      "AGENT_CONFIG: agent.json: generate: gain.mjs has no export sources()",
    );
  });
});

describe("an agent is not built", () => {
  it("when the compiler refuses it; the error carries the compiler's words", async () => {
    const folder = agentFolder("export function scan(): void { outptu(0); }\n");
    expect(await refusal(folder)).toBe(
      "COMPILE: AssemblyScript: TS2304: Cannot find name 'outptu'. (assembly/index.ts(1,32))",
    );
    await expect(buildAgent(folder)).rejects.toBeInstanceOf(CompileError);
  });

  it("when its static data are over limits.memory", async () => {
    const source = `${ECHO}const big = memory.data(9000); export function init(): void { store<u8>(big, 1); }\n`;
    expect(await refusal(agentFolder(source))).toMatch(/^COMPILE: /);
  });

  it("when a vector gives something else, and the error says what", async () => {
    expect(
      await refusal(
        agentFolder(ECHO, {
          vectors: [
            { inputs: [1], outputs: [1] },
            { inputs: [2], outputs: [3] },
          ],
        }),
      ),
    ).toBe("VECTOR: In vector 2: output 0 (out) is 2, expected 3.");
  });

  it("when it traps, with its own message, file and line", async () => {
    const source = `${SDK}let n = 0;\nexport function scan(): void {\n  if (++n > 150) throw new Error("enough");\n}\n`;
    const message = await refusal(agentFolder(source));
    expect(message).toMatch(/^AGENT_TRAP: In scan 151: .*enough.*assembly\/index\.ts.*4/);
  });

  it("when it loops for ever", async () => {
    const source = `${SDK}export function scan(): void { while (input(0) == input(0)) output(0, 1); }\n`;
    expect(await refusal(agentFolder(source))).toMatch(/^AGENT_FUEL: In scan 1: /);
  });

  it("when it takes more fuel than agent.json gives it", async () => {
    expect(await refusal(agentFolder(ECHO, { limits: { fuel: 5 } }))).toMatch(/^AGENT_FUEL: In scan 1: /);
  });

  it("when it goes beyond its memory, its stack or its depth of calls", async () => {
    const beyond = `${SDK}export function scan(): void { store<u8>(4096, 1); }\n`;
    expect(await refusal(agentFolder(beyond, { limits: { memory: 4096 } }))).toMatch(
      /^AGENT_TRAP: In scan 1: The agent trapped: out of bounds memory access at assembly\/index\.ts:2:\d+\.$/,
    );
    const deep = `${SDK}function down(n: i32): i32 { return n == 0 ? 0 : 1 + down(n - 1) * 2; }
export function scan(): void { output(0, <f32>down(30)); }\n`;
    expect(await refusal(agentFolder(deep, { limits: { callDepth: 16 } }))).toMatch(
      /^AGENT_TRAP: In scan 1: /,
    );
    expect(await refusal(agentFolder(deep, { limits: { callDepth: 64, stackSlots: 8 } }))).not.toBe(
      "nothing",
    );
  });

  it("when it allocates in a scan", async () => {
    const source = `${SDK}export function scan(): void { log("in: " + input(0).toString()); }\n`;
    expect(await refusal(agentFolder(source, { limits: { memory: 8192 } }))).toMatch(
      /^AGENT_CHECK: scan\(\) can call memory\.grow/,
    );
  });

  it("when it uses a channel that agent.json doesn't name", async () => {
    expect(await refusal(agentFolder(`${SDK}export function scan(): void { output(1, 1); }\n`))).toMatch(
      /^AGENT_TRAP: In scan 1: .*no output channel 1/,
    );
  });

  it("when what it restores is not what it saved", async () => {
    const source = `import { beginState, output, putI32, stateSize } from "@edgeplug/sdk";
export { io_buffer } from "@edgeplug/sdk";
let scans: i32 = 0;
export function scan(): void { output(0, <f32>(++scans & 63)); }
export function save(): i32 { beginState(); putI32(scans); return stateSize(); }
export function restore(size: i32): void {}
`;
    expect(await refusal(agentFolder(source, { stateId: 9, limits: { ioBuffer: 64 } }))).toMatch(
      /^HANDOVER: save\(\) after restore\(\) gives 4 bytes/,
    );
  });

  it("when it writes an output while it saves", async () => {
    const source = `import { beginState, openState, output, putI32, stateSize, takeI32 } from "@edgeplug/sdk";
export { io_buffer } from "@edgeplug/sdk";
let scans: i32 = 0;
export function scan(): void { output(0, <f32>(++scans & 63)); }
export function save(): i32 { output(0, 0.5); beginState(); putI32(scans); return stateSize(); }
export function restore(size: i32): void { openState(size); scans = takeI32(); }
`;
    expect(await refusal(agentFolder(source, { stateId: 9, limits: { ioBuffer: 64 } }))).toMatch(
      /^AGENT_CHECK: In save: save\(\) must not write outputs/,
    );
  });

  it("when its reply is over its buffer", async () => {
    const source =
      'export { io_buffer } from "@edgeplug/sdk";\nexport function handle(size: i32): i32 { return size + 1; }\n';
    expect(await refusal(agentFolder(source, { kind: "request", inputs: [], outputs: [] }))).toMatch(
      /^REPLY: In request \d+ \(512 bytes\): /,
    );
  });

  it("when the folder lacks agent.json or its source", async () => {
    expect(await refusal(join(agentFolder(ECHO), "assembly"))).toMatch(/^FILE_NOT_FOUND: .*agent\.json/);
    const folder = agentFolder(ECHO);
    expect(await refusal(join(folder, "none"))).toMatch(/^FILE_NOT_FOUND: /);
  });
});

describe("packing", () => {
  it("keeps name, guards, trial and limits, and leaves out what says nothing", async () => {
    const folder = agentFolder(ECHO, {
      board: "qemu",
      trial: { healthyScans: 250 },
      outputs: [
        { name: "a", min: -1, max: 1, slew: 0.5 },
        { name: "b", min: 0, max: 2 },
      ],
      scanDivider: 4,
    });
    const { config, wasm } = await buildAgent(folder);
    const { manifest } = readPackage(serializePackage(packAgent(config, wasm)));
    expect(manifest).toMatchObject({
      name: "sample",
      boardClass: 2,
      guards: { min: [-1, 0], max: [1, 2], slew: [0.5, Infinity], failSafe: [] },
      trial: { healthyScans: 250, attempts: 0 },
      limits: config.limits,
      scanDivider: 4,
      payloadSize: wasm.length,
    });
  });

  it("refuses a manifest over 304 bytes and says what to drop", async () => {
    const source = `import { output } from "@edgeplug/sdk";
export { io_buffer } from "@edgeplug/sdk";
export function scan(): void { output(5, 1); }
export function save(): i32 { return 0; }
export function restore(size: i32): void {}
`;
    const many = 0xffffffff;
    const folder = agentFolder(source, {
      name: "a-name-of-20-letters",
      version: "1234567890.12345",
      release: many,
      securityVersion: many,
      board: "sim",
      stateId: many,
      outputs: Array.from({ length: 6 }, (_, at) => ({
        name: `o${at}`,
        min: -100,
        max: 100,
        slew: 1,
        failSafe: 0,
      })),
      limits: { fuel: 20_000_000, initFuel: 20_000_000, memory: 16_384, stackSlots: 1024, ioBuffer: 512 },
      trial: {
        healthyScans: many,
        deadlineScans: many,
        attempts: 3,
        minRequests: many,
        confirmByHost: true,
        maxGuardHits: many,
      },
      onTrap: "failSafe",
      scanDivider: 60_000,
    });
    const { config, wasm } = await buildAgent(folder);
    const pack = (changes: object): number => packAgent({ ...config, ...changes }, wasm).manifestBytes.length;
    let refused: unknown;
    try {
      pack({});
    } catch (error) {
      refused = error;
    }
    expect(refused).toMatchObject({ code: "MANIFEST_TOO_LARGE" });
    const { message, action } = refused as EdgePlugError;
    expect(message).toMatch(/takes 3\d\d bytes, \d+ more than the 304/);
    expect(action).toContain("shorten version (16 characters) (-11)");
    expect(action).toContain("drop slew from all outputs (-26)");
    const outputs = config.outputs.map(({ name, unit, min, max, failSafe = 0 }) => ({
      name,
      unit,
      min,
      max,
      failSafe,
    }));
    expect(pack({ outputs })).toBe((refused as EdgePlugError).detail - 26);
  });

  it("refuses a module that `build` did not measure", async () => {
    const { config, wasm } = await buildAgent(agentFolder(ECHO));
    const { memory, stackSlots, callDepth, ioBuffer, initFuel } = config.limits;
    const limits = {
      memory,
      stackSlots,
      callDepth,
      ioBuffer,
      ...(initFuel === undefined ? {} : { initFuel }),
    };
    expect(() => packAgent({ ...config, limits }, wasm)).toThrow("not one that `edgeplug build` made");
  });
});
