/** How people compare certificates: a short text that names one certificate and no other. */
import { createHash } from "node:crypto";

const PREFIX = "SHA256:";
const HEX_DIGITS = 64;

/** `SHA256:` and base64 without padding, over the certificate as DER. */
export function certificateFingerprint(der: Uint8Array): string {
  return write(createHash("sha256").update(der).digest());
}

/**
 * A fingerprint as somebody typed it, in the form of certificateFingerprint(); undefined if it is none. Hex digits are
 * understood too, with colons or without: `openssl x509 -fingerprint -sha256` prints them so.
 */
export function readFingerprint(text: string): string | undefined {
  const body = text.trim().replace(/^sha256( fingerprint)?[:=]/i, "");
  const digits = body.replaceAll(":", "");
  if (digits.length === HEX_DIGITS && /^[0-9a-f]+$/i.test(digits)) return write(Buffer.from(digits, "hex"));
  if (!/^[A-Za-z0-9+/]{43}=?$/.test(body)) return undefined;
  const hash = Buffer.from(body, "base64");
  return hash.length === HEX_DIGITS / 2 ? write(hash) : undefined;
}

function write(hash: Buffer): string {
  return PREFIX + hash.toString("base64").replace(/=+$/, "");
}
