/** The agent in the board's own engine: interpreter, host functions and limits as the firmware has them. */
import { Engine, EngineError, SIM_WASM, type CallResult, type EngineModule } from "@edgeplug/sim";

import { EdgePlugError } from "../errors.js";
import { MAX_FUEL } from "../generated/limits.js";
import { INPUTS_MAX, OUTPUTS_MAX, type AgentManifest } from "../manifest.js";
import type { MachineFactory } from "./check.js";
import type { AgentConfig } from "./config.js";
import type { AgentMachine } from "./machine.js";
import type { AgentSourceMap } from "./source-map.js";
import { engineFailure } from "./trap.js";

/** Fuel that agent.json leaves open is as much as any board gives. */
export function engineModule(wasm: Uint8Array, config: AgentConfig): EngineModule {
  const { limits } = config;
  return {
    code: wasm,
    kind: config.kind,
    inputs: config.inputs.length,
    outputs: config.outputs.length,
    limits: {
      memoryBytes: limits.memory,
      stackSlots: limits.stackSlots,
      callDepth: limits.callDepth,
      fuel: limits.fuel ?? MAX_FUEL,
      initFuel: limits.initFuel ?? MAX_FUEL,
      ioBufferBytes: limits.ioBuffer,
    },
  };
}

/** With a source map, traps name file and line. */
export async function boardMachine(
  wasm: Uint8Array,
  config: AgentConfig,
  map?: AgentSourceMap,
): Promise<MachineFactory> {
  const engine = await createEngine();
  const module = engineModule(wasm, config);
  return () => new BoardMachine(engine, module, map);
}

/** What a board does with a package's module before it stages it: loads and starts it, and runs its test vectors. */
export async function runPackedModule(
  wasm: Uint8Array,
  manifest: AgentManifest,
  map?: AgentSourceMap,
): Promise<void> {
  const { limits, kind, inputs, outputs } = manifest;
  const module: EngineModule = {
    code: wasm,
    kind,
    inputs,
    outputs,
    limits: {
      memoryBytes: limits.memory,
      stackSlots: limits.stackSlots,
      callDepth: limits.callDepth,
      fuel: limits.fuel,
      initFuel: limits.initFuel,
      ioBufferBytes: limits.ioBuffer,
    },
  };
  const machine = new BoardMachine(await createEngine(), module, map);
  machine.start();
  machine.runVectors();
}

/** Runs the module's own test vectors the way a board does before it lets the agent start. */
export async function runVectorsOnBoard(
  wasm: Uint8Array,
  config: AgentConfig,
  map?: AgentSourceMap,
): Promise<void> {
  const machine = (await boardMachine(wasm, config, map))() as BoardMachine;
  machine.start();
  machine.runVectors();
}

/** Throws SETUP if the engine is not there. */
export async function createEngine(): Promise<Engine> {
  try {
    return await Engine.create();
  } catch (error) {
    throw new EdgePlugError(
      "SETUP",
      `The board's engine is not built: ${SIM_WASM.pathname} is missing or broken.`,
      {
        cause: error,
        action: "Run scripts/setup, or install the tool anew.",
      },
    );
  }
}

class BoardMachine implements AgentMachine {
  readonly inputs = new Float32Array(INPUTS_MAX);
  readonly outputs = new Float32Array(OUTPUTS_MAX);
  fuelUsed = 0;
  #log: string[] = [];

  constructor(
    readonly engine: Engine,
    readonly module: EngineModule,
    readonly map: AgentSourceMap | undefined,
  ) {}

  start(): void {
    this.#run(() => {
      this.engine.load(this.module);
    });
    this.fuelUsed = this.module.limits.initFuel - this.engine.fuelLeft;
  }

  runVectors(): void {
    this.#run(() => {
      this.engine.runVectors();
    });
  }

  scan(micros: number): void {
    const inputs = Array.from(this.inputs.subarray(0, this.module.inputs));
    const { outputs, fuelUsed, log } = this.#run(() => this.engine.scan(inputs, micros));
    this.outputs.set(outputs);
    this.fuelUsed = fuelUsed;
    this.#log.push(...log);
  }

  handle(request: Uint8Array): Uint8Array {
    return this.#called(() => this.engine.call(request));
  }

  save(): Uint8Array {
    return this.#called(() => this.engine.save());
  }

  restore(state: Uint8Array): void {
    this.#run(() => {
      this.engine.restore(state);
    });
    this.fuelUsed = this.module.limits.fuel - this.engine.fuelLeft;
  }

  takeLog(): string[] {
    const lines = this.#log;
    this.#log = [];
    return lines;
  }

  #called(call: () => CallResult): Uint8Array {
    const { bytes, fuelUsed, log } = this.#run(call);
    this.fuelUsed = fuelUsed;
    this.#log.push(...log);
    return bytes;
  }

  #run<T>(body: () => T): T {
    try {
      return body();
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      throw engineFailure(error, this.module.code, this.map);
    }
  }
}
