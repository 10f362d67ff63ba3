/** What fails on a board is told with the line of its source, where the board tells the byte and a map is at hand. */
import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { packAgent, serializePackage } from "edgeplug";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { assembleAgent } from "../../host/src/agent/build.js";
import { EDGEPLUG, EDGEPLUG_PUSH as PUSH, runToolText } from "./support/tool.js";

const LONG_MS = 120_000;

const run = (file: string, ...args: string[]): ReturnType<typeof runToolText> =>
  runToolText(file, args, { folder: place });

const SDK = 'import { input, output } from "@edgeplug/sdk";\n';
/** Follows a wild pointer in line 6, from scan `after` on. */
const wild = (after: number): string => `${SDK}
let n: i32 = 0;
let cell: usize = memory.data(8);
export function scan(): void {
  store<f32>(n > ${after} ? 0x7fff0000 : cell, input(0));
  n++;
  output(0, load<f32>(cell));
}
`;

let place = "";
beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), "edgeplug-lines-"));
});
afterAll(() => {
  rmSync(place, { recursive: true, force: true });
});

function agent(name: string, source: string, config: object = {}): string {
  const folder = join(place, name);
  mkdirSync(join(folder, "assembly"), { recursive: true });
  writeFileSync(join(folder, "assembly/index.ts"), source);
  writeFileSync(
    join(folder, "agent.json"),
    JSON.stringify({
      name: "sample",
      version: "1",
      release: 1,
      inputs: [{ name: "in", min: -500, max: 500 }],
      outputs: [{ name: "out", min: -500, max: 500 }],
      limits: { memory: 1024 },
      checkScans: 50,
      ...config,
    }),
  );
  return folder;
}

describe("a push that fails", () => {
  it(
    "in its trial names file and line; without the map, or with another's, the byte of the module",
    async () => {
      const folder = agent("wild", wild(200), { trial: { healthyScans: 1000 } });
      expect(await run(EDGEPLUG, "pack", folder)).toMatchObject({ code: 0 });
      const epk = join(folder, "build/agent.epk");
      const told = await run(PUSH, "--device", "sim:", epk);
      expect(told.code).toBe(61);
      expect(told.stderr).toMatch(
        /failed its trial: trap \(out of bounds memory access at assembly\/index\.ts:6:\d+\); no agent runs/,
      );
      const alone = join(place, "alone/agent.epk");
      mkdirSync(dirname(alone));
      copyFileSync(epk, alone);
      const byte = /failed its trial: trap \(out of bounds memory access at byte \d+ of its module\)/;
      expect((await run(PUSH, "--device", "sim:", alone)).stderr).toMatch(byte);
      const other = agent("other", wild(300), { trial: { healthyScans: 1000 } });
      expect(await run(EDGEPLUG, "pack", other)).toMatchObject({ code: 0 });
      copyFileSync(join(other, "build/agent.epk.map"), `${alone}.map`);
      expect((await run(PUSH, "--device", "sim:", alone)).stderr).toMatch(byte);
    },
    LONG_MS,
  );

  it(
    "beside the running agent names file and line too",
    async () => {
      const flash = `sim:${join(place, "beside.flash")}`;
      const first = agent("steady", `${SDK}export function scan(): void { output(0, input(0)); }\n`);
      const second = agent("beside", wild(200), { release: 2 });
      for (const folder of [first, second])
        expect(await run(EDGEPLUG, "pack", folder)).toMatchObject({ code: 0 });
      expect((await run(PUSH, "--device", flash, join(first, "build/agent.epk"))).code).toBe(0);
      const args = ["--shadow", "500", join(second, "build/agent.epk")];
      const { code, stderr } = await run(PUSH, "--device", flash, ...args);
      expect(stderr).toMatch(
        /EP5008: .* failed beside sample 1 after 201 scans: trap \(out of bounds memory access at assembly\/index\.ts:6:\d+\)\. It was not activated; sample 1 \(swap 1\) runs on\./,
      );
      expect(code).toBe(52);
    },
    LONG_MS,
  );

  it(
    "at its test vectors or its start says what the board can't: which output, which line",
    async () => {
      /** A package that no build would have let through. */
      const pack = async (name: string, source: string, config: object): Promise<string> => {
        const folder = agent(name, source, {
          ...config,
          limits: { memory: 1024, fuel: 5000, initFuel: 5000 },
        });
        const { config: parsed, wasm, map } = await assembleAgent(folder);
        const epk = join(folder, "agent.epk");
        writeFileSync(epk, serializePackage(packAgent(parsed, wasm)));
        writeFileSync(`${epk}.map`, map.json);
        return epk;
      };
      const echo = `${SDK}export function scan(): void { output(0, input(0)); }\n`;
      const vectors = [
        { inputs: [1], outputs: [1] },
        { inputs: [2], outputs: [3] },
      ];
      const wrong = await run(PUSH, "--device", "sim:", await pack("wrong", echo, { vectors }));
      expect(wrong.code).toBe(51);
      expect(wrong.stderr).toContain("vector 02. Here too: In vector 2: output 0 (out) is 2, expected 3.");
      const start = `${SDK}export function init(): void {\n  store<u8>(0x7fff0000, 1);\n}\nexport function scan(): void {}\n`;
      const traps = await run(PUSH, "--device", "sim:", await pack("start", start, {}));
      expect(traps.code).toBe(52);
      expect(traps.stderr).toMatch(
        /out of bounds memory access\. Here too: In start: .* at assembly\/index\.ts:3:\d+\./,
      );
      const loop = `${SDK}export function scan(): void {\n  while (input(0) < 5) output(0, 1);\n}\n`;
      const looping = await pack("loop", loop, { vectors: [{ inputs: [1], outputs: [1] }] });
      const ends = await run(PUSH, "--device", "sim:", looping);
      expect(ends.stderr).toMatch(/EP5009: .*Here too: In vector 1: .* at assembly\/index\.ts:3:\d+\./);
    },
    LONG_MS,
  );
});

describe("edgeplug monitor --source", () => {
  it(
    "names the line of a trap of that very package, and of no other",
    async () => {
      const late = agent("late", wild(6000), { trial: { healthyScans: 100 } });
      const other = agent("unrelated", wild(7000), { trial: { healthyScans: 100 } });
      for (const folder of [late, other])
        expect(await run(EDGEPLUG, "pack", folder)).toMatchObject({ code: 0 });
      const epk = join(late, "build/agent.epk");
      const board = spawn(process.execPath, [EDGEPLUG, "board", "run", "--board", "sim", "--ephemeral"]);
      onTestFinished(() => void board.kill("SIGINT"));
      const port = await new Promise<string>((resolve) => {
        board.stdout.once("data", (part: Buffer) => resolve(part.toString().split("\n")[0] ?? ""));
      });
      expect(await run(PUSH, "--device", port, epk)).toMatchObject({ code: 0 });
      const monitor = (...args: string[]): ReturnType<typeof run> =>
        run(EDGEPLUG, "monitor", "--device", port, "--until", "trap", "--for", "60", ...args);
      const told = await monitor("--source", join(other, "build/agent.epk"), epk);
      expect(told.stdout).toMatch(
        /trap +swap 1 in scan [\d,]+, at assembly\/index\.ts:6:\d+: trap, out of bounds/,
      );
      const record = (await monitor("--source", epk, "--json")).stdout.trimEnd().split("\n").at(-1) ?? "";
      expect(JSON.parse(record)).toMatchObject({
        event: "trap",
        place: { file: "assembly/index.ts", line: 6 },
      });
      const elsewhere = await monitor("--source", join(other, "build/agent.epk"));
      expect(elsewhere.stdout).toMatch(/trap +swap 1 in scan [\d,]+, at byte \d+ of its module/);
      rmSync(join(late, "build/agent.epk.map"));
      rmSync(join(late, "build/agent.wasm.map"));
      expect(await monitor("--source", epk)).toMatchObject({ code: 10 });
    },
    LONG_MS,
  );
});
