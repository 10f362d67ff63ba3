// Random valid modules in the board's engine and in V8: results bit for bit, traps, globals, memory.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConformanceImage, ImageError } from "@edgeplug/conformance-suite/dist/image.js";
import { afterAll, describe, expect, test } from "vitest";
import { OPCODES } from "../../conformance/opcodes.js";
import { Binaryen } from "../dist/binaryen.js";
import { instructions, readModule, writeModule } from "../dist/binary.js";
import { makeCase } from "../dist/cases.js";
import { runModules, type KillableImage, type ModulesReport } from "../dist/run.js";

const SEED = 6;

const CODES = new Map(OPCODES.map(({ name, code }) => [name, code]));

/** What a defective engine does, and what instead. */
const DEFECTS = [
  ["i32.rem_s", "i32.rem_u"],
  ["i64.shr_s", "i64.shr_u"],
  ["f32.min", "f32.max"],
  ["f64.nearest", "f64.trunc"],
  ["i32.extend8_s", "i32.extend16_s"],
  ["i64.load32_s", "i64.load32_u"],
  ["i64.trunc_sat_f64_s", "i64.trunc_sat_f64_u"],
  ["f64.convert_i64_s", "f64.convert_i64_u"],
].map(([name = "", other = ""]) => [name, other, CODES.get(name) ?? 0, CODES.get(other) ?? 0] as const);

/** Every opcode by name that stands in a module fewer than `least` times. */
function scarce({ opcodes }: ModulesReport, least: number): string[] {
  return OPCODES.filter(({ code }) => (opcodes.get(code) ?? 0) < least).map(({ name }) => name);
}

describe("random modules", () => {
  const folder = mkdtempSync(join(tmpdir(), "edgeplug-differential-"));
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  test("1,000 do the same on sim as in V8", { timeout: 600_000 }, async () => {
    const report = await runModules({ start: () => ConformanceImage.sim(), seed: SEED, count: 1000 });
    expect(report.findings).toEqual([]);
    // else they would say little
    expect(scarce(report, 100)).toEqual([]);
    expect(report.skipped).toBe(0);
    expect(report.overLimit).toBeLessThan(10);
    expect(report.trappedAtStart).toBeLessThan(80);
    expect(report.exhausted).toBeLessThan(50);
    expect(report.calls).toBeGreaterThan(80_000);
    expect(report.traps).toBeLessThan(report.calls / 2);
    expect(report.traps).toBeGreaterThan(report.calls / 50);
  });

  test("40 do on the Arm image under QEMU", { timeout: 600_000 }, async () => {
    const report = await runModules({
      ...{ start: () => ConformanceImage.qemu(), seed: SEED, first: 1000, count: 40 },
    });
    expect(report.findings).toEqual([]);
    expect(report.calls).toBeGreaterThan(2000);
  });

  test("40 do natively, under the sanitizers", { timeout: 600_000 }, async () => {
    const report = await runModules({
      ...{ start: () => ConformanceImage.native(), seed: SEED, first: 1040, count: 40 },
    });
    expect(report.findings).toEqual([]);
    expect(report.calls).toBeGreaterThan(2000);
  });

  test.each(DEFECTS)(
    "an engine that does %s as %s is found",
    { timeout: 120_000 },
    async (_, __, from, to) => {
      const { findings } = await runModules({
        ...{ start: () => new Defective(from, to), seed: SEED, count: 400, folder, stopAtFirst: true },
      });
      const [{ what = "", smaller = "", files = [] } = {}] = findings;
      expect(what).toMatch(/: the engine says ".*", V8 ".*"$/);
      expect(smaller).toMatch(/: the engine says ".*", V8 ".*"$/);
      const [whole, small] = files.filter((file) => file.endsWith(".wasm")).map((file) => readFileSync(file));
      expect(opcodesOf(small ?? Buffer.alloc(0))).toContain(from);
      expect(opcodesOf(small ?? Buffer.alloc(0)).length).toBeLessThan(
        opcodesOf(whole ?? Buffer.alloc(0)).length,
      );
    },
  );

  test("an engine that ends over a module is found, and a new one takes the next", async () => {
    let started = 0;
    const start = (): KillableImage => (started++ === 0 ? new Mortal() : ConformanceImage.sim());
    const { findings, calls } = await runModules({ ...{ start, seed: SEED, count: 3, folder } });
    expect(findings.map(({ id, what }) => [id, what])).toEqual([[`${String(SEED)}:0`, "it left"]]);
    expect(calls).toBeGreaterThan(0);
  });

  test("the same seed and number give the same module, whatever was made before", async () => {
    const binaryen = await Binaryen.create();
    const bytes = (number: number): string =>
      Buffer.from(writeModule(makeCase(binaryen, SEED, number).module)).toString("hex");
    const before = [11, 12, 13].map(bytes);
    expect([13, 11, 12].map(bytes)).toEqual([before[2], before[0], before[1]]);
    expect(new Set(before).size).toBe(3);
    binaryen.close();
  });
});

/** An image that dies of its first module. */
class Mortal implements KillableImage {
  requests(): Promise<string[]> {
    return Promise.reject(new ImageError("it left"));
  }

  kill(): void {
    // nothing runs
  }
}

/** The engine, but where a module has one instruction it does another. */
class Defective implements KillableImage {
  readonly #image = ConformanceImage.sim();

  constructor(
    readonly from: number,
    readonly to: number,
  ) {}

  requests(bytes: Uint8Array, answers: number): Promise<string[]> {
    const size = Buffer.from(bytes).readUInt32LE(1);
    const module = readModule(bytes.slice(5, 5 + size));
    const bodies = module.bodies.map(({ locals, code }) => ({ locals, code: this.#changed(code) }));
    const changed = Buffer.concat([
      bytes.slice(0, 5),
      writeModule({ ...module, bodies }),
      bytes.slice(5 + size),
    ]);
    return this.#image.requests(changed, answers);
  }

  kill(): void {
    this.#image.kill();
  }

  #changed(code: Uint8Array): Uint8Array {
    const copy = code.slice();
    const at = this.from >= 0xfc00 ? 1 : 0;
    for (const { opcode, start } of instructions(code))
      if (opcode === this.from) copy[start + at] = this.to & 0xff;
    return copy;
  }
}

function opcodesOf(bytes: Uint8Array): number[] {
  return readModule(bytes).bodies.flatMap(({ code }) => instructions(code).map(({ opcode }) => opcode));
}
