/**
 * One board of the suites, the same on every backend: power, flash, line, time and outputs in a test's hands.
 *
 *     const board = await startBoard("qemu");
 *     const session = await board.connect();
 *     …
 *     await board.close();
 *
 * EDGEPLUG_QEMU_ELF and EDGEPLUG_SIM_WASM name other images, such
 * as deliberately broken ones.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";

import { MEMORY_MAPS, PowerCut, type SimBoard } from "@edgeplug/sim";
import { DeviceSession, type ConnectOptions } from "edgeplug/device";
import { qemuFlash } from "edgeplug/qemu-board";
import { startQemu, startSim, type Board, type FlashPatch, type QemuBoard } from "renode-test-harness";

import { BoardClock, SimClock } from "./clock.js";
import { FlashImage, layoutOf, type FlashLayout } from "./flash.js";
import { addressOf, spoil } from "./gdb.js";
import { BAUD, LineTransport } from "./line.js";
import { OutputWatch } from "./watch.js";

export type Backend = "sim" | "qemu";
export const BACKENDS: readonly Backend[] = ["sim", "qemu"];

/** The image that qemu boards run. */
export const QEMU_ELF =
  process.env["EDGEPLUG_QEMU_ELF"] ?? fileURLToPath(new URL("../../../build/qemu/qemu.elf", import.meta.url));
const WASM = process.env["EDGEPLUG_SIM_WASM"];

export interface TestBoardOptions {
  /** qemu: a pseudo-terminal for other processes instead of the harness's own stream. */
  line?: "stream" | "pty";
  /** Written into the flash before the first start. */
  patches?: readonly FlashPatch[];
  /** sim: seed of all that is random on the board, default 1. */
  seed?: number;
  /** sim: the path of another image. */
  wasm?: string;
  /** qemu: further arguments, such as what to trace. */
  qemuArguments?: readonly string[];
}

export interface OpenOptions extends ConnectOptions {
  /** Something that sits in the line, such as a NoisyLine. */
  through?: (line: Duplex) => Duplex;
}

export interface TestBoard {
  readonly backend: Backend;
  /** Board class in manifests: 1 sim, 2 qemu. */
  readonly boardClass: number;
  readonly harness: Board;
  readonly clock: BoardClock;
  readonly watch: OutputWatch;
  readonly layout: FlashLayout;
  /** The simulation itself, for faults that only it can cause; undefined on qemu. */
  readonly sim: SimBoard | undefined;
  /** The unix socket of QEMU's gdb stub; undefined on sim. */
  readonly debugSocket: string | undefined;

  /** A session with the board; it ends with the power, with unplug(), or with the test. */
  connect(options?: OpenOptions): Promise<DeviceSession>;
  /** The line as it is. */
  readonly serial: Duplex;
  /** Pulls the cable out of all sessions. */
  unplug(): void;

  /** A cut between two flash operations: all that had ended is in flash, nothing later. */
  powerOff(): Promise<void>;
  /** A cut as careless as the backend allows: qemu may lose and reorder the latest operations. */
  kill(): Promise<void>;
  powerOn(): Promise<void>;
  /** The reset button. */
  reset(): Promise<void>;
  /**
   * The core is lost and the hardware watchdog has to do its work. "loop": the main loop hangs and scans go on;
   * "scan": the scan interrupt never comes back (on sim: never comes).
   */
  loseCore(where: "loop" | "scan"): Promise<void>;
  /** Lets the board's time pass. */
  run(milliseconds: number): Promise<void>;
  /** All of the flash, now. */
  flash(): Promise<FlashImage>;
  /** Only without power. */
  writeFlash(offset: number, bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** A board with blank flash, in power. The caller closes it. */
export function startBoard(backend: Backend, options: TestBoardOptions = {}): Promise<TestBoard> {
  return backend === "qemu" ? startQemuBoard(options) : startSimBoard(options);
}

/** Folders of boards that are still open. A program that is interrupted leaves none of them behind. */
const folders = new Set<string>();
process.once("exit", () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

async function startQemuBoard(options: TestBoardOptions): Promise<TestBoard> {
  const folder = mkdtempSync(join(tmpdir(), "edgeplug-gdb-"));
  folders.add(folder);
  const gdb = join(folder, "gdb");
  const harness = await startQemu({
    backend: "qemu",
    elf: QEMU_ELF,
    line: options.line ?? "stream",
    icount: true,
    extraArguments: ["-gdb", `unix:path=${gdb},server=on,wait=off`, ...(options.qemuArguments ?? [])],
    flash: qemuFlash({ patches: options.patches }),
  });
  return new EmulatedBoard(harness, folder, gdb);
}

async function startSimBoard(options: TestBoardOptions): Promise<TestBoard> {
  const wasm = options.wasm ?? WASM;
  const harness = await startSim({
    backend: "sim",
    seed: options.seed ?? 1,
    serial: { baud: BAUD },
    patches: options.patches ?? [],
    ...(wasm === undefined ? {} : { wasm: pathToFileURL(wasm) }),
  });
  const board = new SimulatedBoard(harness, harness.sim);
  await harness.pause(); // from now on its time is the clock's
  return board;
}

abstract class BoardBase<H extends Board, C extends BoardClock> implements TestBoard {
  abstract readonly backend: Backend;
  abstract readonly boardClass: number;
  abstract readonly layout: FlashLayout;
  abstract readonly sim: SimBoard | undefined;
  abstract readonly debugSocket: string | undefined;
  readonly watch: OutputWatch;
  readonly #transports = new Set<LineTransport>();

  constructor(
    readonly harness: H,
    readonly clock: C,
  ) {
    this.watch = new OutputWatch(clock);
    harness.observer.on("data", (bytes: Buffer) => this.observed(this.watch.push(bytes)));
  }

  get serial(): Duplex {
    return this.harness.serial;
  }

  async connect(options: OpenOptions = {}): Promise<DeviceSession> {
    const { through, ...connect } = options;
    const line = through?.(this.harness.serial) ?? this.harness.serial;
    const transport = new LineTransport(`${this.backend} board`, this.clock, line);
    this.#transports.add(transport);
    void transport.closed.then(() => this.#transports.delete(transport));
    return DeviceSession.connect(transport, { timeoutMs: 20_000, ...connect });
  }

  unplug(): void {
    for (const transport of this.#transports) transport.unplug();
  }

  async powerOff(): Promise<void> {
    await this.harness.powerOff();
    await this.#powerGone();
  }

  async kill(): Promise<void> {
    await this.harness.kill();
    await this.#powerGone();
  }

  powerOn(): Promise<void> {
    return this.harness.powerOn();
  }

  reset(): Promise<void> {
    return this.harness.reset();
  }

  run(milliseconds: number): Promise<void> {
    return this.clock.pass(milliseconds);
  }

  async #powerGone(): Promise<void> {
    this.unplug();
    await setImmediate(); // what had come in before reaches its reader
    this.watch.powerGone();
  }

  async flash(): Promise<FlashImage> {
    return new FlashImage(await this.image(), this.layout);
  }

  writeFlash(offset: number, bytes: Uint8Array): Promise<void> {
    return this.harness.writeFlash(offset, bytes);
  }

  async close(): Promise<void> {
    this.unplug();
    await this.harness.close();
  }

  protected image(): Promise<Uint8Array> {
    return this.harness.readFlash();
  }

  abstract loseCore(where: "loop" | "scan"): Promise<void>;

  protected abstract observed(milliseconds: number): void;
}

/** Time is what the stamps on the observer's line say. */
class EmulatedBoard extends BoardBase<QemuBoard, BoardClock> {
  readonly backend = "qemu";
  readonly boardClass = MEMORY_MAPS.qemu.boardClass;
  readonly layout = layoutOf("qemu");
  readonly sim = undefined;

  constructor(
    harness: QemuBoard,
    private readonly folder: string,
    readonly debugSocket: string,
  ) {
    super(harness, new BoardClock());
  }

  override loseCore(where: "loop" | "scan"): Promise<void> {
    return spoil(
      this.debugSocket,
      addressOf(QEMU_ELF, where === "loop" ? "ep_runtime_poll" : "ep_runtime_scan"),
      "hang",
    );
  }

  override async close(): Promise<void> {
    await super.close();
    rmSync(this.folder, { recursive: true, force: true });
    folders.delete(this.folder);
  }

  protected override async image(): Promise<Uint8Array> {
    if (!this.harness.powered) return this.harness.readFlash();
    await this.harness.pause(); // a stopped QEMU has written what it held back
    const image = await this.harness.readFlash();
    await this.harness.resume();
    return image;
  }

  protected override observed(milliseconds: number): void {
    this.clock.advance(this.clock.now() + milliseconds);
  }
}

class SimulatedBoard extends BoardBase<Board, SimClock> {
  readonly backend = "sim";
  readonly boardClass = MEMORY_MAPS.sim.boardClass;
  readonly layout = layoutOf(MEMORY_MAPS.sim.geometries.l5);
  readonly debugSocket = undefined;

  constructor(
    harness: Board,
    readonly sim: SimBoard,
  ) {
    super(
      harness,
      new SimClock(sim, (error) => {
        // a planned cut leaves the board without power; anything else is a defect that the test has to show
        this.unplug();
        if (!(error instanceof PowerCut)) this.failure = error;
      }),
    );
  }

  /** What the simulation fell over, if it did. */
  private failure: unknown;

  override loseCore(where: "loop" | "scan"): Promise<void> {
    if (where === "loop") this.sim.stallMainLoop(1_000);
    else this.sim.loseScans();
    return Promise.resolve();
  }

  override async powerOn(): Promise<void> {
    await this.harness.powerOn();
    await this.harness.pause();
  }

  override async close(): Promise<void> {
    await super.close();
    if (this.failure !== undefined) throw this.failure;
  }

  protected override observed(): void {
    // its clock is the simulation's own
  }
}
