/** Where an agent's inputs come from: numbers, lists, functions, tables; by channel or all at once. */
import type { ChannelConfig } from "../agent/config.js";
import { EdgePlugError } from "../errors.js";
import { CsvTable } from "./csv.js";

/**
 * One channel: a number that stays; a list with a value for each scan, the last of which stays; or a function of the scan,
 * counted from 1, and of the seconds since the first one.
 */
export type Signal = number | readonly number[] | ((scan: number, seconds: number) => number);

/** All channels: by name, in order, from a table, or as a function that gives the values of one scan in channel order. */
export type Inputs =
  | Readonly<Record<string, Signal>>
  | readonly Signal[]
  | CsvTable
  | ((scan: number, seconds: number) => readonly number[]);

/** Values of all channels for one scan. */
export type InputRow = (scan: number, seconds: number) => readonly number[];

export interface InputSource {
  row: InputRow;
  /** Scans until the longest list ends; undefined if nothing ends. */
  length: number | undefined;
}

/** Throws INPUT_DATA for channels that the agent doesn't have, and for what a table lacks. */
export function inputSource(inputs: Inputs, channels: readonly ChannelConfig[]): InputSource {
  if (typeof inputs === "function") return { row: inputs, length: undefined };
  const signals = signalsOf(inputs, channels);
  const lengths = signals.filter(isList).map((list) => list.length);
  if (lengths.includes(0)) throw new EdgePlugError("INPUT_DATA", "A list of inputs is empty.");
  return {
    row: (scan, seconds) => signals.map((signal) => valueOf(signal, scan, seconds)),
    length: lengths.length === 0 ? undefined : Math.max(...lengths),
  };
}

function signalsOf(
  inputs: Exclude<Inputs, (scan: number, seconds: number) => readonly number[]>,
  channels: readonly ChannelConfig[],
): readonly Signal[] {
  if (inputs instanceof CsvTable) return fromTable(inputs, channels);
  if (isList(inputs)) {
    if (inputs.length > channels.length)
      throw new EdgePlugError(
        "INPUT_DATA",
        `There are inputs for ${inputs.length} channels, and the agent has ${channels.length}.`,
      );
    return inputs as readonly Signal[];
  }
  const named = inputs as Readonly<Record<string, Signal>>;
  const strange = Object.keys(named).find((name) => channels.every((channel) => channel.name !== name));
  if (strange !== undefined)
    throw new EdgePlugError("INPUT_DATA", `The agent has no input "${strange}"; ${known(channels)}.`);
  return channels.map(({ name }) => named[name] ?? 0);
}

/** By name where the table has names, so that a logger's other columns do no harm; else by place. */
function fromTable(table: CsvTable, channels: readonly ChannelConfig[]): readonly Signal[] {
  const { names, columns, name: file } = table;
  if (names === undefined) {
    if (columns.length < channels.length)
      throw new EdgePlugError(
        "INPUT_DATA",
        `${file} has ${columns.length} columns and no names; the agent has ${channels.length} inputs.`,
      );
    return columns.slice(0, channels.length);
  }
  return channels.map((channel) => {
    const column = columns[names.indexOf(channel.name)];
    if (column === undefined)
      throw new EdgePlugError(
        "INPUT_DATA",
        `${file} has no column "${channel.name}"; its columns are ${names.map((one) => `"${one}"`).join(", ")}.`,
      );
    return column;
  });
}

function known(channels: readonly ChannelConfig[]): string {
  if (channels.length === 0) return "it has none";
  return `its inputs are ${channels.map(({ name }) => `"${name}"`).join(", ")}`;
}

function valueOf(signal: Signal, scan: number, seconds: number): number {
  if (typeof signal === "number") return signal;
  if (typeof signal === "function") return signal(scan, seconds);
  return signal[Math.min(scan, signal.length) - 1] ?? 0;
}

function isList(value: unknown): value is readonly number[] {
  return Array.isArray(value);
}
