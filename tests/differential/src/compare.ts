/** One module in both engines, call by call. */
import {
  invokeRequest,
  moduleRequest,
  outcomeOf,
  type Outcome,
} from "@edgeplug/conformance-suite/dist/requests.js";

import { FUEL, HASH, MIXED, TABLE, callableExports, globalName, twin, type CallableExport } from "./adapt.js";
import { writeModule, type Module } from "./binary.js";
import { anyValue } from "./operations.js";
import type { Random } from "./random.js";
import { V8, agree, trapOf } from "./v8.js";

/** What answers requests: a conformance image. */
export interface Image {
  /** The `answers` lines that answer all requests in `bytes`. */
  requests(bytes: Uint8Array, answers: number): Promise<string[]>;
}

export interface Call {
  readonly name: string;
  /** Raw bits. */
  readonly args: readonly bigint[];
}

export interface Difference {
  /** Undefined: loading, or the start function. */
  readonly call: Call | undefined;
  /** Its place in the list of calls. */
  readonly index: number;
  readonly engine: string;
  readonly v8: string;
}

export interface Comparison {
  /** "limit": over one of the engine's. "start": it traps while it is made, in both alike. */
  readonly end: "compared" | "limit" | "start";
  readonly difference: Difference | undefined;
  /** Calls whose outcomes were compared, and how many of them were traps. */
  readonly calls: number;
  readonly traps: number;
  /** The engine had no more stack, so that what comes behind that call can't be compared. */
  readonly exhausted: boolean;
}

const EXHAUSTED = "call stack exhausted";
const ROUNDS = 3;
/** Elements of the table that are called. */
const MOST_ASKED = 16;
/** Rounds of loops and calls of a call that is compared: more than Binaryen lets its functions make. */
const FUEL_PER_CALL = 400;

/** Every export several times, with what it left behind, and at the end all globals and the memory. */
export function callsOf(module: Module, random: Random): Call[] {
  const exports = callableExports(module);
  const has = new Set(exports.map(({ name }) => name));
  const own = exports.filter(({ name }) => !name.startsWith("#"));
  const calls: Call[] = [];
  for (let round = 0; round < ROUNDS; round++)
    for (const { name, params } of own) {
      calls.push({ name: FUEL, args: [BigInt(FUEL_PER_CALL)] });
      calls.push({ name, args: params.map((type) => anyValue(random, type)) });
      calls.push({ name: MIXED, args: [] });
    }
  // what lies in the table shows when it is called
  for (const { name } of exports.filter((item) => item.name.startsWith(TABLE)))
    for (let at = 0; at < Math.min(module.tables[0]?.min ?? 0, MOST_ASKED); at++) {
      calls.push({ name: FUEL, args: [BigInt(FUEL_PER_CALL)] });
      calls.push({ name, args: [BigInt(at)] });
    }
  if (has.has(MIXED)) calls.push({ name: MIXED, args: [] });
  const asked = [...module.globals.keys()].map(globalName).concat(HASH);
  return [...calls, ...asked.filter((name) => has.has(name)).map((name) => ({ name, args: [] }))];
}

function text({ trap, results }: Outcome): string {
  return trap === undefined ? `r ${(results ?? []).map((bits) => bits.toString(16)).join(" ")}` : `t ${trap}`;
}

export async function compare(image: Image, module: Module, calls: readonly Call[]): Promise<Comparison> {
  const nothing = { difference: undefined, calls: 0, traps: 0, exhausted: false };
  const bytes = writeModule(module);
  const reference = twin(module);
  const requests = [moduleRequest(bytes), ...calls.map(({ name, args }) => invokeRequest(name, args))];
  const answers = image.requests(Buffer.concat(requests), requests.length);
  let v8: V8 | undefined;
  let start = "ok";
  try {
    v8 = new V8(writeModule(reference));
  } catch (error) {
    start = trapOf(error);
  }
  const [loaded = "", ...lines] = await answers;
  if (loaded.startsWith("err limit")) return { ...nothing, end: "limit" };
  if (loaded === `err trap ${EXHAUSTED}`) return { ...nothing, end: "start", exhausted: true };
  if (v8 === undefined || loaded !== "ok") {
    const same = start.split("|").some((trap) => loaded.startsWith(`err trap ${trap}`));
    if (same && v8 === undefined) return { ...nothing, end: "start" };
    return {
      ...nothing,
      end: "compared",
      difference: { call: undefined, index: -1, engine: loaded, v8: start },
    };
  }
  const exports = new Map(callableExports(reference).map((item) => [item.name, item]));
  let traps = 0;
  for (const [index, call] of calls.entries()) {
    const line = lines[index] ?? "";
    const engine = outcomeOf(line);
    const other = v8.call(exports.get(call.name) as CallableExport, call.args);
    if (engine === undefined || !agree(engine, other)) {
      if (engine?.trap === EXHAUSTED)
        return { end: "compared", difference: undefined, calls: index, traps, exhausted: true };
      const difference = { call, index, engine: line, v8: text(other) };
      return { end: "compared", difference, calls: index + 1, traps, exhausted: false };
    }
    if (engine.trap !== undefined) traps++;
  }
  return { end: "compared", difference: undefined, calls: calls.length, traps, exhausted: false };
}
