/** What came of some scans. */
import type { AgentConfig, ChannelConfig } from "../agent/config.js";
import type { AgentTrap } from "../agent/trap.js";
import { EdgePlugError } from "../errors.js";

export interface Scan {
  /** From 1. */
  scan: number;
  /** What now_us() answered. */
  micros: number;
  inputs: readonly number[];
  /** What the agent wrote. */
  wanted: readonly number[];
  /** What the machine got: within the guards, and after a trap what agent.json says for it. */
  outputs: readonly number[];
  /** Outputs that a guard had to change. */
  guardHits: number;
  fuel: number;
  log: readonly string[];
  trap?: AgentTrap;
}

export interface SimulationEvent {
  kind: "log" | "guard" | "trap";
  scan: number;
  text: string;
  /** Of a trap. */
  trap?: AgentTrap;
}

/** Some scans, one after the other. */
export class Run {
  constructor(
    readonly config: AgentConfig,
    readonly scans: readonly Scan[],
    readonly events: readonly SimulationEvent[],
  ) {}

  /** One value a scan: what the machine got on this output, by name or number. */
  output(channel: string | number): number[] {
    const at = channelIndex(this.config.outputs, channel);
    return this.scans.map(({ outputs }) => outputs[at] ?? NaN);
  }

  /** The same before the guards. */
  wanted(channel: string | number): number[] {
    const at = channelIndex(this.config.outputs, channel);
    return this.scans.map(({ wanted }) => wanted[at] ?? NaN);
  }

  input(channel: string | number): number[] {
    const at = channelIndex(this.config.inputs, channel);
    return this.scans.map(({ inputs }) => inputs[at] ?? NaN);
  }

  /** Lines that the agent logged. */
  get log(): string[] {
    return this.scans.flatMap(({ log }) => log);
  }

  get worstFuel(): number {
    return this.scans.reduce((worst, { fuel }) => Math.max(worst, fuel), 0);
  }

  get guardHits(): number {
    return this.scans.reduce((sum, { guardHits }) => sum + guardHits, 0);
  }

  /** Traps, where they are reported and not thrown. */
  get traps(): AgentTrap[] {
    return this.scans.flatMap(({ trap }) => trap ?? []);
  }
}

/** Throws INPUT_DATA for a channel that is not there. */
export function channelIndex(channels: readonly ChannelConfig[], channel: string | number): number {
  const index = typeof channel === "number" ? channel : channels.findIndex(({ name }) => name === channel);
  if (channels[index] !== undefined) return index;
  const names = channels.map(({ name }) => `"${name}"`).join(", ");
  const has = names === "" ? "the agent has none there" : `there are ${names}`;
  throw new EdgePlugError("INPUT_DATA", `There is no channel ${JSON.stringify(channel)}: ${has}.`);
}
