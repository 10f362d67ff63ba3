import { crc32 } from "node:zlib";

import { describe, expect, it } from "vitest";

import {
  BoardCrash,
  BoardOff,
  FlashViolation,
  observerFrame,
  PowerCut,
  SimBoard,
  type SimBoardOptions,
  workNanos,
} from "../src/index.js";

const SELFTEST = new URL("../../../../build/sim/selftest.wasm", import.meta.url);

/** A board that runs the commands of selftest.c. */
async function selftest(options: SimBoardOptions = {}): Promise<SimBoard> {
  return SimBoard.create({ wasm: SELFTEST, ...options });
}

/** Sends a command; gives what the board answers within `limit` virtual ms, without the command's letter. */
function ask(board: SimBoard, command: string, limit = 500): Buffer | undefined {
  board.send(Buffer.from(command));
  let answer = Buffer.alloc(0);
  const came = board.runUntil(() => (answer = Buffer.concat([answer, board.receive()])).length > 0, limit);
  return came ? answer.subarray(1) : undefined;
}

const scans = (board: SimBoard): number => ask(board, "s")?.readUInt32LE() ?? NaN;

describe("time", () => {
  it("passes exactly as far as asked, with one scan each millisecond", async () => {
    const board = await selftest();
    const times: number[] = [];
    board.onOutputs = ({ timeMicros }) => times.push(timeMicros);
    board.run(101);
    expect(board.milliseconds).toBe(101);
    // one millisecond is the board's start
    expect(times).toEqual(Array.from({ length: 100 }, (_, i) => 2000 + 1000 * i));
  });

  it("goes on through a page erase, scans and all", async () => {
    const board = await selftest();
    board.run(10);
    const before = scans(board);
    const begun = board.milliseconds;
    expect(ask(board, "e")?.toString()).toBe(".");
    expect(board.milliseconds - begun).toBeCloseTo(22, 1);
    expect(scans(board) - before).toBe(22);
  });

  it("is charged for work by the table of instructions: 256 units of a signature check", async () => {
    const board = await selftest();
    board.run(10);
    const begun = board.milliseconds;
    ask(board, "w");
    expect(board.milliseconds - begun).toBeCloseTo((256 * workNanos(1)) / 1e6, 1);
    expect(workNanos(1)).toBeGreaterThan(10_000);
  });

  it("since boot begins anew with each boot", async () => {
    const board = await selftest();
    board.run(50);
    board.reset();
    board.run(3);
    expect(Number(ask(board, "t")?.readBigUInt64LE())).toBeLessThan(3000);
  });

  it("lets one scan come at the unmask, however many fell due under the mask", async () => {
    const board = await selftest();
    expect(ask(board, "m")?.[0]).toBe(1);
  });
});

describe("flash from within", () => {
  it.each(["l5", "nor"] as const)("programs once and reads back in geometry %s", async (geometry) => {
    const board = await selftest({ geometry });
    expect(ask(board, "p")?.toString()).toBe(".");
    expect(ask(board, "r")?.toString("hex")).toBe("11223344556677882e");
    expect(() => ask(board, "p")).toThrow(FlashViolation);
    expect(board.powered).toBe(false);
  });

  it("a scan that reads flash while it is erased is caught", async () => {
    const board = await selftest();
    expect(() => ask(board, "o")).toThrow(/while the flash is busy/);
  });

  it("a read of an unreadable unit answers the runtime's ECC error", async () => {
    const board = await selftest();
    board.flash.injectEcc(board.geometry.base);
    expect(ask(board, "r")?.toString("latin1", 8)).toBe("!");
  });

  it("a cut leaves the board off with its flash as it was, and it starts again", async () => {
    const board = await selftest();
    ask(board, "p");
    board.flash.planCut({ operation: 1, moment: "torn", shape: "half" });
    expect(() => ask(board, "e")).toThrow(PowerCut);
    expect(() => {
      board.step();
    }).toThrow(BoardOff);
    board.powerOn();
    expect(board.resetCause).toBe("power-on");
    expect(ask(board, "r")?.toString("hex")).toBe("ffffffffffffffff2e");
    expect(ask(board, "c")?.[0]).toBe(0);
  });
});

describe("resets", () => {
  it("a requested one starts the runtime anew and says so", async () => {
    const board = await selftest();
    board.run(20);
    expect(ask(board, "R", 10)).toBeUndefined();
    expect(ask(board, "c")?.[0]).toBe(1);
    expect(board.boots).toBe(2);
  });

  it("the watchdog fires 150 ms after the main loop has died, and says so", async () => {
    const board = await selftest();
    const resets: { cause: string; at: number }[] = [];
    board.onReset = (cause) => resets.push({ cause, at: board.milliseconds });
    board.run(20);
    const died = board.milliseconds;
    ask(board, "H", 200);
    expect(resets).toHaveLength(1);
    expect(resets[0]?.cause).toBe("watchdog");
    expect((resets[0]?.at ?? 0) - died).toBeGreaterThan(149);
    expect((resets[0]?.at ?? 0) - died).toBeLessThan(151.1);
    expect(ask(board, "c")?.[0]).toBe(2);
  });

  it("a firmware that waits for ever within one turn doesn't keep run() from going on in small steps", async () => {
    const board = await selftest();
    board.send(Buffer.from("H"));
    for (let i = 0; i < 200 && board.boots === 1; i++) board.run(1);
    expect(board.resetCause).toBe("watchdog");
  });

  it("the watchdog fires when scans are lost, and when the main loop is stalled from outside", async () => {
    const board = await selftest();
    board.run(20);
    board.loseScans();
    board.run(152);
    expect([board.boots, board.resetCause]).toEqual([2, "watchdog"]);
    board.run(20);
    board.stallMainLoop(1000);
    board.run(152);
    expect([board.boots, board.resetCause]).toEqual([3, "watchdog"]);
  });

  it("a skipped scan is missing from the count and from the outputs", async () => {
    const board = await selftest();
    board.run(10);
    const times: number[] = [];
    board.onOutputs = ({ timeMicros }) => times.push(timeMicros);
    board.skipScans(1);
    board.run(10);
    expect(times).toHaveLength(9);
  });

  it("a watchdog reset in the middle of an erase tears it", async () => {
    const board = await selftest();
    ask(board, "p");
    board.stallMainLoop(140);
    board.run(140);
    // the stall ends in time, the erase doesn't; and no turn of the main loop has been reported meanwhile
    board.send(Buffer.from("e"));
    board.clock.loseScans(true);
    board.run(40);
    expect(board.resetCause).toBe("watchdog");
    expect(Buffer.from(board.flash.peek(board.geometry.base, 8)).toString("hex")).not.toBe(
      "1122334455667788",
    );
  });

  it("a trap of the runtime itself is a crash of the board, told as such", async () => {
    const board = await selftest();
    expect(() => ask(board, "T")).toThrow(BoardCrash);
  });
});

describe("the line", () => {
  it("at 115,200 baud carries 11,520 bytes a second each way", async () => {
    const board = await selftest({ serial: { baud: 115_200 } });
    board.run(5);
    const begun = board.milliseconds;
    board.send(Buffer.from("c".repeat(576)));
    let received = 0;
    board.runUntil(() => (received += board.receive().length) >= 2 * 576, 1000);
    // each command is answered by two bytes, so the way back is the slower one
    expect(board.milliseconds - begun).toBeGreaterThan(99);
    expect(board.milliseconds - begun).toBeLessThan(102);
  });

  it("at a baud rate loses and counts what finds the receive ring full", async () => {
    const board = await selftest({ serial: { baud: 115_200, receiveRing: 16 } });
    board.run(5);
    board.send(Buffer.from("e" + "z".repeat(300)));
    board.run(100);
    expect(board.serial.overruns).toBeGreaterThan(200);
    expect(board.serial.overruns).toBeLessThan(284);
  });

  it("without a baud rate loses nothing", async () => {
    const board = await selftest({ serial: { receiveRing: 16 } });
    board.send(Buffer.from("z".repeat(5000)));
    let received = 0;
    board.runUntil(() => (received += board.receive().length) >= 5000, 1000);
    expect([received, board.serial.overruns]).toEqual([5000, 0]);
  });
});

describe("inputs and outputs", () => {
  it("are the process's by default: 50 Hz at 230 V RMS, with a sag from 0.5 s to 1.2 s", async () => {
    const board = await selftest();
    const volts: number[] = [];
    board.onOutputs = ({ outputs }) => volts.push(outputs[0] ?? NaN);
    board.run(1301);
    const rms = (from: number): number =>
      Math.sqrt(volts.slice(from, from + 20).reduce((sum, volt) => sum + volt * volt, 0) / 20);
    expect(rms(100)).toBeCloseTo(230, 1);
    expect(rms(600)).toBeCloseTo(161, 1);
    expect(rms(1100)).toBeCloseTo(161, 1);
    expect(rms(1250)).toBeCloseTo(230, 1);
  });

  it("can be a test's own", async () => {
    const board = await selftest({ inputs: (scan) => [scan, 2 * scan] });
    const seen: (readonly number[])[] = [];
    board.onOutputs = ({ outputs }) => seen.push(outputs);
    board.run(4.5);
    expect(seen).toEqual([
      [1, 2, 0, 0],
      [2, 4, 0, 0],
      [3, 6, 0, 0],
    ]);
  });
});

describe("snapshots", () => {
  it("bring back memory, flash, time and line, as often as wanted", async () => {
    const board = await selftest();
    board.run(25);
    ask(board, "p");
    board.send(Buffer.from("s"));
    const snapshot = board.snapshot();
    const futures = [1, 2, 3].map(() => {
      board.restore(snapshot);
      ask(board, "e");
      board.run(30);
      return `${board.milliseconds} ${scans(board)} ${board.flash.fingerprint()}`;
    });
    expect(new Set(futures).size).toBe(1);
    board.restore(snapshot);
    expect(Buffer.from(board.flash.peek(board.geometry.base, 8)).toString("hex")).toBe("1122334455667788");
  });

  it("of one board can go on in another", async () => {
    const [first, second] = await Promise.all([selftest(), selftest()]);
    first.run(40);
    const before = scans(first);
    second.restore(first.snapshot());
    expect(scans(second)).toBe(before);
    first.run(10);
    expect(scans(second)).toBe(before);
  });

  it("a hundred boards run side by side and see nothing of each other", async () => {
    const boards = await Promise.all(Array.from({ length: 100 }, (_, seed) => selftest({ seed: seed + 1 })));
    boards.forEach((board, index) => {
      board.run(index + 2);
    });
    boards.forEach((board, index) => {
      expect(scans(board)).toBe(index === 0 ? 1 : index + 1);
    });
    expect(new Set(boards.map((board) => Buffer.from(board.boardId).toString("hex"))).size).toBe(100);
  });
});

describe("what a caller may get wrong", () => {
  it("is said at once", async () => {
    await expect(selftest({ boardId: new Uint8Array(3) })).rejects.toThrow(/12 bytes, got 3/);
    const board = await selftest();
    expect(() => {
      board.flash.planCut({ operation: 0, moment: "before" });
    }).toThrow(RangeError);
    const other = await selftest({ geometry: "nor" });
    await expect(selftest({ geometry: "l5", flash: other.flash })).rejects.toThrow(/geometry nor/);
    board.cutPower();
    expect(() => {
      board.reset();
    }).toThrow(BoardOff);
  });
});

describe("the observer's frame", () => {
  it("holds scan, time, swap number, outputs and CRC-32, without a zero but its last byte", () => {
    const outputs = [1, 0, -2, 0.5];
    const frame = observerFrame({ scan: 0x0102, timeMicros: 9, sinceBootMicros: 3, swapNumber: 0, outputs });
    expect(frame.indexOf(0)).toBe(frame.length - 1);
    const record: number[] = [];
    for (let at = 0; at < frame.length - 1;) {
      const code = frame[at] ?? 0;
      record.push(...frame.subarray(at + 1, at + code), 0);
      at += code;
    }
    const bytes = Buffer.from(record.slice(0, -1));
    expect(bytes).toHaveLength(32);
    expect([0, 4, 8].map((at) => bytes.readUInt32LE(at))).toEqual([0x0102, 3, 0]);
    expect([12, 16, 20, 24].map((at) => bytes.readFloatLE(at))).toEqual(outputs);
    expect(bytes.readUInt32LE(28)).toBe(crc32(bytes.subarray(0, 28)));
  });
});
