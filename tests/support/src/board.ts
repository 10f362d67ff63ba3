/**
 * One board of the suites, the same on every backend: power, flash, line, time and outputs in a test's hands.
 *
 *     const board = await startBoard("qemu");
 *     const session = await board.connect();
 *     …
 *     await board.close();
 *
 * EDGEPLUG_QEMU_ELF, EDGEPLUG_STM32L552_ELF and EDGEPLUG_SIM_WASM name other images, such as deliberately broken ones.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";

import { MEMORY_MAPS, PowerCut, type SimBoard } from "@edgeplug/sim";
import { EdgePlugError } from "edgeplug";
import { DeviceSession, type ConnectOptions } from "edgeplug/device";
import { qemuFlash } from "edgeplug/qemu-board";
import {
  findRenode,
  startQemu,
  startRenode,
  startSim,
  type Board,
  type FlashPatch,
  type QemuBoard,
  type RenodeBoard,
} from "renode-test-harness";

import { BoardClock, SimClock } from "./clock.js";
import { FlashImage, layoutOf, type FlashLayout } from "./flash.js";
import type { Backend } from "./backends.js";
import { addressOf, HANG, spoil } from "./gdb.js";
import { BAUD, LineTransport } from "./line.js";
import { OutputWatch } from "./watch.js";

export { BACKENDS, type Backend } from "./backends.js";

/** The image that qemu boards run. */
export const QEMU_ELF = process.env["EDGEPLUG_QEMU_ELF"] ?? built("qemu/qemu.elf");
/** The image that renode boards run: the one for silicon. */
export const STM32L552_ELF = process.env["EDGEPLUG_STM32L552_ELF"] ?? built("stm32l552/stm32l552.elf");
const WASM = process.env["EDGEPLUG_SIM_WASM"];

function built(name: string): string {
  return fileURLToPath(new URL(`../../../build/${name}`, import.meta.url));
}

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
  /**
   * qemu: its time runs as fast as this machine can turn its main loop, which keeps a core busy. Boards that a debugger
   * stops at each flash operation need it. Default: no faster than the wall's time, and idle time costs next to nothing.
   */
  unpaced?: boolean;
  /** renode: a broken flash rule ends the board, or is only told. Default "end". */
  violations?: "end" | "tell";
  /** qemu: a gdb stub at debugSocket. Without it the harness can write memory. Default true. */
  debugger?: boolean;
}

export interface OpenOptions extends ConnectOptions {
  /** Something that sits in the line, such as a NoisyLine. */
  through?: (line: Duplex) => Duplex;
}

export interface TestBoard {
  readonly backend: Backend;
  /** Board class in manifests: 1 sim, 2 qemu, 3 renode, which has a stm32l552. */
  readonly boardClass: number;
  readonly harness: Board;
  readonly clock: BoardClock;
  readonly watch: OutputWatch;
  readonly layout: FlashLayout;
  /** The simulation itself, for faults that only it can cause; undefined elsewhere. */
  readonly sim: SimBoard | undefined;
  /** The unix socket of QEMU's gdb stub; undefined elsewhere. */
  readonly debugSocket: string | undefined;

  /** A session with the board; it ends with the power, with unplug(), or with the test. */
  connect(options?: OpenOptions): Promise<DeviceSession>;
  /** The line as it is. */
  readonly serial: Duplex;
  /** Pulls the cable out of all sessions. */
  unplug(): void;

  /** A cut between two flash operations: all that had ended is in flash, nothing later. */
  powerOff(): Promise<void>;
  /** A cut as careless as the backend allows: qemu may lose and reorder the latest operations, renode tears one. */
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
  if (backend === "renode") return startRenodeBoard(options);
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
  const gdb = options.debugger === false ? undefined : join(folder, "gdb");
  const harness = await startQemu({
    backend: "qemu",
    elf: QEMU_ELF,
    line: options.line ?? "stream",
    icount: true,
    paced: options.unpaced !== true,
    extraArguments: [
      ...(gdb === undefined ? [] : ["-gdb", `unix:path=${gdb},server=on,wait=off`]),
      ...(options.qemuArguments ?? []),
    ],
    flash: qemuFlash({ patches: options.patches, idle: options.unpaced === true ? "turn" : "wait" }),
  });
  return new BoardUnderQemu(harness, folder, gdb);
}

async function startRenodeBoard({ patches = [], violations = "end" }: TestBoardOptions): Promise<TestBoard> {
  if (findRenode() === undefined) throw new EdgePlugError("RENODE_MISSING");
  const kept = violations === "end" ? stable?.pop() : undefined;
  const harness =
    kept === undefined
      ? await startRenode({ backend: "renode", elf: STM32L552_ELF, flash: { patches }, violations })
      : await startAnew(kept, patches);
  return new BoardUnderRenode(harness, violations === "end");
}

/** Renodes whose board was closed and that wait for the next; undefined: none is kept. */
let stable: RenodeBoard[] | undefined;

/**
 * From now on a Renode lives on when its board is closed, and gets the next one: it takes seconds to start. The function
 * that comes back ends this, and all of them.
 */
export function keepRenodes(): () => Promise<void> {
  stable ??= [];
  return async () => {
    const kept = stable ?? [];
    stable = undefined;
    await Promise.all(kept.map((harness) => harness.close()));
  };
}

/** A power cycle with a blank flash: nothing is left of the board that was. */
async function startAnew(harness: RenodeBoard, patches: readonly FlashPatch[]): Promise<RenodeBoard> {
  await harness.writeFlash(0, new Uint8Array(MEMORY_MAPS.stm32l552.flash.size).fill(0xff));
  for (const { offset, bytes } of patches) await harness.writeFlash(offset, bytes);
  await harness.powerOn();
  return harness;
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
    harness.observer.on("data", this.#observe);
  }

  readonly #observe = (bytes: Buffer): void => this.observed(this.watch.push(bytes));

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
    this.harness.observer.off("data", this.#observe);
    await this.end();
  }

  protected end(): Promise<void> {
    return this.harness.close();
  }

  protected image(): Promise<Uint8Array> {
    return this.harness.readFlash();
  }

  abstract loseCore(where: "loop" | "scan"): Promise<void>;

  protected abstract observed(milliseconds: number): void;
}

/** Time is what the stamps on the observer's line say. */
abstract class EmulatedBoard<H extends QemuBoard | RenodeBoard> extends BoardBase<H, BoardClock> {
  abstract readonly elf: string;
  readonly sim = undefined;

  constructor(harness: H) {
    super(harness, new BoardClock());
  }

  /** A function that branches to itself; both run from RAM, and a reset brings them anew. */
  override loseCore(where: "loop" | "scan"): Promise<void> {
    return this.hang(addressOf(this.elf, where === "loop" ? "ep_runtime_poll" : "ep_runtime_scan"));
  }

  protected hang(address: number): Promise<void> {
    return this.harness.writeMemory(address, Uint8Array.from(HANG));
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

class BoardUnderQemu extends EmulatedBoard<QemuBoard> {
  readonly backend = "qemu";
  readonly boardClass = MEMORY_MAPS.qemu.boardClass;
  readonly layout = layoutOf("qemu");
  readonly elf = QEMU_ELF;

  constructor(
    harness: QemuBoard,
    private readonly folder: string,
    readonly debugSocket: string | undefined,
  ) {
    super(harness);
  }

  override async close(): Promise<void> {
    await super.close();
    rmSync(this.folder, { recursive: true, force: true });
    folders.delete(this.folder);
  }

  protected override hang(address: number): Promise<void> {
    return this.debugSocket === undefined ? super.hang(address) : spoil(this.debugSocket, address, "hang");
  }
}

class BoardUnderRenode extends EmulatedBoard<RenodeBoard> {
  readonly backend = "renode";
  readonly boardClass = MEMORY_MAPS.stm32l552.boardClass;
  readonly layout = layoutOf("stm32l552");
  readonly elf = STM32L552_ELF;
  readonly debugSocket = undefined;

  constructor(
    harness: RenodeBoard,
    private readonly canBeKept: boolean,
  ) {
    super(harness);
  }

  protected override async end(): Promise<void> {
    const { harness } = this;
    if (stable === undefined || !this.canBeKept) return harness.close();
    if (harness.powered) {
      await harness.cutAt(undefined);
      await harness.resume(); // or the next board would not run
    }
    await harness.powerOff();
    stable.push(harness);
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
