/** Ed25519 as the boards check it: strict in encodings, by the cofactorless equation (RFC 8032 section 5.1.7). */
import { createHash } from "node:crypto";

import * as ed from "@noble/ed25519";

export const PUBLIC_KEY_SIZE = 32;
export const SECRET_KEY_SIZE = 32;
export const SIGNATURE_SIZE = 64;
export const KEY_ID_SIZE = 8;

/** SHA-512 by the platform's own library, several times faster than one in JavaScript. */
export function sha512(data: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash("sha512").update(data).digest());
}

ed.hashes.sha512 = sha512;

/** First 8 bytes of SHA-512 of the raw public key: how packages and boards name a key. */
export function keyId(publicKey: Uint8Array): Uint8Array {
  if (publicKey.length !== PUBLIC_KEY_SIZE)
    throw new TypeError(`expected a public key of ${PUBLIC_KEY_SIZE} bytes, got ${publicKey.length}`);
  return sha512(publicKey).slice(0, KEY_ID_SIZE);
}

/** A new secret key: 32 random bytes, the seed of RFC 8032. */
export function newSecretKey(): Uint8Array {
  return ed.utils.randomSecretKey();
}

export function publicKeyOf(secretKey: Uint8Array): Uint8Array {
  return ed.getPublicKey(secretKey);
}

export function sign(message: Uint8Array, secretKey: Uint8Array): Uint8Array {
  return ed.sign(message, secretKey);
}

/**
 * Whether signatures can hold under this key: a point of the curve in its one encoding (RFC 8032 section 5.1.3), not of
 * small order. A board that got another one as its last operator's key would take no command any more.
 */
export function isUsablePublicKey(publicKey: Uint8Array): boolean {
  try {
    return !ed.Point.fromBytes(publicKey, false).isSmallOrder();
  } catch {
    return false;
  }
}

/**
 * Whether `signature` holds over `message`. Never throws: a key or signature of wrong size or encoding is
 * simply no valid one.
 */
export function verifySignature(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  if (signature.length !== SIGNATURE_SIZE || publicKey.length !== PUBLIC_KEY_SIZE) return false;
  try {
    if (!ed.verify(signature, message, publicKey, { zip215: false })) return false;
    return holdsWithoutCofactor(signature, message, publicKey);
  } catch {
    return false;
  }
}

/**
 * R must equal S·B − k·A byte for byte. The library multiplies by the cofactor, so it accepts signatures with a
 * small-order part that boards and OpenSSL refuse.
 */
function holdsWithoutCofactor(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  const order = ed.Point.CURVE().n;
  const r = signature.subarray(0, 32);
  const k = littleEndian(sha512(Buffer.concat([r, publicKey, message]))) % order;
  const s = littleEndian(signature.subarray(32));
  const point = ed.Point.BASE.multiply(s, false).subtract(
    ed.Point.fromBytes(publicKey, false).multiply(k, false),
  );
  return Buffer.compare(point.toBytes(), r) === 0;
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
}
