/** Packages that were corrupted before they were sent. What a host would refuse goes past it: the board has to. */
import {
  encodeManifest,
  readPackage,
  serializePackage,
  sha512,
  crc32,
  verifyPackage,
  type AgentManifest,
  type AgentPackage,
} from "edgeplug";
import { edgeplug } from "edgeplug/messages";
import { failureOf } from "@edgeplug/test-support/push";
import { PUBLISHER, publicKeyOf, signed } from "@edgeplug/test-support/agents";

import { attempt, foreign, TAKEN_UNSIGNED, WAITS, type Spoil } from "./attempt.js";
import { burst, flipSome, join, same } from "./bytes.js";
import type { ChaosKind, Trial } from "./case.js";
import { FIELD_GROUPS, fieldsOf } from "./fields.js";
import type { Forced } from "./force.js";
import { KEY_ID, SIGNATURE } from "./signatures.js";

const ANY = ["one", "two", "rejected", "locked"] as const;
const OPEN = ["one", "two", "rejected"] as const;

function manifestKind(group: keyof typeof FIELD_GROUPS): ChaosKind {
  const names = FIELD_GROUPS[group];
  return {
    name: `manifest: ${group}`,
    where: "before sending",
    catchers: ["SIGNATURE"],
    variants: names.length,
    run: async (trial) => {
      await trial.stage(...OPEN); // where a host may confirm it in the end
      trial.parcel = trial.workshop.complete(trial.number);
      const name = names[trial.variant % names.length] ?? "";
      const { pkg } = trial.parcel;
      const fields = fieldsOf(pkg.manifestBytes);
      // only somebody's own may do without one of them
      const span = fields.get(name) ?? names.map((other) => fields.get(other)).find(Boolean);
      if (span === undefined) throw new Error(`the manifest has no ${name}`);
      trial.tell(`bits flipped in ${name}, bytes ${span.start} to ${span.end} of the manifest`);
      const manifestBytes = flipSome(pkg.manifestBytes, span.start, span.end, trial.random, 3);
      return attempt(trial, { ...pkg, manifestBytes });
    },
  };
}

/** An open board takes packages without a signature: there size and digests have to catch it. */
const UNSIGNED_DIGESTS: ChaosKind = {
  name: "unsigned manifest: size and digests",
  where: "before sending",
  catchers: ["PAYLOAD_CRC", "PAYLOAD_DIGEST", "MANIFEST", "PACKAGE_TOO_LARGE", "BAD_REQUEST", WAITS],
  variants: FIELD_GROUPS["size and digests"].length,
  run: async (trial) => {
    await trial.stage(...OPEN);
    const pkg = signed(trial.parcel.pkg, null);
    const names = FIELD_GROUPS["size and digests"];
    const name = names[trial.variant % names.length] ?? "";
    const span = fieldsOf(pkg.manifestBytes).get(name);
    if (span === undefined) throw new Error(`the manifest has no ${name}`);
    trial.tell(`bits flipped in the value of ${name}`);
    // the tag stays, or another field with a default would come of it
    const value = span.start + (name === "payload_sha512" ? 2 : 1);
    const manifestBytes = flipSome(pkg.manifestBytes, value, span.end, trial.random, 3);
    return attempt(trial, { ...pkg, manifestBytes });
  },
};

function resigned(pkg: AgentPackage, fields: Partial<AgentManifest>): AgentPackage {
  const manifest = { ...pkg.manifest, ...fields };
  return signed({ ...pkg, manifest, manifestBytes: encodeManifest(manifest) }, PUBLISHER);
}

function withPayload(pkg: AgentPackage, payload: Uint8Array): AgentPackage {
  const digests = { payloadCrc32: crc32(payload), payloadSha512: sha512(payload) };
  return { ...resigned(pkg, { payloadSize: payload.length, ...digests }), payload };
}

const SIGNED_WRONG: readonly [string, Spoil][] = [
  ["CRC-32", (pkg) => resigned(pkg, { payloadCrc32: (pkg.manifest.payloadCrc32 ^ 0x100) >>> 0 })],
  [
    "SHA-512",
    (pkg, { random }) =>
      resigned(pkg, { payloadSha512: flipSome(pkg.manifest.payloadSha512, 0, 64, random) }),
  ],
  ["a size one larger", (pkg) => resigned(pkg, { payloadSize: pkg.payload.length + 1 })],
  ["a size one smaller", (pkg) => resigned(pkg, { payloadSize: pkg.payload.length - 1 })],
  ["kind", (pkg) => resigned(pkg, { kind: pkg.manifest.kind === "control" ? "request" : "control" })],
  ["board class", (pkg, { bench }) => resigned(pkg, { boardClass: bench.boardClass === 3 ? 2 : 3 })],
  ["ABI", (pkg) => resigned(pkg, { abi: 2 })],
  ["memory", (pkg) => resigned(pkg, { limits: { ...pkg.manifest.limits, memory: 1 << 20 } })],
  ["fuel", (pkg) => resigned(pkg, { limits: { ...pkg.manifest.limits, fuel: 100_000_000 } })],
  ["outputs", (pkg) => resigned(pkg, { outputs: 5 })],
  ["release", (pkg) => resigned(pkg, { release: 0 })],
  ["attempts", (pkg) => resigned(pkg, { trial: { ...pkg.manifest.trial, attempts: 4 } })],
  ["format", (pkg) => resigned(pkg, { format: 2 })],
  ["a module cut short", (pkg, trial) => withPayload(pkg, pkg.payload.subarray(0, trial.between(9, 120)))],
  ["a module that is none", (pkg, { random }) => withPayload(pkg, flipSome(pkg.payload, 0, 8, random))],
  [
    "a manifest cut short",
    (pkg, trial) => {
      const manifestBytes = pkg.manifestBytes.subarray(0, trial.between(1, 12));
      return signed({ ...pkg, manifestBytes }, PUBLISHER);
    },
  ],
];

const SIGNED: ChaosKind = {
  name: "wrong, and signed like that",
  where: "before sending",
  catchers: [
    ...[
      "PAYLOAD_CRC",
      "PAYLOAD_DIGEST",
      WAITS,
      "BAD_REQUEST",
      "MODULE_EXPORT",
      "BOARD_CLASS",
      "ABI",
      "MEMORY",
    ],
    ...["FUEL", "CHANNELS", "RELEASE", "MANIFEST", "MODULE_MALFORMED"],
  ],
  variants: SIGNED_WRONG.length,
  run: async (trial) => {
    await trial.stage(...ANY);
    const [what, spoil] = SIGNED_WRONG[trial.variant % SIGNED_WRONG.length] ?? ["", (pkg): Forced => pkg];
    trial.tell(`signed with a wrong ${what}`);
    return attempt(trial, spoil(trial.parcel.pkg, trial));
  },
};

function payloadKind(
  name: string,
  catchers: readonly string[],
  spoil: (payload: Uint8Array, trial: Trial) => Uint8Array,
): ChaosKind {
  return {
    name: `payload: ${name}`,
    where: "before sending",
    catchers,
    variants: 1,
    run: async (trial) => {
      await trial.stage(...ANY);
      const { pkg } = trial.parcel;
      const payload = spoil(pkg.payload, trial);
      return attempt(trial, { ...pkg, payload }, same(payload, pkg.payload) ? "harmless" : undefined);
    },
  };
}

/** Two blocks of `size` bytes change places. */
function exchanged(payload: Uint8Array, trial: Trial): Uint8Array {
  const size = Math.min(trial.pick([8, 32, 64, 128]), payload.length >> 1);
  const first = trial.between(0, payload.length - 2 * size);
  const second = trial.between(first + size, payload.length - size);
  const copy = Uint8Array.from(payload);
  copy.set(payload.subarray(second, second + size), first);
  copy.set(payload.subarray(first, first + size), second);
  return copy;
}

function withForeignChunk(payload: Uint8Array, trial: Trial): Uint8Array {
  const size = trial.pick([32, 64, 128, 512]);
  const at = trial.between(0, payload.length - 1);
  const copy = Uint8Array.from(payload);
  copy.set(foreign(trial).payload.subarray(at, Math.min(at + size, payload.length)), at);
  return copy;
}

const PAYLOADS: readonly ChaosKind[] = [
  payloadKind("bits", ["PAYLOAD_CRC"], (bytes, { random }) => flipSome(bytes, 0, bytes.length, random, 4)),
  payloadKind("a burst", ["PAYLOAD_CRC"], (bytes, trial) =>
    burst(bytes, trial.between(0, bytes.length - 1), trial.between(2, 64), trial.random),
  ),
  payloadKind("cut short", [WAITS], (bytes, trial) => bytes.subarray(0, trial.between(0, bytes.length - 1))),
  payloadKind("too long", ["BAD_REQUEST", "PAYLOAD_CRC"], (bytes, trial) =>
    join(bytes, trial.random.bytes(trial.between(1, 600))),
  ),
  // the two packages are alike in many places
  payloadKind("a chunk of another package", ["PAYLOAD_CRC", "harmless"], withForeignChunk),
  payloadKind("chunks in another order", ["PAYLOAD_CRC", "harmless"], exchanged),
  payloadKind("all of another package", ["PAYLOAD_CRC"], (_, trial) => foreign(trial).payload),
];

/** The file on its way to the host: here the host's own checks count, and the board's once more for what they let by. */
const FILE: ChaosKind = {
  name: "package file",
  where: "before sending",
  catchers: [
    ...[
      "host: PACKAGE_FORMAT",
      "host: PACKAGE_TRUNCATED",
      "host: PACKAGE_TOO_LARGE",
      "SIGNATURE",
      "PAYLOAD_CRC",
    ],
    ...[
      "KEY_UNKNOWN",
      "host: KEY_UNKNOWN",
      "MANIFEST",
      "UNSIGNED",
      "host: UNSIGNED",
      WAITS,
      "BAD_REQUEST",
      TAKEN_UNSIGNED,
    ],
  ],
  variants: 3,
  run: async (trial) => {
    await trial.stage("locked");
    const intact = serializePackage(trial.parcel.pkg);
    const file = spoilFile(intact, trial);
    const check = (): unknown => verifyPackage(readPackage(file), { publicKey: publicKeyOf(PUBLISHER) });
    const refusal = await failureOf(Promise.resolve().then(check));
    trial.tell(`the host: ${refusal.code}, ${refusal.message}`);
    const parts = looselyRead(file);
    const outcome =
      parts === undefined
        ? undefined
        : await attempt(trial, parts, isPackage(parts, trial) ? "taken" : undefined);
    if (outcome !== undefined && outcome.caughtBy !== "taken") return outcome;
    return { mayRun: ["old"], ...outcome, caughtBy: `host: ${refusal.code}` };
  },
};

function spoilFile(file: Uint8Array, trial: Trial): Uint8Array {
  if (trial.variant % 3 === 1) return file.subarray(0, trial.between(0, file.length - 1));
  if (trial.variant % 3 === 2) return join(file, trial.random.bytes(trial.between(1, 40)));
  // the first 400 bytes are all but the payload
  return flipSome(file, 0, trial.chance(0.7) ? 400 : file.length, trial.random, 3);
}

/** As a reader would that minds nothing; undefined if even that one gives up. */
function looselyRead(file: Uint8Array): Forced | undefined {
  try {
    const { signedManifest, payload } = edgeplug.Package.decode(file);
    const { manifest, keyId, signature } = edgeplug.SignedManifest.create(signedManifest ?? {});
    if (manifest.length > 304 || keyId.length > 8 || signature.length > 64) return undefined;
    return { manifestBytes: manifest, keyId, signature, payload };
  } catch {
    return undefined;
  }
}

function isPackage(parts: Forced, { parcel: { pkg } }: Trial): boolean {
  return (
    same(parts.manifestBytes, pkg.manifestBytes) &&
    same(parts.payload, pkg.payload) &&
    same(parts.keyId, pkg.keyId) &&
    same(parts.signature, pkg.signature)
  );
}

export const BEFORE_SENDING: readonly ChaosKind[] = [
  ...(Object.keys(FIELD_GROUPS) as (keyof typeof FIELD_GROUPS)[]).map(manifestKind),
  SIGNATURE,
  KEY_ID,
  UNSIGNED_DIGESTS,
  SIGNED,
  ...PAYLOADS,
  FILE,
];
