/** The custom section `edgeplug`: all that is long, carried in the module so that the payload's digest covers it. */
import { edgeplug } from "../generated/messages.js";
import { isControlVector, type AgentConfig, type ChannelConfig } from "./config.js";
import { readWasm } from "./wasm-outline.js";

export const DETAILS_SECTION = "edgeplug";

export interface AgentDetails {
  description: string;
  inputs: ChannelConfig[];
  outputs: ChannelConfig[];
  vectors: number;
  sourceMap: string;
}

export function encodeDetails(config: AgentConfig, sourceMap: string): Uint8Array {
  const message = edgeplug.AgentDetails.encode({
    vectors: config.vectors.map((vector) =>
      isControlVector(vector)
        ? {
            inputs: vector.inputs,
            ...(vector.scans === 1 ? {} : { scans: vector.scans }),
            outputs: vector.outputs,
            ...(vector.tolerance === 0 ? {} : { tolerance: vector.tolerance }),
          }
        : { request: vector.request, reply: vector.reply },
    ),
    inputs: config.inputs.map(channel),
    outputs: config.outputs.map(channel),
    ...(config.description === "" ? {} : { description: config.description }),
    sourceMap,
  });
  return Uint8Array.from(message.finish());
}

function channel({ name, unit, min, max }: ChannelConfig): edgeplug.Channel.$Properties {
  return { name, ...(unit === "" ? {} : { unit }), min, max };
}

/** What a module says of itself; undefined if it has no such section, or one that can't be decoded. */
export function readDetails(wasm: Uint8Array): AgentDetails | undefined {
  const section = readWasm(wasm).custom.find(({ name }) => name === DETAILS_SECTION);
  if (section === undefined) return undefined;
  try {
    const details = edgeplug.AgentDetails.decode(section.contents);
    return {
      description: details.description,
      inputs: details.inputs.map(readChannel),
      outputs: details.outputs.map(readChannel),
      vectors: details.vectors.length,
      sourceMap: details.sourceMap,
    };
  } catch {
    return undefined;
  }
}

function readChannel(message: edgeplug.Channel.$Properties): ChannelConfig {
  return { name: message.name ?? "", unit: message.unit ?? "", min: message.min ?? 0, max: message.max ?? 0 };
}
