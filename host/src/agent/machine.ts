/** One agent in one engine, as the checks see it: V8 here, the board's own engine in board-machine.ts. */
import { EdgePlugError } from "../errors.js";
import { INPUTS_MAX, OUTPUTS_MAX } from "../manifest.js";

/** Bytes of a log line that a board passes on. */
const LOG_LINE_MAX = 64;

/** Every call throws AGENT_TRAP when the agent traps, and AGENT_FUEL when it runs out of fuel. */
export interface AgentMachine {
  /** What input() reads. */
  readonly inputs: Float32Array;
  /** What output() wrote last. */
  readonly outputs: Float32Array;
  /** Fuel that the last call took; 0 in V8. */
  readonly fuelUsed: number;
  /** Makes a fresh instance: start function, init, io buffer. */
  start(): void;
  /** `micros` is what now_us() answers. */
  scan(micros: number): void;
  /** Throws REPLY if the reply doesn't fit its buffer; so does save(). */
  handle(request: Uint8Array): Uint8Array;
  save(): Uint8Array;
  restore(state: Uint8Array): void;
  /** Lines logged since the last call of takeLog(). */
  takeLog(): string[];
}

type AgentExport = "init" | "scan" | "handle" | "io_buffer" | "save" | "restore";

/** The agent in V8: the second opinion. It has no fuel, so run what may loop for ever elsewhere first. */
export class V8Machine implements AgentMachine {
  readonly inputs = new Float32Array(INPUTS_MAX);
  readonly outputs = new Float32Array(OUTPUTS_MAX);
  readonly fuelUsed = 0;
  #micros = 0;
  #buffer = 0;
  #log: string[] = [];
  #instance: WebAssembly.Instance | undefined;
  readonly #module: WebAssembly.Module;

  /** `bufferSize` is limits.ioBuffer. */
  constructor(
    wasm: Uint8Array,
    readonly bufferSize: number,
  ) {
    try {
      this.#module = new WebAssembly.Module(Uint8Array.from(wasm));
    } catch (error) {
      throw new EdgePlugError("MODULE_INVALID", `The module is not valid: ${(error as Error).message}.`, {
        cause: error,
      });
    }
  }

  start(): void {
    const imports = {
      edgeplug: {
        input: (channel: number) => this.inputs[channel] ?? 0,
        output: (channel: number, value: number) => {
          this.outputs[channel] = value;
        },
        now_us: () => BigInt(this.#micros),
        log: (text: number, size: number) => {
          this.#log.push(Buffer.from(this.#view(text, size)).toString("utf8").slice(0, LOG_LINE_MAX));
        },
      },
      env: {
        abort: (message: number, file: number, line: number, column: number) => {
          throw new EdgePlugError(
            "AGENT_TRAP",
            `The agent gave up: ${this.#text(message)} at ${this.#text(file)}:${line}:${column}.`,
          );
        },
      },
    };
    this.#run(() => {
      this.#instance = new WebAssembly.Instance(this.#module, imports);
    });
    if (typeof this.#instance?.exports["init"] === "function") this.#call("init");
    if (this.bufferSize === 0) return;
    this.#buffer = this.#call("io_buffer");
    this.#view(this.#buffer, this.bufferSize);
  }

  scan(micros: number): void {
    this.#micros = micros;
    this.#call("scan");
  }

  handle(request: Uint8Array): Uint8Array {
    this.#view(this.#buffer, request.length).set(request);
    return this.#bytes("handle", this.#call("handle", request.length));
  }

  save(): Uint8Array {
    return this.#bytes("save", this.#call("save"));
  }

  restore(state: Uint8Array): void {
    this.#view(this.#buffer, state.length).set(state);
    this.#call("restore", state.length);
  }

  takeLog(): string[] {
    const lines = this.#log;
    this.#log = [];
    return lines;
  }

  #bytes(name: AgentExport, size: number): Uint8Array {
    if (size < 0 || size > this.bufferSize)
      throw new EdgePlugError("REPLY", `${name}() gave ${size} bytes; its buffer holds ${this.bufferSize}.`, {
        detail: size,
      });
    return this.#view(this.#buffer, size).slice();
  }

  #call(name: AgentExport, argument = 0): number {
    const exported = this.#instance?.exports[name];
    if (typeof exported !== "function")
      throw new EdgePlugError("MODULE_EXPORT", `The module has no ${name}().`);
    return this.#run(() => Number((exported as (value: number) => unknown)(argument) ?? 0));
  }

  #view(address: number, size: number): Uint8Array {
    const memory = this.#instance?.exports["memory"];
    if (!(memory instanceof WebAssembly.Memory))
      throw new EdgePlugError("MODULE_EXPORT", "The module does not export its memory.", {
        action: "Build it without --noExportMemory: the checks have to see the io buffer.",
      });
    if (address + size > memory.buffer.byteLength)
      throw new EdgePlugError("AGENT_TRAP", "The agent trapped: out of bounds memory access.");
    return new Uint8Array(memory.buffer, address, size);
  }

  /** An AssemblyScript string: UTF-16, its size in bytes four bytes before it. */
  #text(address: number): string {
    if (address < 4) return "?";
    const size = Buffer.from(this.#view(address - 4, 4)).readUInt32LE();
    return Buffer.from(this.#view(address, size)).toString("utf16le");
  }

  #run<T>(body: () => T): T {
    try {
      return body();
    } catch (error) {
      if (error instanceof EdgePlugError) throw error;
      throw new EdgePlugError("AGENT_TRAP", `The agent trapped: ${(error as Error).message}.`, {
        cause: error,
      });
    }
  }
}
