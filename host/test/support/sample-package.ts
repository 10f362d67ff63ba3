import { crc32 } from "../../src/frames.js";
import { encodeManifest, type AgentManifest } from "../../src/manifest.js";
import { serializePackage, type AgentPackage } from "../../src/package.js";
import { keyId, publicKeyOf, sha512, sign } from "../../src/signing.js";

export const SECRET_KEY = Uint8Array.from({ length: 32 }, (_, at) => at + 1);
export const PUBLIC_KEY = publicKeyOf(SECRET_KEY);

/** A manifest in which no field has its default value. */
export function sampleManifest(payload: Uint8Array, changes: Partial<AgentManifest> = {}): AgentManifest {
  return {
    format: 1,
    name: "sample",
    version: "1.2.3",
    kind: "control",
    boardClass: 2,
    abi: 1,
    release: 7,
    securityVersion: 3,
    payloadSize: payload.length,
    payloadCrc32: crc32(payload),
    payloadSha512: sha512(payload),
    limits: { memory: 2048, stackSlots: 64, callDepth: 8, fuel: 1000, initFuel: 2000, ioBuffer: 128 },
    inputs: 2,
    outputs: 2,
    guards: { min: [-1, 0], max: [1, 10], slew: [0.5, 1], failSafe: [0.25, 5] },
    trial: {
      healthyScans: 500,
      deadlineScans: 5000,
      attempts: 2,
      minRequests: 4,
      confirmByHost: true,
      maxGuardHits: 9,
    },
    onTrap: "failSafe",
    stateId: 77,
    scanDivider: 2,
    ...changes,
  };
}

/** A signed package around bytes that need not be a module. */
export function samplePackage(payload = Uint8Array.from({ length: 200 }, (_, at) => at)): AgentPackage {
  const manifest = sampleManifest(payload);
  const manifestBytes = encodeManifest(manifest);
  return {
    manifest,
    manifestBytes,
    keyId: keyId(PUBLIC_KEY),
    signature: sign(manifestBytes, SECRET_KEY),
    payload,
  };
}

export function sampleEpk(): Uint8Array {
  return serializePackage(samplePackage());
}
