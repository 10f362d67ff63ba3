/**
 * What the engine and its interface leave out on purpose: left-out.json, the one list. The runner counts by it, the page
 * docs/wasm.md shows it, and an assertion that doesn't hold for any other reason is a failure.
 */
import { readFileSync } from "node:fs";

import type { Action, Value } from "./script.js";
import { showValue } from "./values.js";

/** What a command needs that can't be had, where no reply of the image says so. */
export type Need = "text" | "linking" | "globals";

/** An assertion whose outcome is another one because of it. */
export interface Difference {
  /** The script's name. */
  readonly script: string;
  /** As showCall() has it; of a module that is to be refused, the kind of assertion. */
  readonly call: string;
  readonly expected: string;
  readonly actual: string;
}

export interface LeftOut {
  readonly id: string;
  /** In words, as the page has it. */
  readonly what: string;
  readonly why: string;
  /** Of the suite below. */
  readonly assertions: number;
  /** Beginnings of the replies by which the engine refuses a module for it. */
  readonly replies?: readonly string[];
  readonly need?: Need;
  readonly differences?: readonly Difference[];
}

export interface LeftOutList {
  /** The tests by which it was counted. */
  readonly suite: {
    readonly source: string;
    readonly commit: string;
    readonly assertions: number;
    readonly passed: number;
  };
  readonly leftOut: readonly LeftOut[];
}

export const LEFT_OUT_FILE = new URL("../left-out.json", import.meta.url);

export function readLeftOut(): LeftOutList {
  return JSON.parse(readFileSync(LEFT_OUT_FILE, "utf8")) as LeftOutList;
}

/** `field(arguments)`, arguments as showValue() has them. */
export function showCall({ field, args }: Action): string {
  return `${field}(${args.map(showValue).join(", ")})`;
}

export function showValues(values: readonly Value[]): string {
  return values.length === 0 ? "nothing" : values.map(showValue).join(", ");
}

/** Answers by which entry of the list something may be left out; undefined: by none. */
export class Excuses {
  constructor(private readonly list: readonly LeftOut[]) {}

  /** For a module that the engine refused with this reply. */
  refused(reply: string): string | undefined {
    return this.list.find(({ replies = [] }) => replies.some((each) => reply.startsWith(each)))?.id;
  }

  /** For a command that needs more than the interface has. */
  needing(need: Need): string | undefined {
    return this.list.find((each) => each.need === need)?.id;
  }

  differing(difference: Difference): string | undefined {
    const fields = Object.keys(difference) as (keyof Difference)[];
    return this.list.find(({ differences = [] }) =>
      differences.some((each) => fields.every((field) => each[field] === difference[field])),
    )?.id;
  }
}
