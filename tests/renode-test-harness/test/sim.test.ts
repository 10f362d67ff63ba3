import { mkdtemp, rm } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, describe, expect, it, vi } from "vitest";

import { startSim, type InProcessBoard, type SimOptions } from "../src/index.js";

// the commands of firmware/boards/sim/selftest.c
const SELFTEST = new URL("../../../build/sim/selftest.wasm", import.meta.url);

const boards: InProcessBoard[] = [];

async function start(options: Partial<SimOptions> = {}): Promise<InProcessBoard> {
  const board = await startSim({ backend: "sim", wasm: SELFTEST, ...options });
  boards.push(board);
  return board;
}

afterEach(async () => {
  await Promise.all(boards.splice(0).map((board) => board.close()));
  vi.useRealTimers();
});

/** Sends a command and gives the answer's bytes, its first letter included. */
function ask(board: InProcessBoard, command: string, size: number): Promise<Buffer> {
  return new Promise((resolve) => {
    let answer = Buffer.alloc(0);
    const take = (bytes: Buffer): void => {
      answer = Buffer.concat([answer, bytes]);
      if (answer.length < size) return;
      board.serial.off("data", take);
      resolve(answer);
    };
    board.serial.on("data", take);
    board.serial.write(command);
  });
}

describe("a board in this process", () => {
  it("lives by itself while the event loop runs, and answers on its stream", async () => {
    const board = await start();
    expect((await ask(board, "c", 2)).toString("hex")).toBe("6300");
    expect((await ask(board, "p", 2)).toString()).toBe("p.");
    expect((await ask(board, "r", 10)).toString("hex")).toBe("7211223344556677882e");
  });

  it("runs as many times faster than the clock as it is told", async () => {
    vi.useFakeTimers({
      toFake: ["performance", "setTimeout", "clearTimeout", "setImmediate", "clearImmediate"],
    });
    const board = await start({ speed: 5 });
    await vi.advanceTimersByTimeAsync(10);
    const from = await board.virtualTime();
    await vi.advanceTimersByTimeAsync(200);
    const passed = (await board.virtualTime()) - from;
    expect(passed).toBeGreaterThan(990);
    expect(passed).toBeLessThanOrEqual(1005);
  });

  it("stands still while it is paused, and doesn't make up for it", async () => {
    const board = await start();
    await board.pause();
    const then = await board.virtualTime();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await board.virtualTime()).toBe(then);
    await board.resume();
    expect((await ask(board, "c", 2)).length).toBe(2);
    expect((await board.virtualTime()) - then).toBeLessThan(500);
  });

  it("keeps flash over a power cut, and what is sent meanwhile is lost", async () => {
    const board = await start();
    await ask(board, "p", 2);
    await board.powerOff();
    board.serial.write("e");
    await board.powerOn();
    expect((await ask(board, "r", 10)).toString("hex")).toBe("7211223344556677882e");
  });

  it("tells a planned cut as power-off, and a broken flash rule with its reason", async () => {
    const board = await start();
    board.sim.flash.planCut({ operation: 1, moment: "torn" });
    const off = board.nextEvent((event) => event.kind === "power-off");
    board.serial.write("e");
    await off;
    expect(board.powered).toBe(false);
    await board.powerOn();
    await ask(board, "e", 2);
    await ask(board, "p", 2);
    const ended = board.nextEvent((event) => event.kind === "ended");
    board.serial.write("p");
    expect(await ended).toMatchObject({
      reason: expect.stringMatching(/^FLASH_VIOLATION.*already/) as string,
    });
  });

  it("tells watchdog and resets", async () => {
    const board = await start();
    const watchdog = board.nextEvent((event) => event.kind === "watchdog");
    board.serial.write("H");
    await watchdog;
    expect((await ask(board, "c", 2))[1]).toBe(2);
    const reset = board.nextEvent((event) => event.kind === "reset");
    await board.reset();
    expect(await reset).toEqual({ kind: "reset", cause: "requested" });
  });

  it("sends an observer frame for each scan", async () => {
    const board = await start();
    const frames: number[] = [];
    let zeros = 0;
    board.observer.on("data", (bytes: Buffer) => {
      for (const byte of bytes) if (byte === 0) zeros++;
      frames.push(bytes.length);
    });
    await ask(board, "w", 1);
    expect(zeros).toBeGreaterThan(15);
  });

  it("is reached by other programs through a socket, one at a time", async () => {
    const board = await start({ line: "socket" });
    const first = createConnection(board.port ?? "");
    const answer = new Promise<Buffer>((resolve) => first.once("data", resolve));
    first.write("c");
    expect((await answer).toString("hex")).toBe("6300");
    const second = createConnection(board.port ?? "");
    await new Promise((resolve) => second.once("close", resolve));
    first.destroy();
  });

  it("keeps flash and identity in a file", async () => {
    const folder = await mkdtemp(join(tmpdir(), "harness-test-"));
    const flashFile = join(folder, "board.flash");
    const first = await start({ flashFile });
    await ask(first, "p", 2);
    const id = first.sim.boardId;
    await first.close();
    const second = await start({ flashFile });
    expect((await ask(second, "r", 10)).toString("hex")).toBe("7211223344556677882e");
    expect(second.sim.boardId).toEqual(id);
    await second.close();
    await rm(folder, { recursive: true });
  });

  it("takes patches and writes without power only", async () => {
    const board = await start({ patches: [{ offset: 0, bytes: Uint8Array.of(9, 9) }] });
    expect((await board.readFlash()).subarray(0, 3)).toEqual(Uint8Array.of(9, 9, 0xff));
    await expect(board.writeFlash(0, Uint8Array.of(1))).rejects.toMatchObject({ code: "BOARD_ON" });
    await board.powerOff();
    await board.writeFlash(1, Uint8Array.of(1));
    expect((await board.readFlash()).subarray(0, 3)).toEqual(Uint8Array.of(9, 1, 0xff));
  });
});
