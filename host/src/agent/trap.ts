/** An agent that failed while it ran, and where in its source. */
import type { EngineError } from "@edgeplug/sim";

import { EdgePlugError, type ErrorName } from "../errors.js";
import { placeText, type AgentSourceMap, type SourcePlace } from "./source-map.js";
import { readWasm } from "./wasm-outline.js";

/** AGENT_TRAP or AGENT_FUEL, with the place where it happened. */
export class AgentTrap extends EdgePlugError {
  constructor(
    code: ErrorName,
    message: string,
    /** What the engine said of it, or the agent's own words with file and line. */
    readonly reason: string,
    /** Of the instruction, in the module. */
    readonly offset: number,
    /** Undefined without a source map. */
    readonly place: SourcePlace | undefined,
  ) {
    super(code, message, { detail: offset });
  }
}

/** The error that a board would give, with file and line if there is a map. */
export function engineFailure(
  error: EngineError,
  wasm: Uint8Array,
  map: AgentSourceMap | undefined,
): EdgePlugError {
  const { code, detail, place } = error;
  if (place === undefined) return EdgePlugError.fromBoard(code, 0, detail);
  const source = map === undefined ? undefined : locateTrap(wasm, map, place.offset);
  const known = EdgePlugError.fromBoard(code, place.offset, detail);
  const message = `${known.message.replace(/\.$/, "")}${where(detail, place.offset, source)}.`;
  return new AgentTrap(known.code, message, detail, place.offset, source);
}

/** The line of a trap at byte `offset`: within its function, even where the optimizer left no line at that very byte. */
export function locateTrap(wasm: Uint8Array, map: AgentSourceMap, offset: number): SourcePlace | undefined {
  const body = readWasm(wasm).functions.find(({ start, end }) => offset >= start && offset < end);
  return map.locate(offset, body?.start ?? 0);
}

/** ` at assembly/index.ts:12:5`, unless the agent's own words end in it. */
export function where(detail: string, offset: number, place: SourcePlace | undefined): string {
  if (place === undefined) return /:\d+:\d+$/.test(detail) ? "" : ` at byte ${offset} of its module`;
  return detail.includes(`${place.file}:${place.line}`) ? "" : ` at ${placeText(place)}`;
}
