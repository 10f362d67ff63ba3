import { createHash } from "node:crypto";

import { crc32 } from "../../src/frames.js";
import { edgeplug } from "../../src/generated/messages.js";
import type { Deliverable } from "../../src/session/push.js";

/** An unsigned package around `payload`, which need not be a module: the fake board runs nothing. */
export function packageOf(payload: Uint8Array, fields: edgeplug.Manifest.$Properties = {}): Deliverable {
  const manifestBytes = edgeplug.Manifest.encode({
    format: 1,
    name: "new",
    version: "2",
    kind: edgeplug.AgentKind.AGENT_KIND_CONTROL,
    abi: 1,
    release: 2,
    payloadSize: payload.length,
    payloadCrc32: crc32(payload),
    payloadSha512: createHash("sha512").update(payload).digest(),
    limits: { memoryBytes: 1024, stackSlots: 64, callDepth: 8, fuel: 1000, initFuel: 1000 },
    ...fields,
  }).finish();
  return { manifestBytes, keyId: new Uint8Array(), signature: new Uint8Array(), payload };
}
