/** What a package says of its agent, as agent.json would have said it. */
import { edgeplug } from "../generated/messages.js";
import { boardName, type AgentManifest, type BoardName } from "../manifest.js";
import type { AgentPackage } from "../package.js";
import type { AgentConfig, ChannelConfig, ControlVector, RequestVector } from "./config.js";
import { DETAILS_SECTION } from "./details.js";
import { readWasm } from "./wasm-outline.js";

const CHECK_SCANS = 10_000;

/** Channels without a name are called by their number. Fields that only a build uses have their defaults. */
export function packagedConfig({ manifest, payload }: AgentPackage): AgentConfig {
  const details = decodeDetails(payload);
  return {
    name: manifest.name,
    version: manifest.version,
    release: manifest.release,
    securityVersion: manifest.securityVersion,
    description: details.description,
    kind: manifest.kind,
    board: boardName(manifest.boardClass) as BoardName,
    inputs: Array.from({ length: manifest.inputs }, (_, at) => channel(details.inputs[at], at)),
    outputs: Array.from({ length: manifest.outputs }, (_, at) => ({
      ...channel(details.outputs[at], at),
      ...guards(manifest, at),
    })),
    onTrap: manifest.onTrap,
    limits: manifest.limits,
    trial: manifest.trial,
    stateId: manifest.stateId,
    scanDivider: Math.max(1, manifest.scanDivider),
    checkScans: CHECK_SCANS,
    generate: "",
    vectors: details.vectors.map((one) => vector(one, manifest.kind)),
  };
}

function decodeDetails(payload: Uint8Array): edgeplug.AgentDetails {
  const section = readWasm(payload).custom.find(({ name }) => name === DETAILS_SECTION);
  return edgeplug.AgentDetails.decode(section?.contents ?? new Uint8Array(0));
}

function channel(message: edgeplug.Channel.$Properties | undefined, at: number): ChannelConfig {
  const name = message?.name ?? "";
  const { unit = "", min = 0, max = 0 } = message ?? {};
  return { name: name === "" ? `${at}` : name, unit: unit ?? "", min: min ?? 0, max: max ?? 0 };
}

/** The signed manifest outranks the ranges that the module tells for people. */
function guards({ guards: { min, max, slew, failSafe } }: AgentManifest, at: number): Partial<ChannelConfig> {
  const [low, high, most, safe] = [min[at], max[at], slew[at], failSafe[at]];
  return {
    min: low ?? -Infinity,
    max: high ?? Infinity,
    ...(most === undefined || most === Infinity ? {} : { slew: most }),
    ...(safe === undefined ? {} : { failSafe: safe }),
  };
}

function vector(
  message: edgeplug.TestVector.$Properties,
  kind: AgentConfig["kind"],
): ControlVector | RequestVector {
  if (kind === "request")
    return {
      request: Uint8Array.from(message.request ?? []),
      reply: Uint8Array.from(message.reply ?? []),
    };
  const { inputs, outputs, scans, tolerance } = message;
  return {
    inputs: inputs ?? [],
    outputs: outputs ?? [],
    // proto3 leaves a field out that has its default, and a vector is of at least one scan
    scans: scans === undefined || scans === null || scans === 0 ? 1 : scans,
    tolerance: tolerance ?? 0,
  };
}
