// The Renode backend against a stand-in for Renode: what it says to it, in which order, and what it makes of trouble.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { startRenode, type RenodeBoard, type RenodeOptions } from "../src/index.js";
import "../src/vitest.js";
import { StandIn, type Behaviour } from "./stand-in/stand-in.js";
import { isAlive, until } from "./support/processes.js";

const DIST = new URL("../dist/index.js", import.meta.url).href;

let standIn: StandIn;
let elf = "";
const boards: RenodeBoard[] = [];

beforeEach(() => {
  standIn = new StandIn();
  elf = join(standIn.folder, "firmware.elf");
  writeFileSync(elf, "");
});

afterEach(async () => {
  await Promise.all(boards.splice(0).map((board) => board.close()));
  standIn.remove();
});

async function start(options: Partial<RenodeOptions> = {}, behaviour: Behaviour = {}): Promise<RenodeBoard> {
  standIn.behave(behaviour);
  const board = await startRenode({
    backend: "renode",
    program: standIn.program,
    elf,
    paused: true,
    ...options,
  });
  boards.push(board);
  return board;
}

describe("how Renode is started", () => {
  it("is without any window, with all its files in the board's own folder", async () => {
    const board = await start();
    const [first] = standIn.notes;
    const folder = first?.temporary ?? "";
    expect(first?.arguments).toEqual([
      ...["--disable-gui", "--console", "--plain", "--hide-log", "--config", join(folder, "renode.config")],
      ...["--robot-server-port", "0"],
    ]);
    expect(folder).toMatch(/rth-\w+\/renode-1$/);
    await board.close();
    expect(existsSync(folder)).toBe(false);
  });

  it("sets the board up in this order, and switches it on last", async () => {
    const board = await start({ commands: ["sysbus.cpu VectorTableOffset 1"], boardId: new Uint8Array(12) });
    const steps = standIn.commands.map((command) => command.replace(/ "?\/.*$/, ""));
    expect(steps).toEqual([
      "logFile",
      "logLevel 2",
      "include",
      'mach create "board"',
      "machine LoadPlatformDescription",
      'macro reset "sysbus.cpu VectorTableOffset 0x8007000"',
      "sysbus.cpu VectorTableOffset 0x8007000",
      'emulation SetGlobalQuantum "0.001"',
      "emulation SetGlobalAdvanceImmediately true",
      "sysbus.lpuart1 CreateFileBackend",
      "sysbus.trace CreateFileBackend",
      "sysbus.events CreateFileBackend",
      'emulation CreateHostLine "hostLine" 11520',
      "connector Connect sysbus.lpuart1 hostLine",
      "sysbus.flashController LoadImage",
      "sysbus LoadELF",
      "sysbus LoadBinary",
      "sysbus.cpu VectorTableOffset 1",
      "sysbus.flashController PowerOn",
    ]);
    expect(board.powered).toBe(true);
  });

  it("compiles every model that comes with the package, all at once", async () => {
    await start();
    const [include = ""] = standIn.commands.filter((command) => command.startsWith("include"));
    const files = [...include.matchAll(/"([^"]+)"/g)].map(([, path = ""]) => path);
    expect(files.filter((path) => !existsSync(path))).toEqual([]);
    expect(files).toHaveLength(12);
  });

  it("is many times at once, each with a server of its own", async () => {
    const many = await Promise.all([start(), start(), start()]);
    for (const [index, board] of many.entries()) {
      board.serial.write(`board ${index}\n`);
      expect(await board.runUntil({ line: /^>/ })).toBe(`> board ${index}`);
    }
    expect(new Set(many.map(({ pid }) => pid)).size).toBe(3);
  });
});

describe("time under Renode", () => {
  it("goes on only while somebody waits for it, if the board is paused, and exactly so long", async () => {
    const board = await start();
    expect(await board.virtualTime()).toBe(0);
    const before = standIn.commands.length;
    await board.runFor(133.125);
    expect(await board.virtualTime()).toBe(133.125);
    expect(standIn.commands.slice(before)).toEqual(["hostLine Run 100000 2000", "hostLine Run 33125 2000"]);
  });

  it("ends a step soon after the board has begun to say something, so that an answer to it comes in time", async () => {
    const board = await start();
    board.serial.write("one\n");
    board.serial.on("data", (bytes: Buffer) => {
      if (bytes.includes("> one")) board.serial.write("two\n");
    });
    await board.runFor(50);
    const talk = standIn.notes.filter(({ command }) => /Send|Run/.test(command ?? ""));
    expect(talk.map(({ command, time }) => [time, command])).toEqual([
      [0, `hostLine Send "${Buffer.from("one\n").toString("hex")}"`],
      [0, "hostLine Run 50000 2000"],
      [3000, `hostLine Send "${Buffer.from("two\n").toString("hex")}"`],
      [3000, "hostLine Run 47000 2000"],
      [6000, "hostLine Run 44000 2000"],
    ]);
  });

  it("goes on by itself when the board runs, each step after what was said before was handed on", async () => {
    const board = await start({ paused: false });
    board.serial.write("one\n");
    board.serial.once("data", () => {
      board.serial.write("two\n");
    });
    await expect(board).toSay("> two", 1000);
    await board.pause();
    const then = await board.virtualTime();
    await board.flashOperations();
    expect(await board.virtualTime()).toBe(then);
  });

  it("goes at most as fast as it is told", async () => {
    const board = await start({ paused: false, speed: 2 });
    const begun = performance.now();
    const from = await board.virtualTime();
    await board.runFor(200);
    expect(((await board.virtualTime()) - from) / (performance.now() - begun)).toBeLessThan(2.3);
  });

  it("is told how fast by a number that makes sense; a wrong one leaves no folder", async () => {
    const before = process.env["TMPDIR"];
    process.env["TMPDIR"] = standIn.folder;
    try {
      await expect(start({ speed: 0 })).rejects.toThrow(/speed: expected more than 0, got 0/);
    } finally {
      if (before === undefined) delete process.env["TMPDIR"];
      else process.env["TMPDIR"] = before;
    }
    expect(readdirSync(standIn.folder).filter((name) => name.startsWith("rth-"))).toEqual([]);
  });
});

describe("what comes from a board under Renode", () => {
  it("is its line, its observer's bytes, its outputs and its memory", async () => {
    const board = await start();
    let observed = Buffer.alloc(0);
    board.observer.on("data", (bytes: Buffer) => (observed = Buffer.concat([observed, bytes])));
    await expect(board).toSay("ready power");
    board.serial.write(Buffer.from("a\n"));
    const begun = await board.virtualTime();
    await expect(board).toSay("> a", 1000);
    expect((await board.virtualTime()) - begun).toBe(3); // no more of its time than that
    expect(observed).toEqual(Buffer.of(1, 0, 0, 0));
    await expect(board).toOutput(1, 20.5);
    expect(await board.readMemory(0xfffe, 5000)).toEqual(
      Uint8Array.from({ length: 5000 }, (_, i) => (0xfe + i) & 0xff),
    );
  });

  it("is resets with their causes, and a watchdog as what it is", async () => {
    const board = await start();
    const kinds: string[] = [];
    const events = board.events();
    const watching = (async () => {
      for await (const event of events)
        kinds.push(event.kind === "reset" ? `reset ${event.cause}` : event.kind);
    })();
    board.serial.write("hang\n");
    await expect(board).toReset("watchdog");
    await board.reset();
    await expect(board).toReset("pin");
    await board.close();
    await watching;
    expect(kinds).toEqual(["watchdog", "reset watchdog", "reset pin", "power-off"]);
  });

  it("is a cut at the planned operation; its flash is what it was then, and the power can come back", async () => {
    const board = await start();
    await board.cutAt({ operation: 2, moment: "before", seed: 9 });
    expect(standIn.commands.at(-1)).toBe('sysbus.flashController CutAt 2 "before" 9');
    board.serial.write("program\nprogram\n");
    expect(await board.runUntil({ event: "cut" })).toEqual({ kind: "cut", operation: 2, moment: "before" });
    await expect(board).toLosePower();
    await expect(board).toHaveFlash(0, Uint8Array.of(1, 0xff));
    expect(await board.flashOperations()).toBe(2);
    await expect(board.cutAt(undefined)).rejects.toMatchObject({ code: "BOARD_OFF" });
    await board.powerOn();
    await expect(board).toSay("ready power");
    await board.cutAt(undefined);
    expect(standIn.commands.at(-1)).toBe("sysbus.flashController CancelCut");
    expect(standIn.pids).toHaveLength(1);
  });

  it("is a cut of a board that runs by itself, too: its power is never seen gone without the event", async () => {
    const board = await start({ paused: false });
    for (let turn = 0; turn < 5; turn++) {
      await board.cutAt({ operation: 1, moment: "after" });
      board.serial.write("program\n");
      await board.runUntil({ event: "power-off" });
      expect(board.powered).toBe(false);
      await board.powerOn();
    }
  });

  it("is the end when a flash rule is broken, with its reason; or an event, if that was wanted", async () => {
    const strict = await start();
    strict.serial.write("break a rule\n");
    expect(await strict.runUntil({ event: "ended" })).toMatchObject({
      reason: "FLASH_VIOLATION: program of 0x08000000: already programmed since the last erase",
    });
    expect(strict.powered).toBe(false);
    const lenient = await start({ violations: "tell" });
    lenient.serial.write("break a rule\ngo on\n");
    expect((await lenient.runUntil({ event: "violation" })).kind).toBe("violation");
    await expect(lenient).toSay("> go on");
  });
});

describe("a core that is lost", () => {
  it("is the end, whatever was said of violations; power brings another Renode, with the flash", async () => {
    const board = await start({ violations: "tell" });
    board.serial.write("program\nlose the core\n");
    expect(await board.runUntil({ event: "ended" })).toMatchObject({
      reason: "CORE_LOST: the core can't go on, see the log\nthe log's first line",
    });
    expect(board.powered).toBe(false);
    await expect(board).toHaveFlash(0, Uint8Array.of(1));
    await board.powerOn();
    await expect(board).toSay("ready power");
    await expect(board).toHaveFlash(0, Uint8Array.of(1));
    expect(standIn.pids).toHaveLength(2);
  });
});

describe("power under Renode", () => {
  it("takes with it what was on the line, and the flash outlives it", async () => {
    const board = await start();
    board.serial.write("program\n");
    await board.runUntil({ line: "done" });
    board.serial.write("never heard\n");
    await board.powerOff();
    expect(standIn.commands.slice(-3).map((command) => command.replace(/ "\/.*/, ""))).toEqual([
      "sysbus.flashController PowerOff",
      "hostLine Clear",
      "sysbus.flashController SaveImage",
    ]);
    board.serial.write("lost\n");
    expect(board.powered).toBe(false);
    await expect(board.runFor(1)).rejects.toMatchObject({ code: "BOARD_OFF" });
    await board.writeFlash(1, Uint8Array.of(7));
    await board.powerOn();
    await expect(board).toSay("ready power");
    await expect(board).not.toSay(/lost|heard/, 50);
    await expect(board).toHaveFlash(0, Uint8Array.of(1, 7, 0xff));
  });

  it("may be cut while the board runs: between two steps", async () => {
    const board = await start({ paused: false });
    await board.runUntil({ line: "ready power" });
    await board.powerOff();
    const steps = standIn.commands.length;
    await board.flashOperations();
    expect(standIn.commands).toHaveLength(steps + 1);
  });

  it("has its flash in the file that it was given, whatever becomes of this process", async () => {
    const path = join(standIn.folder, "flash.bin");
    const board = await start({ flash: { path, patches: [{ offset: 4, bytes: Uint8Array.of(4) }] } });
    board.serial.write("program\n");
    await board.runUntil({ line: "done" });
    expect([...readFileSync(path).subarray(0, 5)]).toEqual([1, 0xff, 0xff, 0xff, 4]);
    await board.close();
    const again = await start({ flash: { path } });
    await expect(again).toHaveFlash(0, Uint8Array.of(1));
  });
});

describe("trouble with Renode", () => {
  it("is told in Renode's own words, with the command and the end of its log", async () => {
    await expect(start({}, { refuse: { "machine Load": "Error E39: no such thing" } })).rejects.toMatchObject(
      {
        name: "HarnessError",
        code: "EMULATOR_REFUSED",
        message: expect.stringMatching(
          /^Renode refused: machine LoadPlatformDescription "\S+stm32l552\.repl"\n.*Error E39: no such thing\nRenode's log ends with:\nthe log's first line$/s,
        ) as string,
      },
    );
    const board = await start();
    await expect(board.monitor("no-such thing")).rejects.toThrow("No such command or device: no-such");
    expect(await board.monitor("colours")).toBe("<a & b>");
  });

  it("ends the waiting for a board that runs by itself when Renode refuses what has to follow a cut", async () => {
    const board = await start({ paused: false }, { refuse: { SaveImage: "the disk is full" } });
    await board.cutAt({ operation: 1, moment: "after" });
    board.serial.write("program\n");
    await board.runUntil({ event: "power-off" });
    expect(board.powered).toBe(false);
  });

  it("says when Renode ends before it is up, with what it printed", async () => {
    await expect(start({}, { exit: 7, say: "no .NET here" })).rejects.toMatchObject({
      code: "EMULATOR_ENDED",
      message: expect.stringMatching(
        /^Renode ended with 7: no \.NET here\nIt was started as: \S+renode --disable-gui/,
      ) as string,
    });
  });

  it("says when it does not come up in time, and leaves nothing of it", async () => {
    await expect(start({ startTimeout: 1500 }, { mute: true })).rejects.toMatchObject({ code: "TIMEOUT" });
    expect(standIn.pids).toHaveLength(1);
    expect(await until(() => !standIn.pids.some(isAlive))).toBe(true);
  });

  it("is an event when Renode falls over; power brings a new one, with the flash", async () => {
    const board = await start();
    board.serial.write("program\n");
    await board.runUntil({ line: "done" });
    await board.powerOff();
    await board.powerOn();
    const died = await start({}, { die: "hostLine Run" });
    const ended = died.nextEvent((event) => event.kind === "ended");
    await expect(died.runFor(1)).rejects.toMatchObject({ code: "EMULATOR_ENDED" });
    expect(await ended).toMatchObject({
      reason: expect.stringMatching(/Renode ended with 3\nit has fallen over\n.*last words$/s) as string,
    });
    expect(died.powered).toBe(false);
    standIn.behave({});
    await died.powerOn();
    await expect(died).toSay("ready power");
    await died.runFor(1);
  });

  it("counts as crashed when a step never ends, and is ended then", async () => {
    const board = await start({ stepTimeout: 300 }, { hang: "hostLine Run" });
    await expect(board.runFor(1)).rejects.toMatchObject({ code: "TIMEOUT" });
    expect(board.powered).toBe(false);
    expect(await until(() => !standIn.pids.some(isAlive))).toBe(true);
  });

  it("is told when Renode is killed behind our back, and the board can still be closed", async () => {
    const board = await start();
    const ended = board.nextEvent((event) => event.kind === "ended");
    for (const pid of standIn.pids) process.kill(pid, "SIGKILL");
    expect(await ended).toMatchObject({ reason: expect.stringContaining("Renode has ended") as string });
    expect(board.powered).toBe(false);
    const other = await start();
    process.kill(other.pid ?? 0, "SIGSTOP"); // the script around it can't tell that it has ended
    process.kill(standIn.pids.at(-1) ?? 0, "SIGKILL");
    await other.powerOff();
    expect(other.powered).toBe(false);
  });

  it("is told as an event while the board runs by itself", async () => {
    const board = await start({}, { die: "hostLine Run 20000" });
    const ended = board.nextEvent((event) => event.kind === "ended");
    await board.resume();
    expect((await ended).kind).toBe("ended");
  });

  it("is no Renode at all: said with the next step", async () => {
    const before = { PATH: process.env["PATH"], RENODE: process.env["RENODE"] };
    process.env["PATH"] = standIn.folder.replace(/stand-in/, "nowhere");
    delete process.env["RENODE"];
    try {
      await expect(startRenode({ backend: "renode", elf })).rejects.toMatchObject({
        code: "EMULATOR_MISSING",
        message: "no Renode found (put `renode` on the PATH or its path into RENODE)",
      });
    } finally {
      process.env["PATH"] = before.PATH;
      if (before.RENODE !== undefined) process.env["RENODE"] = before.RENODE;
    }
  });

  it("is firmware that isn't there, a flash of the wrong size, a snapshot: each is said", async () => {
    await expect(start({ elf: "/nowhere.elf" })).rejects.toMatchObject({
      code: "FIRMWARE_MISSING",
      message: "there is no firmware at /nowhere.elf",
    });
    expect(standIn.commands).toEqual([]);
    const path = join(standIn.folder, "small.bin");
    writeFileSync(path, "small");
    await expect(start({ flash: { path } })).rejects.toMatchObject({ code: "FLASH_SIZE" });
    const board = await start();
    expect(board.supports("snapshots")).toBe(false);
    await expect(board.snapshot()).rejects.toMatchObject({ code: "UNSUPPORTED" });
    await expect(board.writeFlash(0, Uint8Array.of(1))).rejects.toMatchObject({ code: "BOARD_ON" });
    await board.close();
    await expect(board.powerOn()).rejects.toMatchObject({ code: "BOARD_CLOSED" });
  });
});

describe("a platform of one's own", () => {
  it("may have no more than a line: what it lacks, the board can't do, and says so", async () => {
    const board = await start({
      platform: { description: "@platforms/boards/some.repl", serial: "sysbus.usart2" },
    });
    expect(standIn.commands).toContain("machine LoadPlatformDescription @platforms/boards/some.repl");
    expect(standIn.commands).not.toContain("sysbus.flashController PowerOn");
    expect(standIn.commands.at(-1)).toBe("machine Reset");
    expect(board.supports("cuts")).toBe(false);
    expect(board.supports("virtual-time")).toBe(true);
    await expect(board.readFlash()).rejects.toMatchObject({ code: "UNSUPPORTED" });
    await expect(board.cutAt({ operation: 1, moment: "torn" })).rejects.toMatchObject({
      code: "UNSUPPORTED",
    });
    await expect(board.setInput(0, 1)).rejects.toMatchObject({ code: "UNSUPPORTED" });
    await expect(board.output(0)).rejects.toMatchObject({ code: "UNSUPPORTED" });
    await board.reset();
    await expect(board).toReset();
  });
});

describe("what is left of a board under Renode", () => {
  it("is nothing after close(), though its program is only a script around another", async () => {
    const board = await start();
    const pids = [...standIn.pids, board.pid ?? 0];
    expect(new Set(pids).size).toBe(2);
    await board.close();
    expect(await until(() => !pids.some(isAlive))).toBe(true);
  });

  it.each(["SIGKILL", "SIGTERM", "exit"] as const)(
    "is nothing when the test process ends by %s",
    async (how) => {
      const script = `
      const { startRenode } = await import(${JSON.stringify(DIST)});
      const board = await startRenode({ backend: "renode", elf: ${JSON.stringify(elf)}, program: ${JSON.stringify(standIn.program)} });
      console.log(JSON.stringify(board.flashPath));
      ${how === "exit" ? "process.exit(1);" : "setInterval(() => undefined, 1000);"}`;
      const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const [first = ""] = await new Promise<string[]>((resolve) => {
        createInterface({ input: child.stdout }).once("line", (text) => {
          resolve([text]);
        });
      });
      const flash = JSON.parse(first) as string;
      const [pid = 0] = standIn.pids;
      if (how !== "exit") child.kill(how);
      expect(await until(() => !isAlive(pid))).toBe(true);
      expect(await until(() => !existsSync(flash))).toBe(true);
    },
  );
});

describe("folders", () => {
  it("with blanks in their names are no trouble", async () => {
    const folder = mkdtempSync(join(tmpdir(), "harness test "));
    const path = join(folder, "my firmware.elf");
    writeFileSync(path, "");
    const board = await start({ elf: path });
    expect(standIn.commands).toContain(`sysbus LoadELF "${path}"`);
    await board.close();
    rmSync(folder, { recursive: true });
    await expect(start({ flash: { path: join(standIn.folder, 'a"quote') } })).rejects.toThrow(TypeError);
  });
});
