/**
 * A simulated board as a device. Its time is virtual: it passes while this side waits for something, as fast as
 * the processor allows, and the session's clock is the board's. While nothing is waited for it passes as on the wall,
 * or slower where many boards are idle in one process: together they take a fifth of a processor at most. Closing it
 * is a power cut at rest. Whatever the board says, its flash is in its file before: a process that is killed takes
 * back nothing that anybody was told.
 */
import { randomBytes } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";

import { FlashStorage, openFlashFile, SimBoard, type FlashFile } from "@edgeplug/sim";

import type { Clock } from "../clock.js";
import { EdgePlugError } from "../errors.js";
import { busyError, isAlive, programName } from "./port-diagnosis.js";
import { DEFAULT_BAUD } from "./serial.js";
import { DataSink, type OpenOptions, type Transport } from "./transport.js";

/** Virtual milliseconds between two looks at what else this process has to do. */
const SLICE_MS = 10;
/** While nothing is waited for, time passes in steps of so much. */
const IDLE_MS = 20;
/** Of the processor's time, for all idle boards of this process together. */
const IDLE_SHARE = 0.2;
/** A board that runs for months must not remember each of its flash's operations. */
const FLASH_OPTIONS = { logLimit: 0 };
/** How often a flash that changed in silence goes to its file; before the board says anything it goes there at once. */
const SAVE_INTERVAL_MS = 250;

/** Opens `sim:` (path empty) or `sim:PATH`; a file that is not there yet becomes a blank board. */
export async function openSim(path: string, options: OpenOptions = {}): Promise<SimTransport> {
  const baud = options.baud ?? DEFAULT_BAUD;
  const geometry = options.simGeometry ?? "l5";
  if (path === "") {
    const flashOptions = FLASH_OPTIONS;
    const board = await SimBoard.create({
      geometry,
      flashOptions,
      boardId: randomBytes(12),
      serial: { baud },
    });
    return new SimTransport("sim:", board, baud);
  }
  const unlock = lockFile(path);
  try {
    const file = await openFlash(path, geometry);
    const { flash, boardId } = file;
    const board = await SimBoard.create({ geometry: flash.geometry.name, flash, boardId, serial: { baud } });
    return new SimTransport(`sim:${path}`, board, baud, {
      file: new FlashStorage(path, { flash: board.flash, boardId }),
      unlock,
    });
  } catch (error) {
    unlock();
    throw error;
  }
}

async function openFlash(path: string, geometry: "l5" | "nor"): Promise<FlashFile> {
  try {
    return await openFlashFile(path, geometry, FLASH_OPTIONS);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new EdgePlugError("FILE_UNREADABLE", `${path} can't be used as a board's flash: ${why}.`, {
      cause: error,
      action: "Name another file; one that does not exist becomes a new board.",
    });
  }
}

/** Two boards on one flash file would overwrite each other's flash. */
function lockFile(path: string): () => void {
  const lock = `${path}.lock`;
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(lock, `${process.pid}\n`, { flag: "wx" });
      return () => rmSync(lock, { force: true });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EEXIST") {
        throw new EdgePlugError("FILE_UNREADABLE", `${path} can't be used: ${String(code)}.`, {
          cause: error,
        });
      }
      const holder = Number.parseInt(readFileSync(lock, "utf8"), 10);
      if (attempt > 0 || isAlive(holder)) {
        throw busyError(`sim:${path}`, [{ pid: holder, program: programName(holder) }]);
      }
      rmSync(lock, { force: true }); // left behind by a process that was killed
    }
  }
}

interface Storage {
  file: FlashStorage;
  unlock: () => void;
}

interface Timer {
  at: number;
  callback: () => void;
}

/** Lets the time of idle boards pass, in turns, as far as their share of the processor goes. */
class IdleTime {
  private readonly turns: (() => void)[] = [];
  private timer: NodeJS.Timeout | undefined;

  /** `turn` lets IDLE_MS pass on one board; the result takes it out again. */
  join(turn: () => void): () => void {
    this.turns.push(turn);
    this.timer ??= setInterval(() => this.tick(), IDLE_MS).unref();
    return () => {
      const at = this.turns.indexOf(turn);
      if (at >= 0) this.turns.splice(at, 1);
      if (this.turns.length > 0) return;
      clearInterval(this.timer);
      this.timer = undefined;
    };
  }

  private tick(): void {
    const end = performance.now() + IDLE_MS * IDLE_SHARE;
    for (let count = this.turns.length; count > 0; count--) {
      const turn = this.turns.shift();
      if (turn === undefined) return;
      this.turns.push(turn);
      turn();
      if (performance.now() >= end) return;
    }
  }
}

const IDLE_TIME = new IdleTime();

/** Also for boards made elsewhere: `new SimTransport("sim:", board)` hands a test's own board to a session. */
export class SimTransport implements Transport {
  readonly clock: Clock;
  readonly closed: Promise<EdgePlugError | undefined>;
  private readonly sink = new DataSink();
  private readonly timers = new Set<Timer>();
  private readonly leaveIdle: () => void;
  private readonly saver: NodeJS.Timeout | undefined;
  private settle!: (reason: EdgePlugError | undefined) => void;
  private pumping = false;
  private isClosed = false;

  constructor(
    readonly name: string,
    readonly board: SimBoard,
    readonly baud = 0,
    private readonly storage?: Storage,
  ) {
    this.closed = new Promise((resolve) => (this.settle = resolve));
    this.clock = { now: () => board.milliseconds, after: (ms, callback) => this.after(ms, callback) };
    board.onSerial = (bytes) => this.deliver(bytes);
    this.leaveIdle = IDLE_TIME.join(() => {
      if (!this.pumping) this.guard(() => board.powered && board.run(IDLE_MS));
    });
    if (storage !== undefined) {
      this.saver = setInterval(() => this.guard(() => storage.file.saveChanges()), SAVE_INTERVAL_MS);
      this.saver.unref();
    }
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.sink.set(listener);
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.isClosed) throw new EdgePlugError("PORT_LOST", `${this.name} has been closed.`);
    this.board.send(bytes);
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.stop();
    try {
      this.storage?.file.saveChanges();
    } finally {
      this.storage?.unlock();
      this.settle(undefined);
    }
  }

  private after(milliseconds: number, callback: () => void): () => void {
    const timer = { at: this.board.milliseconds + milliseconds, callback };
    this.timers.add(timer);
    this.pump();
    return () => this.timers.delete(timer);
  }

  /** Lets time pass as long as anybody waits. */
  private pump(): void {
    if (this.pumping || this.isClosed) return;
    this.pumping = true;
    const turn = (): void => {
      if (this.isClosed || this.timers.size === 0) {
        this.pumping = false;
        return;
      }
      this.guard(() => this.slice());
      setImmediate(turn);
    };
    setImmediate(turn);
  }

  private slice(): void {
    const { board } = this;
    const next = Math.min(...[...this.timers].map((timer) => timer.at));
    let answered = false;
    board.onSerial = (bytes) => {
      answered = true;
      this.deliver(bytes);
    };
    const time = Math.min(SLICE_MS, Math.max(0.001, next - board.milliseconds));
    if (board.powered) board.runUntil(() => answered, time);
    else board.clock.pass(time * 1e6);
    for (const timer of [...this.timers]) {
      if (timer.at > board.milliseconds) continue;
      this.timers.delete(timer);
      timer.callback();
    }
  }

  /** What the board's simulation throws ends the line. */
  private guard(act: () => unknown): void {
    try {
      act();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.stop();
      this.storage?.unlock();
      this.settle(new EdgePlugError("EMULATOR", `The simulated board failed: ${why}.`, { cause: error }));
    }
  }

  private deliver(bytes: Uint8Array): void {
    this.storage?.file.saveChanges();
    this.sink.deliver(bytes);
  }

  private stop(): void {
    this.isClosed = true;
    this.leaveIdle();
    clearInterval(this.saver);
  }
}
