import { closeSync, constants, mkdtempSync, openSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex, Readable } from "node:stream";

import { HarnessError, type Board, type BoardEvent } from "./board.js";
import { Cable } from "./cable.js";
import { EventHub } from "./event-hub.js";
import { FileTail } from "./file-tail.js";
import { patchFlashImage, prepareFlashImage, readFlashImage, type FlashImageOptions } from "./flash-image.js";
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
  readonly observer: FileTail;
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

export class QemuBoard implements Board {
  readonly backend = "qemu";
  /** The image; keep your hands off it while the board has power. */
  readonly flashPath: string;

  readonly #options: QemuOptions;
  readonly #folder: string;
  readonly #serial = new Cable();
  readonly #observer = new Cable();
  readonly #hub = new EventHub();
  readonly #shift: number | undefined;
  readonly #servers = new Map<LineName, { server: Server; path: string; accept: (socket: Socket) => void }>();
  #machine: Machine | undefined;
  #ending = false;
  #closed = false;
  #pastNanos = 0;

  constructor(options: QemuOptions, folder: string) {
    this.#options = options;
    this.#folder = folder;
    this.flashPath = options.flash?.path ?? join(folder, "flash.bin");
    this.#shift = options.icount === true ? 3 : options.icount === false ? undefined : options.icount;
  }

  get serial(): Duplex {
    return this.#serial;
  }

  get observer(): Readable {
    return this.#observer;
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

  events(signal?: AbortSignal): AsyncIterable<BoardEvent> {
    return this.#hub.events(signal);
  }

  nextEvent(accept: (event: BoardEvent) => boolean, timeout = 10_000): Promise<BoardEvent> {
    return this.#hub.next(accept, timeout);
  }

  async powerOn(): Promise<void> {
    if (this.#closed) throw new HarnessError("BOARD_CLOSED", "the board is closed");
    if (this.#machine) return;
    this.#ending = false;
    const accepted = new Map([...this.#servers.keys()].map((name) => [name, this.#nextConnection(name)]));
    writeFileSync(this.#observerPath, "");
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
    await this.#machine.qmp.execute("cont");
    this.#hub.emit({ kind: "power-on" });
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
    await this.#running().qmp.execute("system_reset");
  }

  async pause(): Promise<void> {
    await this.#running().qmp.execute("stop");
  }

  async resume(): Promise<void> {
    await this.#running().qmp.execute("cont");
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

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.kill();
    for (const { server } of this.#servers.values()) server.close();
    this.#hub.close();
    this.#serial.destroy();
    this.#observer.destroy();
    disownFolder(this.#folder);
  }

  // ---- inside -----------------------------------------------------------------------------------

  #running(): Machine {
    if (!this.#machine) throw new HarnessError("BOARD_OFF", "the board has no power");
    return this.#machine;
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
        `file,id=observer,path=${escapeCommas(this.#observerPath)}`,
        "-serial",
        "chardev:observer",
      ],
      ...["-chardev", socket("qmp"), "-mon", "chardev=qmp,mode=control"],
      ...["-drive", `if=mtd,format=raw,file=${escapeCommas(this.flashPath)}`],
      ...["-kernel", elf],
      ...(this.#shift === undefined ? [] : ["-icount", `shift=${this.#shift}`]),
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
    const observer = new FileTail(this.#observerPath, (bytes) => {
      this.#observer.receive(bytes);
    });
    serial?.on("data", (bytes: Buffer) => {
      this.#serial.receive(bytes);
    });
    if (serial)
      this.#serial.attach((bytes, done) => {
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
    if (event === "WATCHDOG") this.#hub.emit({ kind: "watchdog" });
    if (event === "RESET") this.#hub.emit({ kind: "reset", cause: String(data["reason"] ?? "unknown") });
  }

  async #end(machine: Machine): Promise<void> {
    await machine.process.kill();
    this.#disconnect(machine);
  }

  #processEnded(process: Leashed, code: number, output: string): void {
    const machine = this.#machine;
    if (machine?.process !== process) return;
    const byItself = !this.#ending;
    this.#disconnect(machine);
    if (byItself) this.#hub.emit({ kind: "ended", reason: `QEMU ended with ${code}: ${output}` });
  }

  #disconnect(machine: Machine): void {
    if (this.#machine !== machine) return;
    this.#machine = undefined;
    this.#serial.detach();
    if (machine.pty) closeSync(machine.pty.held);
    for (const socket of machine.sockets) socket.destroy();
    machine.observer.close();
    this.#hub.emit({ kind: "power-off" });
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
