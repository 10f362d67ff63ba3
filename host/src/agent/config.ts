/** agent.json: what an author says of an agent. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { EdgePlugError } from "../errors.js";
import { readInputFile } from "../files.js";
import { MAX_CALL_DEPTH, MAX_FUEL, MAX_IO_BUFFER, MAX_MEMORY, MAX_STACK_SLOTS } from "../generated/limits.js";
import { JsonFields } from "./json-fields.js";
import {
  ATTEMPTS_MAX,
  INPUTS_MAX,
  NAME_MAX,
  OUTPUTS_MAX,
  TRIAL_DEFAULTS,
  VERSION_MAX,
  type AgentKindName,
  type AgentLimits,
  type AgentTrial,
  type BoardName,
  type TrapPolicyName,
} from "../manifest.js";

/** Bytes of a request or a reply that a test vector may have. */
export const VECTOR_BYTES_MAX = 128;
const CHANNEL_NAME_MAX = 20;
const UNIT_MAX = 12;
const VECTORS_MAX = 64;
const UINT32_MAX = 0xffffffff;

/** One input or output of the agent, in channel order. */
export interface ChannelConfig {
  name: string;
  unit: string;
  /** Of an output: the guard's limits. Of an input: the range that `build` tries. */
  min: number;
  max: number;
  /** Outputs: largest change per scan. */
  slew?: number;
  /** Outputs: value in safe mode, and after a trap under `failSafe`. */
  failSafe?: number;
}

/** Inputs held for some scans, and what the outputs then are. */
export interface ControlVector {
  inputs: number[];
  scans: number;
  outputs: number[];
  tolerance: number;
}

export interface RequestVector {
  request: Uint8Array;
  reply: Uint8Array;
}

/** Fuel may be left out: `build` then measures it. */
export type LimitsConfig = Omit<AgentLimits, "fuel" | "initFuel"> & { fuel?: number; initFuel?: number };

export interface AgentConfig {
  name: string;
  version: string;
  release: number;
  securityVersion: number;
  description: string;
  kind: AgentKindName;
  board: BoardName;
  inputs: ChannelConfig[];
  outputs: ChannelConfig[];
  onTrap: TrapPolicyName;
  limits: LimitsConfig;
  trial: AgentTrial;
  stateId: number;
  scanDivider: number;
  /** Scans that `build` runs in both engines. */
  checkScans: number;
  /** ES module beside agent.json whose sources() computes further source files; empty = none. */
  generate: string;
  vectors: (ControlVector | RequestVector)[];
}

export function isControlVector(vector: ControlVector | RequestVector): vector is ControlVector {
  return "scans" in vector;
}

/** Parses `directory`/agent.json. Throws FILE_NOT_FOUND, FILE_UNREADABLE or AGENT_CONFIG. */
export async function readAgentJson(directory: string): Promise<unknown> {
  const text = await readInputFile(join(directory, "agent.json"), (path) => readFile(path, "utf8"));
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new EdgePlugError("AGENT_CONFIG", `agent.json is no JSON: ${(error as Error).message}.`, {
      cause: error,
    });
  }
}

/** Reads and checks `directory`/agent.json. Throws as readAgentJson() and parseAgentConfig() do. */
export async function readAgentConfig(directory: string): Promise<AgentConfig> {
  return parseAgentConfig(await readAgentJson(directory));
}

/** Checks parsed JSON and fills in the defaults. Throws AGENT_CONFIG with the field's name. */
export function parseAgentConfig(value: unknown): AgentConfig {
  const fields = new JsonFields(value, "");
  const kind = fields.choice("kind", ["control", "request"] as const, "control");
  const config: AgentConfig = {
    name: fields.string("name", { maxBytes: NAME_MAX, nonEmpty: true }),
    version: fields.string("version", { maxBytes: VERSION_MAX, nonEmpty: true }),
    release: fields.number("release", { integer: true, min: 1, max: UINT32_MAX }),
    securityVersion: fields.number("securityVersion", { integer: true, min: 0, max: UINT32_MAX, default: 0 }),
    description: fields.string("description", { default: "", maxBytes: 200 }),
    kind,
    board: fields.choice("board", ["any", "sim", "qemu", "stm32l552"] as const, "any"),
    inputs: fields.list("inputs", INPUTS_MAX, readInput),
    outputs: fields.list("outputs", OUTPUTS_MAX, readOutput),
    onTrap: fields.choice("onTrap", ["hold", "failSafe"] as const, "hold"),
    limits: readLimits(fields.object("limits"), kind),
    trial: readTrial(fields.object("trial")),
    stateId: fields.number("stateId", { integer: true, min: 0, max: UINT32_MAX, default: 0 }),
    scanDivider: fields.number("scanDivider", { integer: true, min: 1, max: 60_000, default: 1 }),
    checkScans: fields.number("checkScans", { integer: true, min: 1, max: 1_000_000, default: 10_000 }),
    generate: fields.string("generate", { default: "" }),
    vectors: [],
  };
  config.vectors = fields.list("vectors", VECTORS_MAX, (item, path) =>
    kind === "control"
      ? readControlVector(item, path, config.inputs.length, config.outputs.length)
      : readRequestVector(item, path, config.limits.ioBuffer),
  );
  fields.done();
  if (config.stateId !== 0 && config.limits.ioBuffer === 0)
    throw new EdgePlugError(
      "AGENT_CONFIG",
      "agent.json: stateId: state passes through the io buffer, and limits.ioBuffer is 0.",
      { action: "Set limits.ioBuffer, or remove stateId." },
    );
  return config;
}

function readChannel(fields: JsonFields): ChannelConfig {
  const channel = {
    name: fields.string("name", { maxBytes: CHANNEL_NAME_MAX, nonEmpty: true }),
    unit: fields.string("unit", { default: "", maxBytes: UNIT_MAX }),
    min: fields.number("min"),
    max: fields.number("max"),
  };
  if (channel.min > channel.max)
    throw new EdgePlugError(
      "AGENT_CONFIG",
      `agent.json: ${fields.name("min")}: expected at most max (${channel.max}), found ${channel.min}.`,
    );
  return channel;
}

function readInput(item: unknown, path: string): ChannelConfig {
  const fields = new JsonFields(item, path);
  const channel = readChannel(fields);
  fields.done();
  return channel;
}

function readOutput(item: unknown, path: string): ChannelConfig {
  const fields = new JsonFields(item, path);
  const channel = readChannel(fields);
  const slew = fields.optionalNumber("slew", { min: 0 });
  const failSafe = fields.optionalNumber("failSafe", { min: channel.min, max: channel.max });
  fields.done();
  return {
    ...channel,
    ...(slew === undefined ? {} : { slew }),
    ...(failSafe === undefined ? {} : { failSafe }),
  };
}

function readLimits(fields: JsonFields, kind: AgentKindName): LimitsConfig {
  const integer = (
    min: number,
    max: number,
    standard: number,
  ): { integer: true; min: number; max: number; default: number } => ({
    integer: true,
    min,
    max,
    default: standard,
  });
  const fuel = fields.number("fuel", integer(0, MAX_FUEL, 0));
  const initFuel = fields.number("initFuel", integer(0, MAX_FUEL, 0));
  const limits: LimitsConfig = {
    memory: fields.number("memory", integer(0, MAX_MEMORY, 4096)),
    stackSlots: fields.number("stackSlots", integer(1, MAX_STACK_SLOTS, 128)),
    callDepth: fields.number("callDepth", integer(1, MAX_CALL_DEPTH, 16)),
    ioBuffer: fields.number("ioBuffer", integer(0, MAX_IO_BUFFER, kind === "request" ? MAX_IO_BUFFER : 0)),
    ...(fuel === 0 ? {} : { fuel }),
    ...(initFuel === 0 ? {} : { initFuel }),
  };
  if (limits.memory % 8 !== 0)
    throw new EdgePlugError(
      "AGENT_CONFIG",
      `agent.json: limits.memory: expected a multiple of 8, found ${limits.memory}.`,
    );
  if (kind === "request" && limits.ioBuffer === 0)
    throw new EdgePlugError(
      "AGENT_CONFIG",
      "agent.json: limits.ioBuffer: expected at least 1 for a request agent, found 0.",
    );
  fields.done();
  return limits;
}

function readTrial(fields: JsonFields): AgentTrial {
  const count = { integer: true, min: 0, max: UINT32_MAX, default: 0 } as const;
  const trial = {
    healthyScans: fields.number("healthyScans", count),
    deadlineScans: fields.number("deadlineScans", count),
    attempts: fields.number("attempts", { ...count, max: ATTEMPTS_MAX }),
    minRequests: fields.number("minRequests", count),
    confirmByHost: fields.boolean("confirmByHost", false),
    maxGuardHits: fields.number("maxGuardHits", count),
  };
  fields.done();
  const deadline = trial.deadlineScans || TRIAL_DEFAULTS.deadlineScans;
  if ((trial.healthyScans || TRIAL_DEFAULTS.healthyScans) > deadline)
    throw new EdgePlugError(
      "AGENT_CONFIG",
      `agent.json: ${fields.name("healthyScans")}: expected at most the deadline of ${deadline} scans, ` +
        `found ${trial.healthyScans || TRIAL_DEFAULTS.healthyScans}.`,
    );
  return trial;
}

function readControlVector(item: unknown, path: string, inputs: number, outputs: number): ControlVector {
  const fields = new JsonFields(item, path);
  const vector = {
    inputs: fields.numbers("inputs", inputs),
    scans: fields.number("scans", { integer: true, min: 1, max: 1_000_000, default: 1 }),
    outputs: fields.numbers("outputs", outputs),
    tolerance: fields.number("tolerance", { min: 0, default: 0 }),
  };
  fields.done();
  return vector;
}

function readRequestVector(item: unknown, path: string, ioBuffer: number): RequestVector {
  const fields = new JsonFields(item, path);
  const max = Math.min(ioBuffer, VECTOR_BYTES_MAX);
  const vector = {
    request: readBytes(fields, "request", max),
    reply: readBytes(fields, "reply", max),
  };
  fields.done();
  return vector;
}

/** `hex:00ff` or `text:abc` */
function readBytes(fields: JsonFields, field: string, max: number): Uint8Array {
  const text = fields.string(field);
  const hex = /^hex:((?:[0-9a-fA-F]{2})*)$/.exec(text)?.[1];
  const bytes =
    hex !== undefined
      ? Buffer.from(hex, "hex")
      : text.startsWith("text:")
        ? Buffer.from(text.slice(5))
        : null;
  if (bytes === null)
    throw new EdgePlugError(
      "AGENT_CONFIG",
      `agent.json: ${fields.name(field)}: expected "hex:" with pairs of hex digits, or "text:" with a text.`,
    );
  if (bytes.length > max)
    throw new EdgePlugError(
      "AGENT_CONFIG",
      `agent.json: ${fields.name(field)}: expected at most ${max} bytes, found ${bytes.length}.`,
    );
  return Uint8Array.from(bytes);
}
