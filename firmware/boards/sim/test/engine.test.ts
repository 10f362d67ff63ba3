import binaryen from "binaryen";
import { beforeAll, describe, expect, it } from "vitest";

import { Engine, EngineError, type EngineModule } from "../src/index.js";

const LIMITS = {
  memoryBytes: 4096,
  stackSlots: 256,
  callDepth: 16,
  fuel: 10_000,
  initFuel: 10_000,
  ioBufferBytes: 0,
};

function assemble(text: string): Uint8Array {
  const module = binaryen.parseText(text);
  try {
    return module.emitBinary();
  } finally {
    module.dispose();
  }
}

function control(text: string, limits: Partial<typeof LIMITS> = {}): EngineModule {
  return { code: assemble(text), kind: "control", inputs: 2, outputs: 2, limits: { ...LIMITS, ...limits } };
}

function request(text: string): EngineModule {
  const limits = { ...LIMITS, ioBufferBytes: 64 };
  return { code: assemble(text), kind: "request", inputs: 0, outputs: 0, limits };
}

const DOUBLER = `(module
  (import "edgeplug" "input" (func $input (param i32) (result f32)))
  (import "edgeplug" "output" (func $output (param i32 f32)))
  (import "edgeplug" "log" (func $log (param i32 i32)))
  (memory 1)
  (data (i32.const 100) "hello")
  (func (export "scan")
    (call $output (i32.const 1) (f32.mul (f32.const 2) (call $input (i32.const 0))))
    (call $log (i32.const 100) (i32.const 5))))`;

const REVERSER = `(module
  (memory 1)
  (global $state (mut i32) (i32.const 7))
  (func (export "io_buffer") (result i32) (i32.const 256))
  (func (export "handle") (param $n i32) (result i32)
    (i32.store8 (i32.const 256) (i32.add (i32.load8_u (i32.const 256)) (global.get $state)))
    (local.get $n))
  (func (export "save") (result i32) (i32.store8 (i32.const 256) (global.get $state)) (i32.const 1))
  (func (export "restore") (param i32) (global.set $state (i32.load8_u (i32.const 256)))))`;

/** The error that `run` ends with. */
function failure(run: () => unknown): EngineError {
  try {
    run();
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
  throw new Error("it went well");
}

describe("the board's engine in a build", () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await Engine.create();
  });

  it("runs scans on inputs, and gives outputs, log and the fuel that they took", () => {
    engine.load(control(DOUBLER));
    const first = engine.scan([21, 0]);
    expect(first.outputs).toEqual([0, 42]);
    expect(first.log).toEqual(["hello"]);
    expect(first.fuelUsed).toBeGreaterThan(0);
    expect(engine.scan([-0.5, 0])).toEqual({ ...first, outputs: [0, -1] });
  });

  it("passes requests through the agent's buffer, and its state from one instance to the next", () => {
    engine.load(request(REVERSER));
    expect(engine.call(Uint8Array.of(1, 2)).bytes).toEqual(Uint8Array.of(8, 2));
    engine.restore(Uint8Array.of(100));
    const { bytes } = engine.save();
    expect(bytes).toEqual(Uint8Array.of(100));
    expect(engine.call(Uint8Array.of(1)).bytes).toEqual(Uint8Array.of(101));
  });

  it("says which trap ended a scan, and runs the next module as if nothing had been", () => {
    engine.load(control('(module (func (export "scan") unreachable))'));
    expect(failure(() => engine.scan([])).detail).toContain("unreachable");
    engine.load(control('(module (func (export "scan") (loop $l (br $l))))'));
    const endless = failure(() => engine.scan([]));
    expect(endless.code).not.toBe(
      failure(() => {
        engine.load(control("(module)"));
      }).code,
    );
    engine.load(control(DOUBLER));
    expect(engine.scan([1, 0]).outputs).toEqual([0, 2]);
  });

  it("refuses what the board would refuse, by name", () => {
    const unknown = '(module (import "env" "now" (func)) (func (export "scan")))';
    expect(
      failure(() => {
        engine.load(control(unknown));
      }).detail,
    ).toContain("now");
    expect(
      failure(() => {
        engine.load(control('(module (func (export "tick")))'));
      }).detail,
    ).toContain("scan");
    const garbage = { ...control(DOUBLER), code: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) };
    expect(
      failure(() => {
        engine.load(garbage);
      }).code,
    ).toBeGreaterThan(0);
    expect(() => {
      engine.load({ ...garbage, code: new Uint8Array(20_000) });
    }).toThrow(/expected 1 to 13824/);
  });

  it("refuses channels that the manifest doesn't name, as a trap of the scan", () => {
    engine.load({ ...control(DOUBLER), outputs: 1 });
    expect(failure(() => engine.scan([1])).detail).toContain("no output channel 1");
  });

  it("two engines know nothing of each other", async () => {
    const other = await Engine.create();
    engine.load(control(DOUBLER));
    other.load(request(REVERSER));
    expect(engine.scan([3, 0]).outputs).toEqual([0, 6]);
    expect(other.call(Uint8Array.of(0)).bytes).toEqual(Uint8Array.of(7));
  });

  it("without a module says so", async () => {
    const empty = await Engine.create();
    expect(() => empty.scan([])).toThrow(/no module is loaded/);
  });
});
