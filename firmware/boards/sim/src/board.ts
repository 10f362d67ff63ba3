import { Clock, type ClockState } from "./clock.js";
import { Flash, type FlashOptions } from "./flash.js";
import { boardMapOf, geometryOf, type BoardMap, type Geometry, type GeometryName } from "./geometry.js";
import { instantiate, loadImage, writeMap, type SimImports, type SimInstance } from "./image.js";
import { Random } from "./random.js";
import { SerialLine, type SerialOptions, type SerialState } from "./serial.js";
import { wasm, type WasmModule } from "./webassembly.js";
import { workNanos } from "./work.js";

/** Why a board started; the numbers are those of ep_reset_cause_t. */
export type ResetCause = "power-on" | "requested" | "watchdog" | "fault";
const RESET_CAUSES: readonly ResetCause[] = ["power-on", "requested", "watchdog", "fault"];

/** Nanoseconds from a reset to the runtime's first instruction, and the watchdog's period. */
const BOOT_NANOS = 1_000_000;
const WATCHDOG_NANOS = 150_000_000;
const MS = 1_000_000;

/** The runtime itself failed: a trap of its own WebAssembly, where silicon would have had a CPU fault. */
export class BoardCrash extends Error {
  readonly code = "BOARD_CRASH";
  override readonly name = "BoardCrash";
}

/** Something was asked of a board that has no power. */
export class BoardOff extends Error {
  readonly code = "BOARD_OFF";
  override readonly name = "BoardOff";
}

/** What the board applied in one scan. */
export interface Observation {
  /** The board's own number of the scan, since boot. */
  readonly scan: number;
  /** Virtual microseconds since the board was made, over all boots. */
  readonly timeMicros: number;
  /** The board's own clock. */
  readonly sinceBootMicros: number;
  readonly swapNumber: number;
  readonly outputs: readonly number[];
}

export interface SimBoardOptions {
  /** Default "l5". */
  readonly geometry?: GeometryName;
  /** Contents and state to start from; default: a blank flash. Used as it is, not copied. */
  readonly flash?: Flash;
  /** For a blank flash made here. */
  readonly flashOptions?: FlashOptions;
  /** Seed of everything random, the board id included. Default 1. */
  readonly seed?: number;
  /** 12 bytes; default: drawn from the seed. */
  readonly boardId?: Uint8Array;
  /** Input channels of the n-th scan since boot, from 1; default: mains, plant, set point and ramp of process.h. */
  readonly inputs?: (scan: number) => readonly number[];
  readonly serial?: SerialOptions;
  /** Another image, e.g. a deliberately broken engine. Default: the runtime that came with this package. */
  readonly wasm?: URL;
}

/** Everything about a board at one moment, between two turns of its main loop. */
export interface Snapshot {
  readonly memory: Uint8Array;
  readonly stackPointer: number;
  readonly flash: Flash;
  readonly clock: ClockState;
  readonly serial: SerialState;
  readonly bootNanos: number;
  readonly scans: number;
  readonly boots: number;
  readonly cause: ResetCause;
  readonly state: PowerState;
}

type PowerState = "off" | "starting" | "running";

/** Unwinds the runtime's C stack; the board starts anew. */
class Reset extends Error {
  constructor(readonly resetCause: ResetCause) {
    super(`reset: ${resetCause}`);
  }
}

/**
 * One board: the runtime as WebAssembly, with flash, time, line and power in the caller's hands. Nothing in it
 * depends on the real clock; equal seeds and equal calls give equal runs.
 */
export class SimBoard {
  readonly geometry: Geometry;
  readonly flash: Flash;
  readonly boardId: Uint8Array;
  readonly clock: Clock;
  readonly serial: SerialLine;

  /** Called with the outputs of each scan. Throwing ends the run. */
  onOutputs: ((observation: Observation) => void) | undefined;
  /** Called when the board starts anew, before the runtime does. */
  onReset: ((cause: ResetCause) => void) | undefined;
  /** Called after each turn of the main loop with what the board has sent. Without it: receive(). */
  onSerial: ((bytes: Uint8Array) => void) | undefined;

  readonly #instance: SimInstance;
  readonly #map: BoardMap;
  readonly #inputs: ((scan: number) => readonly number[]) | undefined;
  #memory = new Uint8Array(0);
  #words = new Int32Array(0);
  #state: PowerState = "off";
  #cause: ResetCause = "power-on";
  #bootNanos = 0;
  #scans = 0;
  #boots = 0;
  #limit = Infinity;
  #sleepUntil = 0;

  private constructor(module: WasmModule, flash: Flash, options: SimBoardOptions) {
    const random = new Random(options.seed ?? 1);
    this.geometry = flash.geometry;
    this.flash = flash;
    this.boardId = options.boardId ?? random.bytes(12);
    if (this.boardId.length !== 12)
      throw new RangeError(`boardId: expected 12 bytes, got ${this.boardId.length}`);
    this.serial = new SerialLine(options.serial);
    this.clock = new Clock({
      scan: () => {
        this.#scan();
      },
      watchdog: () => {
        throw new Reset("watchdog");
      },
    });
    this.#map = boardMapOf(flash.geometry.name);
    this.#inputs = options.inputs;
    this.#instance = instantiate(module, this.#imports());
  }

  /** A board with power, about to start. */
  static async create(options: SimBoardOptions = {}): Promise<SimBoard> {
    const geometry = geometryOf(options.geometry ?? options.flash?.geometry.name ?? "l5");
    const flash = options.flash ?? new Flash(geometry, { seed: options.seed ?? 1, ...options.flashOptions });
    if (flash.geometry.name !== geometry.name)
      throw new TypeError(
        `a flash of geometry ${flash.geometry.name} on a board of geometry ${geometry.name}`,
      );
    const board = new SimBoard(await loadImage(options.wasm), flash, options);
    board.powerOn();
    return board;
  }

  // ---- time --------------------------------------------------------------------------------------

  /** Virtual milliseconds since the board was made, over all boots and power cuts. */
  get milliseconds(): number {
    return this.clock.nanos / MS;
  }

  /** One turn of the main loop, with the scans that fall into it. */
  step(): void {
    if (this.#state === "off") throw new BoardOff("the board has no power");
    const before = this.clock.nanos;
    try {
      if (this.#state === "starting") this.#start();
      else if (before < this.#sleepUntil) this.#stall();
      else this.#instance.exports.sim_poll();
      // a main loop that never reports still takes time
      if (this.clock.nanos === before) this.clock.pass(workNanos(0));
    } catch (error) {
      this.#unwound(error);
    }
    this.#deliver();
  }

  /** Runs for `milliseconds` of virtual time. */
  run(milliseconds: number): void {
    this.runUntil(() => false, milliseconds);
  }

  /** Runs until `done`, asked after each turn, at most for `milliseconds`; tells whether it came true. */
  runUntil(done: () => boolean, milliseconds: number): boolean {
    const end = this.clock.nanos + Math.round(milliseconds * MS);
    this.#limit = end;
    try {
      while (this.clock.nanos < end) {
        this.step();
        if (done()) return true;
      }
      return false;
    } finally {
      this.#limit = Infinity;
    }
  }

  // ---- line --------------------------------------------------------------------------------------

  /** Sends bytes to the board. */
  send(bytes: Uint8Array): void {
    this.serial.send(bytes, this.clock.nanos);
  }

  /** What the board has sent since the last call, unless onSerial takes it. */
  receive(): Uint8Array {
    return this.serial.take(this.clock.nanos);
  }

  // ---- power -------------------------------------------------------------------------------------

  get powered(): boolean {
    return this.#state !== "off";
  }

  get resetCause(): ResetCause {
    return this.#cause;
  }

  /** How often the board has started. */
  get boots(): number {
    return this.#boots;
  }

  /** Between two turns: the power goes. Within an observer's call: throw a PowerCut instead. */
  cutPower(): void {
    this.#state = "off";
    this.serial.clear();
    this.clock.reset();
  }

  powerOn(): void {
    if (this.#state !== "off") return;
    this.#restart("power-on");
  }

  /** Resets the board from outside. */
  reset(cause: ResetCause = "requested"): void {
    if (this.#state === "off") throw new BoardOff("the board has no power");
    this.#restart(cause);
  }

  // ---- faults that a test causes -----------------------------------------------------------------

  /** The main loop hangs for so long; scans go on. */
  stallMainLoop(milliseconds: number): void {
    this.#sleepUntil = this.clock.nanos + Math.round(milliseconds * MS);
  }

  /** The next scan interrupts don't come. */
  skipScans(count: number): void {
    this.clock.skipScans(count);
  }

  /** No scan interrupt comes any more, until a reset. */
  loseScans(): void {
    this.clock.loseScans(true);
  }

  // ---- snapshots ---------------------------------------------------------------------------------

  /** Everything, to come back to. Only between two turns. */
  snapshot(): Snapshot {
    const { exports } = this.#instance;
    return {
      memory: new Uint8Array(exports.memory.buffer).slice(),
      stackPointer: Number(exports.__stack_pointer.value),
      flash: this.flash.fork(),
      clock: this.clock.save(),
      serial: this.serial.save(),
      bootNanos: this.#bootNanos,
      scans: this.#scans,
      boots: this.#boots,
      cause: this.#cause,
      state: this.#state,
    };
  }

  /** Goes back to `snapshot`, of this board or of another one of the same geometry. */
  restore(snapshot: Snapshot): void {
    const { exports } = this.#instance;
    new Uint8Array(exports.memory.buffer).set(snapshot.memory);
    exports.__stack_pointer.value = snapshot.stackPointer;
    this.flash.restore(snapshot.flash);
    this.clock.restore(snapshot.clock);
    this.serial.restore(snapshot.serial);
    this.#bootNanos = snapshot.bootNanos;
    this.#scans = snapshot.scans;
    this.#boots = snapshot.boots;
    this.#cause = snapshot.cause;
    this.#state = snapshot.state;
    this.#sleepUntil = 0;
  }

  /** A copy of the memory that the runtime sees, for leak checks. */
  memory(): Uint8Array {
    return new Uint8Array(this.#instance.exports.memory.buffer).slice();
  }

  // ---- inside ------------------------------------------------------------------------------------

  #restart(cause: ResetCause): void {
    const { exports, pristine, stackTop } = this.#instance;
    this.clock.reset();
    this.serial.reset();
    new Uint8Array(exports.memory.buffer).set(pristine);
    exports.__stack_pointer.value = stackTop;
    this.#cause = cause;
    this.#state = "starting";
    this.#sleepUntil = 0;
    this.#scans = 0;
    this.#boots++;
    this.onReset?.(cause);
  }

  #start(): void {
    this.clock.pass(BOOT_NANOS);
    this.#bootNanos = this.clock.nanos;
    writeMap(this.#instance, this.#map, this.geometry);
    this.#state = "running";
    this.#instance.exports.sim_start();
  }

  /** A hanging main loop: time passes, in steps short enough for run() to end in time. */
  #stall(): void {
    this.clock.pass(Math.min(this.#sleepUntil - this.clock.nanos, MS));
  }

  #unwound(error: unknown): void {
    if (error instanceof Reset) {
      this.#restart(error.resetCause);
      return;
    }
    this.cutPower();
    if (error instanceof wasm.RuntimeError)
      throw new BoardCrash(`the runtime failed: ${error.message}`, { cause: error });
    throw error;
  }

  #deliver(): void {
    if (!this.onSerial) return;
    const bytes = this.serial.take(this.clock.nanos);
    if (bytes.length > 0) this.onSerial(bytes);
  }

  #scan(): void {
    this.#scans++;
    this.#instance.exports.sim_scan();
  }

  #idle(): void {
    const { clock } = this;
    // run() ends in time, but a firmware that waits within one turn must not wait for ever at its end
    const limit = this.#limit > clock.nanos ? this.#limit : Infinity;
    const next = Math.min(clock.nextScan, this.serial.nextArrival(clock.nanos), limit);
    // with nothing to wait for, the watchdog may still be; with something waiting already, a turn still takes time,
    // or a wait by the clock within one turn would never end
    clock.pass(Number.isFinite(next) ? Math.max(workNanos(0), next - clock.nanos) : MS);
  }

  #bytes(address: number, size: number): Uint8Array {
    return this.#wholeMemory().subarray(address, address + size);
  }

  #wholeMemory(): Uint8Array {
    // a memory that grew leaves its old buffer detached, which counts as empty
    if (this.#memory.length === 0) {
      this.#memory = new Uint8Array(this.#instance.exports.memory.buffer);
      this.#words = new Int32Array(this.#instance.exports.memory.buffer);
    }
    return this.#memory;
  }

  #sinceBoot(nanos: number): number {
    return Math.floor((nanos - this.#bootNanos) / 1000);
  }

  #imports(): SimImports {
    const { clock, flash, serial } = this;
    const pass = (micros: number) => {
      clock.pass(micros * 1000);
    };
    return {
      flash_read: (address, buffer, size) =>
        flash.readInto(address >>> 0, this.#wholeMemory(), buffer >>> 0, size >>> 0, this.#words),
      flash_erase: (address) => flash.erase(address >>> 0, pass),
      flash_program: (address, data, size) => flash.program(address >>> 0, this.#bytes(data, size), pass),
      serial_read: (buffer, size) => serial.read(this.#wholeMemory(), buffer >>> 0, size >>> 0, clock.nanos),
      serial_write: (data, size) => serial.write(this.#bytes(data, size), clock.nanos),
      serial_overruns: () => serial.overruns,
      time_us: () => this.#sinceBoot(clock.nanos),
      scan_due_us: () => this.#sinceBoot(clock.scanDue),
      scan_start: () => {
        clock.startScans(this.#map.tickMicros * 1000);
      },
      scan_mask: () => clock.mask(),
      scan_unmask: (state) => {
        clock.unmask(state);
      },
      watchdog_start: () => {
        clock.startWatchdog(WATCHDOG_NANOS);
      },
      watchdog_kick: () => {
        clock.kick();
      },
      work: (unit) => {
        clock.pass(workNanos(unit));
      },
      idle: () => {
        this.#idle();
      },
      inputs_read: (inputs, count) => this.#readInputs(inputs, count),
      outputs_write: (outputs, count, scan, swapNumber) => {
        this.#observe(outputs, count, scan, swapNumber);
      },
      reset_cause: () => RESET_CAUSES.indexOf(this.#cause),
      reset: () => {
        throw new Reset("requested");
      },
      board_id: (id) => {
        this.#bytes(id, 12).set(this.boardId);
      },
    };
  }

  #readInputs(inputs: number, count: number): number {
    if (!this.#inputs) return 0;
    const values = this.#inputs(this.#scans);
    const channels = new Float32Array(this.#instance.exports.memory.buffer, inputs, count);
    for (let i = 0; i < count; i++) channels[i] = values[i] ?? 0;
    return 1;
  }

  #observe(address: number, count: number, scan: number, swapNumber: number): void {
    if (this.onOutputs === undefined) return;
    const floats = new Float32Array(this.#instance.exports.memory.buffer, address, count);
    const outputs: number[] = [];
    for (let i = 0; i < count; i++) outputs.push(floats[i] ?? 0);
    this.onOutputs({
      scan,
      timeMicros: this.clock.micros,
      sinceBootMicros: this.#sinceBoot(this.clock.nanos),
      swapNumber: swapNumber >>> 0,
      outputs,
    });
  }
}
