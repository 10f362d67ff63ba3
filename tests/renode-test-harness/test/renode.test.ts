// All of it again with a real Renode, where there is one.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { SerialPort } from "serialport";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import {
  RENODE_MISSING,
  renodeOrSkip,
  startRenode,
  type RenodeBoard,
  type RenodeOptions,
} from "../src/index.js";
import "../src/vitest.js";
import { buildSelftest } from "./firmware/build.js";

const renode = renodeOrSkip();

const title = renode ? `a board under Renode ${renode.version}` : RENODE_MISSING;

describe.skipIf(!renode)(title, { timeout: 120_000 }, () => {
  const firmware = renode ? buildSelftest() : { elf: "", scratch: 0 };
  /** Its waits for the flash are loops: fewer instructions in the same time cost less. */
  const options: RenodeOptions = {
    backend: "renode",
    elf: firmware.elf,
    paused: true,
    commands: ["sysbus.cpu PerformanceInMips 10"],
  };
  const boards: RenodeBoard[] = [];
  /** For tests that leave it as it was. */
  let shared: RenodeBoard;

  async function start(more: Partial<RenodeOptions> = {}): Promise<RenodeBoard> {
    const board = await startRenode({ ...options, ...more });
    boards.push(board);
    return board;
  }

  beforeAll(async () => {
    shared = await startRenode(options);
    await shared.runUntil({ line: "ready power" }, 100);
  }, 120_000);

  afterEach(async () => {
    await Promise.all(boards.splice(0).map((board) => board.close()));
  });

  afterAll(async () => {
    await shared.close();
  });

  async function ask(board: RenodeBoard, command: string): Promise<string> {
    board.serial.write(`${command}\n`);
    return board.runUntil({ line: /./ }, 1000);
  }

  it("loses not even the first byte, and answers in virtual time that is exact", async () => {
    const begun = await shared.virtualTime();
    expect(await ask(shared, "e hello")).toBe("hello");
    await shared.runFor(12.5);
    const passed = (await shared.virtualTime()) - begun;
    expect(passed % 0.5).toBe(0);
    const info = await shared.monitor("emulation GetTimeSourceInfo");
    expect(info).toContain(
      `Elapsed Virtual Time: 00:00:00.${String(Math.round((await shared.virtualTime()) * 1e6)).padStart(9, "0")}`,
    );
  });

  it("takes bytes at the line's own speed", async () => {
    const text = "a".repeat(70);
    const begun = await shared.virtualTime();
    expect(await ask(shared, `e ${text}`)).toBe(text);
    // 73 bytes take 6.3 ms; the step ends 2 ms after the one in which the answer began
    expect((await shared.virtualTime()) - begun).toBe(9);
  });

  it("does the same again: equal talk, equal moments", async () => {
    const runs = await Promise.all(
      [1, 2].map(async () => {
        const board = await start();
        await board.runUntil({ line: "ready power" }, 100);
        const times: number[] = [];
        for (let turn = 0; turn < 5; turn++) {
          await ask(board, `e ${turn}`);
          times.push(await board.virtualTime());
        }
        return times;
      }),
    );
    expect(runs[0]).toEqual(runs[1]);
  });

  it("sends its trace to the observer's stream, word by word", async () => {
    const board = await start();
    await board.runUntil({ line: /ready/ });
    let bytes = Buffer.alloc(0);
    board.observer.on("data", (part: Buffer) => (bytes = Buffer.concat([bytes, part])));
    await ask(board, "o 3");
    await board.runFor(1);
    expect(bytes.toString("hex")).toBe("030000000200000001000000");
  });

  it("shows memory, and takes writes to it", async () => {
    await shared.writeMemory(firmware.scratch, Uint8Array.of(0x78, 0x56, 0x34, 0x12));
    expect(await ask(shared, "s")).toBe("12345678");
    await expect(shared).toHaveMemory(firmware.scratch, Uint8Array.of(0x78, 0x56, 0x34, 0x12));
    const vectors = await shared.readMemory(0x0800_7000, 5000);
    expect(vectors).toHaveLength(5000);
    expect(vectors.subarray(0, 4)).toEqual(Uint8Array.of(0, 0, 1, 0x20));
  });

  it("has inputs in volts and outputs in percent", async () => {
    await shared.setInput(0, 1.65);
    expect(Number(await ask(shared, "v"))).toBeCloseTo(2047, -1);
    await ask(shared, "d 37");
    await expect(shared).toOutput(0, 37);
    await expect(shared.setInput(4, 1)).rejects.toThrow(RangeError);
  });

  it("tells watchdog, restart and button apart", async () => {
    const board = await start();
    await expect(board).toSay("ready power");
    board.serial.write("w\n");
    await expect(board).toReset("watchdog", 500);
    await expect(board).toSay("ready watchdog", 100);
    board.serial.write("R\n");
    await expect(board).toReset("software", 100);
    await expect(board).toSay("ready software", 100);
    await board.reset();
    await expect(board).toReset("pin", 100);
    await expect(board).toSay("ready pin", 100);
  });

  it("loses its power at the planned operation, before, after or in the middle of it", async () => {
    const board = await start();
    await board.runUntil({ line: /ready/ });
    expect(await ask(board, "x")).toBe("done");
    await board.cutAt({ operation: 1, moment: "before" });
    board.serial.write("p\n");
    expect(await board.runUntil({ event: "cut" }, 100)).toEqual({
      kind: "cut",
      operation: 2,
      moment: "before",
    });
    await expect(board).toLosePower();
    await expect(board).toHaveFlash(0, new Uint8Array(8).fill(0xff));
    await board.powerOn();
    await expect(board).toSay("ready power", 100);
    await board.cutAt({ operation: 1, moment: "after" });
    board.serial.write("p\n");
    await expect(board).toLosePower(100);
    await expect(board).toHaveFlash(0, Buffer.from("0011223344556677", "hex"));
    await board.powerOn();
    await board.runUntil({ line: /ready/ });
    await board.cutAt({ operation: 1, moment: "torn", seed: 7 });
    board.serial.write("x\n");
    await expect(board).toLosePower(100);
    expect(await board.flashOperations()).toBe(4);
  });

  it("ends with its reason when the firmware breaks a rule of the flash, or goes on where that was wanted", async () => {
    const [strict, lenient] = await Promise.all([start(), start({ violations: "tell" })]);
    for (const board of [strict, lenient]) {
      await board.runUntil({ line: /ready/ });
      await ask(board, "x");
      await ask(board, "p");
      board.serial.write("p\n");
    }
    const ended = await strict.runUntil({ event: "ended" }, 100);
    expect(ended).toMatchObject({ reason: expect.stringMatching(/^FLASH_VIOLATION: .*already/) as string });
    expect(strict.powered).toBe(false);
    expect((await lenient.runUntil({ event: "violation" }, 100)).kind).toBe("violation");
    await expect(lenient).toSay("error 8", 100);
  });

  it("keeps its flash over a power cut, not its memory; a file keeps it for longer", async () => {
    const folder = mkdtempSync(join(tmpdir(), "harness-test-"));
    const path = join(folder, "flash.bin");
    const board = await start({ flash: { path } });
    await board.runUntil({ line: /ready/ });
    await ask(board, "x");
    await ask(board, "p");
    await board.writeMemory(firmware.scratch, Uint8Array.of(1, 0, 0, 0));
    await board.powerOff();
    await expect(board.writeFlash(8, Uint8Array.of(1, 2))).resolves.toBeUndefined();
    await board.powerOn();
    await board.runUntil({ line: "ready power" });
    expect(await ask(board, "s")).toBe("0");
    expect(await ask(board, "r")).toBe("33221100");
    await expect(board).toHaveFlash(8, Uint8Array.of(1, 2, 0xff));
    await board.close();
    const again = await start({ flash: { path } });
    await again.runUntil({ line: /ready/ });
    expect(await ask(again, "r")).toBe("33221100");
    await again.close();
    rmSync(folder, { recursive: true });
  });

  it("goes on by itself unless it is paused, and no faster than it is told", async () => {
    const board = await start({ paused: false, speed: 1 });
    const begun = performance.now();
    const from = await board.virtualTime();
    expect(await board.runUntil({ line: /ready/ })).toBe("ready power");
    await board.runFor(200);
    expect(((await board.virtualTime()) - from) / (performance.now() - begun)).toBeLessThan(1.1);
    await board.pause();
    const then = await board.virtualTime();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await board.virtualTime()).toBe(then);
    await board.resume();
    await board.runFor(10);
    expect(await board.virtualTime()).toBeGreaterThanOrEqual(then + 10);
  });

  it("is on a pseudo-terminal for other programs", async () => {
    const board = await start({ line: "pty" });
    await board.runFor(10); // a board that isn't up yet hears nothing
    await board.resume();
    const port = new SerialPort({ path: board.port ?? "", baudRate: 115_200 });
    const answer = new Promise<void>((resolve) => {
      let text = "";
      port.on("data", (bytes: Buffer) => {
        text += bytes.toString();
        if (text.includes("over pty\n")) resolve();
      });
    });
    port.write("e over pty\n");
    await answer;
    await new Promise((resolve) => {
      port.close(resolve);
    });
  });

  it("says in Renode's own words what it doesn't take", async () => {
    await expect(shared.monitor("sysbus.lpuart1 Nonsense")).rejects.toMatchObject({
      code: "EMULATOR_REFUSED",
      message: expect.stringMatching(/^Renode refused: sysbus\.lpuart1 Nonsense\n.*Nonsense/s) as string,
    });
    await expect(start({ elf: import.meta.filename })).rejects.toMatchObject({
      code: "EMULATOR_REFUSED",
      message: expect.stringMatching(/LoadELF/) as string,
    });
    expect(await ask(shared, "e still there")).toBe("still there");
  });
});
