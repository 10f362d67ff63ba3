/**
 * The gateway's own certificate authority: ECDSA on P-256, certificates as RFC 5280 asks for them.
 *
 * The library behind it takes long to load: who only reads certificates doesn't import this.
 */
import "reflect-metadata"; // @peculiar/x509 looks for it when it is loaded
import { createPrivateKey, randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";

import * as x509 from "@peculiar/x509";

import { lifetime, type KeyedCertificate, type Lifetime } from "./lifetime.js";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
const AUTHORITY_DAYS = 3_652;
const SERIAL_BYTES = 16;

/** A new authority, good for ten years. */
export async function makeAuthority(now: Date): Promise<KeyedCertificate> {
  const keys = await newKeys();
  const { from, until } = lifetime(now, AUTHORITY_DAYS);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    // two gateways' authorities have different names, so that one is never looked for under the other's
    name: `CN=EdgePlug gateway ${randomBytes(4).toString("hex")}`,
    notBefore: from,
    notAfter: until,
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pem(certificate), key: await keyPem(keys) };
}

/** A server's certificate for host names and addresses. */
export async function signServer(
  authority: KeyedCertificate,
  names: readonly string[],
  life: Lifetime,
): Promise<KeyedCertificate> {
  const keys = await newKeys();
  const alternatives = new x509.SubjectAlternativeNameExtension(
    names.map((name) => ({ type: isIP(name) === 0 ? ("dns" as const) : ("ip" as const), value: name })),
  );
  const certificate = await sign(authority, keys.publicKey, "edgeplug gateway", life, [
    new x509.ExtendedKeyUsageExtension([SERVER_AUTH]),
    alternatives,
  ]);
  return { certificate, key: await keyPem(keys) };
}

/** A client's certificate, PEM, for a public key in SPKI form. Throws TypeError or DOMException if that is none on P-256. */
export async function signClient(
  authority: KeyedCertificate,
  spki: Uint8Array,
  name: string,
  life: Lifetime,
): Promise<string> {
  const key = await webcrypto.subtle.importKey("spki", Uint8Array.from(spki), ALGORITHM, true, ["verify"]);
  return sign(authority, key, name, life, [new x509.ExtendedKeyUsageExtension([CLIENT_AUTH])]);
}

/** A key pair for a client: what stays there, and what is signed. */
export async function newClientKey(): Promise<{ key: string; spki: Uint8Array }> {
  const keys = await newKeys();
  const spki = new Uint8Array(await webcrypto.subtle.exportKey("spki", keys.publicKey));
  return { key: await keyPem(keys), spki };
}

async function sign(
  authority: KeyedCertificate,
  publicKey: webcrypto.CryptoKey,
  name: string,
  life: Lifetime,
  extensions: x509.Extension[],
): Promise<string> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const until = new Date(Math.min(life.until.getTime(), issuer.notAfter.getTime()));
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: [{ CN: [name] }],
    issuer: issuer.subject,
    notBefore: life.from,
    notAfter: until,
    signingAlgorithm: ALGORITHM,
    publicKey,
    signingKey: await importKey(authority.key),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      ...extensions,
    ],
  });
  return pem(certificate);
}

/** Positive and without a leading zero byte (RFC 5280 section 4.1.2.2). */
function newSerial(): string {
  const serial = randomBytes(SERIAL_BYTES);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial.toString("hex");
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

async function keyPem({ privateKey }: webcrypto.CryptoKeyPair): Promise<string> {
  return (
    x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", privateKey), "PRIVATE KEY") + "\n"
  );
}

function importKey(text: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(text).export({ format: "der", type: "pkcs8" });
  return webcrypto.subtle.importKey("pkcs8", Uint8Array.from(der), ALGORITHM, false, ["sign"]);
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}
