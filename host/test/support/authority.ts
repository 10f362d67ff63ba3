/** Certificates of a test's own, good and bad. */
import "reflect-metadata";

import { createPrivateKey, webcrypto } from "node:crypto";

import {
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  type X509Certificate,
} from "@peculiar/x509";

import { certificateFingerprint } from "../../src/gateway/fingerprint.js";

cryptoProvider.set(webcrypto);

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY_MS = 86_400_000;
let serial = 1;

export interface LeafOptions {
  /** DNS names, or addresses as `ip:127.0.0.1`. Default: localhost and 127.0.0.1. */
  names?: string[];
  /** Days from now. Default −1 and 30. */
  from?: number;
  until?: number;
  purpose?: "server" | "client";
}

export interface Leaf {
  /** With the authority's behind it. */
  chain: Buffer;
  certificate: Buffer;
  key: Buffer;
}

export class Authority {
  readonly pem: string;
  readonly fingerprint: string;

  private constructor(
    private readonly certificate: X509Certificate,
    private readonly keys: webcrypto.CryptoKeyPair,
  ) {
    this.pem = `${certificate.toString("pem")}\n`;
    this.fingerprint = certificateFingerprint(new Uint8Array(certificate.rawData));
  }

  static async create(name = "Test authority"): Promise<Authority> {
    const keys = await newKeys();
    const certificate = await X509CertificateGenerator.createSelfSigned({
      serialNumber: nextSerial(),
      name: `CN=${name}`,
      notBefore: new Date(Date.now() - 400 * DAY_MS),
      notAfter: new Date(Date.now() + 400 * DAY_MS),
      signingAlgorithm: ALGORITHM,
      keys: keys,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      ],
    });
    return new Authority(certificate, keys);
  }

  async issue(options: LeafOptions = {}): Promise<Leaf> {
    const { names = ["localhost", "ip:127.0.0.1"], from = -1, until = 30, purpose = "server" } = options;
    const keys = await newKeys();
    const leaf = await X509CertificateGenerator.create({
      serialNumber: nextSerial(),
      subject: "CN=Test gateway",
      issuer: this.certificate.subject,
      notBefore: new Date(Date.now() + from * DAY_MS),
      notAfter: new Date(Date.now() + until * DAY_MS),
      signingAlgorithm: ALGORITHM,
      publicKey: keys.publicKey,
      signingKey: this.keys.privateKey,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new ExtendedKeyUsageExtension([
          purpose === "server" ? ExtendedKeyUsage.serverAuth : ExtendedKeyUsage.clientAuth,
        ]),
        new SubjectAlternativeNameExtension(
          names.map((name) =>
            name.startsWith("ip:") ? { type: "ip", value: name.slice(3) } : { type: "dns", value: name },
          ),
        ),
      ],
    });
    const certificate = Buffer.from(`${leaf.toString("pem")}\n`);
    return {
      chain: Buffer.concat([certificate, Buffer.from(this.pem)]),
      certificate,
      key: await exportKey(keys.privateKey),
    };
  }
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

async function exportKey(key: webcrypto.CryptoKey): Promise<Buffer> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key));
  const pem = createPrivateKey({ key: der, format: "der", type: "pkcs8" }).export({
    format: "pem",
    type: "pkcs8",
  });
  return Buffer.from(pem);
}

function nextSerial(): string {
  return (serial++).toString(16).padStart(2, "0");
}
