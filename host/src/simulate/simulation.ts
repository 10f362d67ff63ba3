/** One agent in the board's own engine, scan by scan or request by request, with the guards and limits of its board. */
import { EngineError, type Engine, type EngineModule } from "@edgeplug/sim";

import type { AgentConfig } from "../agent/config.js";
import type { AgentSourceMap } from "../agent/source-map.js";
import { AgentTrap, engineFailure } from "../agent/trap.js";
import { EdgePlugError } from "../errors.js";
import { MAX_STATE } from "../generated/limits.js";
import { inputSource, type Inputs, type InputSource } from "./inputs.js";
import { channelIndex, Run, type Scan, type SimulationEvent } from "./run.js";

const TICK_MICROS = 1000;

export interface SimulationOptions {
  /** Default: 0 on every channel. */
  inputs?: Inputs | undefined;
  /** Whether a trap is thrown, or told in the scan's result while the machine runs on as a board does. Default: "throw". */
  traps?: "throw" | "report" | undefined;
  /** The outputs that the machine has at the start. Default: fail-safe values, as on a board that has just started. */
  outputs?: readonly number[] | undefined;
}

/** What simulate() found, and an engine of its own. */
export interface SimulatedAgent {
  config: AgentConfig;
  wasm: Uint8Array;
  map: AgentSourceMap | undefined;
  engine: Engine;
  module: EngineModule;
}

export interface Reply {
  bytes: Uint8Array;
  /** The same as UTF-8. */
  text: string;
  fuel: number;
  log: readonly string[];
}

export class Simulation {
  /** All scans so far. */
  readonly scans: Scan[] = [];
  /** Everything that happened so far, in order. */
  readonly events: SimulationEvent[] = [];
  /** Most fuel that one scan, request, save or restore took. */
  worstFuel = 0;
  /** Fuel that start and init took. */
  readonly startFuel: number;

  readonly #agent: SimulatedAgent;
  readonly #throws: boolean;
  #source: InputSource;
  #outputs: readonly number[];

  /** Starts the agent. Throws what a board would refuse it with. */
  constructor(agent: SimulatedAgent, options: SimulationOptions = {}) {
    this.#agent = agent;
    this.#throws = options.traps !== "report";
    this.#source = inputSource(options.inputs ?? {}, agent.config.inputs);
    const { engine, module } = agent;
    this.#called(() => {
      engine.load(module);
    });
    this.startFuel = module.limits.initFuel - engine.fuelLeft;
    this.#outputs = options.outputs ?? this.#failSafe();
    engine.setApplied(this.#outputs);
    engine.setWanted(this.#outputs);
  }

  get config(): AgentConfig {
    return this.#agent.config;
  }

  /** The most fuel that one scan or request may take. */
  get fuelLimit(): number {
    return this.#agent.module.limits.fuel;
  }

  /** What the machine has on its outputs now. */
  get outputs(): readonly number[] {
    return this.#outputs;
  }

  /** One of them, by name or number. */
  output(channel: string | number): number {
    return this.#outputs[channelIndex(this.config.outputs, channel)] ?? NaN;
  }

  /** All scans so far as one run. */
  get history(): Run {
    return new Run(this.config, [...this.scans], [...this.events]);
  }

  /** Scans that the inputs last for; undefined if they have no end. */
  get inputLength(): number | undefined {
    return this.#source.length;
  }

  /** From the next scan on. */
  setInputs(inputs: Inputs): void {
    this.#source = inputSource(inputs, this.config.inputs);
  }

  /** One scan, with the simulation's inputs or these. Throws AgentTrap unless traps are reported. */
  scan(inputs?: readonly number[] | Readonly<Record<string, number>>): Scan {
    const { engine } = this.#agent;
    const scan = this.scans.length + 1;
    const period = TICK_MICROS * this.config.scanDivider;
    const source = inputs === undefined ? this.#source : inputSource(inputs, this.config.inputs);
    const row = this.#row(source, scan, ((scan - 1) * period) / 1e6);
    try {
      const { fuelUsed, log } = engine.scan(row, scan * period);
      const wanted = engine.wanted();
      const { outputs, hits } = engine.applyGuards();
      this.#outputs = outputs;
      return this.#note({
        scan,
        micros: scan * period,
        inputs: row,
        wanted,
        outputs,
        guardHits: hits,
        fuel: fuelUsed,
        log,
      });
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      const trap = this.#failure(error);
      if (!(trap instanceof AgentTrap)) throw trap;
      const fuel = this.fuelLimit - engine.fuelLeft;
      const wanted = engine.wanted();
      if (this.config.onTrap === "failSafe") {
        this.#outputs = this.#failSafe();
        engine.setApplied(this.#outputs);
      }
      const { log } = error;
      const noted = {
        scan,
        micros: scan * period,
        inputs: row,
        wanted,
        outputs: this.#outputs,
        guardHits: 0,
        fuel,
        log,
      };
      const result = this.#note({ ...noted, trap });
      if (this.#throws) throw trap;
      return result;
    }
  }

  /** So many scans, or as many as the inputs last for. */
  run(scans?: number): Run {
    const count = scans ?? Math.max(0, (this.#source.length ?? NaN) - this.scans.length);
    if (Number.isNaN(count))
      throw new EdgePlugError("INPUT_DATA", "These inputs have no end.", {
        action: "Say how many scans: run(1000).",
      });
    const [first, firstEvent] = [this.scans.length, this.events.length];
    for (let at = 0; at < count; at++) this.scan();
    return new Run(this.config, this.scans.slice(first), this.events.slice(firstEvent));
  }

  /** One request to a request agent; a text goes as UTF-8. Throws AgentTrap, REPLY or REQUEST_SIZE. */
  request(request: Uint8Array | string): Reply {
    const bytes = typeof request === "string" ? Buffer.from(request) : request;
    const { ioBuffer } = this.config.limits;
    if (this.config.kind !== "request") throw new EdgePlugError("NO_HANDLER");
    if (bytes.length > ioBuffer)
      throw new EdgePlugError(
        "REQUEST_SIZE",
        `A request of ${bytes.length} bytes; the buffer holds ${ioBuffer}.`,
      );
    const reply = this.#called(() => this.#agent.engine.call(bytes));
    this.#noteCall(reply.fuelUsed, reply.log);
    const { bytes: answer, fuelUsed, log } = reply;
    return { bytes: answer, text: Buffer.from(answer).toString("utf8"), fuel: fuelUsed, log };
  }

  /** What the agent would hand over now. Throws HANDOVER if it is more than boards take. */
  save(): Uint8Array {
    const { bytes, fuelUsed, log } = this.#called(() => this.#agent.engine.save());
    this.#noteCall(fuelUsed, log);
    if (bytes.length > MAX_STATE)
      throw new EdgePlugError(
        "HANDOVER",
        `save() gave ${bytes.length} bytes; boards hand over ${MAX_STATE}.`,
      );
    return bytes;
  }

  /** Gives the agent what another one has saved. */
  restore(state: Uint8Array): void {
    const { engine } = this.#agent;
    const { ioBuffer } = this.config.limits;
    if (state.length > ioBuffer)
      throw new EdgePlugError("HANDOVER", `${state.length} bytes of state; limits.ioBuffer is ${ioBuffer}.`);
    this.#called(() => {
      engine.restore(state);
    });
    this.#noteCall(this.fuelLimit - engine.fuelLeft, []);
  }

  /**
   * Takes over the machine as a swap does: outputs go on from where they are, and state is handed over if both agents have
   * the same stateId, else not. Gives the bytes handed over.
   */
  takeOver(from: Simulation): number {
    const { engine } = this.#agent;
    const { stateId } = this.config;
    const state = stateId !== 0 && stateId === from.config.stateId ? from.save() : undefined;
    if (state !== undefined) this.restore(state);
    this.#outputs = from.outputs.slice(0, this.config.outputs.length);
    engine.setApplied(this.#outputs);
    engine.setWanted(this.#outputs);
    return state?.length ?? 0;
  }

  #row(source: InputSource, scan: number, seconds: number): readonly number[] {
    const row = source.row(scan, seconds);
    const { inputs } = this.config;
    if (row.length > inputs.length || row.some((value) => typeof value !== "number"))
      throw new EdgePlugError(
        "INPUT_DATA",
        `Scan ${scan}: expected ${inputs.length} numbers as inputs, got ${JSON.stringify(row)}.`,
      );
    return inputs.map((_, at) => Math.fround(row[at] ?? 0));
  }

  /** A board's own fail-safe values are 0. */
  #failSafe(): readonly number[] {
    return this.config.outputs.map(({ failSafe }) => Math.fround(failSafe ?? 0));
  }

  #note(noted: Scan): Scan {
    this.scans.push(noted);
    this.worstFuel = Math.max(this.worstFuel, noted.fuel);
    const { scan, trap } = noted;
    for (const text of noted.log) this.events.push({ kind: "log", scan, text });
    if (trap !== undefined) this.events.push({ kind: "trap", scan, text: trap.message, trap });
    else if (noted.guardHits > 0) this.events.push({ kind: "guard", scan, text: this.#held(noted) });
    return noted;
  }

  #held({ wanted, outputs }: Scan): string {
    return this.config.outputs
      .map(({ name }, at) => ({ name, wanted: wanted[at], applied: outputs[at] }))
      .filter((one) => one.wanted !== one.applied)
      .map((one) => `${one.name} held at ${one.applied}, wanted ${one.wanted}`)
      .join("; ");
  }

  #noteCall(fuel: number, log: readonly string[]): void {
    this.worstFuel = Math.max(this.worstFuel, fuel);
    for (const text of log) this.events.push({ kind: "log", scan: this.scans.length, text });
  }

  #failure(error: EngineError): EdgePlugError {
    return engineFailure(error, this.#agent.wasm, this.#agent.map);
  }

  #called<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw error instanceof EngineError ? this.#failure(error) : error;
    }
  }
}
