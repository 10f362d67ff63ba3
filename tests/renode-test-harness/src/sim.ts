import { mkdtempSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex, Readable } from "node:stream";

import {
  BoardCrash,
  FlashStorage,
  FlashViolation,
  observerFrame,
  openFlashFile,
  PowerCut,
  SimBoard,
  type FlashOptions,
  type GeometryName,
  type SimBoardOptions,
} from "@edgeplug/sim";

import { HarnessError, type Board, type BoardEvent, type FlashPatch } from "./board.js";
import { Cable } from "./cable.js";
import { EventHub } from "./event-hub.js";
import { disownFolder, ownFolder } from "./leash.js";

export interface SimOptions extends Omit<SimBoardOptions, "flash"> {
  readonly backend: "sim";
  readonly geometry?: GeometryName;
  readonly flashOptions?: FlashOptions;
  /** Keeps flash and board id in this file between runs. Default: in memory only. */
  readonly flashFile?: string;
  readonly patches?: readonly FlashPatch[];
  /** Virtual ms per real ms, at most; Infinity: as fast as it goes. Default 20. */
  readonly speed?: number;
  /** "stream": the line is `serial`. "socket": other programs reach it by the unix socket `port`. Default "stream". */
  readonly line?: "stream" | "socket";
}

/** Real ms that one slice of virtual time may take before others get their turn. */
const SLICE = 4;
/** Real ms that a program which has hung up may take to be gone. */
const LEAVING = 50;
/** Real ms that the board may lag behind; what is more is forgotten, not made up for. */
const MAX_LAG = 50;

/** Starts a board in this process; it runs while the event loop does. */
export async function startSim(options: SimOptions): Promise<InProcessBoard> {
  const { flashFile, geometry, flashOptions } = options;
  const file = flashFile ? await openFlashFile(flashFile, geometry, flashOptions) : undefined;
  const sim = await SimBoard.create({
    ...options,
    ...(file && { flash: file.flash, geometry: file.flash.geometry.name, boardId: file.boardId }),
  });
  for (const { offset, bytes } of options.patches ?? []) sim.flash.poke(sim.geometry.base + offset, bytes);
  const board = new InProcessBoard(sim, options);
  if (options.line === "socket") await board.listen();
  board.start();
  return board;
}

export class InProcessBoard implements Board {
  readonly backend = "sim";
  /** The board itself, for what only an emulation in this process can do: cuts, tears, faults, snapshots. */
  readonly sim: SimBoard;

  readonly #serial = new Cable();
  readonly #observer = new Cable();
  readonly #hub = new EventHub();
  readonly #speed: number;
  readonly #storage: FlashStorage | undefined;
  #server: { readonly server: Server; readonly path: string; readonly folder: string } | undefined;
  #guest: Socket | undefined;
  #timer: NodeJS.Timeout | NodeJS.Immediate | undefined;
  #origin = { real: 0, virtual: 0 };
  #paused = false;
  #closed = false;

  constructor(sim: SimBoard, options: SimOptions) {
    this.sim = sim;
    this.#speed = options.speed ?? 20;
    if (!(this.#speed > 0)) throw new RangeError(`speed: expected more than 0, got ${this.#speed}`);
    const { flashFile } = options;
    this.#storage = flashFile === undefined ? undefined : new FlashStorage(flashFile, sim);
    sim.onReset = (cause) => {
      if (cause === "watchdog") this.#hub.emit({ kind: "watchdog" });
      if (cause !== "power-on") this.#hub.emit({ kind: "reset", cause });
    };
    sim.onOutputs = (observation) => {
      this.#observer.receive(observerFrame(observation));
    };
    sim.onSerial = (bytes) => {
      this.#storage?.saveChanges(); // what the board says is true of its flash file, too
      if (this.#guest) this.#guest.write(bytes);
      else if (!this.#server) this.#serial.receive(bytes);
    };
  }

  get serial(): Duplex {
    return this.#serial;
  }

  get observer(): Readable {
    return this.#observer;
  }

  get port(): string | undefined {
    return this.#server?.path;
  }

  get powered(): boolean {
    return this.sim.powered;
  }

  events(signal?: AbortSignal): AsyncIterable<BoardEvent> {
    return this.#hub.events(signal);
  }

  nextEvent(accept: (event: BoardEvent) => boolean, timeout = 10_000): Promise<BoardEvent> {
    return this.#hub.next(accept, timeout);
  }

  /** Plugs the line in and lets time run. Part of startSim(). */
  start(): void {
    this.#serial.attach((bytes, done) => {
      this.#send(bytes);
      done();
    });
    this.#run();
    this.#hub.emit({ kind: "power-on" });
  }

  /** Opens the socket that others reach the line by; one of them at a time. Part of startSim(). */
  async listen(): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), "rth-"));
    ownFolder(folder);
    const path = join(folder, "serial");
    const server = createServer((socket) => {
      this.#plug(socket);
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, resolve);
    });
    this.#server = { server, path, folder };
  }

  async powerOff(): Promise<void> {
    if (!this.sim.powered) return;
    this.sim.cutPower();
    this.#powerGone();
    await Promise.resolve();
  }

  /** In this process no write is lost on its way: the same as powerOff(). */
  async kill(): Promise<void> {
    await this.powerOff();
  }

  async powerOn(): Promise<void> {
    if (this.#closed) throw new HarnessError("BOARD_CLOSED", "the board is closed");
    if (this.sim.powered) return;
    this.sim.powerOn();
    this.start();
    await Promise.resolve();
  }

  async reset(): Promise<void> {
    this.#needPower();
    this.sim.reset();
    await Promise.resolve();
  }

  async pause(): Promise<void> {
    this.#needPower();
    this.#paused = true;
    this.#halt();
    await Promise.resolve();
  }

  async resume(): Promise<void> {
    this.#needPower();
    this.#run();
    await Promise.resolve();
  }

  async readFlash(): Promise<Uint8Array> {
    return Promise.resolve(this.sim.flash.image());
  }

  async writeFlash(offset: number, bytes: Uint8Array): Promise<void> {
    if (this.sim.powered) throw new HarnessError("BOARD_ON", "cut the power before you write the flash");
    this.sim.flash.poke(this.sim.geometry.base + offset, bytes);
    this.#storage?.save();
    await Promise.resolve();
  }

  async virtualTime(): Promise<number> {
    return Promise.resolve(this.sim.milliseconds);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.powerOff();
    this.#storage?.save();
    this.#guest?.destroy();
    if (this.#server) {
      this.#server.server.close();
      disownFolder(this.#server.folder);
    }
    this.#hub.close();
    this.#serial.destroy();
    this.#observer.destroy();
  }

  // ---- inside -----------------------------------------------------------------------------------

  #needPower(): void {
    if (!this.sim.powered) throw new HarnessError("BOARD_OFF", "the board has no power");
  }

  #send(bytes: Uint8Array): void {
    if (!this.sim.powered) return;
    this.sim.send(bytes);
    if (!this.#paused) this.#schedule(true);
  }

  /** A serial line has one other end; whoever comes while another is just leaving waits for that. */
  #plug(socket: Socket): void {
    socket.on("error", () => undefined);
    if (this.#guest) {
      const patience = setTimeout(() => socket.destroy(), LEAVING);
      this.#guest.once("close", () => {
        clearTimeout(patience);
        if (!socket.destroyed) this.#plug(socket);
      });
      return;
    }
    this.#guest = socket;
    socket.on("data", (bytes: Buffer) => {
      this.#send(bytes);
    });
    socket.on("close", () => {
      this.#guest = undefined;
    });
  }

  #run(): void {
    this.#paused = false;
    this.#origin = { real: performance.now(), virtual: this.sim.milliseconds };
    this.#schedule(true);
  }

  #halt(): void {
    clearTimeout(this.#timer as NodeJS.Timeout);
    clearImmediate(this.#timer as NodeJS.Immediate);
    this.#timer = undefined;
  }

  #schedule(soon: boolean): void {
    this.#halt();
    this.#timer = soon
      ? setImmediate(() => {
          this.#slice();
        })
      : setTimeout(() => {
          this.#slice();
        }, 1);
  }

  /** Lets the board catch up with the real clock, then gives way. */
  #slice(): void {
    this.#timer = undefined;
    const begun = performance.now();
    const due = this.#due(begun);
    try {
      while (this.sim.milliseconds < due && performance.now() - begun < SLICE)
        this.sim.run(Math.max(0.001, Math.min(1, due - this.sim.milliseconds)));
    } catch (error) {
      this.#fell(error);
      return;
    }
    if (this.#paused || !this.sim.powered) return;
    this.#storage?.saveChanges();
    this.#schedule(this.sim.milliseconds < due || this.sim.serial.pendingIn > 0);
  }

  /** The virtual ms that the board should have reached. */
  #due(now: number): number {
    if (this.#speed === Infinity) return Infinity;
    const due = this.#origin.virtual + (now - this.#origin.real) * this.#speed;
    const lag = (due - this.sim.milliseconds) / this.#speed;
    if (lag > MAX_LAG) {
      this.#origin = { real: now - MAX_LAG, virtual: this.sim.milliseconds };
      return this.sim.milliseconds + MAX_LAG * this.#speed;
    }
    return due;
  }

  /** A planned cut is what a test wanted; anything else that ends the run is told with its reason. */
  #fell(error: unknown): void {
    if (!(error instanceof PowerCut)) {
      const known = error instanceof FlashViolation || error instanceof BoardCrash;
      const reason = known ? `${error.code}: ${error.message}` : String(error);
      this.#hub.emit({ kind: "ended", reason });
    }
    this.#powerGone();
  }

  #powerGone(): void {
    this.#halt();
    this.#serial.detach();
    this.#storage?.save();
    this.#hub.emit({ kind: "power-off" });
  }
}
