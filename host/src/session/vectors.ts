/** What a module says of itself in its custom section "edgeplug": a request agent's test vectors, names of outputs. */
import { edgeplug } from "../generated/messages.js";
import { printable } from "../printable.js";

const MODULE_HEADER_SIZE = 8;
const CUSTOM_SECTION = 0;
const SECTION_NAME = "edgeplug";

/** A request and what the agent has to answer. */
export interface Exchange {
  readonly request: Uint8Array;
  readonly reply: Uint8Array;
}

/** An output as people know it. */
export interface OutputChannel {
  readonly name: string;
  /** May be empty. */
  readonly unit: string;
}

/** Requests and replies of the vectors, in order; none if the module has no such section. */
export function vectorExchanges(module: Uint8Array): Exchange[] {
  return (details(module)?.vectors ?? []).flatMap(({ request, reply }) =>
    request && request.length > 0 ? [{ request, reply: reply ?? new Uint8Array() }] : [],
  );
}

/** The outputs that the module names, in order. */
export function outputChannels(module: Uint8Array): OutputChannel[] {
  return (details(module)?.outputs ?? []).map(({ name, unit }) => ({
    name: printable(name ?? ""),
    unit: printable(unit ?? ""),
  }));
}

/** The requests alone. */
export function vectorRequests(module: Uint8Array): Uint8Array[] {
  return vectorExchanges(module).map(({ request }) => request);
}

function details(module: Uint8Array): edgeplug.AgentDetails | undefined {
  const section = customSection(module, SECTION_NAME);
  if (section === undefined) return undefined;
  try {
    return edgeplug.AgentDetails.decode(section);
  } catch {
    return undefined; // the board judges the module; here it only serves to exercise and to name it
  }
}

function customSection(module: Uint8Array, name: string): Uint8Array | undefined {
  let at = MODULE_HEADER_SIZE;
  while (at < module.length) {
    const id = module[at];
    const size = leb(module, at + 1);
    if (size === undefined) return undefined;
    const end = size.next + size.value;
    const length = leb(module, size.next);
    if (id === CUSTOM_SECTION && length !== undefined) {
      const start = length.next + length.value;
      if (Buffer.from(module.subarray(length.next, start)).toString() === name)
        return module.subarray(start, end);
    }
    at = end;
  }
  return undefined;
}

function leb(bytes: Uint8Array, at: number): { value: number; next: number } | undefined {
  let value = 0;
  for (let index = 0; index < 5; index++) {
    const byte = bytes[at + index];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return { value, next: at + index + 1 };
  }
  return undefined;
}
