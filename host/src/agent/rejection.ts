/** What a board says of an agent that failed, told with the lines of its source. */
import { EdgePlugError } from "../errors.js";
import type { AgentPackage } from "../package.js";
import { sha512 } from "../signing.js";
import { boardMachine } from "./board-machine.js";
import { checkVectors } from "./check.js";
import { packagedConfig } from "./packaged.js";
import { findSourceMap, placeText, type AgentSourceMap, type SourcePlace } from "./source-map.js";
import { locateTrap } from "./trap.js";

/** A package whose source map is at hand. */
export interface MappedPackage {
  map: AgentSourceMap;
  /** As boards name a package. */
  digest: Uint8Array;
  /** The line of the instruction at a byte of the module. */
  locate(offset: number): SourcePlace | undefined;
  /** The text with file and line instead of a byte of the module. */
  inWords(text: string): string;
}

const DIGEST_SIZE = 16;
/** How every message here says where a trap was, as far as the board can tell. */
const AT_BYTE = /at byte ([\d,]+) of its module/;

/** What a board refuses at its test vectors, of which it keeps no place. */
const BEFORE_IT_RAN: ReadonlySet<string> = new Set(["AGENT_TRAP", "AGENT_FUEL", "VECTOR"]);

/** `path` is where the package was read from; undefined if no map of it lies there. */
export async function mapOfPackage(pkg: AgentPackage, path: string): Promise<MappedPackage | undefined> {
  const map = await findSourceMap(pkg.payload, path);
  return map === undefined ? undefined : mappedPackage(pkg, map);
}

/** `map` has to be that of the package's payload. */
export function mappedPackage(
  pkg: Pick<AgentPackage, "payload" | "manifestBytes">,
  map: AgentSourceMap,
): MappedPackage {
  const locate = (offset: number): SourcePlace | undefined => locateTrap(pkg.payload, map, offset);
  const inWords = (text: string): string =>
    text.replace(AT_BYTE, (whole, byte: string) => {
      const place = locate(Number(byte.replaceAll(",", "")));
      return place === undefined ? whole : `at ${placeText(place)}`;
    });
  return { map, digest: packageDigest(pkg.manifestBytes), locate, inWords };
}

/** As boards name a package: the first 16 bytes of the SHA-512 of its manifest. */
export function packageDigest(manifestBytes: Uint8Array): Uint8Array {
  return sha512(manifestBytes).slice(0, DIGEST_SIZE);
}

/**
 * The error of a push, with as much of the source as can be told. A trap in a trial comes with its byte; of what failed
 * before the agent ran the board keeps only words, so its start and its test vectors run again, in the board's engine
 * on this machine.
 */
export async function explainRejection(
  error: EdgePlugError,
  pkg: AgentPackage,
  mapped: MappedPackage | undefined,
): Promise<EdgePlugError> {
  if (mapped !== undefined && AT_BYTE.test(error.message))
    return reworded(error, mapped.inWords(error.message));
  if (!BEFORE_IT_RAN.has(error.code)) return error;
  const here = await replay(pkg, mapped?.map);
  if (here?.code !== error.code) return error;
  return reworded(error, `${error.message.replace(/\.$/, "")}. Here too: ${here.message}`);
}

async function replay(
  pkg: AgentPackage,
  map: AgentSourceMap | undefined,
): Promise<EdgePlugError | undefined> {
  try {
    const config = packagedConfig(pkg);
    checkVectors(config, await boardMachine(pkg.payload, config, map));
    return undefined;
  } catch (error) {
    return EdgePlugError.from(error);
  }
}

function reworded(error: EdgePlugError, message: string): EdgePlugError {
  const { code, action, detail } = error;
  return new EdgePlugError(code, message, { cause: error, action, detail });
}
