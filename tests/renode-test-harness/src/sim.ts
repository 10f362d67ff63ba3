import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";

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
  type Snapshot,
} from "@edgeplug/sim";

import { BoardBase } from "./board-base.js";
import { HarnessError, type BoardSnapshot, type Feature, type FlashCut, type FlashPatch } from "./board.js";
import { disownFolder, ownFolder } from "./leash.js";
import { LineSocket } from "./line-socket.js";

export interface SimOptions extends Omit<SimBoardOptions, "flash" | "inputs"> {
  readonly backend: "sim";
  /** Input channels: values that setInput() changes, or a function of the scan's number since boot, from 1. Default: mains,
   *  plant, set point and ramp of process.h. */
  readonly inputs?: readonly number[] | ((scan: number) => readonly number[]);
  readonly geometry?: GeometryName;
  readonly flashOptions?: FlashOptions;
  /** Keeps flash and board id in this file between runs. Default: in memory only. */
  readonly flashFile?: string;
  readonly patches?: readonly FlashPatch[];
  /** Virtual ms per real ms, at most; Infinity: as fast as it goes. Default 20. */
  readonly speed?: number;
  /** "stream": the line is `serial`. "socket": other programs reach it by the unix socket `port`. Default "stream". */
  readonly line?: "stream" | "socket";
  /** Each time it gets power its time stands still, as after pause(). Default false. */
  readonly paused?: boolean;
}

/** A snapshot of a board in this process. */
interface SimSnapshot extends BoardSnapshot {
  readonly backend: "sim";
  readonly state: Snapshot;
}

/** Real ms that one slice of virtual time may take before others get their turn. */
const SLICE = 4;
/** Real ms that the board may lag behind; what is more is forgotten, not made up for. */
const MAX_LAG = 50;

/** Starts a board in this process; it runs while the event loop does. */
export async function startSim(options: SimOptions): Promise<InProcessBoard> {
  const { flashFile, geometry, flashOptions } = options;
  const file = flashFile ? await openFlashFile(flashFile, geometry, flashOptions) : undefined;
  const { inputs, ...rest } = options;
  const channels = typeof inputs === "object" ? [...inputs] : undefined;
  const read = channels ? () => channels : typeof inputs === "function" ? inputs : undefined;
  const sim = await SimBoard.create({
    ...rest,
    ...(read && { inputs: read }),
    ...(file && { flash: file.flash, geometry: file.flash.geometry.name, boardId: file.boardId }),
  });
  for (const { offset, bytes } of options.patches ?? []) sim.flash.poke(sim.geometry.base + offset, bytes);
  const board = new InProcessBoard(sim, options, channels);
  if (options.line === "socket") await board.listen();
  board.start(options.paused);
  return board;
}

export class InProcessBoard extends BoardBase {
  readonly backend = "sim";
  /** The board itself, for what only an emulation in this process can do: cuts, tears, faults, snapshots. */
  readonly sim: SimBoard;

  protected readonly step = 1;
  readonly #channels: number[] | undefined;
  readonly #speed: number;
  readonly #storage: FlashStorage | undefined;
  #socket: { readonly line: LineSocket; readonly folder: string } | undefined;
  #timer: NodeJS.Timeout | NodeJS.Immediate | undefined;
  #origin = { real: 0, virtual: 0 };
  readonly #startsPaused: boolean;
  #paused = false;
  #closed = false;
  /** The cut that was asked for, with the number of its operation. */
  #plan: { readonly at: number; readonly cut: FlashCut } | undefined;
  #outputs: readonly number[] = [];

  constructor(sim: SimBoard, options: SimOptions, channels?: number[]) {
    super();
    this.sim = sim;
    this.#channels = channels;
    this.#startsPaused = options.paused ?? false;
    this.#speed = options.speed ?? 20;
    if (!(this.#speed > 0)) throw new RangeError(`speed: expected more than 0, got ${this.#speed}`);
    const { flashFile } = options;
    this.#storage = flashFile === undefined ? undefined : new FlashStorage(flashFile, sim);
    sim.onReset = (cause) => {
      if (cause === "watchdog") this.hub.emit({ kind: "watchdog" });
      if (cause !== "power-on") this.hub.emit({ kind: "reset", cause });
    };
    sim.onOutputs = (observation) => {
      this.#outputs = observation.outputs;
      this.observerCable.receive(observerFrame(observation));
    };
    sim.onSerial = (bytes) => {
      this.#storage?.saveChanges(); // what the board says is true of its flash file, too
      this.cable.receive(bytes);
    };
  }

  get port(): string | undefined {
    return this.#socket?.line.path;
  }

  get powered(): boolean {
    return this.sim.powered;
  }

  supports(feature: Feature): boolean {
    return feature !== "inputs" || this.#channels !== undefined;
  }

  /** Plugs the line in and lets time run. Part of startSim(). */
  start(paused = false): void {
    this.startAfresh();
    this.cable.attach((bytes, done) => {
      this.#send(bytes);
      done();
    });
    if (paused) this.#paused = true;
    else this.#run();
    this.hub.emit({ kind: "power-on" });
  }

  /** Opens the socket that others reach the line by; one of them at a time. Part of startSim(). */
  async listen(): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), "rth-"));
    ownFolder(folder);
    this.#socket = { line: await LineSocket.open(join(folder, "serial"), this.cable), folder };
  }

  async powerOff(): Promise<void> {
    if (!this.sim.powered) return;
    this.sim.cutPower();
    this.#powerGone();
    this.startAfresh();
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
    this.start(this.#startsPaused);
    await Promise.resolve();
  }

  async reset(): Promise<void> {
    this.needPower();
    this.startAfresh();
    this.sim.reset();
    await Promise.resolve();
  }

  async pause(): Promise<void> {
    this.needPower();
    this.#paused = true;
    this.#halt();
    await Promise.resolve();
  }

  async resume(): Promise<void> {
    this.needPower();
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

  async cutAt(cut: FlashCut | undefined): Promise<void> {
    this.sim.flash.planCut(cut && { operation: cut.operation, moment: cut.moment });
    this.#plan = cut && { at: this.sim.flash.operations + cut.operation, cut };
    if (cut) this.sim.flash.reseed(cut.seed ?? 1);
    await Promise.resolve();
  }

  async flashOperations(): Promise<number> {
    return Promise.resolve(this.sim.flash.operations);
  }

  async virtualTime(): Promise<number> {
    return Promise.resolve(this.sim.milliseconds);
  }

  async readMemory(address: number, size: number): Promise<Uint8Array> {
    this.needPower();
    return Promise.resolve(part(this.sim.memory(), address, size).slice());
  }

  async writeMemory(address: number, bytes: Uint8Array): Promise<void> {
    this.needPower();
    const state = this.sim.snapshot();
    part(state.memory, address, bytes.length).set(bytes);
    this.sim.restore(state);
    const { operations } = this.sim.flash;
    // a restored flash has no plans
    if (this.#plan && this.#plan.at > operations)
      this.sim.flash.planCut({ ...this.#plan.cut, operation: this.#plan.at - operations });
    await Promise.resolve();
  }

  async setInput(channel: number, value: number): Promise<void> {
    if (!this.#channels)
      throw this.unsupported(
        "setting an input",
        "start it with inputs: [0, 0, 0, 0], or whatever they begin with",
      );
    if (!(channel in this.#channels)) throw new RangeError(`there is no input channel ${channel}`);
    this.#channels[channel] = value;
    await Promise.resolve();
  }

  async output(channel: number): Promise<number> {
    const value = this.#outputs[channel];
    if (value === undefined) throw new RangeError(`no scan has set an output channel ${channel} so far`);
    return Promise.resolve(value);
  }

  async snapshot(): Promise<BoardSnapshot> {
    const snapshot: SimSnapshot = {
      backend: "sim",
      time: this.sim.milliseconds,
      state: this.sim.snapshot(),
    };
    return Promise.resolve(snapshot);
  }

  /** Plans for cuts are forgotten; virtual time goes back, too. */
  async restore(snapshot: BoardSnapshot): Promise<void> {
    if (snapshot.backend !== "sim" || !("state" in snapshot))
      throw new TypeError(`a sim board can't go back to a snapshot of ${snapshot.backend}`);
    const before = this.sim.powered;
    this.sim.restore((snapshot as SimSnapshot).state);
    this.#plan = undefined;
    this.startAfresh();
    if (this.sim.powered && !before) this.start(this.#paused);
    else if (!this.sim.powered && before) this.#powerGone();
    else if (before && !this.#paused) this.#run();
    await Promise.resolve();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.powerOff();
    this.#storage?.save();
    if (this.#socket) {
      this.#socket.line.close();
      disownFolder(this.#socket.folder);
    }
    this.hub.close();
    this.cable.destroy();
    this.observerCable.destroy();
  }

  // ---- inside -----------------------------------------------------------------------------------

  protected get held(): boolean {
    return this.#paused && this.sim.powered;
  }

  protected async advance(milliseconds: number): Promise<void> {
    const end = this.sim.milliseconds + milliseconds;
    while (this.sim.powered && this.sim.milliseconds < end) {
      this.#runUntil(end);
      await turn();
    }
    this.#storage?.saveChanges();
  }

  #send(bytes: Uint8Array): void {
    if (!this.sim.powered) return;
    this.sim.send(bytes);
    if (!this.#paused) this.#schedule(true);
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
    const due = this.#due(performance.now());
    this.#runUntil(due);
    if (this.#paused || !this.sim.powered) return;
    this.#storage?.saveChanges();
    this.#schedule(this.sim.milliseconds < due || this.sim.serial.pendingIn > 0);
  }

  /** Runs to that virtual time, or for as long as one slice may take. */
  #runUntil(end: number): void {
    const begun = performance.now();
    try {
      while (this.sim.milliseconds < end && performance.now() - begun < SLICE)
        this.sim.run(Math.max(0.001, Math.min(1, end - this.sim.milliseconds)));
    } catch (error) {
      this.#fell(error);
    }
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
    const plan = this.#plan;
    this.#plan = undefined;
    if (error instanceof PowerCut) {
      if (plan) this.hub.emit({ kind: "cut", operation: plan.at, moment: plan.cut.moment });
    } else {
      const known = error instanceof FlashViolation || error instanceof BoardCrash;
      const reason = known ? `${error.code}: ${error.message}` : String(error);
      this.hub.emit({ kind: "ended", reason });
    }
    this.#powerGone();
  }

  #powerGone(): void {
    this.#halt();
    this.cable.detach();
    this.#storage?.save();
    this.hub.emit({ kind: "power-off" });
  }
}

function part(memory: Uint8Array, address: number, size: number): Uint8Array {
  if (!(address >= 0 && size >= 0 && address + size <= memory.length))
    throw new RangeError(`${size} bytes at ${address} lie outside the memory of ${memory.length}`);
  return memory.subarray(address, address + size);
}
