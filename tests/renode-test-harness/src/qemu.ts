import { closeSync, constants, mkdtempSync, openSync, writeFileSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { BoardBase, delay, StandstillWatch } from "./board-base.js";
import { HarnessError, type BoardSnapshot, type Feature } from "./board.js";
import { FileTail } from "./file-tail.js";
import { patchFlashImage, prepareFlashImage, readFlashImage, type FlashImageOptions } from "./flash-image.js";
import { writeByGdb } from "./gdb-write.js";
import { disownFolder, leash, ownFolder, type Leashed } from "./leash.js";
import { Qmp, type QmpEvent } from "./qmp.js";

export interface QemuOptions {
  readonly backend: "qemu";
  /** The firmware. */
  readonly elf: string;
  /** Default "ast1030-evb,fmc-model=w25q80bl", a Cortex-M4F with a 1 MiB SPI NOR. */
  readonly machine?: string;
  readonly flash?: FlashImageOptions;
  /** "stream": the line is `serial`. "pty": it is a pseudo-terminal, `port`. Default "stream". */
  readonly line?: "stream" | "pty";
  /** Counts instructions: 2^shift ns each, so that runs repeat exactly; true is a shift of 3. virtualTime() then
   *  tells the time of instructions run: firmware that sleeps stands still in it. Default off. */
  readonly icount?: boolean | number;
  /** With icount: its time runs no faster than the wall's, and an emulator that is ahead of it sleeps. Default false. */
  readonly paced?: boolean;
  /** Whether what the board says on its second UART is kept and handed on, as `observer`. Default true. */
  readonly observed?: boolean;
  /** Each time it gets power its core is held, as after pause(). Default false. */
  readonly paused?: boolean;
  /** Default: QEMU_SYSTEM_ARM of the environment, else "qemu-system-arm". */
  readonly program?: string;
  readonly extraArguments?: readonly string[];
  /** Real ms that QEMU may take to open its lines. Default 10,000. */
  readonly startTimeout?: number;
}

const LINES = ["serial", "qmp"] as const;
type LineName = (typeof LINES)[number];

/** One QEMU process and what connects to it. */
interface Machine {
  readonly process: Leashed;
  readonly qmp: Qmp;
  readonly sockets: readonly Socket[];
  readonly observer: FileTail | undefined;
  readonly pty: { readonly path: string; readonly held: number } | undefined;
}

/** Starts QEMU; the board runs when this resolves. */
export async function startQemu(options: QemuOptions): Promise<QemuBoard> {
  const folder = mkdtempSync(join(tmpdir(), "rth-"));
  ownFolder(folder);
  const board = new QemuBoard(options, folder);
  try {
    await board.prepare();
    await board.powerOn();
    return board;
  } catch (error) {
    await board.close();
    throw error;
  }
}

export class QemuBoard extends BoardBase {
  readonly backend = "qemu";
  /** The image; keep your hands off it while the board has power. */
  readonly flashPath: string;

  readonly #options: QemuOptions;
  readonly #folder: string;
  /** Coarse: QEMU can't be told to stop at a moment, so each step is at least as long as starting and stopping it. */
  protected readonly step = 10;
  readonly #shift: number | undefined;
  readonly #servers = new Map<LineName, { server: Server; path: string; accept: (socket: Socket) => void }>();
  #machine: Machine | undefined;
  #held = false;
  #ending = false;
  #closed = false;
  #pastNanos = 0;
  #dumps = 0;

  constructor(options: QemuOptions, folder: string) {
    super();
    this.#options = options;
    this.#folder = folder;
    this.flashPath = options.flash?.path ?? join(folder, "flash.bin");
    this.#shift = options.icount === true ? 3 : options.icount === false ? undefined : options.icount;
  }

  get port(): string | undefined {
    return this.#machine?.pty?.path;
  }

  get powered(): boolean {
    return this.#machine !== undefined;
  }

  /** QEMU's process id, for tests that do worse than kill(). */
  get pid(): number | undefined {
    return this.#machine?.process.pid;
  }

  /** QEMU's machine protocol, for what this class doesn't offer. */
  get qmp(): Qmp {
    return this.#running().qmp;
  }

  /** Makes flash image and sockets ready. Part of startQemu(). */
  async prepare(): Promise<void> {
    await prepareFlashImage(this.flashPath, this.#options.flash ?? {});
    for (const name of LINES) if (name !== "serial" || this.#options.line !== "pty") await this.#listen(name);
  }

  supports(feature: Feature): boolean {
    if (feature === "virtual-time") return this.#shift !== undefined;
    if (feature === "write-memory") return !this.#debugged;
    return feature === "read-memory";
  }

  async powerOn(): Promise<void> {
    if (this.#closed) throw new HarnessError("BOARD_CLOSED", "the board is closed");
    if (this.#machine) return;
    this.#ending = false;
    const accepted = new Map([...this.#servers.keys()].map((name) => [name, this.#nextConnection(name)]));
    if (this.#isObserved) writeFileSync(this.#observerPath, "");
    const process = await leash(this.#program(), this.#arguments(), this.#folder);
    const gone = process.ended.then(({ code, output }): never => {
      throw new HarnessError("EMULATOR_ENDED", `QEMU ended with ${code} before it was up: ${output}`);
    });
    gone.catch(() => undefined);
    try {
      const up = this.#connect(process, accepted);
      this.#machine = await Promise.race([up, gone, this.#deadline()]);
    } catch (error) {
      await process.kill();
      // its lines close before it has ended: what it said at its end explains more
      if (error instanceof HarnessError && error.code === "EMULATOR_ENDED") await gone;
      throw error;
    }
    void process.ended.then(({ code, output }) => {
      this.#processEnded(process, code, output);
    });
    this.#held = this.#options.paused === true;
    this.startAfresh();
    if (!this.#held) await this.#machine.qmp.execute("cont");
    this.hub.emit({ kind: "power-on" });
  }

  async powerOff(): Promise<void> {
    const machine = this.#machine;
    if (!machine) return;
    this.#ending = true;
    // a killed QEMU loses writes that the guest believes done; a stopped one has drained them (bdrv_drain_all)
    try {
      await machine.qmp.execute("stop");
      await this.#countTime(machine);
    } catch (error) {
      if (!(error instanceof HarnessError)) throw error;
    }
    await this.#end(machine);
  }

  async kill(): Promise<void> {
    const machine = this.#machine;
    if (!machine) return;
    this.#ending = true;
    await this.#end(machine);
  }

  async reset(): Promise<void> {
    const { qmp } = this.#running();
    this.startAfresh();
    await qmp.execute("system_reset");
  }

  async pause(): Promise<void> {
    const machine = this.#running();
    await machine.qmp.execute("stop");
    this.#held = true;
    machine.observer?.drain();
  }

  async resume(): Promise<void> {
    await this.#running().qmp.execute("cont");
    this.#held = false;
  }

  async readFlash(): Promise<Uint8Array> {
    return readFlashImage(this.flashPath);
  }

  async writeFlash(offset: number, bytes: Uint8Array): Promise<void> {
    if (this.#machine) throw new HarnessError("BOARD_ON", "cut the power before you write the flash");
    await patchFlashImage(this.flashPath, offset, bytes);
  }

  async virtualTime(): Promise<number | undefined> {
    if (this.#shift === undefined) return undefined;
    const machine = this.#machine;
    if (!machine) return this.#pastNanos / 1e6;
    const status = (await machine.qmp.execute("query-status")) as { running?: boolean };
    if (status.running) await machine.qmp.execute("stop");
    const nanos = await this.#nanos(machine);
    if (status.running) await machine.qmp.execute("cont");
    return (this.#pastNanos + nanos) / 1e6;
  }

  async readMemory(address: number, size: number): Promise<Uint8Array> {
    const { qmp } = this.#running();
    const path = join(this.#folder, `memory-${this.#dumps++}`);
    await qmp.execute("pmemsave", { val: address, size, filename: path });
    const bytes = await readFile(path);
    await rm(path);
    return new Uint8Array(bytes);
  }

  /** The core stands for a moment. Code too: a reset loads the image anew. */
  async writeMemory(address: number, bytes: Uint8Array): Promise<void> {
    const { qmp } = this.#running();
    if (this.#debugged) throw this.unsupported("writing memory", "it was started with a gdb stub; use that");
    const path = join(this.#folder, "gdb");
    const option = `gdbserver unix:path=${escapeCommas(path)},server=on,wait=off`;
    await qmp.execute("human-monitor-command", { "command-line": option });
    await writeByGdb(path, address, bytes);
    await qmp.execute("human-monitor-command", { "command-line": "gdbserver none" });
    if (!this.#held) await qmp.execute("cont");
  }

  cutAt(): Promise<void> {
    return Promise.reject(this.#noCuts());
  }

  flashOperations(): Promise<number> {
    return Promise.reject(this.#noCuts());
  }

  setInput(): Promise<void> {
    return Promise.reject(
      this.unsupported("setting an input", "QEMU's machine has none; write memory, or use sim"),
    );
  }

  output(): Promise<number> {
    return Promise.reject(
      this.unsupported("looking at an output", "let the firmware tell it on its second line"),
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
    this.#closed = true;
    await this.kill();
    for (const { server } of this.#servers.values()) server.close();
    this.hub.close();
    this.cable.destroy();
    this.observerCable.destroy();
    disownFolder(this.#folder);
  }

  // ---- inside -----------------------------------------------------------------------------------

  protected get held(): boolean {
    return this.#held && this.#machine !== undefined;
  }

  protected async advance(milliseconds: number): Promise<void> {
    const machine = this.#running();
    const end = ((await this.virtualTime()) ?? NaN) + milliseconds;
    const watch = new StandstillWatch();
    while (this.#machine === machine && watch.moved((await this.virtualTime()) ?? NaN) < end) {
      await machine.qmp.execute("cont");
      await delay(1);
      await machine.qmp.execute("stop");
    }
    machine.observer?.drain();
  }

  /** Somebody has asked for a gdb stub of his own. */
  get #debugged(): boolean {
    return (this.#options.extraArguments ?? []).some((word) => word === "-gdb" || word === "-s");
  }

  #noCuts(): HarnessError {
    return this.unsupported(
      "cutting at a flash operation",
      "powerOff() and kill() cut now; sim and renode count operations",
    );
  }

  #noSnapshots(): HarnessError {
    return this.unsupported("a snapshot", "take the sim backend");
  }

  #running(): Machine {
    if (!this.#machine)
      throw new HarnessError("BOARD_OFF", "the board has no power; powerOn() gives it some");
    return this.#machine;
  }

  get #isObserved(): boolean {
    return this.#options.observed !== false;
  }

  get #observerPath(): string {
    return join(this.#folder, "observer");
  }

  #program(): string {
    return this.#options.program ?? process.env["QEMU_SYSTEM_ARM"] ?? "qemu-system-arm";
  }

  #arguments(): string[] {
    const { machine, elf, extraArguments, line } = this.#options;
    const socket = (name: LineName): string =>
      `socket,id=${name},path=${escapeCommas(this.#servers.get(name)?.path ?? "")}`;
    return [
      ...["-M", machine ?? "ast1030-evb,fmc-model=w25q80bl", "-display", "none", "-monitor", "none", "-S"],
      ...["-chardev", line === "pty" ? "pty,id=serial" : socket("serial"), "-serial", "chardev:serial"],
      // QEMU drops what a socket or a pipe can't take at once; a file takes everything
      ...[
        "-chardev",
        this.#isObserved ? `file,id=observer,path=${escapeCommas(this.#observerPath)}` : "null,id=observer",
      ],
      ...["-serial", "chardev:observer"],
      ...["-chardev", socket("qmp"), "-mon", "chardev=qmp,mode=control"],
      ...["-drive", `if=mtd,format=raw,file=${escapeCommas(this.flashPath)}`],
      ...["-kernel", elf],
      ...(this.#shift === undefined
        ? []
        : ["-icount", `shift=${this.#shift}${this.#options.paced === true ? ",align=on" : ""}`]),
      ...(extraArguments ?? []),
    ];
  }

  /** We listen and QEMU connects: no moment at which a byte could be lost, no port that another may take. */
  #listen(name: LineName): Promise<void> {
    const path = join(this.#folder, name);
    return new Promise((resolve, reject) => {
      const server = createServer((socket) => {
        socket.on("error", () => undefined); // its "close" tells enough
        const entry = this.#servers.get(name);
        if (this.#ending || !entry) socket.destroy();
        else entry.accept(socket);
      });
      server.once("error", reject);
      server.listen(path, () => {
        this.#servers.set(name, {
          server,
          path,
          accept: (socket) => {
            socket.destroy();
          },
        });
        resolve();
      });
    });
  }

  #nextConnection(name: LineName): Promise<Socket> {
    return new Promise((resolve) => {
      const entry = this.#servers.get(name);
      if (entry) entry.accept = resolve;
    });
  }

  async #connect(process: Leashed, accepted: ReadonlyMap<LineName, Promise<Socket>>): Promise<Machine> {
    const [serial, control] = await Promise.all(LINES.map((name) => accepted.get(name)));
    if (!control) throw new HarnessError("EMULATOR_ENDED", "QEMU opened only some of its lines");
    const qmp = await Qmp.open(control);
    qmp.on("event", (event) => {
      this.#qmpEvent(event);
    });
    const pty = this.#options.line === "pty" ? await openPty(qmp) : undefined;
    const observer = this.#isObserved
      ? new FileTail(this.#observerPath, (bytes) => {
          this.observerCable.receive(bytes);
        })
      : undefined;
    serial?.on("data", (bytes: Buffer) => {
      this.cable.receive(bytes);
    });
    if (serial)
      this.cable.attach((bytes, done) => {
        serial.write(bytes, () => {
          done();
        });
      });
    return {
      process,
      qmp,
      pty,
      observer,
      sockets: [serial, control].filter((socket) => socket !== undefined),
    };
  }

  #deadline(): Promise<never> {
    const limit = this.#options.startTimeout ?? 10_000;
    return new Promise((_, reject) => {
      setTimeout(() => {
        reject(new HarnessError("TIMEOUT", `QEMU did not open its lines within ${limit} ms`));
      }, limit).unref();
    });
  }

  #qmpEvent({ event, data }: QmpEvent): void {
    if (event === "WATCHDOG") this.hub.emit({ kind: "watchdog" });
    if (event === "RESET") this.hub.emit({ kind: "reset", cause: String(data["reason"] ?? "unknown") });
  }

  async #end(machine: Machine): Promise<void> {
    await machine.process.kill();
    this.#disconnect(machine);
    this.startAfresh();
  }

  #processEnded(process: Leashed, code: number, output: string): void {
    const machine = this.#machine;
    if (machine?.process !== process) return;
    const byItself = !this.#ending;
    this.#disconnect(machine);
    if (byItself) this.hub.emit({ kind: "ended", reason: `QEMU ended with ${code}: ${output}` });
  }

  #disconnect(machine: Machine): void {
    if (this.#machine !== machine) return;
    this.#machine = undefined;
    this.cable.detach();
    if (machine.pty) closeSync(machine.pty.held);
    for (const socket of machine.sockets) socket.destroy();
    machine.observer?.close();
    this.hub.emit({ kind: "power-off" });
  }

  async #countTime(machine: Machine): Promise<void> {
    if (this.#shift !== undefined) this.#pastNanos += await this.#nanos(machine);
  }

  async #nanos(machine: Machine): Promise<number> {
    const replay = (await machine.qmp.execute("query-replay")) as { icount: number };
    return replay.icount * 2 ** (this.#shift ?? 0);
  }
}

/**
 * QEMU looks only once a second whether somebody has opened the other end of its pseudo-terminal, and reads nothing
 * until then. So one end stays open here, unread: only in the first second after power-on does the board hear late,
 * and however often others open and close the line, it stays up.
 */
async function openPty(qmp: Qmp): Promise<{ path: string; held: number }> {
  const devices = (await qmp.execute("query-chardev")) as { label: string; filename: string }[];
  const path = devices.find(({ label }) => label === "serial")?.filename.replace(/^pty:/, "");
  if (!path?.startsWith("/"))
    throw new HarnessError("EMULATOR_ENDED", "QEMU tells no path for its pseudo-terminal");
  return { path, held: openSync(path, constants.O_WRONLY | constants.O_NOCTTY | constants.O_NONBLOCK) };
}

function escapeCommas(path: string): string {
  return path.replaceAll(",", ",,");
}
