/** Options of commands that work on a gateway's state folder. */
import { Command, InvalidArgumentError } from "commander";

import { readConfig } from "../gateway/config.js";

export interface StateOptions {
  state?: string;
  config?: string;
  json?: boolean;
}

const UNITS: Readonly<Record<string, number>> = {
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};

export function withStateFolder(command: Command): Command {
  return command
    .option("--state <folder>", "the gateway's state folder (default: as `edgeplug gateway` takes it)")
    .option("--config <file>", "the gateway's configuration file, which names the folder")
    .option("--json", "print one JSON object");
}

export function stateFolder({ state, config }: StateOptions): string {
  return readConfig({ flags: { state }, file: config }).state;
}

/** For commander: `12h`, `30d`, `2w`, `1y` in milliseconds. */
export function duration(text: string): number {
  const [, digits, unit = ""] = /^(\d{1,4})([hdwy])$/.exec(text) ?? [];
  const value = Number(digits) * (UNITS[unit] ?? Number.NaN);
  if (!(value > 0)) throw new InvalidArgumentError("Expected a time such as 12h, 30d, 2w or 1y.");
  return value;
}

/** `2026-11-21 14:50`, or what stands for never. */
export function when(time: string | null, never = "never"): string {
  return time === null ? never : time.slice(0, 16).replace("T", " ");
}
