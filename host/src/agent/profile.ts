/** What a module is made of, and what it takes when it runs. */
import { EdgePlugError } from "../errors.js";
import { simulateFound } from "../simulate/index.js";
import type { Simulation } from "../simulate/simulation.js";
import type { FoundAgent } from "./find.js";
import type { AgentSourceMap, SourcePlace } from "./source-map.js";
import { randomNumbers, stimulus } from "./stimulus.js";
import { readWasm, type WasmFunction, type WasmOutline } from "./wasm-outline.js";

/** A request costs as much as many scans. */
export const PROFILE_RUNS = { control: 10_000, request: 1_000 } as const;
const LARGEST = 5;
const REQUEST_SIZES_SEED = 1;

export interface FunctionProfile {
  index: number;
  /** As exported, or as in the source; empty without either. */
  name: string;
  bytes: number;
  /** Undefined without a source map. */
  place?: SourcePlace;
}

export interface WorstFuel {
  /** Scans or requests that ran. */
  runs: number;
  fuel: number;
  /** The scan or request that took it. */
  at: number;
  /** Undefined for an agent that was never built: `build` measures and sets it. */
  limit?: number;
  /** What is left of the limit in that scan, of 1. */
  margin?: number;
  /** Why it ended before all runs. */
  failure?: EdgePlugError;
}

export interface ModuleProfile {
  bytes: number;
  sections: { name: string; size: number }[];
  imports: string[];
  exports: string[];
  memory: { limit: number; staticData: number; declaredPages: number };
  functions: { count: number; largest: FunctionProfile[] };
  worst: WorstFuel;
}

/** Runs the agent on the inputs of the checks, in the board's engine. Throws what its start throws. */
export async function profileAgent(
  found: FoundAgent,
  runs: number = PROFILE_RUNS[found.config.kind],
): Promise<ModuleProfile> {
  const { wasm, config, map } = found;
  const outline = readWasm(wasm);
  const own = outline.functions
    .map((body, index) => ({ body, index }))
    .filter(({ body }) => body.end > body.start)
    .sort((a, b) => size(b.body) - size(a.body));
  return {
    bytes: wasm.length,
    sections: outline.sections,
    imports: outline.imports.map(({ module, name }) => `${module}.${name}`),
    exports: outline.exports.filter(({ kind }) => kind === "func").map(({ name }) => name),
    memory: {
      limit: config.limits.memory,
      staticData: outline.dataEnd,
      declaredPages: outline.memoryPages ?? 0,
    },
    functions: {
      count: own.length,
      largest: own.slice(0, LARGEST).map(({ body, index }) => profile(body, index, outline, map)),
    },
    worst: await worstFuel(found, runs),
  };
}

function size({ start, end }: WasmFunction): number {
  return end - start;
}

function profile(
  body: WasmFunction,
  index: number,
  outline: WasmOutline,
  map: AgentSourceMap | undefined,
): FunctionProfile {
  const exported = outline.exports.find((one) => one.kind === "func" && one.index === index)?.name;
  const full = map?.functionName(index) ?? "";
  const place = map === undefined ? undefined : firstLine(body, map, full);
  return {
    index,
    name: exported ?? shortName(full),
    bytes: size(body),
    ...(place === undefined ? {} : { place }),
  };
}

/** `say` of `~lib/@edgeplug/sdk/assembly/index/say`; type arguments have slashes of their own. */
function shortName(full: string): string {
  return full.replace(/<.*$/, "").split("/").at(-1) ?? full;
}

/** The optimizer puts functions into others: only lines of the function's own file count. */
function firstLine(body: WasmFunction, map: AgentSourceMap, full: string): SourcePlace | undefined {
  let first: SourcePlace | undefined;
  for (let at = body.start; at < body.end; at++) {
    const place = map.locate(at, body.start);
    if (place === undefined || !full.replace(/^~lib\//, "").startsWith(place.file.replace(/\.ts$/, "/")))
      continue;
    if (first === undefined || place.line < first.line) first = place;
  }
  return first;
}

async function worstFuel(found: FoundAgent, runs: number): Promise<WorstFuel> {
  const { config } = found;
  const agent = await simulateFound(found);
  const step = config.kind === "control" ? scanner(agent) : requester(agent);
  const worst: WorstFuel = { runs: 0, fuel: 0, at: 0 };
  for (let run = 1; run <= runs; run++) {
    try {
      const fuel = step();
      if (fuel > worst.fuel) Object.assign(worst, { fuel, at: run });
    } catch (error) {
      worst.failure = EdgePlugError.from(error);
      break;
    }
    worst.runs = run;
  }
  const limit = config.limits.fuel;
  return limit === undefined ? worst : { ...worst, limit, margin: 1 - worst.fuel / limit };
}

function scanner(agent: Simulation): () => number {
  const next = stimulus(agent.config.inputs);
  const inputs = new Float32Array(agent.config.inputs.length);
  return () => {
    next(inputs);
    return agent.scan([...inputs]).fuel;
  };
}

function requester(agent: Simulation): () => number {
  const random = randomNumbers(REQUEST_SIZES_SEED);
  const { ioBuffer } = agent.config.limits;
  return () => {
    const length = Math.floor(random() * (ioBuffer + 1));
    return agent.request(Uint8Array.from({ length }, () => Math.floor(random() * 256))).fuel;
  };
}
