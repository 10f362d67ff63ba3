/**
 * A package for while an agent is being written. It carries the module that `build` makes, byte for byte, under rules of its
 * own, so that saving again and again never meets the rules that guard what is shipped:
 *
 * - Its name ends in `~dev`. Boards compare releases only between packages of one name, so no number that it carries
 *   stands in the way of the package that `pack` makes afterwards, and nobody takes it for that one.
 * - Its release is one more than that of any package of its name on the board. So each is new to the board's release rule and
 *   to its spent list, the one that brings back what ran before as well.
 * - Its trial is over after a fifth of a second, while the next change is still being compiled: a board in a trial takes no
 *   other package. It needs nobody's word, since on a locked board that would be an operator's.
 */
import { packAgent, signPackage } from "../agent/pack.js";
import { MAX_FUEL } from "../generated/limits.js";
import { NAME_MAX, TRIAL_DEFAULTS, type AgentKindName, type AgentTrial } from "../manifest.js";
import type { AgentPackage } from "../package.js";
import type { Hello, SlotInfo } from "../session/messages.js";
import type { Signer } from "../signer/signer.js";
import type { BuiltModule } from "./compiler.js";

export interface DevPackageOptions {
  release: number;
  /** What the board says of itself. */
  hello: Pick<Hello, "nanosPerFuel" | "tickUs">;
  /** A publisher's key. */
  signer?: Signer | undefined;
  signal?: AbortSignal | undefined;
}

const DEV_SUFFIX = "~dev";
const DEV_TRIAL_TICKS = 200;
/** Over the worst case that was seen: fewer scans are checked than `build` does, and the next change may take more. */
const FUEL_MARGIN = 2;
/** What of a scan may be spent on that margin, so that the agents before and after still fit in beside it. */
const FUEL_SHARE = 0.35;
const NANOS_PER_MICRO = 1000;

/** `my-agent~dev`, no longer than boards take names. */
export function devName(name: string): string {
  return `${cut(name, NAME_MAX - DEV_SUFFIX.length)}${DEV_SUFFIX}`;
}

/** Throws what packAgent() and the signer throw. */
export async function devPackage(
  { config, ownFuel, wasm, check }: BuiltModule,
  { release, hello, signer, signal }: DevPackageOptions,
): Promise<AgentPackage> {
  const { kind, limits, trial, scanDivider } = config;
  const fuel = limits.fuel ?? 0;
  const rules = {
    name: devName(config.name),
    release,
    trial: devTrial(trial, scanDivider),
    limits: { ...limits, fuel: ownFuel ? fuel : roomyFuel(fuel, check.worstFuel, kind, hello) },
  };
  const pkg = packAgent({ ...config, ...rules }, wasm);
  return signer === undefined ? pkg : signPackage(pkg, signer, signal);
}

/** Guards are watched as ever; agents that scan seldom get to do it twice. */
function devTrial(own: AgentTrial, scanDivider: number): AgentTrial {
  const healthyScans = Math.min(
    own.healthyScans || TRIAL_DEFAULTS.healthyScans,
    Math.max(DEV_TRIAL_TICKS, 2 * scanDivider),
  );
  return { ...own, healthyScans, minRequests: 0, confirmByHost: false };
}

function roomyFuel(
  measured: number,
  worst: number,
  kind: AgentKindName,
  { tickUs, nanosPerFuel }: DevPackageOptions["hello"],
): number {
  const share = kind === "request" ? MAX_FUEL : (tickUs * NANOS_PER_MICRO * FUEL_SHARE) / nanosPerFuel;
  return Math.max(measured, Math.floor(Math.min(worst * FUEL_MARGIN, share, MAX_FUEL)));
}

/** As many bytes of UTF-8 at most, whole characters. */
function cut(text: string, bytes: number): string {
  let kept = "";
  for (const character of text) {
    if (Buffer.byteLength(kept + character) > bytes) break;
    kept += character;
  }
  return kept;
}

/** The release by which the next package of an agent is new to a board that has these slots. */
export function nextRelease(agent: string, slots: readonly Pick<SlotInfo, "name" | "release">[]): number {
  const own = slots.filter(({ name }) => name === devName(agent));
  return 1 + Math.max(0, ...own.map(({ release }) => release));
}
