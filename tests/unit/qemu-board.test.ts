// The qemu board by itself: build/qemu/selftest.elf proves what firmware/runtime/core/board.h promises to the runtime.
// Both ways of running it: in real time, sleeping when idle; and counting instructions, never sleeping.
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import crc32 from "crc-32";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const IMAGE = join(ROOT, "build/qemu/selftest.elf");
const MAP = JSON.parse(readFileSync(join(ROOT, "firmware/boards/qemu/memory-map.json"), "utf8")) as Record<
  "boardId" | "idleMode",
  string
>;
const BOARD_ID = "e1d2c3b4a5968778695a4b3c";

interface Observation {
  readonly scan: number;
  readonly timeUs: number;
  readonly swapNumber: number;
  readonly outputs: number[];
}

class Board {
  readonly #folder = mkdtempSync(join(tmpdir(), "edgeplug-selftest-"));
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #observer: Server;
  readonly exit: Promise<number | null>;
  #text = "";
  #wake: () => void = () => undefined;
  #observe: () => void = () => undefined;
  observed = Buffer.alloc(0);

  private constructor(arguments_: string[], idleMode: number) {
    const flash = Buffer.alloc(1 << 20, 0xff);
    flash.write(BOARD_ID, Number(MAP.boardId), "hex");
    flash[Number(MAP.idleMode)] = idleMode;
    writeFileSync(join(this.#folder, "flash.bin"), flash);
    const socket = join(this.#folder, "observer");
    this.#observer = createServer((stream) => {
      stream.on("data", (bytes) => {
        this.observed = Buffer.concat([this.observed, bytes]);
        this.#observe();
      });
    }).listen(socket);
    this.#process = spawn("qemu-system-arm", [
      ...["-M", "ast1030-evb,fmc-model=w25q80bl", "-nographic", "-monitor", "none", "-semihosting"],
      ...["-serial", "stdio", "-chardev", `socket,id=observer,path=${socket}`, "-serial", "chardev:observer"],
      ...["-drive", `if=mtd,format=raw,file=${join(this.#folder, "flash.bin")}`, "-kernel", IMAGE],
      ...arguments_,
    ]);
    this.exit = new Promise((resolve) => this.#process.on("exit", resolve));
    this.#process.stdout.setEncoding("latin1").on("data", (text: string) => {
      this.#text += text;
      this.#wake();
    });
  }

  static async start(arguments_: string[], idleMode: number): Promise<Board> {
    const board = new Board(arguments_, idleMode);
    expect(await board.line()).toBe("selftest");
    return board;
  }

  async line(): Promise<string> {
    const ended = this.exit.then((code) => {
      throw new Error(`the board ended (exit ${code}) after ${JSON.stringify(this.#text)}`);
    });
    ended.catch(() => undefined);
    while (!this.#text.includes("\n"))
      await Promise.race([new Promise<void>((resolve) => (this.#wake = resolve)), ended]);
    const end = this.#text.indexOf("\n");
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 1);
    return line;
  }

  /** What the observer was told, once that is `count` scans: its line and the serial one arrive in any order. */
  async observations(count: number): Promise<Observation[]> {
    const ended = this.exit.then((code) => {
      throw new Error(`the board ended (exit ${code}) after ${this.observed.length} bytes for the observer`);
    });
    ended.catch(() => undefined);
    while (observations(this.observed).length < count)
      await Promise.race([new Promise<void>((resolve) => (this.#observe = resolve)), ended]);
    return observations(this.observed);
  }

  send(text: string): void {
    this.#process.stdin.write(text, "latin1");
  }

  ask(command: string): Promise<string> {
    this.send(`${command}\n`);
    return this.line();
  }

  async end(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.exit;
    this.#observer.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function decodeCobs(frame: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < frame.length;) {
    const code = frame[at] ?? 0;
    parts.push(frame.subarray(at + 1, at + code));
    at += code;
    if (at < frame.length) parts.push(Buffer.of(0));
  }
  return Buffer.concat(parts);
}

function observations(bytes: Buffer): Observation[] {
  const found: Observation[] = [];
  for (let from = 0, to = bytes.indexOf(0); to >= 0; from = to + 1, to = bytes.indexOf(0, from)) {
    if (to === from) continue; // the delimiter that a start begins with
    const record = decodeCobs(bytes.subarray(from, to));
    expect(record.length).toBe(32);
    expect(record.readInt32LE(28)).toBe(crc32.buf(record.subarray(0, 28)));
    found.push({
      scan: record.readUInt32LE(0),
      timeUs: record.readUInt32LE(4),
      swapNumber: record.readUInt32LE(8),
      outputs: [12, 16, 20, 24].map((offset) => record.readFloatLE(offset)),
    });
  }
  return found;
}

const CAUSE = { powerOn: "0", requested: "1", watchdog: "2", fault: "3" };

let board: Board | undefined;
afterEach(async () => {
  await board?.end();
  board = undefined;
});

const COUNTING = {
  mode: "counting instructions",
  start: () => Board.start(["-icount", "shift=3"], 0x02),
};
const modes = [{ mode: "in real time", start: () => Board.start([], 0xff) }, COUNTING];

// in real time a tick may come late or be lost to a busy machine, so what is about time is asked only here
describe("the qemu board's time, counting instructions", () => {
  test("ticks every millisecond, and never falls behind its clock", async () => {
    board = await COUNTING.start();
    const [took = "", worst = ""] = (await board.ask("ticks 2000")).split(" ");
    expect(Math.abs(Number(took) - 2_000_000)).toBeLessThanOrEqual(1);
    expect(Number(worst)).toBeLessThanOrEqual(1);
  });

  test("is reset by the watchdog when nobody feeds it, and not before", async () => {
    board = await COUNTING.start();
    expect(await board.ask("feed")).toBe("fed");
    expect(await board.line()).toBe("selftest");
    expect(await board.ask("cause")).toBe(CAUSE.watchdog);
  });

  test("tells the observer every scan with its time, agent and outputs", async () => {
    // turning its main loop it is slow enough for this process: an emulated UART that nobody empties drops bytes
    board = await Board.start(["-icount", "shift=3"], 0x01);
    await board.ask("observe 300");
    await board.ask("ticks 50");
    const seen = await board.observations(300);
    for (const [index, { scan, timeUs, swapNumber }] of seen.entries()) {
      const before = seen[index - 1];
      expect(swapNumber).toBe(7);
      if (before === undefined) continue;
      expect(scan).toBe(before.scan + 1);
      expect(Math.abs(timeUs - before.timeUs - 1000)).toBeLessThanOrEqual(1);
    }
    // the self-test puts the inputs out again: 50 Hz, 230 V RMS, 20 samples a period
    const volts = seen.slice(0, 40).map(({ outputs }) => outputs[0] ?? 0);
    expect(Math.sqrt(volts.reduce((sum, volt) => sum + volt * volt, 0) / 40)).toBeCloseTo(230, 0);
  });

  test("counts the bytes that it has to drop when nobody takes them out of the ring", async () => {
    board = await COUNTING.start();
    board.send("deaf\n");
    board.send(`${"y".repeat(99)}\n`.repeat(50));
    await board.line();
    const answers = [];
    // the ring's 2,048 bytes are still there, and answered
    for (let i = 0; i < 20; i++) answers.push(await board.line());
    expect(answers).toEqual(Array(20).fill("unknown"));
    board.send("\n");
    let lost = "unknown";
    while (!/^\d+$/.test(lost)) lost = await board.ask("overruns");
    expect(Number(lost)).toBeGreaterThan(0);
  });
});

describe("the qemu board, asleep", () => {
  // a first turn of the main loop is slow, since QEMU has yet to translate it: most room for a byte that comes too soon
  test("hears what is sent just before it falls asleep, after 1,600 resets", async () => {
    const sleepers = await Promise.all([1, 2, 3, 4].map(() => Board.start([], 0xff)));
    onTestFinished(async () => {
      await Promise.all(sleepers.map((sleeper) => sleeper.end()));
    });
    const resetAgainAndAgain = async (sleeper: Board): Promise<void> => {
      for (let turn = 0; turn < 400; turn++) expect(await sleeper.ask("fault")).toBe("selftest");
    };
    await Promise.all(sleepers.map(resetAgainAndAgain));
  }, 120_000);
});

describe.each(modes)("the qemu board, $mode", ({ start }) => {
  test("says who it is and that it was switched on", async () => {
    board = await start();
    expect(await board.ask("id")).toBe(BOARD_ID);
    expect(await board.ask("cause")).toBe(CAUSE.powerOn);
  });

  test("erases, programs and reads flash, and refuses what the chip would take amiss", async () => {
    board = await start();
    expect(await board.ask("flash")).toBe("ok");
  });

  test("echoes 38 KB without losing a byte, sent as the link does: no more than a receive ring ahead", async () => {
    board = await start();
    const line = "x".repeat(190);
    for (let round = 0; round < 20; round++) {
      board.send(`echo ${line}\n`.repeat(10));
      for (let i = 0; i < 10; i++) expect(await board.line()).toBe(line);
    }
    expect(await board.ask("overruns")).toBe("0");
  });

  test("holds the scan interrupt back as long as the runtime masks it, and nests", async () => {
    board = await start();
    expect(await board.ask("mask")).toBe("0 then some");
  });

  test("has a clock that never steps back", async () => {
    board = await start();
    expect(await board.ask("monotonic")).toBe("0");
  });

  test("resets on request and says so", async () => {
    board = await start();
    expect(await board.ask("reset")).toBe("selftest");
    expect(await board.ask("cause")).toBe(CAUSE.requested);
  });

  test.each(["fault", "jump", "overflow"])("ends a %s by a reset that is called a fault", async (command) => {
    board = await start();
    expect(await board.ask(command)).toBe("selftest");
    expect(await board.ask("cause")).toBe(CAUSE.fault);
  });

  test("leaves the emulator when asked", async () => {
    board = await start();
    board.send("quit\n");
    expect(await board.exit).toBe(0);
  });
});
