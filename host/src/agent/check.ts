/** Runs an agent in the board's own engine and in V8: vectors, scans or requests, state. What differs is an error. */
import { EdgePlugError } from "../errors.js";
import { MAX_STATE } from "../generated/limits.js";
import { isControlVector, type AgentConfig, type ControlVector, type RequestVector } from "./config.js";
import type { AgentMachine } from "./machine.js";
import { randomNumbers, stimulus } from "./stimulus.js";

const TICK_MICROS = 1000;
const CHECK_REQUESTS = 200;

/** Makes a fresh instance of the agent; those made before are not used any more. */
export type MachineFactory = () => AgentMachine;

export interface CheckResult {
  vectors: number;
  /** Scans (control agents) or requests. */
  runs: number;
  /** Most fuel that one scan, request, save or restore took. */
  worstFuel: number;
  /** Most fuel that the start with init took, or one vector. */
  worstInitFuel: number;
  /** Outputs that a guard would have held back, over all scans. */
  guardHits: number;
  /** Bytes handed over, 0 = none. */
  stateSize: number;
}

/** Everything that an engine made of an agent, in order. */
interface Trace {
  /** One entry per scan or request: what went in, and what came out. */
  steps: { label: string; outputs: Float32Array; reply: Uint8Array; log: string }[];
  result: CheckResult;
}

/**
 * The board's engine goes first: it has fuel, so an agent that loops for ever ends there. Throws VECTOR, AGENT_TRAP,
 * AGENT_FUEL, HANDOVER, REPLY or AGENT_CHECK.
 */
export function checkAgent(config: AgentConfig, board: MachineFactory, v8: MachineFactory): CheckResult {
  const onBoard = runAgent(config, board);
  compare(config, onBoard, runAgent(config, v8));
  return onBoard.result;
}

/** Starts the agent and runs its test vectors, in one engine. Throws as checkAgent() does. */
export function checkVectors(config: AgentConfig, create: MachineFactory): CheckResult {
  const result = { vectors: 0, runs: 0, worstFuel: 0, worstInitFuel: 0, guardHits: 0, stateSize: 0 };
  const instance = new Instance(config, create(), result);
  config.vectors.forEach((vector, index) => {
    inContext(`vector ${index + 1}`, () => {
      runVector(instance, vector);
    });
    result.vectors++;
  });
  return result;
}

function runAgent(config: AgentConfig, create: MachineFactory): Trace {
  const result = checkVectors(config, create);
  const trace: Trace = { steps: [], result };
  const instance = new Instance(config, create(), result);
  if (config.kind === "control") runScans(instance, trace);
  else runRequests(instance, trace);
  if (config.stateId !== 0) handOver(instance, () => new Instance(config, create(), result), trace);
  return trace;
}

/** One instance of the agent, started; counts the fuel that it takes. */
class Instance {
  #taken = 0;
  #micros = 0;

  constructor(
    readonly config: AgentConfig,
    readonly machine: AgentMachine,
    readonly result: CheckResult,
  ) {
    inContext("start", () => {
      machine.start();
    });
    this.#noteInit(machine.fuelUsed);
  }

  #noteInit(used: number): void {
    this.result.worstInitFuel = Math.max(this.result.worstInitFuel, used);
  }

  #measured<T>(body: () => T): T {
    const value = body();
    this.#taken += this.machine.fuelUsed;
    this.result.worstFuel = Math.max(this.result.worstFuel, this.machine.fuelUsed);
    return value;
  }

  /** Begins a vector: its calls share one allowance of fuel. */
  beginVector(): void {
    this.#taken = 0;
  }

  endVector(): void {
    this.#noteInit(this.#taken);
    const limit = this.config.limits.initFuel;
    if (limit !== undefined && this.#taken > limit)
      throw new EdgePlugError("AGENT_FUEL", `it takes ${this.#taken} fuel, and limits.initFuel is ${limit}.`);
  }

  scan(): void {
    this.#micros += TICK_MICROS * this.config.scanDivider;
    this.#measured(() => {
      this.machine.scan(this.#micros);
    });
  }

  handle(request: Uint8Array): Uint8Array {
    return this.#measured(() => this.machine.handle(request));
  }

  save(): Uint8Array {
    const { outputs } = this.machine;
    const before = outputs.slice();
    const state = this.#measured(() => this.machine.save());
    // the board's engine shows outputs of scans only, so that this is seen in V8
    if (!outputs.every((value, channel) => Object.is(value, before[channel])))
      throw new EdgePlugError("AGENT_CHECK", "save() must not write outputs: a running agent saves too.", {
        action: "Write outputs in scan(), and let save() only put down what they are made of.",
      });
    if (state.length > MAX_STATE)
      throw new EdgePlugError(
        "HANDOVER",
        `save() gave ${state.length} bytes; boards hand over ${MAX_STATE}.`,
      );
    return state;
  }

  restore(state: Uint8Array): void {
    this.#measured(() => {
      this.machine.restore(state);
    });
  }
}

function runVector(instance: Instance, vector: ControlVector | RequestVector): void {
  instance.beginVector();
  if (isControlVector(vector)) runControlVector(instance, vector);
  else runRequestVector(instance, vector);
  instance.endVector();
}

function runControlVector(instance: Instance, vector: ControlVector): void {
  const { machine, config } = instance;
  machine.inputs.set(vector.inputs);
  for (let scan = 0; scan < vector.scans; scan++) instance.scan();
  vector.outputs.forEach((expected, channel) => {
    const value = machine.outputs[channel] ?? 0;
    const wanted = Math.fround(expected);
    if (value !== wanted && !(Math.abs(Math.fround(value - wanted)) <= Math.fround(vector.tolerance)))
      throw new EdgePlugError(
        "VECTOR",
        `output ${channel} (${config.outputs[channel]?.name ?? "?"}) is ${value}, expected ${expected}` +
          (vector.tolerance === 0 ? "." : ` within ${vector.tolerance}.`),
      );
  });
}

function runRequestVector(instance: Instance, vector: RequestVector): void {
  const reply = instance.handle(vector.request);
  if (Buffer.compare(reply, vector.reply) !== 0)
    throw new EdgePlugError("VECTOR", `the reply is ${shown(reply)}, expected ${shown(vector.reply)}.`);
}

function runScans(instance: Instance, trace: Trace): void {
  const { config, machine } = instance;
  const next = stimulus(config.inputs);
  for (let scan = 1; scan <= config.checkScans; scan++) {
    next(machine.inputs);
    inContext(`scan ${scan}`, () => {
      instance.scan();
    });
    trace.result.guardHits += guardHits(config, machine.outputs);
    record(trace, `scan ${scan}`, instance, new Uint8Array(0));
  }
  trace.result.runs = config.checkScans;
}

function guardHits(config: AgentConfig, outputs: Float32Array): number {
  return config.outputs.filter(({ min, max }, channel) => {
    const value = outputs[channel] ?? 0;
    return !(value >= min && value <= max);
  }).length;
}

/** Requests of every length that the buffer holds, the largest last. */
function runRequests(instance: Instance, trace: Trace): void {
  const random = randomNumbers(1);
  const max = instance.config.limits.ioBuffer;
  for (let index = 1; index <= CHECK_REQUESTS; index++) {
    const size = index === CHECK_REQUESTS ? max : Math.floor(random() * (max + 1));
    const request = Uint8Array.from({ length: size }, () => Math.floor(random() * 256));
    const label = `request ${index} (${size} bytes)`;
    const reply = inContext(label, () => instance.handle(request));
    record(trace, label, instance, reply);
  }
  trace.result.runs = CHECK_REQUESTS;
}

/** What one instance saves, another one takes and saves again: the same bytes. */
function handOver(from: Instance, create: () => Instance, trace: Trace): void {
  const state = inContext("save", () => from.save());
  record(trace, "save", from, state);
  const to = create();
  inContext("restore", () => {
    to.restore(state);
  });
  const again = inContext("save after restore", () => to.save());
  if (Buffer.compare(state, again) !== 0)
    throw new EdgePlugError(
      "HANDOVER",
      `save() after restore() gives ${again.length} bytes that differ from the ${state.length} restored.`,
      { action: "Let restore() take everything that save() puts, in the same order." },
    );
  trace.result.stateSize = state.length;
}

function record(trace: Trace, label: string, { machine, config }: Instance, reply: Uint8Array): void {
  trace.steps.push({
    label,
    outputs: machine.outputs.slice(0, config.outputs.length),
    reply,
    log: machine.takeLog().join("\n"),
  });
}

/** Bit for bit, but for the payload of a NaN, which WebAssembly leaves open (spec section 4.3.3). */
function compare(config: AgentConfig, board: Trace, v8: Trace): void {
  board.steps.forEach((step, at) => {
    const other = v8.steps[at];
    if (other === undefined) throw differs(step.label, "V8 ended before it");
    step.outputs.forEach((value, channel) => {
      if (!Object.is(value, other.outputs[channel]))
        throw differs(
          step.label,
          `output ${channel} (${config.outputs[channel]?.name ?? "?"}) is ${value} there, ` +
            `${other.outputs[channel] ?? "nothing"} in V8`,
        );
    });
    if (Buffer.compare(step.reply, other.reply) !== 0)
      throw differs(step.label, `the bytes are ${shown(step.reply)} there, ${shown(other.reply)} in V8`);
    if (step.log !== other.log)
      throw differs(step.label, `the log is "${step.log}" there, "${other.log}" in V8`);
  });
}

function differs(label: string, what: string): EdgePlugError {
  return new EdgePlugError("AGENT_CHECK", `The board's engine and V8 differ in ${label}: ${what}.`, {
    action: "This is a defect of the engine: report it with the agent's source.",
  });
}

/** Says where an agent's error happened. */
function inContext<T>(where: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof EdgePlugError)) throw error;
    throw new EdgePlugError(error.code, `In ${where}: ${error.message}`, {
      cause: error,
      action: error.action,
      detail: error.detail,
    });
  }
}

function shown(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString("hex");
  return hex.length > 80 ? `${hex.slice(0, 77)}...` : hex === "" ? "empty" : hex;
}
