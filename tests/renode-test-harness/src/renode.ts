import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { BoardBase, delay } from "./board-base.js";
import { HarnessError, type BoardSnapshot, type CutMoment, type Feature, type FlashCut } from "./board.js";
import { FileTail } from "./file-tail.js";
import { findRenode, RENODE_MISSING } from "./find-renode.js";
import { patchFlashImage, prepareFlashImage, readFlashImage } from "./flash-image.js";
import { disownFolder, ownFolder } from "./leash.js";
import { LineSocket } from "./line-socket.js";
import { pathOf, quoted } from "./renode-monitor.js";
import type { RenodeOptions } from "./renode-options.js";
import { STM32L552, type RenodePlatform } from "./renode-platform.js";
import { startProcess, type RenodeProcess } from "./renode-process.js";

const HOST_LINE = fileURLToPath(new URL("../renode/HostLine.cs", import.meta.url));

/** How the models tell that the core has come to an end. */
const CORE_LOST = /\bthe core (is lost|can't go on)/;

const START_TIMEOUT = 60_000;
const STEP_TIMEOUT = 60_000;
/** Real ms that a Renode which doesn't answer any more may take to end. */
const LAST_WORDS = 2_000;
const BYTES_PER_SECOND = 11_520;
/** Virtual ms of a step at most: of a board that runs by itself, and hears what is written to it after each; and of one whose
 *  time somebody waits for. */
const STEP = 20;
const LONG_STEP = 100;
/** Virtual µs after which a step ends once the board has begun to say something. */
const LISTEN = 2000;
/** Real ms that the board may lag behind its speed; what is more is forgotten, not made up for. */
const MAX_LAG = 50;
/** Bytes that go to Renode in one command, or come from it. */
const CHUNK = 4096;
/** Bytes of a line in the file beside the image that tells what the bytes don't. */
const UNIT = 8;
/** Between two looks of Renode's at all that runs side by side, s. Its default, a tenth, costs four times as much here. */
const QUANTUM = "0.001";

/** Starts Renode with one board; the board runs when this resolves. */
export async function startRenode(options: RenodeOptions): Promise<RenodeBoard> {
  const folder = mkdtempSync(join(tmpdir(), "rth-"));
  ownFolder(folder);
  let board: RenodeBoard | undefined;
  try {
    board = new RenodeBoard(options, folder);
    await board.prepare();
    await board.powerOn();
    return board;
  } catch (error) {
    await board?.close();
    disownFolder(folder);
    throw error;
  }
}

/** One Renode with its machine set up, and where its lines come out. */
interface Machine extends RenodeProcess {
  readonly tails: readonly FileTail[];
}

export class RenodeBoard extends BoardBase {
  readonly backend = "renode";
  /** The flash image: what was in the flash when the power was cut last. */
  readonly flashPath: string;
  protected readonly step = LONG_STEP;

  readonly #options: RenodeOptions;
  readonly #platform: RenodePlatform;
  readonly #folder: string;
  readonly #speed: number;
  readonly #boardId: Uint8Array;
  #machine: Machine | undefined;
  #socket: LineSocket | undefined;
  #processes = 0;
  #powered = false;
  #paused = false;
  #closed = false;
  /** The image has what the machine's flash has not. */
  #patched = false;
  /** Bytes for the board, with whoever wants to know that they were taken. */
  #outgoing: { readonly bytes: Buffer; readonly done: () => void }[] = [];
  #eventText = "";
  #micros = 0;
  #savedOperations = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #loop: Promise<void> = Promise.resolve();

  constructor(options: RenodeOptions, folder: string) {
    super();
    this.#options = options;
    this.#platform = options.platform ?? STM32L552;
    this.#folder = folder;
    // programs that come by a port know no time but the wall's
    this.#speed = options.speed ?? ((options.line ?? "stream") === "stream" ? Infinity : 1);
    if (!(this.#speed > 0)) throw new RangeError(`speed: expected more than 0, got ${this.#speed}`);
    this.#boardId = options.boardId ?? randomBytes(12);
    this.flashPath = options.flash?.path ?? join(folder, "flash.bin");
  }

  get port(): string | undefined {
    if (!this.#powered) return undefined;
    return this.#options.line === "pty" ? join(this.#folder, "serial") : this.#socket?.path;
  }

  get powered(): boolean {
    return this.#powered;
  }

  /** Renode's process id, for tests that do worse than kill(). */
  get pid(): number | undefined {
    return this.#machine?.leashed.pid;
  }

  supports(feature: Feature): boolean {
    const { flash, inputs, outputs } = this.#platform;
    if (feature === "cuts") return flash !== undefined;
    if (feature === "inputs") return inputs !== undefined;
    if (feature === "outputs") return outputs !== undefined;
    return feature !== "snapshots";
  }

  /** Runs a command of Renode's monitor between two steps of the board's time, and gives what it prints. */
  monitor(command: string): Promise<string> {
    return this.#inTurn(() => this.#running().monitor.execute(command));
  }

  /** Makes the flash image ready. Part of startRenode(). */
  async prepare(): Promise<void> {
    const { flashSize } = this.#platform;
    const { flash } = this.#options;
    if (flashSize !== undefined) await prepareFlashImage(this.flashPath, { ...flash, size: flashSize });
    else if (flash !== undefined) throw this.unsupported("a flash image", "its platform tells no flashSize");
    if (this.#options.line === "socket")
      this.#socket = await LineSocket.open(join(this.#folder, "line"), this.cable);
  }

  async powerOn(): Promise<void> {
    if (this.#closed) throw new HarnessError("BOARD_CLOSED", "the board is closed");
    await this.#inTurn(async () => {
      if (this.#powered) return;
      await this.#explained(async () => {
        if (this.#machine === undefined) await this.#setUp();
        else if (this.#patched) await this.#loadImage(this.#machine);
        await this.#switchOn(this.#running());
      });
      this.#powered = true;
      this.#paused = this.#options.paused ?? false;
      this.startAfresh();
      this.cable.attach((bytes, done) => {
        this.#outgoing.push({ bytes, done });
      });
      this.hub.emit({ kind: "power-on" });
    });
    this.#run();
  }

  async powerOff(): Promise<void> {
    await this.#inTurn(async () => {
      if (!this.#powered) return;
      const machine = this.#running();
      try {
        if (this.#platform.flash !== undefined)
          await machine.monitor.execute(`${this.#platform.flash} PowerOff`);
        await this.#powerGone(machine);
      } catch (error) {
        if (!(error instanceof HarnessError) || error.code !== "EMULATOR_ENDED") throw error;
        await this.#fell(machine, error); // without Renode it has no power, either
      }
      this.startAfresh();
    });
  }

  /** The flash is Renode's own: no write gets lost. The same as powerOff(). */
  async kill(): Promise<void> {
    await this.powerOff();
  }

  async reset(): Promise<void> {
    const { button } = this.#platform;
    await this.#powerTurn(async ({ monitor }) => {
      this.startAfresh();
      await monitor.execute(button === undefined ? "machine Reset" : `${button} PinReset`);
      if (this.#platform.events === undefined) this.hub.emit({ kind: "reset", cause: "pin" });
    });
  }

  async pause(): Promise<void> {
    this.needPower();
    this.#paused = true;
    await this.#turn;
  }

  async resume(): Promise<void> {
    this.needPower();
    this.#paused = false;
    this.#run();
    await Promise.resolve();
  }

  async readFlash(): Promise<Uint8Array> {
    const { flashSize } = this.#platform;
    if (flashSize === undefined)
      throw this.unsupported("reading the flash", "its platform tells no flashSize");
    return this.#inTurn(async () => {
      if (this.#powered) await this.#saveImage(this.#running());
      return readFlashImage(this.flashPath);
    });
  }

  async writeFlash(offset: number, bytes: Uint8Array): Promise<void> {
    if (this.#powered) throw new HarnessError("BOARD_ON", "cut the power before you write the flash");
    await this.#inTurn(async () => {
      await patchFlashImage(this.flashPath, offset, bytes);
      this.#forgetUnits(offset, bytes.length);
    });
    this.#patched = true;
  }

  async cutAt(cut: FlashCut | undefined): Promise<void> {
    const flash = this.#controller();
    const command =
      cut === undefined ? "CancelCut" : `CutAt ${cut.operation} ${quoted(cut.moment)} ${cut.seed ?? 1}`;
    await this.#powerTurn(({ monitor }) => monitor.execute(`${flash} ${command}`));
  }

  async flashOperations(): Promise<number> {
    const flash = this.#controller();
    return this.#inTurn(async () => Number(await this.#running().monitor.execute(`${flash} Operations`)));
  }

  async virtualTime(): Promise<number> {
    return Promise.resolve(this.#virtual);
  }

  async readMemory(address: number, size: number): Promise<Uint8Array> {
    return this.#powerTurn(({ monitor }) =>
      size > CHUNK ? this.#readByFile(monitor, address, size) : readBytes(monitor, address, size),
    );
  }

  async writeMemory(address: number, bytes: Uint8Array): Promise<void> {
    await this.#powerTurn(({ monitor }) => this.#writeBytes(monitor, address, bytes));
  }

  async setInput(channel: number, value: number): Promise<void> {
    const { inputs } = this.#platform;
    if (!inputs) throw this.unsupported("setting an input", "name its converter in the platform's `inputs`");
    const on = channelOf(inputs.channels, channel);
    await this.#powerTurn(({ monitor }) =>
      monitor.execute(`${inputs.name} SetVoltage ${on} ${decimal(value)}`),
    );
  }

  async output(channel: number): Promise<number> {
    const { outputs } = this.#platform;
    if (!outputs)
      throw this.unsupported("looking at an output", "name its timer in the platform's `outputs`");
    const on = channelOf(outputs.channels, channel);
    return this.#powerTurn(async ({ monitor }) =>
      Number(await monitor.execute(`${outputs.name} Duty ${on}`)),
    );
  }

  snapshot(): Promise<BoardSnapshot> {
    return Promise.reject(this.#noSnapshots());
  }

  restore(): Promise<void> {
    return Promise.reject(this.#noSnapshots());
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    try {
      // a board that keeps its flash keeps what was in it last
      if (this.#powered) await this.powerOff();
    } finally {
      this.#closed = true;
      const machine = this.#machine;
      this.#machine = undefined;
      await machine?.leashed.kill();
      if (machine) this.#forget(machine);
      this.#socket?.close();
      this.hub.close();
      this.cable.destroy();
      this.observerCable.destroy();
      disownFolder(this.#folder);
    }
  }

  // ---- time -------------------------------------------------------------------------------------

  protected get held(): boolean {
    return this.#paused && this.#powered;
  }

  protected async advance(milliseconds: number): Promise<void> {
    const end = this.#micros + Math.round(milliseconds * 1000);
    while (this.#micros < end && this.#powered) await this.advanceAStep((end - this.#micros) / 1000);
  }

  protected override async advanceAStep(most: number): Promise<void> {
    await this.#inTurn(() => this.#pass(Math.min(most, LONG_STEP)));
    await turn(); // who reads the lines gets its turn, too
  }

  /** Lets time go on by itself, unless it does already. */
  #run(): void {
    this.#loop = this.#loop.then(() => this.#goOn());
    // what ends it is told as an event
    this.#loop = this.#loop.catch(() => undefined);
  }

  async #goOn(): Promise<void> {
    let origin = { real: performance.now(), virtual: this.#virtual };
    while (this.#powered && !this.#paused) {
      await this.#inTurn(async () => {
        if (this.#powered && !this.#paused) await this.#pass(STEP);
      });
      const ahead = (this.#virtual - origin.virtual) / this.#speed - (performance.now() - origin.real);
      if (ahead < -MAX_LAG) origin = { real: performance.now(), virtual: this.#virtual };
      if (ahead > 0) await delay(ahead);
      else await turn();
    }
  }

  get #virtual(): number {
    return this.#micros / 1000;
  }

  /** A step ends early when the board has begun to say something; the µs that have passed. */
  async #step({ monitor }: Machine, most: number): Promise<number> {
    // a core that falls over may leave Renode waiting for it, for ever
    const limit = this.#options.stepTimeout ?? STEP_TIMEOUT;
    if (this.#options.line !== "pty")
      return Number(await monitor.execute(`hostLine Run ${most} ${LISTEN}`, limit));
    await monitor.execute(`emulation RunFor ${quoted((most / 1e6).toFixed(6))}`, limit);
    return most;
  }

  /** One step of the board's time; then what came of it is handed on. */
  async #pass(milliseconds: number): Promise<void> {
    const machine = this.#running();
    try {
      await this.#handOver(machine);
      this.#micros += await this.#step(machine, Math.round(milliseconds * 1000));
      if (this.#options.flash?.path !== undefined) await this.#saveIfChanged(machine);
      for (const tail of machine.tails) tail.drain();
      await this.#tellEvents(machine);
    } catch (error) {
      await this.#fell(machine, error);
      throw error;
    }
  }

  /** What was written to the line since the last step. */
  async #handOver(machine: Machine): Promise<void> {
    const parts = this.#outgoing.splice(0);
    if (parts.length === 0) return;
    const bytes = Buffer.concat(parts.map((part) => part.bytes));
    for (let at = 0; at < bytes.length; at += CHUNK)
      await machine.monitor.execute(
        `hostLine Send "${bytes.toString("hex", at, Math.min(at + CHUNK, bytes.length))}"`,
      );
    for (const { done } of parts) done();
  }

  // ---- events -----------------------------------------------------------------------------------

  async #tellEvents(machine: Machine): Promise<void> {
    const lines = this.#eventText.split("\n");
    this.#eventText = lines.pop() ?? "";
    for (const line of lines) await this.#tell(machine, line);
  }

  async #tell(machine: Machine, line: string): Promise<void> {
    const [, kind, rest = ""] = /^(\w+) (.*)$/.exec(line) ?? [];
    if (kind === "reset") {
      if (rest === "watchdog") this.hub.emit({ kind: "watchdog" });
      this.hub.emit({ kind: "reset", cause: rest });
    } else if (kind === "cut") {
      const [operation, moment] = rest.split(" ");
      this.hub.emit({ kind: "cut", operation: Number(operation), moment: moment as CutMoment });
      await this.#powerGone(machine);
    } else if (kind === "violation") {
      await this.#violated(machine, rest);
    }
  }

  async #violated(machine: Machine, reason: string): Promise<void> {
    if (CORE_LOST.test(reason)) {
      await this.#coreLost(machine, reason);
      return;
    }
    if (this.#options.violations === "tell") {
      this.hub.emit({ kind: "violation", reason });
      return;
    }
    if (!this.#powered) return;
    this.hub.emit({ kind: "ended", reason: `FLASH_VIOLATION: ${reason}` });
    if (this.#platform.flash !== undefined) await machine.monitor.execute(`${this.#platform.flash} PowerOff`);
    await this.#powerGone(machine);
  }

  /** Renode can't revive it, not even by a reset: power-on needs a new process. */
  async #coreLost(machine: Machine, reason: string): Promise<void> {
    if (!this.#powered) return;
    this.hub.emit({ kind: "ended", reason: `CORE_LOST: ${reason}\n${await machine.tail()}` });
    await this.#powerGone(machine);
    this.#machine = undefined;
    await machine.leashed.kill();
    this.#forget(machine);
  }

  async #powerGone(machine: Machine): Promise<void> {
    this.cable.detach();
    for (const { done } of this.#outgoing.splice(0)) done();
    if (this.#options.line !== "pty") await machine.monitor.execute("hostLine Clear");
    if (this.#platform.flashSize !== undefined) await this.#saveImage(machine);
    // at once: nobody may see the one without the other
    this.#powered = false;
    this.hub.emit({ kind: "power-off" });
  }

  /** Renode has gone, or doesn't do what it must. */
  async #fell(machine: Machine, error: unknown): Promise<void> {
    if (this.#machine !== machine) return;
    this.#machine = undefined;
    const log = await machine.tail();
    // one that ends by itself says how
    if (error instanceof HarnessError && error.code === "EMULATOR_ENDED")
      await Promise.race([machine.leashed.ended, delay(LAST_WORDS)]);
    await machine.leashed.kill();
    const { code, output } = await machine.leashed.ended;
    this.#forget(machine);
    if (!this.#powered) return;
    this.#powered = false;
    this.cable.detach();
    for (const { done } of this.#outgoing.splice(0)) done();
    const what = error instanceof HarnessError ? error.message : String(error);
    const reason = [`${what}; Renode ended with ${code}`, output, log]
      .filter((part) => part !== "")
      .join("\n");
    this.hub.emit({ kind: "ended", reason });
    this.hub.emit({ kind: "power-off" });
  }

  // ---- the machine ------------------------------------------------------------------------------

  async #setUp(): Promise<void> {
    const { elf } = this.#options;
    if (!elf.startsWith("@") && !existsSync(elf))
      throw new HarnessError("FIRMWARE_MISSING", `there is no firmware at ${elf}`);
    const program = this.#options.program ?? findRenode()?.path;
    if (program === undefined)
      throw new HarnessError("EMULATOR_MISSING", RENODE_MISSING.replace(/^skipped: /, ""));
    const folder = join(this.#folder, `renode-${++this.#processes}`);
    const limit = this.#options.startTimeout ?? START_TIMEOUT;
    const renode = await startProcess(program, folder, this.#folder, limit);
    const lines = this.#lines(folder);
    const tails: FileTail[] = [];
    const machine = { ...renode, tails };
    this.#machine = machine;
    void renode.leashed.ended.then(() => this.#fell(machine, "Renode has ended"));
    for (const command of this.#setUpCommands(folder, lines)) await renode.monitor.execute(command);
    for (const { path, receive } of lines) tails.push(new FileTail(path, receive, 0));
    if (this.#options.line === "pty") makeRaw(join(this.#folder, "serial"));
    if (this.#platform.flashSize !== undefined) await this.#loadImage(machine);
    await renode.monitor.execute(`sysbus LoadELF ${pathOf(this.#options.elf)}`);
    const { identity } = this.#platform;
    if (identity !== undefined) await this.#writeBytes(renode.monitor, identity, this.#boardId);
    for (const command of this.#options.commands ?? []) await renode.monitor.execute(command);
  }

  /** Where Renode writes what comes out of the board. A file takes everything, and at a step's end all of it is there. */
  #lines(folder: string): { name: string; path: string; receive: (bytes: Buffer) => void }[] {
    const { serial, observer, events } = this.#platform;
    const line = (name: string, what: string, receive: (bytes: Buffer) => void) => ({
      name,
      path: join(folder, what),
      receive,
    });
    const heard = (bytes: Buffer): void => {
      this.cable.receive(bytes);
    };
    return [
      ...(this.#options.line === "pty" ? [] : [line(serial, "serial", heard)]),
      ...(observer === undefined
        ? []
        : [line(observer, "observer", (bytes) => this.observerCable.receive(bytes))]),
      ...(events === undefined
        ? []
        : [line(events, "events", (bytes) => (this.#eventText += bytes.toString("latin1")))]),
    ];
  }

  #setUpCommands(folder: string, lines: readonly { name: string; path: string }[]): string[] {
    const { models = [], description, serial, core = "sysbus.cpu", vectorTable } = this.#platform;
    const start = vectorTable === undefined ? undefined : `${core} VectorTableOffset ${hex(vectorTable)}`;
    const speed = this.#platform.bytesPerSecond ?? BYTES_PER_SECOND;
    const pty = this.#options.line === "pty";
    return [
      `logFile ${quoted(join(folder, "renode.log"))} true`,
      "logLevel 2",
      `include ${[HOST_LINE, ...models].map(pathOf).join(" ")}`,
      'mach create "board"',
      `machine LoadPlatformDescription ${pathOf(description)}`,
      // the ELF is not loaded anew: that would clear memory that outlives a reset
      ...(start === undefined ? [] : [`macro reset ${quoted(start)}`, start]),
      `emulation SetGlobalQuantum "${QUANTUM}"`,
      "emulation SetGlobalAdvanceImmediately true",
      ...lines.map(({ name, path }) => `${name} CreateFileBackend ${quoted(path)} true`),
      pty
        ? `emulation CreateUartPtyTerminal "hostLine" ${quoted(join(this.#folder, "serial"))} true`
        : `emulation CreateHostLine "hostLine" ${speed}`,
      `connector Connect ${serial} hostLine`,
    ];
  }

  async #switchOn({ monitor }: Machine): Promise<void> {
    const { flash, memories = [] } = this.#platform;
    if (flash !== undefined) {
      await monitor.execute(`${flash} PowerOn`);
      return;
    }
    for (const memory of memories) await monitor.execute(`${memory} ZeroAll`);
    await monitor.execute("machine Reset");
  }

  async #loadImage({ monitor }: Machine): Promise<void> {
    const { flash, flashBase } = this.#platform;
    await monitor.execute(
      flash !== undefined
        ? `${flash} LoadImage ${pathOf(this.flashPath)}`
        : `sysbus LoadBinary ${pathOf(this.flashPath)} ${hex(flashBase ?? 0)}`,
    );
    this.#patched = false;
  }

  /** Whole or not at all: somebody may end this process at any time. */
  async #saveImage({ monitor }: Machine): Promise<void> {
    const { flash, flashBase = 0, flashSize = 0 } = this.#platform;
    const path = join(this.#folder, "saved.bin");
    rmSync(path, { force: true });
    if (flash !== undefined) await monitor.execute(`${flash} SaveImage ${quoted(path)}`);
    else await writeFile(path, await readBytes(monitor, flashBase, flashSize));
    for (const suffix of ["", ".units"]) {
      if (!existsSync(path + suffix)) {
        if (suffix !== "") rmSync(this.flashPath + suffix, { force: true });
        continue;
      }
      copyFileSync(path + suffix, `${this.flashPath}${suffix}.new`);
      renameSync(`${this.flashPath}${suffix}.new`, this.flashPath + suffix);
    }
  }

  /** What was written by hand is sound: nothing is known against those units any more. */
  #forgetUnits(offset: number, size: number): void {
    const path = `${this.flashPath}.units`;
    if (!existsSync(path)) return;
    const kept = readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => {
        const unit = Number.parseInt(line, 16);
        return !(unit + UNIT > offset && unit < offset + size);
      });
    writeFileSync(path, kept.join("\n"));
  }

  async #saveIfChanged(machine: Machine): Promise<void> {
    const { flash } = this.#platform;
    if (flash === undefined) return;
    const operations = Number(await machine.monitor.execute(`${flash} Operations`));
    if (operations === this.#savedOperations) return;
    this.#savedOperations = operations;
    await this.#saveImage(machine);
  }

  /** What the monitor prints costs it time for each byte. */
  async #readByFile(monitor: Machine["monitor"], address: number, size: number): Promise<Uint8Array> {
    const path = join(this.#folder, "memory-read");
    rmSync(path, { force: true });
    await monitor.execute(`sysbus SaveMemory ${hex(address)} ${size} ${pathOf(path)}`);
    return new Uint8Array(readFileSync(path));
  }

  async #writeBytes(monitor: Machine["monitor"], address: number, bytes: Uint8Array): Promise<void> {
    const path = join(this.#folder, "memory");
    await writeFile(path, bytes);
    await monitor.execute(`sysbus LoadBinary ${quoted(path)} ${hex(address)}`);
  }

  // ---- inside -----------------------------------------------------------------------------------

  /** One thing after the other: the board's time stands still meanwhile. */
  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(action);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  #powerTurn<T>(action: (machine: Machine) => Promise<T>): Promise<T> {
    return this.#inTurn(() => {
      this.needPower();
      return action(this.#running());
    });
  }

  #running(): Machine {
    if (!this.#machine)
      throw new HarnessError("BOARD_OFF", "the board has no power; powerOn() gives it some");
    return this.#machine;
  }

  #controller(): string {
    const { flash } = this.#platform;
    if (flash === undefined)
      throw this.unsupported("counting flash operations", "name a controller in the platform's `flash`");
    return flash;
  }

  #noSnapshots(): HarnessError {
    return this.unsupported("a snapshot", "take the sim backend; Renode's own don't keep open lines");
  }

  #forget({ monitor, tails }: Machine): void {
    monitor.close();
    for (const tail of tails) tail.close();
  }

  /** An error of the set-up comes with the end of Renode's log. */
  async #explained(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      const log = (await this.#machine?.tail()) ?? "";
      if (!(error instanceof HarnessError) || log === "") throw error;
      throw new HarnessError(error.code, `${error.message}\nRenode's log ends with:\n${log}`, {
        cause: error,
      });
    }
  }
}

async function readBytes(
  monitor: RenodeProcess["monitor"],
  address: number,
  size: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += CHUNK) {
    const count = Math.min(CHUNK, size - at);
    const answer = await monitor.execute(`sysbus ReadBytes ${hex(address + at)} ${count}`);
    const values = (answer.match(/0x[0-9a-f]+|\d+/gi) ?? []).map(Number);
    if (values.length !== count)
      throw new HarnessError(
        "EMULATOR_REFUSED",
        `Renode read ${values.length} of ${count} bytes at ${hex(address + at)}`,
      );
    bytes.set(values, at);
  }
  return bytes;
}

/** Renode leaves a pseudo-terminal as whatever lay in its memory: what comes before its user sets it right would be echoed. */
function makeRaw(path: string): void {
  const option = process.platform === "darwin" ? "-f" : "-F";
  try {
    execFileSync("stty", [option, path, "sane", "raw", "-echo"], { stdio: "ignore" });
  } catch {
    // its user will do
  }
}

function channelOf(channels: readonly number[], channel: number): number {
  const on = channels[channel];
  if (on === undefined) throw new RangeError(`channel ${channel}: the board has 0 to ${channels.length - 1}`);
  return on;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** Renode reads no exponents. */
function decimal(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError(`expected a finite number, got ${value}`);
  return value.toFixed(6);
}
