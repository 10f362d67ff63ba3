/**
 * What stands between a package and a board: compatibility, performance, security, correctness. All of it on this machine,
 * before a byte is sent; a board that is given adds its own rules, and looks again by itself when it is pushed to.
 */
import { MEMORY_MAPS } from "@edgeplug/sim";

import { inspectModule } from "../agent/inspect-module.js";
import { packagedConfig } from "../agent/packaged.js";
import type { AgentConfig, ChannelConfig } from "../agent/config.js";
import { EdgePlugError } from "../errors.js";
import { SCAN_SHARE, type Check, type Foresight } from "../foresee.js";
import {
  ABI,
  MAX_CALL_DEPTH,
  MAX_FUEL,
  MAX_IO_BUFFER,
  MAX_MEMORY,
  MAX_STACK_SLOTS,
} from "../generated/limits.js";
import { boardName, type AgentManifest } from "../manifest.js";
import { count, plural } from "../numbers.js";
import type { AgentPackage, SignatureStatus } from "../package.js";
import type { Hello } from "../session/messages.js";
import type { Correctness } from "./correctness.js";

export const GROUPS = ["compatibility", "performance", "security", "correctness"] as const;
export type Group = (typeof GROUPS)[number];

export interface StagingCheck {
  group: Group;
  name: string;
  /** `open`: can't be known from here. */
  verdict: "ok" | "warning" | "failed" | "open";
  text: string;
  /** Of a failed one. */
  error?: EdgePlugError;
}

export interface Situation {
  pkg: AgentPackage;
  /** A signature that doesn't hold has been thrown before. */
  signature: SignatureStatus;
  correctness: Correctness;
  /** The agent that runs now, or one that is meant to. */
  present?: AgentPackage | undefined;
  /** Of the board, if one is given. */
  hello?: Hello | undefined;
  foresight?: Foresight | undefined;
}

/** More than this share of the present agent's fuel is a warning. */
const FUEL_GROWTH = 1.5;
/** Less room than this to the limit is a warning: inputs of the field are not those of the checks. */
const FUEL_MARGIN = 0.1;
const NANOS_PER_MICRO = 1000;

/** In the order of the groups. */
export function stagingChecks(situation: Situation): StagingCheck[] {
  const { foresight } = situation;
  const told = (group: Group, ...names: string[]): StagingCheck[] =>
    (foresight?.checks ?? [])
      .filter(({ name }) => names.includes(name))
      .map((check) => ofBoard(group, check));
  return [
    abi(situation),
    boardClass(situation),
    memory(situation),
    ...channels(situation),
    ...told("compatibility", "board", "memory"),
    scanTime(situation),
    ...growth(situation),
    worstScan(situation),
    ...told("performance", "fuel"),
    imports(situation),
    signature(situation),
    version("release", situation),
    version("securityVersion", situation),
    ...told("security", "journal", "update", "signature", "security", "release", "spent list"),
    ...correctness(situation),
  ];
}

/** The board's rule, as far as the board tells what it depends on. */
function ofBoard(group: Group, { name, text, error }: Check): StagingCheck {
  return { group, name: `board: ${name}`, ...verdictOf(error), text };
}

function verdictOf(error: EdgePlugError | undefined): Pick<StagingCheck, "verdict" | "error"> {
  return error === undefined ? { verdict: "ok" } : { verdict: "failed", error };
}

function abi({ pkg: { manifest } }: Situation): StagingCheck {
  const fits = manifest.abi === ABI;
  const text = fits
    ? `${manifest.abi}`
    : `${manifest.abi}; this tool, and boards of its version, have ${ABI}`;
  return {
    group: "compatibility",
    name: "ABI",
    text,
    ...verdictOf(fits ? undefined : new EdgePlugError("ABI")),
  };
}

function boardClass({ pkg: { manifest }, hello }: Situation): StagingCheck {
  const fits = hello === undefined || manifest.boardClass === 0 || manifest.boardClass === hello.boardClass;
  const beside = hello === undefined ? "" : `, the board is ${boardName(hello.boardClass)}`;
  const text = `for ${boardName(manifest.boardClass)}${beside}`;
  const error = fits ? undefined : new EdgePlugError("BOARD_CLASS");
  return { group: "compatibility", name: "board class", text, ...verdictOf(error) };
}

function memory({ pkg: { manifest }, hello }: Situation): StagingCheck {
  const { limits } = manifest;
  const most = hello?.maxMemory ?? MAX_MEMORY;
  const fits =
    limits.memory <= most &&
    limits.stackSlots <= MAX_STACK_SLOTS &&
    limits.callDepth <= MAX_CALL_DEPTH &&
    limits.ioBuffer <= MAX_IO_BUFFER;
  const text =
    `${count(limits.memory)} of ${count(most)} bytes, ${limits.stackSlots} of ${MAX_STACK_SLOTS} stack slots, ` +
    `${limits.callDepth} of ${MAX_CALL_DEPTH} calls deep`;
  return {
    group: "compatibility",
    name: "memory",
    text,
    ...verdictOf(fits ? undefined : new EdgePlugError("MEMORY")),
  };
}

/** Against the present agent's: a machine is wired to channels, and their numbers say nothing of what hangs there. */
function channels({ pkg, present }: Situation): StagingCheck[] {
  const check = { group: "compatibility", name: "channels" } as const;
  const own = packagedConfig(pkg);
  const shape = `${plural(own.inputs.length, "input")}, ${plural(own.outputs.length, "output")}`;
  if (present === undefined)
    return [{ ...check, verdict: "open", text: `${shape}; no present agent to compare with` }];
  const before = packagedConfig(present);
  const differences = [
    ...compareChannels("input", before.inputs, own.inputs),
    ...compareChannels("output", before.outputs, own.outputs),
  ];
  if (differences.length === 0)
    return [{ ...check, verdict: "ok", text: `${shape}, as of ${label(before)}` }];
  return differences.map((text) => ({ ...check, verdict: "warning", text: `${text} (${label(before)})` }));
}

function label({ name, version: number }: AgentConfig): string {
  return `${name} ${number}`;
}

function compareChannels(
  kind: string,
  before: readonly ChannelConfig[],
  now: readonly ChannelConfig[],
): string[] {
  const called = ({ name, unit }: ChannelConfig): string => (unit === "" ? name : `${name} (${unit})`);
  return Array.from({ length: Math.max(before.length, now.length) }, (_, at) => {
    const [old, own] = [before[at], now[at]];
    if (old === undefined) return own === undefined ? "" : `${kind} ${at} is new: ${called(own)}`;
    if (own === undefined) return `${kind} ${at} is gone: ${called(old)}`;
    return called(old) === called(own) ? "" : `${kind} ${at} was ${called(old)}, is ${called(own)}`;
  }).filter((text) => text !== "");
}

/** As Begin does it: both agents' fuel, since a candidate may run beside the active one. */
function scanTime({ pkg: { manifest }, present, hello }: Situation): StagingCheck {
  const own = scanFuel(manifest);
  const other = present === undefined ? 0 : scanFuel(present.manifest);
  const { nanosPerFuel, tickUs, whose } =
    hello === undefined ? speedOf(manifest.boardClass) : { ...hello, whose: "the board" };
  const share = ((own + other) * nanosPerFuel) / (tickUs * NANOS_PER_MICRO);
  const beside = other === 0 ? "" : ` and ${count(other)} of the present agent`;
  const text =
    `${count(own)} fuel${beside}: ${(share * 100).toFixed(1)} % of a scan on ${whose} ` +
    `(${nanosPerFuel} ns a fuel), at most ${SCAN_SHARE} %`;
  const fits =
    share * 100 <= SCAN_SHARE && manifest.limits.fuel <= MAX_FUEL && manifest.limits.initFuel <= MAX_FUEL;
  return {
    group: "performance",
    name: "scan time",
    text,
    ...verdictOf(fits ? undefined : new EdgePlugError("FUEL")),
  };
}

/** Requests are served in the main loop, below the scan. */
function scanFuel({ kind, limits }: AgentManifest): number {
  return kind === "control" ? limits.fuel : 0;
}

/** Of the class that it is for; of the slowest board for one that any takes. */
function speedOf(wanted: number): { nanosPerFuel: number; tickUs: number; whose: string } {
  const boards = Object.values(MEMORY_MAPS).filter(({ boardClass: own }) => wanted === 0 || own === wanted);
  const [slowest] = boards.sort((a, b) => b.nanosPerFuel - a.nanosPerFuel);
  if (slowest === undefined)
    return { nanosPerFuel: 0, tickUs: 1000, whose: "a board that this tool doesn't know" };
  return { nanosPerFuel: slowest.nanosPerFuel, tickUs: slowest.tickMicros, whose: slowest.board };
}

function growth({ pkg: { manifest }, present }: Situation): StagingCheck[] {
  if (present === undefined || present.manifest.kind !== manifest.kind) return [];
  const { name, version: number, limits } = present.manifest;
  const ratio = manifest.limits.fuel / limits.fuel;
  const text = `${count(manifest.limits.fuel)} fuel, ${count(limits.fuel)} of ${name} ${number}: ${ratio.toFixed(2)} ×`;
  const verdict = ratio > FUEL_GROWTH ? "warning" : "ok";
  return [{ group: "performance", name: "growth", verdict, text }];
}

function worstScan({ pkg: { manifest }, correctness: { figures } }: Situation): StagingCheck {
  const check = { group: "performance", name: "worst scan" } as const;
  if (figures === undefined) return { ...check, verdict: "open", text: "its runs did not come to their end" };
  const { worstFuel, runs } = figures;
  const margin = 1 - worstFuel / manifest.limits.fuel;
  const unit = manifest.kind === "control" ? "scan" : "request";
  const text =
    `${count(worstFuel)} of ${count(manifest.limits.fuel)} fuel in ${plural(runs, unit)}: ` +
    `a margin of ${(margin * 100).toFixed(1)} %`;
  return { ...check, verdict: margin < FUEL_MARGIN ? "warning" : "ok", text };
}

function imports({ pkg: { manifest, payload } }: Situation): StagingCheck {
  const check = { group: "security", name: "imports" } as const;
  try {
    const { kind, limits, stateId } = manifest;
    const outline = inspectModule(payload, { kind, ioBuffer: limits.ioBuffer, stateId });
    const names = outline.imports.map(({ module, name }) => `${module}.${name}`);
    return { ...check, verdict: "ok", text: names.length === 0 ? "none" : names.join(", ") };
  } catch (error) {
    return {
      ...check,
      verdict: "failed",
      text: "not only what boards offer",
      error: EdgePlugError.from(error),
    };
  }
}

function signature({ pkg: { keyId }, signature: status }: Situation): StagingCheck {
  const check = { group: "security", name: "signature" } as const;
  const key = Buffer.from(keyId).toString("hex");
  if (status === "verified") return { ...check, verdict: "ok", text: `holds, by key ${key}` };
  if (status === "unverified")
    return { ...check, verdict: "open", text: `by key ${key}; pass it with --key to check it` };
  return { ...check, verdict: "warning", text: "none: only open boards take it" };
}

function version(
  field: "release" | "securityVersion",
  { pkg: { manifest }, present }: Situation,
): StagingCheck {
  const name = field === "release" ? "release" : "security version";
  const check = { group: "security", name } as const;
  const own = manifest[field];
  if (present === undefined) return { ...check, verdict: "ok", text: `${own}` };
  const other = present.manifest[field];
  const text = `${own}, the present agent's is ${other}`;
  // releases are counted by name; the board's floor of security versions by no name at all
  const lower = own < other && (field === "securityVersion" || manifest.name === present.manifest.name);
  const code = field === "release" ? "RELEASE" : "SECURITY_VERSION";
  return { ...check, text, ...verdictOf(lower ? new EdgePlugError(code) : undefined) };
}

function correctness({ correctness: { engines } }: Situation): StagingCheck[] {
  return engines.map(({ name, text, error, skipped }) => ({
    group: "correctness",
    name,
    text,
    ...(skipped ? { verdict: "open" as const } : verdictOf(error)),
  }));
}
