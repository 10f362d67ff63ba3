/** Certificates and keys as files: the gateway's own authority, and what users give. */
import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { EdgePlugError } from "../errors.js";
import { fileError } from "../files.js";
import { lifetimeOf, type KeyedCertificate } from "./lifetime.js";
import { storageError, writePrivateFile } from "./private-files.js";

const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----/g;

/** The authority of a state folder, made if there is none. Throws GATEWAY_STATE or GATEWAY_CONFIG. */
export async function openAuthority(folder: string, now: Date): Promise<KeyedCertificate> {
  const secret = join(folder, "ca-secret.pem");
  if (!existsSync(secret)) {
    const { makeAuthority } = await import("./authority.js");
    const made = await makeAuthority(now);
    writePrivateFile(secret, made.key + made.certificate);
  }
  const authority = readPair(secret);
  const { until } = lifetimeOf(new X509Certificate(authority.certificate));
  if (until <= now) {
    throw new EdgePlugError(
      "GATEWAY_CONFIG",
      `The gateway's own authority, ${secret}, was good until ${day(until)}, and by this machine's clock it is ${day(now)}.`,
      { action: "Correct the clock; or move the file away, and tell all clients the new fingerprint." },
    );
  }
  const open = join(folder, "ca.pem");
  if (!existsSync(open) || readFileSync(open, "utf8") !== authority.certificate)
    writePrivateFile(open, authority.certificate);
  return authority;
}

/** Throws GATEWAY_CONFIG, naming the dates of a certificate that is not good now. */
export function readGiven(certFile: string, keyFile: string, now: Date): KeyedCertificate {
  const pair = pairOf(certFile, readText(certFile), keyFile, readText(keyFile));
  for (const [index, text] of blocks(pair.certificate, "CERTIFICATE").entries()) {
    const { from, until } = lifetimeOf(new X509Certificate(text));
    if (from <= now && now < until) continue;
    const which = index === 0 ? "The certificate" : `Certificate ${index + 1}`;
    throw new EdgePlugError(
      "GATEWAY_CONFIG",
      `${which} in ${certFile} is good from ${day(from)} to ${day(until)}, and by this machine's clock it is ${day(now)}.`,
      { action: now < from ? "Correct the clock, or take another certificate." : "Get a new certificate." },
    );
  }
  return pair;
}

/** A file of our own: key and certificates. */
export function readPair(file: string): KeyedCertificate {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw storageError(file, error);
  }
  return pairOf(file, text, file, text);
}

/** Checks that the two belong together. */
function pairOf(certFile: string, certText: string, keyFile: string, keyText: string): KeyedCertificate {
  const certificates = blocks(certText, "CERTIFICATE");
  const key = blocks(keyText, "(?:EC |RSA )?PRIVATE KEY")[0];
  if (certificates[0] === undefined) throw unreadable(certFile, "no certificate in PEM form is in it");
  if (key === undefined) throw unreadable(keyFile, "no unencrypted private key in PEM form is in it");
  let secret: KeyObject;
  let certificate: X509Certificate;
  try {
    secret = createPrivateKey(key);
    for (const text of certificates) new X509Certificate(text);
    certificate = new X509Certificate(certificates[0]);
  } catch (error) {
    throw unreadable(certFile === keyFile ? certFile : `${certFile} or ${keyFile}`, String(error));
  }
  if (!certificate.checkPrivateKey(secret)) throw unreadable(keyFile, `it is not the key of ${certFile}`);
  return { certificate: certificates.join(""), key };
}

function unreadable(file: string, why: string): EdgePlugError {
  return new EdgePlugError("GATEWAY_CONFIG", `${file} can't be used for TLS: ${why}.`);
}

/** Throws FILE_NOT_FOUND, FILE_UNREADABLE. */
export function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw fileError(file, error);
  }
}

/** The PEM blocks whose label is `kind`, a regular expression. */
export function blocks(text: string, kind: string): string[] {
  const wanted = new RegExp(`^${kind}$`);
  return [...text.matchAll(PEM_BLOCK)]
    .filter(([, label = ""]) => wanted.test(label))
    .map(([block]) => `${block}\n`);
}

function day(date: Date): string {
  return date.toISOString().slice(0, 16).replace("T", " ") + " UTC";
}
