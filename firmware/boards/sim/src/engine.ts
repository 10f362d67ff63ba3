import { boardMapOf, geometryOf } from "./geometry.js";
import { instantiate, loadImage, readText, writeMap, type SimImports, type SimInstance } from "./image.js";

/** Limits of package.proto. */
export interface EngineLimits {
  /** Linear memory, bytes. */
  readonly memoryBytes: number;
  /** Operands and locals of all live frames, 8 bytes each. */
  readonly stackSlots: number;
  /** Nested calls. */
  readonly callDepth: number;
  /** For one scan or request. */
  readonly fuel: number;
  /** For start function and init, and for each test vector. */
  readonly initFuel: number;
  /** 0: the agent has no buffer. */
  readonly ioBufferBytes: number;
}

/** A manifest's guards; each list is empty, or has one value for each output. */
export interface EngineGuards {
  readonly min: readonly number[];
  readonly max: readonly number[];
  /** Largest change a scan. */
  readonly slew: readonly number[];
  readonly failSafe: readonly number[];
}

export interface EngineModule {
  readonly code: Uint8Array;
  readonly kind: "control" | "request";
  readonly inputs: number;
  readonly outputs: number;
  readonly limits: EngineLimits;
  /** For applyGuards(). Default: none. */
  readonly guards?: EngineGuards;
}

export interface ScanResult {
  /** What the agent wrote, before any guard. */
  readonly outputs: readonly number[];
  readonly fuelUsed: number;
  readonly log: readonly string[];
}

export interface CallResult {
  readonly bytes: Uint8Array;
  readonly fuelUsed: number;
  readonly log: readonly string[];
}

/** The engine refused the module, or the agent trapped: as a board would have said it. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  constructor(
    /** A code of proto/errors.json, e.g. that of AGENT_TRAP. */
    readonly code: number,
    /** The trap, the limit, the import, or the agent's own abort text. May be empty. */
    readonly detail: string,
    readonly log: readonly string[],
    /** Where a trap happened: byte offset in the module, and index of the function; undefined for what is no trap. */
    readonly place?: { readonly offset: number; readonly functionIndex: number },
  ) {
    super(detail === "" ? `error ${code}` : detail);
  }
}

/** In the order that engine_guard() of engine.c knows them by. */
const GUARD_LISTS = ["min", "max", "slew", "failSafe"] as const;

const KINDS = { control: 1, request: 2 } as const;
const PAGE = 65536;

/** The board's own WebAssembly engine with the board's own host functions, for builds on the host. */
export class Engine {
  readonly #instance: SimInstance;
  #module: EngineModule | undefined;
  #scans = 0;

  private constructor(instance: SimInstance) {
    this.#instance = instance;
  }

  static async create(): Promise<Engine> {
    const instance = instantiate(await loadImage(), NOWHERE);
    const { exports } = instance;
    const bytes = exports.engine_size();
    const at = exports.memory.grow(Math.ceil(bytes / PAGE)) * PAGE;
    exports.engine_place(at);
    writeMap(instance, boardMapOf("l5"), geometryOf("l5"));
    return new Engine(instance);
  }

  /** Validates and instantiates `module`, runs its start function and init. */
  load(module: EngineModule): void {
    const { exports } = this.#instance;
    const { limits, code } = module;
    this.#module = undefined;
    this.#scans = 0;
    const room = exports.engine_code_max();
    if (code.length === 0 || code.length > room)
      throw new RangeError(`module of ${code.length} bytes: expected 1 to ${room}`);
    this.#bytes(exports.engine_code(), code.length).set(code);
    exports.engine_limits(
      limits.memoryBytes,
      limits.stackSlots,
      limits.callDepth,
      limits.fuel,
      limits.initFuel,
      limits.ioBufferBytes,
    );
    exports.engine_no_guards();
    GUARD_LISTS.forEach((name, list) =>
      module.guards?.[name].forEach((value, channel) => {
        exports.engine_guard(list, channel, value);
      }),
    );
    this.#check(exports.engine_load(code.length, KINDS[module.kind], module.inputs, module.outputs));
    this.#module = module;
  }

  /** Runs the module's test vectors in a fresh instance, and makes it fresh again. */
  runVectors(): void {
    const module = this.#loaded();
    this.load(module);
    this.#check(this.#instance.exports.engine_vectors());
    this.load(module);
  }

  /** One scan; its time is its number times `tickMicros`, unless told. */
  scan(inputs: readonly number[], timeMicros = ++this.#scans * 1000): ScanResult {
    const { exports } = this.#instance;
    const { limits } = this.#loaded();
    new Float32Array(exports.memory.buffer, exports.engine_inputs(), inputs.length).set(inputs);
    exports.engine_set_scan(Math.floor(timeMicros / 1000), timeMicros);
    this.#check(exports.engine_scan());
    return {
      outputs: [...this.#floats(exports.engine_outputs())],
      fuelUsed: limits.fuel - exports.engine_fuel_left(),
      log: this.#log(),
    };
  }

  /**
   * What the machine gets of what the last scan wrote: within the guards, and counted from what it had before. `hits`
   * outputs had to be changed for that.
   */
  applyGuards(): { readonly outputs: readonly number[]; readonly hits: number } {
    const hits = this.#instance.exports.engine_apply();
    return { outputs: [...this.#floats(this.#instance.exports.engine_applied())], hits };
  }

  /** What the agent has written, whether its last scan came to an end or not. */
  wanted(): readonly number[] {
    return [...this.#floats(this.#instance.exports.engine_outputs())];
  }

  /** The machine's outputs as they are now: what guards count from. */
  setApplied(outputs: readonly number[]): void {
    this.#floats(this.#instance.exports.engine_applied()).set(outputs);
  }

  /** What outputs are that the agent doesn't write. */
  setWanted(outputs: readonly number[]): void {
    this.#floats(this.#instance.exports.engine_outputs()).set(outputs);
  }

  /** One request to a request agent. */
  call(request: Uint8Array): CallResult {
    this.#putIo(request);
    return this.#sized(this.#instance.exports.engine_handle(request.length));
  }

  /** What the agent hands over. */
  save(): CallResult {
    return this.#sized(this.#instance.exports.engine_save());
  }

  restore(state: Uint8Array): void {
    this.#putIo(state);
    this.#check(this.#instance.exports.engine_restore(state.length));
  }

  /** Fuel that the last call left; after load(): of initFuel. */
  get fuelLeft(): number {
    return this.#instance.exports.engine_fuel_left();
  }

  #loaded(): EngineModule {
    if (!this.#module) throw new TypeError("no module is loaded");
    return this.#module;
  }

  #putIo(bytes: Uint8Array): void {
    const { limits } = this.#loaded();
    if (bytes.length > limits.ioBufferBytes)
      throw new RangeError(`${bytes.length} bytes for a buffer of ${limits.ioBufferBytes}`);
    if (bytes.length > 0) this.#bytes(this.#instance.exports.engine_io(), bytes.length).set(bytes);
  }

  #sized(result: number): CallResult {
    const { exports } = this.#instance;
    this.#check(Math.min(result, 0));
    const { limits } = this.#loaded();
    return {
      bytes: result > 0 ? this.#bytes(exports.engine_io(), result).slice() : new Uint8Array(0),
      fuelUsed: limits.fuel - exports.engine_fuel_left(),
      log: this.#log(),
    };
  }

  #check(error: number): void {
    if (error === 0) return;
    const { exports } = this.#instance;
    const place = exports.engine_trapped(error)
      ? { offset: exports.engine_trap_offset(), functionIndex: exports.engine_trap_function() }
      : undefined;
    throw new EngineError(-error, readText(exports.memory, exports.engine_message()), this.#log(), place);
  }

  /** One value for each output of the module. */
  #floats(address: number): Float32Array {
    return new Float32Array(this.#instance.exports.memory.buffer, address, this.#loaded().outputs);
  }

  #log(): string[] {
    const { exports } = this.#instance;
    const lines: string[] = [];
    for (let at = exports.engine_log_line(); at !== 0; at = exports.engine_log_line())
      lines.push(readText(exports.memory, at));
    return lines;
  }

  #bytes(address: number, size: number): Uint8Array {
    return new Uint8Array(this.#instance.exports.memory.buffer, address, size);
  }
}

function outside(): never {
  throw new TypeError("a build has no board around its engine");
}

/** An engine by itself has no flash, line or scans; what vectors and host functions may ask for is answered. */
const NOWHERE: SimImports = {
  flash_read: outside,
  flash_erase: outside,
  flash_program: outside,
  serial_read: outside,
  serial_write: outside,
  serial_overruns: outside,
  time_us: () => 0,
  scan_due_us: outside,
  scan_start: outside,
  scan_mask: () => 0,
  scan_unmask: (): void => undefined,
  watchdog_start: outside,
  watchdog_kick: outside,
  work: (): void => undefined,
  idle: outside,
  inputs_read: outside,
  outputs_write: outside,
  reset_cause: outside,
  reset: outside,
  board_id: outside,
};
