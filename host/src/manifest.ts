/** The manifest: what a package says about itself, and whether that makes sense. */
import { EdgePlugError } from "./errors.js";
import {
  ABI,
  MAX_CALL_DEPTH,
  MAX_FUEL,
  MAX_IO_BUFFER,
  MAX_MEMORY,
  MAX_STACK_SLOTS,
} from "./generated/limits.js";
import { edgeplug } from "./generated/messages.js";
import { RECORD_MANIFEST_MAX, RECORD_PAYLOAD_MAX } from "./generated/record-layout.js";
import { printable } from "./printable.js";

export const MANIFEST_FORMAT = 1;
export const MANIFEST_MAX = RECORD_MANIFEST_MAX;
export const PAYLOAD_MAX = RECORD_PAYLOAD_MAX;
export const NAME_MAX = 20;
export const VERSION_MAX = 16;
export const INPUTS_MAX = 8;
export const OUTPUTS_MAX = 6;
export const ATTEMPTS_MAX = 3;

/** What a board takes for trial rules that are 0 (hotswap.md, life of an update). */
export const TRIAL_DEFAULTS = {
  healthyScans: 1000,
  deadlineScans: 60_000,
  attempts: 3,
  minRequests: 1,
  maxGuardHits: 100,
} as const;

export type BoardName = "any" | "sim" | "qemu" | "stm32l552";
const BOARD_NAMES: readonly BoardName[] = ["any", "sim", "qemu", "stm32l552"];

export type AgentKindName = "control" | "request";
export type TrapPolicyName = "hold" | "failSafe";

/** What one instance may use, enforced by the board. */
export interface AgentLimits {
  /** Linear memory, bytes. */
  memory: number;
  /** Operands and locals of all live frames, 8 bytes each. */
  stackSlots: number;
  /** Nested calls. */
  callDepth: number;
  /** Per scan or request. */
  fuel: number;
  /** Start function, init, and each test vector. */
  initFuel: number;
  /** Bytes behind io_buffer(); 0 = none. */
  ioBuffer: number;
}

/** Per output in channel order; an empty list means no limit (failSafe: the board's default). */
export interface AgentGuards {
  min: number[];
  max: number[];
  slew: number[];
  failSafe: number[];
}

/** When a trial ends, in scans. 0 = the board's default. */
export interface AgentTrial {
  healthyScans: number;
  deadlineScans: number;
  attempts: number;
  minRequests: number;
  confirmByHost: boolean;
  maxGuardHits: number;
}

/** A decoded manifest, every field present. */
export interface AgentManifest {
  format: number;
  name: string;
  version: string;
  kind: AgentKindName;
  /** 0 any, 1 sim, 2 qemu, 3 stm32l552 */
  boardClass: number;
  abi: number;
  release: number;
  securityVersion: number;
  payloadSize: number;
  payloadCrc32: number;
  payloadSha512: Uint8Array;
  limits: AgentLimits;
  inputs: number;
  outputs: number;
  guards: AgentGuards;
  trial: AgentTrial;
  onTrap: TrapPolicyName;
  stateId: number;
  scanDivider: number;
}

/** `qemu` for 2; a class that this version doesn't know reads `class 9`. */
export function boardName(boardClass: number): string {
  return BOARD_NAMES[boardClass] ?? `class ${boardClass}`;
}

export function boardClass(name: BoardName): number {
  return BOARD_NAMES.indexOf(name);
}

export function isBoardName(name: string): name is BoardName {
  return (BOARD_NAMES as readonly string[]).includes(name);
}

/** Fields with their default value are left out, so that the bytes are the shortest and always the same. */
export function encodeManifest(manifest: AgentManifest): Uint8Array {
  const { limits, guards, trial } = manifest;
  const message = edgeplug.Manifest.encode({
    format: manifest.format,
    name: manifest.name,
    ...unlessEmpty("version", manifest.version),
    kind:
      manifest.kind === "control"
        ? edgeplug.AgentKind.AGENT_KIND_CONTROL
        : edgeplug.AgentKind.AGENT_KIND_REQUEST,
    ...unlessZero("boardClass", manifest.boardClass),
    abi: manifest.abi,
    ...unlessZero("release", manifest.release),
    ...unlessZero("securityVersion", manifest.securityVersion),
    payloadSize: manifest.payloadSize,
    payloadCrc32: manifest.payloadCrc32,
    payloadSha512: manifest.payloadSha512,
    limits: {
      memoryBytes: limits.memory,
      stackSlots: limits.stackSlots,
      callDepth: limits.callDepth,
      fuel: limits.fuel,
      initFuel: limits.initFuel,
      ...unlessZero("ioBufferBytes", limits.ioBuffer),
    },
    ...unlessZero("inputs", manifest.inputs),
    ...unlessZero("outputs", manifest.outputs),
    ...(Object.values(guards).some((list: number[]) => list.length > 0) ? { guards } : {}),
    ...(Object.values(trial).some(Boolean)
      ? {
          trial: {
            ...unlessZero("healthyScans", trial.healthyScans),
            ...unlessZero("deadlineScans", trial.deadlineScans),
            ...unlessZero("attempts", trial.attempts),
            ...unlessZero("minRequests", trial.minRequests),
            ...(trial.confirmByHost ? { confirmByHost: true } : {}),
            ...unlessZero("maxGuardHits", trial.maxGuardHits),
          },
        }
      : {}),
    ...(manifest.onTrap === "failSafe" ? { onTrap: edgeplug.TrapPolicy.TRAP_POLICY_FAIL_SAFE } : {}),
    ...unlessZero("stateId", manifest.stateId),
    ...unlessZero("scanDivider", manifest.scanDivider),
  });
  // protobufjs gives a Buffer in Node, whose slice() shares memory
  return Uint8Array.from(message.finish());
}

function unlessZero<K extends string>(key: K, value: number): Partial<Record<K, number>> {
  return value === 0 ? {} : ({ [key]: value } as Record<K, number>);
}

function unlessEmpty<K extends string>(key: K, value: string): Partial<Record<K, string>> {
  return value === "" ? {} : ({ [key]: value } as Record<K, string>);
}

/** Decodes manifest bytes and checks them as a board does. Throws MANIFEST, ABI, MEMORY, FUEL, CHANNELS or PACKAGE_TOO_LARGE. */
export function decodeManifest(bytes: Uint8Array): AgentManifest {
  if (bytes.length === 0) throw bad("it is empty");
  if (bytes.length > MANIFEST_MAX)
    throw bad(`it takes ${bytes.length} bytes, and a slot holds ${MANIFEST_MAX}`);
  let message: edgeplug.Manifest;
  try {
    message = edgeplug.Manifest.decode(bytes);
  } catch (error) {
    throw new EdgePlugError("MANIFEST", "The manifest can't be decoded.", { cause: error });
  }
  const manifest = fromMessage(message);
  checkManifest(manifest);
  return manifest;
}

function fromMessage(message: edgeplug.Manifest): AgentManifest {
  const kind = kindName(message.kind);
  const limits = message.limits ?? {};
  const guards = message.guards ?? {};
  const trial = message.trial ?? {};
  return {
    format: message.format,
    name: message.name,
    version: message.version,
    kind,
    boardClass: message.boardClass,
    abi: message.abi,
    release: message.release,
    securityVersion: message.securityVersion,
    payloadSize: message.payloadSize,
    payloadCrc32: message.payloadCrc32,
    payloadSha512: Uint8Array.from(message.payloadSha512),
    limits: {
      memory: limits.memoryBytes ?? 0,
      stackSlots: limits.stackSlots ?? 0,
      callDepth: limits.callDepth ?? 0,
      fuel: limits.fuel ?? 0,
      initFuel: limits.initFuel ?? 0,
      ioBuffer: limits.ioBufferBytes ?? 0,
    },
    inputs: message.inputs,
    outputs: message.outputs,
    guards: {
      min: [...(guards.min ?? [])],
      max: [...(guards.max ?? [])],
      slew: [...(guards.slew ?? [])],
      failSafe: [...(guards.failSafe ?? [])],
    },
    trial: {
      healthyScans: trial.healthyScans ?? 0,
      deadlineScans: trial.deadlineScans ?? 0,
      attempts: trial.attempts ?? 0,
      minRequests: trial.minRequests ?? 0,
      confirmByHost: trial.confirmByHost ?? false,
      maxGuardHits: trial.maxGuardHits ?? 0,
    },
    onTrap: trapPolicyName(message.onTrap),
    stateId: message.stateId,
    scanDivider: message.scanDivider,
  };
}

function kindName(kind: edgeplug.AgentKind): AgentKindName {
  if (kind === edgeplug.AgentKind.AGENT_KIND_CONTROL) return "control";
  if (kind === edgeplug.AgentKind.AGENT_KIND_REQUEST) return "request";
  throw bad(`its kind ${String(kind)} is unknown`);
}

function trapPolicyName(policy: edgeplug.TrapPolicy): TrapPolicyName {
  if (policy === edgeplug.TrapPolicy.TRAP_POLICY_HOLD) return "hold";
  if (policy === edgeplug.TrapPolicy.TRAP_POLICY_FAIL_SAFE) return "failSafe";
  throw bad(`its trap policy ${String(policy)} is unknown`);
}

function bad(what: string): EdgePlugError {
  return new EdgePlugError("MANIFEST", `The manifest is not right: ${what}.`);
}

/** Whether the manifest contradicts itself or asks for more than any board has. */
export function checkManifest(manifest: AgentManifest): void {
  if (manifest.format !== MANIFEST_FORMAT)
    throw bad(`its format is ${manifest.format}, and this version knows ${MANIFEST_FORMAT}`);
  if (manifest.abi !== ABI)
    throw new EdgePlugError(
      "ABI",
      `The package needs runtime ABI ${manifest.abi}, and this version knows ${ABI}.`,
    );
  checkText("name", manifest.name, NAME_MAX);
  checkText("version", manifest.version, VERSION_MAX);
  if (manifest.name === "") throw bad("it has no name");
  if (manifest.payloadSha512.length !== 64) throw bad("its SHA-512 does not have 64 bytes");
  if (manifest.payloadSize === 0) throw bad("its payload size is 0");
  if (manifest.payloadSize > PAYLOAD_MAX)
    throw new EdgePlugError(
      "PACKAGE_TOO_LARGE",
      `The module takes ${manifest.payloadSize} bytes, and a slot holds ${PAYLOAD_MAX}.`,
      { detail: manifest.payloadSize },
    );
  checkLimits(manifest.limits);
  if (manifest.inputs > INPUTS_MAX || manifest.outputs > OUTPUTS_MAX)
    throw new EdgePlugError(
      "CHANNELS",
      `The agent uses ${manifest.inputs} inputs and ${manifest.outputs} outputs; boards have at most ` +
        `${INPUTS_MAX} and ${OUTPUTS_MAX}.`,
    );
  checkGuards(manifest.guards, manifest.outputs);
  checkTrial(manifest.trial);
}

function checkTrial(trial: AgentTrial): void {
  if (trial.attempts > ATTEMPTS_MAX)
    throw bad(`its trial has ${trial.attempts} attempts, more than ${ATTEMPTS_MAX}`);
  const healthy = trial.healthyScans || TRIAL_DEFAULTS.healthyScans;
  const deadline = trial.deadlineScans || TRIAL_DEFAULTS.deadlineScans;
  if (healthy > deadline)
    throw bad(`its trial asks for ${healthy} healthy scans within a deadline of ${deadline}`);
}

function checkText(field: string, text: string, max: number): void {
  const size = Buffer.byteLength(text);
  if (size > max) throw bad(`its ${field} takes ${size} bytes, more than ${max}`);
  if (printable(text) !== text) throw bad(`its ${field} has control characters`);
}

function checkLimits(limits: AgentLimits): void {
  const memory: [string, number, number][] = [
    ["bytes of memory", limits.memory, MAX_MEMORY],
    ["stack slots", limits.stackSlots, MAX_STACK_SLOTS],
    ["nested calls", limits.callDepth, MAX_CALL_DEPTH],
    ["bytes of io buffer", limits.ioBuffer, MAX_IO_BUFFER],
  ];
  for (const [what, value, max] of memory)
    if (value > max)
      throw new EdgePlugError("MEMORY", `The agent asks for ${value} ${what}; boards have at most ${max}.`, {
        detail: value,
      });
  if (limits.memory % 8 !== 0) throw bad(`its memory of ${limits.memory} bytes is no multiple of 8`);
  if (limits.stackSlots === 0 || limits.callDepth === 0 || limits.fuel === 0)
    throw bad("stack slots, call depth or fuel are missing from its limits");
  const fuel = Math.max(limits.fuel, limits.initFuel);
  if (fuel > MAX_FUEL)
    throw new EdgePlugError("FUEL", `The agent asks for ${fuel} fuel; boards give at most ${MAX_FUEL}.`, {
      detail: fuel,
    });
}

function checkGuards(guards: AgentGuards, outputs: number): void {
  for (const [name, list] of Object.entries(guards) as [string, number[]][]) {
    if (list.length !== 0 && list.length !== outputs)
      throw bad(`it has ${list.length} values of ${name} for ${outputs} outputs`);
    if (list.some(Number.isNaN)) throw bad(`a value of ${name} is no number`);
  }
  guards.min.forEach((min, channel) => {
    if (min > (guards.max[channel] ?? Infinity)) throw bad(`output ${channel} has a min above its max`);
  });
  if (guards.slew.some((slew) => slew < 0)) throw bad("a slew rate is negative");
}
