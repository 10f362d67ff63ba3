/** Packages: exact manifest bytes, a signature over exactly those bytes, and the payload (proto/package.proto). */
import { EdgePlugError } from "./errors.js";
import { crc32 } from "./frames.js";
import { edgeplug } from "./generated/messages.js";
import { decodeManifest, MANIFEST_MAX, PAYLOAD_MAX, type AgentManifest } from "./manifest.js";
import { keyId as idOfKey, KEY_ID_SIZE, sha512, SIGNATURE_SIZE, verifySignature } from "./signing.js";

/** "EEPK" on the wire, behind the tag of field 1. */
export const PACKAGE_MAGIC = 0x4b504545;

const MAGIC_BYTES = Uint8Array.of(0x0d, 0x45, 0x45, 0x50, 0x4b);

/** Tags and lengths of a package: 5 of magic, 3 + 3 + 2 + 2 around the manifest's parts, 4 before the payload. */
const FRAMING_MAX = 32;
const SPLIT_MAX = MANIFEST_MAX + KEY_ID_SIZE + SIGNATURE_SIZE + FRAMING_MAX;

/** Largest size that a package file can have. */
export const PACKAGE_MAX = SPLIT_MAX + PAYLOAD_MAX;

/** A package in parts. `manifestBytes` are what is signed; `manifest` is what they say. */
export interface AgentPackage {
  manifestBytes: Uint8Array;
  manifest: AgentManifest;
  /** 8 bytes, or none if unsigned. */
  keyId: Uint8Array;
  /** 64 bytes, or none if unsigned. */
  signature: Uint8Array;
  /** The WebAssembly module. */
  payload: Uint8Array;
}

export interface VerifyOptions {
  /** The publisher's raw public key. Without one, signatures are not checked. */
  publicKey?: Uint8Array;
}

/** How far a package could be verified: a digest always holds, else an error is thrown. */
export type SignatureStatus = "unsigned" | "unverified" | "verified";

/**
 * Parses an .epk file. Checks the form of it all and what the manifest says of itself; digests and signature are
 * for verifyPackage(). Throws PACKAGE_EMPTY, PACKAGE_FORMAT, PACKAGE_TRUNCATED, PACKAGE_TOO_LARGE or what
 * decodeManifest() throws.
 */
export function readPackage(bytes: Uint8Array): AgentPackage {
  checkMagic(bytes);
  if (bytes.length > PACKAGE_MAX) throw tooLarge("package", bytes.length, PACKAGE_MAX);
  const message = decode(bytes, edgeplug.Package, "package");
  if (message.signedManifest === undefined || message.signedManifest === null)
    throw new EdgePlugError("PACKAGE_FORMAT", "The package has no manifest.");
  return assemble(edgeplug.SignedManifest.create(message.signedManifest), message.payload);
}

/** Parses the two loose files that `pack --split` writes: manifest.pb and agent.bin. Throws as readPackage() does. */
export function readSplitPackage(manifest: Uint8Array, payload: Uint8Array): AgentPackage {
  if (manifest.length === 0) throw new EdgePlugError("PACKAGE_EMPTY", "The manifest file is empty.");
  if (payload.length === 0) throw new EdgePlugError("PACKAGE_EMPTY", "The agent file is empty.");
  if (payload.length > PAYLOAD_MAX) throw tooLarge("agent", payload.length, PAYLOAD_MAX);
  if (manifest.length > SPLIT_MAX) throw tooLarge("manifest", manifest.length, SPLIT_MAX);
  return assemble(decode(manifest, edgeplug.SignedManifest, "manifest file"), payload);
}

function assemble(signed: edgeplug.SignedManifest, payload: Uint8Array): AgentPackage {
  if (signed.manifest.length === 0) throw new EdgePlugError("PACKAGE_FORMAT", "The package has no manifest.");
  const isSigned = signed.keyId.length > 0 || signed.signature.length > 0;
  if (isSigned && (signed.keyId.length !== KEY_ID_SIZE || signed.signature.length !== SIGNATURE_SIZE))
    throw new EdgePlugError(
      "PACKAGE_FORMAT",
      `The package has ${signed.keyId.length} bytes of key id and ${signed.signature.length} of signature; ` +
        `expected ${KEY_ID_SIZE} and ${SIGNATURE_SIZE}, or none of both.`,
    );
  const manifest = decodeManifest(signed.manifest);
  if (payload.length > PAYLOAD_MAX) throw tooLarge("agent", payload.length, PAYLOAD_MAX);
  if (payload.length < manifest.payloadSize)
    throw new EdgePlugError(
      "PACKAGE_TRUNCATED",
      `The package holds ${payload.length} of ${manifest.payloadSize} bytes of its agent.`,
    );
  if (payload.length > manifest.payloadSize)
    throw new EdgePlugError(
      "PACKAGE_FORMAT",
      `The agent takes ${payload.length} bytes, and the manifest says ${manifest.payloadSize}.`,
    );
  return {
    manifestBytes: Uint8Array.from(signed.manifest),
    manifest,
    keyId: Uint8Array.from(signed.keyId),
    signature: Uint8Array.from(signed.signature),
    payload: Uint8Array.from(payload),
  };
}

interface Codec<T> {
  decode(bytes: Uint8Array): T;
  encode(message: NoInfer<T>): { finish(): Uint8Array };
}

/** Decodes, and insists that there is nothing else in the file: a flipped tag would otherwise just hide a field. */
function decode<T>(bytes: Uint8Array, codec: Codec<T>, what: string): T {
  let message: T;
  try {
    message = codec.decode(bytes);
  } catch (error) {
    if (error instanceof RangeError)
      throw new EdgePlugError(
        "PACKAGE_TRUNCATED",
        `The ${what} ends too early, after ${bytes.length} bytes.`,
        {
          cause: error,
        },
      );
    throw new EdgePlugError("PACKAGE_FORMAT", `The ${what} can't be decoded.`, { cause: error });
  }
  if (Buffer.compare(codec.encode(message).finish(), bytes) !== 0)
    throw new EdgePlugError("PACKAGE_FORMAT", `The ${what} holds bytes that belong to no field of it.`);
  return message;
}

function tooLarge(what: string, size: number, max: number): EdgePlugError {
  return new EdgePlugError(
    "PACKAGE_TOO_LARGE",
    `The ${what} takes ${size} bytes; at most ${max} are possible.`,
    {
      detail: size,
    },
  );
}

const KNOWN_FORMATS: readonly [string, readonly number[]][] = [
  ["a WebAssembly module that is not packed yet", [0x00, 0x61, 0x73, 0x6d]],
  ["an ELF file", [0x7f, 0x45, 0x4c, 0x46]],
  ["a zip archive", [0x50, 0x4b, 0x03, 0x04]],
  ["a gzip archive", [0x1f, 0x8b]],
  ["an MCUboot image", [0x3d, 0xb8, 0xf3, 0x96]],
  ["an Intel hex file", [0x3a, 0x31, 0x30]],
  ["a PEM file", [0x2d, 0x2d, 0x2d, 0x2d, 0x2d]],
  ["a JSON file", [0x7b]],
];

function checkMagic(bytes: Uint8Array): void {
  if (bytes.length === 0) throw new EdgePlugError("PACKAGE_EMPTY");
  if (startsWith(bytes, MAGIC_BYTES)) return;
  if (startsWith(MAGIC_BYTES, bytes))
    throw new EdgePlugError("PACKAGE_TRUNCATED", `The package ends after ${bytes.length} bytes.`);
  const known = KNOWN_FORMATS.find(([, start]) => startsWith(bytes, start));
  throw new EdgePlugError(
    "PACKAGE_FORMAT",
    known === undefined ? undefined : `This is ${known[0]}, not an EdgePlug package.`,
  );
}

function startsWith(bytes: Uint8Array, start: ArrayLike<number>): boolean {
  return bytes.length >= start.length && Array.from(start).every((byte, at) => bytes[at] === byte);
}

/** The bytes of an .epk file. */
export function serializePackage(pkg: Omit<AgentPackage, "manifest">): Uint8Array {
  return Uint8Array.from(
    edgeplug.Package.encode({
      magic: PACKAGE_MAGIC,
      signedManifest: signedManifest(pkg),
      payload: pkg.payload,
    }).finish(),
  );
}

/** The bytes of a manifest.pb file. */
export function serializeSignedManifest(pkg: Omit<AgentPackage, "manifest" | "payload">): Uint8Array {
  return Uint8Array.from(edgeplug.SignedManifest.encode(signedManifest(pkg)).finish());
}

function signedManifest(
  pkg: Omit<AgentPackage, "manifest" | "payload">,
): edgeplug.SignedManifest.$Properties {
  const unsigned = pkg.signature.length === 0;
  return { manifest: pkg.manifestBytes, ...(unsigned ? {} : { keyId: pkg.keyId, signature: pkg.signature }) };
}

/**
 * Checks CRC-32 and SHA-512 of the payload, and the signature if there is one and a key to check it by.
 * Throws PAYLOAD_CRC, PAYLOAD_DIGEST, UNSIGNED, KEY_UNKNOWN or SIGNATURE.
 */
export function verifyPackage(pkg: AgentPackage, options: VerifyOptions = {}): SignatureStatus {
  const { manifest, payload } = pkg;
  if (crc32(payload) !== manifest.payloadCrc32) throw new EdgePlugError("PAYLOAD_CRC");
  if (Buffer.compare(sha512(payload), manifest.payloadSha512) !== 0)
    throw new EdgePlugError("PAYLOAD_DIGEST");
  const unsigned = pkg.signature.length === 0;
  if (options.publicKey === undefined) return unsigned ? "unsigned" : "unverified";
  if (unsigned)
    throw new EdgePlugError(
      "UNSIGNED",
      "The package is not signed, so there is nothing to check the key against.",
    );
  const expected = idOfKey(options.publicKey);
  if (Buffer.compare(expected, pkg.keyId) !== 0)
    throw new EdgePlugError(
      "KEY_UNKNOWN",
      `The package is signed by key ${hex(pkg.keyId)}, and the key given is ${hex(expected)}.`,
      { action: "Pass the publisher's public key, or get the package from the publisher that you trust." },
    );
  if (!verifySignature(pkg.signature, pkg.manifestBytes, options.publicKey))
    throw new EdgePlugError("SIGNATURE");
  return "verified";
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
