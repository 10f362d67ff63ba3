import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, readdir, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

import { SerialPort } from "serialport";
import { afterEach, describe, expect, it } from "vitest";

import { HarnessError, startQemu, type BoardEvent, type QemuBoard, type QemuOptions } from "../src/index.js";
import { isAlive, until } from "./support/processes.js";

const ELF = fileURLToPath(new URL("../../../build/qemu/selftest.elf", import.meta.url));
const IDENTITY = { offset: 0xc000, size: 12 };

/** The qemu board's idleMode: the core spins instead of sleeping, so every tick is made of instructions. */
const SPIN = [{ offset: 0xc010, bytes: Uint8Array.of(1) }];

const boards: QemuBoard[] = [];

async function start(options: Partial<QemuOptions> = {}): Promise<QemuBoard> {
  const board = await startQemu({ backend: "qemu", elf: ELF, flash: { identity: IDENTITY }, ...options });
  boards.push(board);
  return board;
}

afterEach(async () => {
  await Promise.all(boards.splice(0).map((board) => board.close()));
});

/** The next line that comes. */
function line(stream: Readable): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const timer = setTimeout(() => {
      finish();
      reject(new Error(`no line came, only ${JSON.stringify(text)}`));
    }, 10_000);
    const take = (bytes: Buffer): void => {
      text += bytes.toString("latin1");
      if (!text.includes("\n")) return;
      finish();
      resolve(text.slice(0, text.indexOf("\n")));
    };
    const finish = (): void => {
      clearTimeout(timer);
      stream.off("data", take);
    };
    stream.on("data", take);
  });
}

async function ask(board: QemuBoard, command: string): Promise<string> {
  const answer = line(board.serial);
  board.serial.write(`${command}\n`);
  return answer;
}

describe("a board under QEMU", () => {
  it("loses not even the first byte that it sends", async () => {
    const board = await start();
    expect(await line(board.serial)).toBe("selftest");
  });

  it("talks over the stream, and sends observations over the second line", async () => {
    const board = await start();
    await line(board.serial);
    expect(await ask(board, "echo hello")).toBe("hello");
    let bytes = 0;
    board.observer.on("data", (part: Buffer) => (bytes += part.length));
    await ask(board, "observe 50");
    expect(await until(() => bytes >= 50 * 34)).toBe(true);
  });

  it("keeps nothing of the second line where nobody is to hear it", async () => {
    const board = await start({ observed: false });
    await line(board.serial);
    let bytes = 0;
    board.observer.on("data", (part: Buffer) => (bytes += part.length));
    await ask(board, "observe 50");
    await board.pause();
    expect(bytes).toBe(0);
    const kept = await readdir(dirname(board.flashPath));
    expect(kept).not.toContain("observer");
  });

  it("gets an identity of its own in a new image, and keeps it over a power cycle", async () => {
    const [first, second] = await Promise.all([start(), start()]);
    await Promise.all([line(first.serial), line(second.serial)]);
    const id = await ask(first, "id");
    expect(id).toMatch(/^[0-9a-f]{24}$/);
    expect(await ask(second, "id")).not.toBe(id);
    await first.powerOff();
    expect(first.powered).toBe(false);
    const greeting = line(first.serial);
    await first.powerOn();
    expect(await greeting).toBe("selftest");
    expect(await ask(first, "id")).toBe(id);
  });

  it("keeps what it programmed when the power is cut right after the answer", async () => {
    const board = await start();
    await line(board.serial);
    for (let cut = 0; cut < 3; cut++) {
      // the self-test ends with an erased page: a mark of ours there must be gone if, and only if, it was reached
      const before = await board.readFlash();
      expect(before).toHaveLength(1 << 20);
      expect(await ask(board, "flash")).toBe("ok");
      await board.powerOff();
      expect((await board.readFlash()).subarray(0x20000, 0x21000).every((byte) => byte === 0xff)).toBe(true);
      await board.writeFlash(0x20010, Uint8Array.of(1, 2, 3));
      expect((await board.readFlash()).subarray(0x20010, 0x20013)).toEqual(Uint8Array.of(1, 2, 3));
      const greeting = line(board.serial);
      await board.powerOn();
      await greeting;
    }
  });

  it("tells watchdog and reset as they happen", async () => {
    const board = await start();
    await line(board.serial);
    const kinds: string[] = [];
    const events = board.events();
    const watching = (async () => {
      for await (const event of events) kinds.push(event.kind);
    })();
    const watchdog = board.nextEvent((event) => event.kind === "watchdog");
    expect(await ask(board, "feed")).toBe("fed");
    await watchdog;
    expect(await line(board.serial)).toBe("selftest");
    expect(await ask(board, "cause")).toBe("2");
    const greeting = line(board.serial);
    await board.reset();
    expect(await greeting).toBe("selftest");
    await board.close();
    await watching;
    expect(kinds.filter((kind) => kind === "watchdog")).toHaveLength(1);
    expect(kinds.filter((kind) => kind === "reset").length).toBeGreaterThanOrEqual(2);
    expect(kinds.at(-1)).toBe("power-off");
  });

  it("says when the emulator ends by itself, and can be started again", async () => {
    const board = await start({ extraArguments: ["-semihosting"] });
    await line(board.serial);
    const ended = board.nextEvent((event) => event.kind === "ended");
    board.serial.write("quit\n");
    expect(await ended).toMatchObject({ reason: expect.stringContaining("QEMU ended with 0") as string });
    expect(board.powered).toBe(false);
    await expect(board.reset()).rejects.toMatchObject({ code: "BOARD_OFF" });
    const greeting = line(board.serial);
    await board.powerOn();
    expect(await greeting).toBe("selftest");
  });

  it("can be paused: nothing moves until it is resumed", async () => {
    const board = await start({ icount: true });
    await line(board.serial);
    await board.pause();
    const then = await board.virtualTime();
    board.serial.write("echo later\n");
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await board.virtualTime()).toBe(then);
    const answer = line(board.serial);
    await board.resume();
    expect(await answer).toBe("later");
  });

  it("counts virtual time by instructions, on over power cycles, and not at all without icount", async () => {
    const board = await start({ icount: true, flash: { patches: SPIN } });
    await line(board.serial);
    const begun = (await board.virtualTime()) ?? NaN;
    await ask(board, "ticks 100");
    const ended = (await board.virtualTime()) ?? NaN;
    expect(ended - begun).toBeGreaterThan(99);
    await board.powerOff();
    expect(await board.virtualTime()).toBeGreaterThanOrEqual(ended);
    const plain = await start();
    expect(await plain.virtualTime()).toBeUndefined();
  });

  it("is on a pseudo-terminal that serialport opens again and again, also after a power cycle", async () => {
    const board = await start({ line: "pty" });
    for (let turn = 0; turn < 6; turn++) {
      const port = board.port ?? "";
      await answerOver(port);
      // held open between guests: QEMU would take up to a second to notice the next one
      expect(await openFiles()).toContain(port);
      if (turn !== 2) continue;
      await board.powerOff();
      expect(board.port).toBeUndefined();
      expect(await openFiles()).not.toContain(port);
      await board.powerOn();
    }
  });
});

/** Opens the port anew, asks for an echo, and waits until it has come. */
async function answerOver(path: string): Promise<void> {
  const port = new SerialPort({ path, baudRate: 115_200 });
  const answer = new Promise<void>((resolve) => {
    let text = "";
    port.on("data", (bytes: Buffer) => {
      text += bytes.toString();
      if (text.endsWith("over pty\n")) resolve();
    });
  });
  port.write("echo over pty\n");
  await answer;
  await new Promise((resolve) => {
    port.close(resolve);
  });
}

/** What this process holds open, by name. */
async function openFiles(): Promise<string[]> {
  const folder = "/proc/self/fd";
  const names = (await readdir(folder)).map((fd) => readlink(join(folder, fd)).catch(() => ""));
  return Promise.all(names);
}

describe("what is left of a board", () => {
  it("is nothing after close(): no process, no folder, no listener", async () => {
    const board = await start();
    const { pid, flashPath } = board;
    await board.close();
    expect(isAlive(pid ?? 0)).toBe(false);
    expect(existsSync(flashPath)).toBe(false);
    await expect(board.powerOn()).rejects.toMatchObject({ code: "BOARD_CLOSED" });
  });

  it("is nothing after kill(), but the flash", async () => {
    const board = await start();
    const { pid } = board;
    await board.kill();
    expect(isAlive(pid ?? 0)).toBe(false);
    expect(existsSync(board.flashPath)).toBe(true);
  });

  it.each([
    ["SIGKILL", "alone"],
    ["SIGKILL", "with its group"],
    ["SIGTERM", "alone"],
    ["SIGTERM", "with its group"],
    ["exit", "alone"],
  ] as const)("is nothing when the test process ends by %s, %s", async (how, whom) => {
    const script = `
      const { startQemu } = await import(${JSON.stringify(new URL("../dist/index.js", import.meta.url).href)});
      const board = await startQemu({ backend: "qemu", elf: ${JSON.stringify(ELF)} });
      console.log(JSON.stringify({ pid: board.pid, flash: board.flashPath }));
      ${how === "exit" ? "process.exit(1);" : "setInterval(() => undefined, 1000);"}`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
      detached: whom !== "alone",
    });
    const [first] = await new Promise<string[]>((resolve) => {
      createInterface({ input: child.stdout }).once("line", (text) => {
        resolve([text]);
      });
    });
    const { pid, flash } = JSON.parse(first ?? "") as { pid: number; flash: string };
    if (how !== "exit") process.kill(whom === "alone" ? (child.pid ?? 0) : -(child.pid ?? 0), how);
    expect(await until(() => !isAlive(pid))).toBe(true);
    expect(await until(() => !existsSync(flash))).toBe(true);
  });
});

describe("what a caller may get wrong", () => {
  it("an emulator that isn't there, firmware that isn't there, a flash of the wrong size: each is said", async () => {
    const folder = await mkdtemp(join(tmpdir(), "harness-test-"));
    const before = process.env["TMPDIR"];
    process.env["TMPDIR"] = folder; // others make boards in the usual place meanwhile
    try {
      await expect(start({ elf: "/nowhere.elf" })).rejects.toMatchObject({
        code: "EMULATOR_ENDED",
        message: expect.stringContaining("nowhere.elf") as string,
      });
      await expect(start({ program: "qemu-system-nothing" })).rejects.toBeInstanceOf(HarnessError);
      const path = join(folder, "flash.bin");
      await (await start({ flash: { path } })).close();
      expect(existsSync(path)).toBe(true);
      await expect(start({ flash: { path, size: 1 << 19 } })).rejects.toMatchObject({ code: "FLASH_SIZE" });
      expect(readdirSync(folder)).toEqual(["flash.bin"]);
    } finally {
      if (before === undefined) delete process.env["TMPDIR"];
      else process.env["TMPDIR"] = before;
      await rm(folder, { recursive: true });
    }
  });

  it("an event that never comes is a timeout, and a closed board ends the wait", async () => {
    const board = await start();
    const never = (event: BoardEvent): boolean => event.kind === "ended";
    await expect(board.nextEvent(never, 50)).rejects.toMatchObject({ code: "TIMEOUT" });
    const waiting = board.nextEvent((event) => event.kind === "watchdog");
    const refused = expect(waiting).rejects.toMatchObject({ code: "BOARD_CLOSED" });
    await board.close();
    await refused;
  });

  it("the flash can't be written under power", async () => {
    const board = await start();
    await expect(board.writeFlash(0, Uint8Array.of(1))).rejects.toMatchObject({ code: "BOARD_ON" });
  });
});
