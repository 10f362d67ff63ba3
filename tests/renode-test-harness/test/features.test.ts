// What the interface of all boards promises, on the two backends that are always there.
import { fileURLToPath } from "node:url";

import { afterEach, describe, expect, it } from "vitest";

import {
  startQemu,
  startSim,
  withBoard,
  type Board,
  type Feature,
  type InProcessBoard,
  type QemuBoard,
  type QemuOptions,
  type SimOptions,
} from "../src/index.js";
import "../src/vitest.js";

const SELFTEST = new URL("../../../build/sim/selftest.wasm", import.meta.url);
const ELF = fileURLToPath(new URL("../../../build/qemu/selftest.elf", import.meta.url));
/** The qemu board's idleMode: the core spins instead of sleeping, so its time goes on. */
const SPIN = [{ offset: 0xc010, bytes: Uint8Array.of(1) }];

const FEATURES: readonly Feature[] = [
  ...(["virtual-time", "exact-time", "read-memory", "write-memory"] as const),
  ...(["cuts", "inputs", "outputs", "snapshots"] as const),
];

const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((board) => board.close()));
});

async function sim(options: Partial<SimOptions> = {}): Promise<InProcessBoard> {
  const board = await startSim({ backend: "sim", wasm: SELFTEST, paused: true, ...options });
  open.push(board);
  return board;
}

async function qemu(options: Partial<QemuOptions> = {}): Promise<QemuBoard> {
  const board = await startQemu({
    backend: "qemu",
    elf: ELF,
    icount: true,
    flash: { patches: SPIN },
    ...options,
  });
  open.push(board);
  return board;
}

/** Sends a command to the selftest in this process, and waits for so many bytes. */
async function ask(board: InProcessBoard, command: string, size: number): Promise<Buffer> {
  let answer = Buffer.alloc(0);
  const take = (bytes: Buffer): void => {
    answer = Buffer.concat([answer, bytes]);
  };
  board.serial.on("data", take);
  board.serial.write(command);
  await board.runUntil(() => answer.length >= size, 1000);
  board.serial.off("data", take);
  return answer;
}

describe("a board in this process", () => {
  it("can do everything, inputs if they are its own", async () => {
    const board = await sim();
    expect(FEATURES.filter((feature) => !board.supports(feature))).toEqual(["inputs"]);
    await expect(board.setInput(0, 1)).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining("start it with inputs: [") as string,
    });
    expect((await sim({ inputs: [0] })).supports("inputs")).toBe(true);
  });

  it("stands still but for the time that it is given", async () => {
    const board = await sim();
    expect(await board.virtualTime()).toBe(0);
    await board.runFor(250);
    expect(await board.virtualTime()).toBeCloseTo(250, 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await board.virtualTime()).toBeCloseTo(250, 1);
  });

  it("starts paused each time, if it was to start so; pause() holds for as long as the power", async () => {
    for (const paused of [true, false]) {
      const board = await sim({ paused });
      if (paused) await board.resume();
      else await board.pause();
      await board.powerOff();
      await board.powerOn();
      const then = await board.virtualTime();
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect((await board.virtualTime()) === then).toBe(paused);
    }
  });

  it("waits in its own time while it runs by itself", async () => {
    const board = await sim({ paused: false, speed: 100 });
    const from = await board.virtualTime();
    await board.runFor(300);
    expect((await board.virtualTime()) - from).toBeGreaterThanOrEqual(300);
  });

  it("is cut at the planned operation, and the same seed tears it the same way", async () => {
    const torn = async (seed: number): Promise<string> => {
      const board = await sim();
      await ask(board, "p", 2);
      const before = await board.flashOperations();
      await board.cutAt({ operation: 1, moment: "torn", seed });
      board.serial.write("e");
      expect(await board.runUntil({ event: "cut" }, 100)).toEqual({
        kind: "cut",
        operation: before + 1,
        moment: "torn",
      });
      await expect(board).toLosePower(10);
      expect(await board.flashOperations()).toBe(before + 1);
      return Buffer.from((await board.readFlash()).subarray(0, 8)).toString("hex");
    };
    const results = [await torn(5), await torn(5), await torn(6)];
    expect(results[0]).toBe(results[1]);
    expect(results[0]).not.toBe(results[2]);
  });

  it("forgets a plan that is taken back, and keeps one over a write to its memory", async () => {
    const board = await sim();
    await board.cutAt({ operation: 1, moment: "before" });
    await board.cutAt(undefined);
    await ask(board, "e", 2);
    await board.cutAt({ operation: 2, moment: "after" });
    await ask(board, "e", 2);
    await board.writeMemory(16, await board.readMemory(16, 4));
    board.serial.write("e");
    await expect(board).toLosePower(100);
  });

  it("takes inputs and shows outputs", async () => {
    const board = await sim({ inputs: [1.5, 0, 0, 0] });
    await expect(board.output(0)).rejects.toThrow(RangeError);
    await board.runFor(10);
    await expect(board).toOutput(0, 1.5);
    await board.setInput(0, -2);
    await board.runFor(2);
    await expect(board).toOutput(0, -2);
    await expect(board.setInput(4, 1)).rejects.toThrow(RangeError);
  });

  it("shows its memory, and takes writes to it", async () => {
    const board = await sim();
    const scans = async (): Promise<number> => (await ask(board, "s", 5)).readUInt32LE(1);
    const memory = async (): Promise<Buffer> =>
      Buffer.from(await board.readMemory(0, board.sim.memory().length));
    await board.runFor(777);
    // where the count of scans may lie: the next scan may have come between the answer and the look
    const first = { count: await scans(), memory: await memory() };
    await board.runFor(100);
    const second = { count: await scans(), memory: await memory() };
    const places: number[] = [];
    for (let at = 0; at < first.memory.length; at += 4)
      if (
        [first, second].every(({ count, memory: seen }) => [0, 1, 2].includes(seen.readUInt32LE(at) - count))
      )
        places.push(at);
    expect(places.length).toBeGreaterThan(0);
    for (const at of places) await board.writeMemory(at, Uint8Array.of(0, 0, 0xf0, 0));
    expect(await scans()).toBeGreaterThanOrEqual(0xf00000);
    await expect(board.readMemory(-1, 1)).rejects.toThrow(RangeError);
    await expect(board.writeMemory(1 << 30, Uint8Array.of(1))).rejects.toThrow(RangeError);
  });

  it("goes back to a snapshot: flash, time and power", async () => {
    const board = await sim();
    await ask(board, "e", 2);
    const snapshot = await board.snapshot();
    expect(snapshot).toMatchObject({ backend: "sim", time: await board.virtualTime() });
    await ask(board, "p", 2);
    await board.powerOff();
    await board.restore(snapshot);
    expect(board.powered).toBe(true);
    expect(await board.virtualTime()).toBe(snapshot.time);
    expect((await ask(board, "r", 10)).toString("hex")).toBe("72ffffffffffffffff2e");
    await expect(board.restore({ backend: "qemu", time: 0 })).rejects.toThrow(TypeError);
    await board.powerOff();
    const off = await board.snapshot();
    await board.powerOn();
    await board.restore(off);
    expect(board.powered).toBe(false);
  });

  it("waits for an event that came before it was asked for", async () => {
    const board = await sim();
    board.serial.write("H");
    await board.runFor(400);
    await expect(board).toReset("watchdog", 0);
    await expect(board).not.toReset("watchdog", 100);
  });
});

describe("a board under QEMU", () => {
  it("can tell time and memory, and says what it can't", async () => {
    const board: Board = await qemu();
    expect(FEATURES.filter((feature) => board.supports(feature))).toEqual([
      "virtual-time",
      "read-memory",
      "write-memory",
    ]);
    const refused = { code: "UNSUPPORTED", message: expect.stringContaining("on this qemu board") as string };
    await expect(board.cutAt({ operation: 1, moment: "torn" })).rejects.toMatchObject(refused);
    await expect(board.flashOperations()).rejects.toMatchObject(refused);
    await expect(board.setInput(0, 1)).rejects.toMatchObject(refused);
    await expect(board.output(0)).rejects.toMatchObject(refused);
    await expect(board.snapshot()).rejects.toMatchObject(refused);
    await expect(board.restore({ backend: "qemu", time: 0 })).rejects.toMatchObject(refused);
  });

  it("starts paused, runs for as long as it is told, and stands still again", async () => {
    const board = await qemu({ paused: true });
    expect(await board.virtualTime()).toBe(0);
    await expect(board).toSay("selftest", 1000);
    board.serial.write("echo in virtual time\n");
    await expect(board).toSay("in virtual time", 1000);
    const from = await board.virtualTime();
    await board.runFor(50);
    const then = (await board.virtualTime()) ?? NaN;
    expect(then - (from ?? NaN)).toBeGreaterThanOrEqual(50);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await board.virtualTime()).toBe(then);
    await board.resume();
    await board.runFor(20);
    expect(await board.virtualTime()).toBeGreaterThan(then + 20);
    await board.powerOff();
    await board.powerOn();
    const again = await board.virtualTime();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await board.virtualTime()).toBe(again);
  });

  it("tells no time without icount, and says how to get it", async () => {
    const board = await qemu({ icount: false });
    expect(board.supports("virtual-time")).toBe(false);
    await expect(board.runFor(1)).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining("icount: true") as string,
    });
    await expect(board).toSay("selftest");
    await expect(board.runUntil({ line: "never" }, 50)).rejects.toMatchObject({
      code: "TIMEOUT",
      message: expect.stringContaining("not within 50 real ms") as string,
    });
  });

  it("shows memory and takes writes to it, whether it runs or is paused", async () => {
    const board = await qemu();
    await expect(board).toSay("selftest");
    await board.writeMemory(0xb0000, Uint8Array.of(1, 2, 3, 4, 5));
    await expect(board).toHaveMemory(0xb0000, Uint8Array.of(1, 2, 3, 4, 5));
    board.serial.write("echo goes on\n");
    await expect(board).toSay("goes on");
    await board.pause();
    const then = await board.virtualTime();
    await board.writeMemory(0xb0001, Uint8Array.of(9));
    await expect(board).toHaveMemory(0xb0000, Uint8Array.of(1, 9, 3));
    expect(await board.virtualTime()).toBe(then);
    const debugged = await qemu({ extraArguments: ["-gdb", "none"] });
    expect(debugged.supports("write-memory")).toBe(false);
    await expect(debugged.writeMemory(0, Uint8Array.of(1))).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });

  it("tells a watchdog and the button apart", async () => {
    const board = await qemu();
    await expect(board).toSay("selftest");
    board.serial.write("feed\n");
    await expect(board).toReset("watchdog");
    await expect(board).toSay("selftest");
    await board.reset();
    await expect(board).toReset();
    await expect(board).not.toReset("watchdog", 20);
  });
});

describe("withBoard", () => {
  it("ends the board, whatever becomes of what was done with it", async () => {
    let seen: { readonly powered: boolean } | undefined;
    const options: SimOptions = { backend: "sim", wasm: SELFTEST };
    expect(await withBoard(options, async (board) => Promise.resolve((seen = board) && "done"))).toBe("done");
    expect(seen?.powered).toBe(false);
    const failing = withBoard(options, async (board) => {
      seen = board;
      return Promise.reject(new Error("it failed"));
    });
    await expect(failing).rejects.toThrow("it failed");
    expect(seen?.powered).toBe(false);
  });
});
