/** From a byte of a module back to a line of AssemblyScript: the map that asc makes, bound to the payload it belongs to. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { SourceMap, type SourceMapPayload } from "node:module";
import { dirname, join } from "node:path";

/** The member of the map that holds the SHA-512 of the payload; source map readers leave `x_` members alone. */
const DIGEST_FIELD = "x_edgeplug_payload_sha512";
/** … and that of the names of the module's functions, by index. */
const FUNCTIONS_FIELD = "x_edgeplug_functions";
/** asc's name for the SDK, which it finds as a package. */
const SDK_SOURCE = /^~lib\/(?=@edgeplug\/sdk\/)/;

/** A place in a source file, as editors count: both from 1. */
export interface SourcePlace {
  /** Relative to the agent's folder: `assembly/index.ts`; `@edgeplug/sdk/…` and `~lib/…` are not the agent's own. */
  file: string;
  line: number;
  column: number;
}

interface SealedMap extends SourceMapPayload {
  [DIGEST_FIELD]?: unknown;
  [FUNCTIONS_FIELD]?: string[];
}

/** `assembly/index.ts:12:5` */
export function placeText({ file, line, column }: SourcePlace): string {
  return `${file}:${line}:${column}`;
}

/** The compiler's map with its names of functions, and the digest of the payload that it is the map of. */
export function sealSourceMap(json: string, functions: readonly string[], payload: Uint8Array): string {
  const map = JSON.parse(json) as object;
  return JSON.stringify({ ...map, [FUNCTIONS_FIELD]: functions, [DIGEST_FIELD]: digestOf(payload) });
}

/** The map of one module. */
export class AgentSourceMap {
  readonly #map: SourceMap;
  readonly #functions: readonly string[];

  private constructor(
    /** As it stands in the file. */
    readonly json: string,
    payload: SealedMap,
  ) {
    this.#map = new SourceMap(payload);
    const { [FUNCTIONS_FIELD]: functions = [] } = payload;
    this.#functions = functions;
  }

  /** The map in `json` if it is that of `payload`; undefined if it is another's, or none. */
  static of(json: string, payload: Uint8Array): AgentSourceMap | undefined {
    try {
      const parsed = JSON.parse(json) as SealedMap;
      return parsed[DIGEST_FIELD] === digestOf(payload) ? new AgentSourceMap(json, parsed) : undefined;
    } catch {
      return undefined;
    }
  }

  /**
   * The source of the instruction at byte `offset` of the module. The optimizer leaves some instructions without one:
   * of these, it is that of the nearest before, but not before byte `from`.
   */
  locate(offset: number, from = 0): SourcePlace | undefined {
    for (let at = offset; at >= from;) {
      const entry = this.#map.findEntry(0, at);
      if (!("generatedColumn" in entry)) return undefined;
      const { originalSource, originalLine, originalColumn, generatedColumn } = entry;
      // an entry without a source has undefined here, whatever Node's types say
      if ((originalSource as string | undefined) !== undefined) {
        if (generatedColumn < from) return undefined;
        const file = originalSource.replace(SDK_SOURCE, "");
        return { file, line: originalLine + 1, column: originalColumn + 1 };
      }
      at = generatedColumn - 1;
    }
    return undefined;
  }

  /** The compiler's name of a function: `assembly/index/scan`, `~lib/@edgeplug/sdk/assembly/index/say`. */
  functionName(index: number): string | undefined {
    return this.#functions[index];
  }
}

/** The map of `payload` among the files where one of `path` may lie. `path` is an .epk, a module, or a folder. */
export async function findSourceMap(payload: Uint8Array, path: string): Promise<AgentSourceMap | undefined> {
  const folder = dirname(path);
  const places = [
    `${path}.map`,
    join(folder, "agent.wasm.map"),
    join(path, "agent.wasm.map"),
    join(path, "build/agent.wasm.map"),
  ];
  for (const place of places) {
    const text = await readFile(place, "utf8").catch(() => undefined);
    const map = text === undefined ? undefined : AgentSourceMap.of(text, payload);
    if (map !== undefined) return map;
  }
  return undefined;
}

function digestOf(payload: Uint8Array): string {
  return createHash("sha512").update(payload).digest("hex");
}
