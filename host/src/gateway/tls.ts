/**
 * The gateway's side of TLS: its authority, its certificate, and credentials that ask clients for a certificate without
 * demanding one, since a token will do.
 *
 * In the state folder: `ca-secret.pem` (the authority with its key, never leaves the machine), `ca.pem` (the authority as clients
 * get it) and `server.pem` (the server's key and certificate).
 */
import { X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { isIP } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";
import type { SecureContextOptions } from "node:tls";

import { ServerCredentials } from "@grpc/grpc-js";

import { EdgePlugError } from "../errors.js";
import { blocks, openAuthority, readGiven, readPair, readText } from "./certificate-files.js";
import { certificateFingerprint } from "./fingerprint.js";
import { DAY_MS, lifetime, lifetimeOf, type KeyedCertificate } from "./lifetime.js";
import { writePrivateFile } from "./private-files.js";

export interface TlsOptions {
  /** PEM files of a certificate with its chain, and of its key, instead of an own one. */
  cert?: string | undefined;
  key?: string | undefined;
  /** PEM file of authorities whose client certificates are looked at too; `cert add` tells their roles. */
  clientCa?: string | undefined;
  /** More names and addresses that clients know this machine by. */
  names?: readonly string[];
  now?: () => Date;
  /** Told of a renewal, or of one that failed, while the gateway runs. */
  report?: (event: { until: Date } | { error: EdgePlugError }) => void;
}

const SERVER_DAYS = 365;
const RENEW_DAYS = 30;
const RENEW_CHECK_MS = 6 * 3_600_000;
const MIN_VERSION = "TLSv1.2";
const HANDSHAKE_MS = 15_000;

/** Throws GATEWAY_STATE, GATEWAY_CONFIG, FILE_NOT_FOUND or FILE_UNREADABLE. */
export async function openTls(folder: string, options: TlsOptions = {}): Promise<GatewayTls> {
  const now = options.now ?? ((): Date => new Date());
  const authority = await openAuthority(folder, now());
  const tls = new GatewayTls(folder, authority, options, now);
  await tls.load();
  return tls;
}

export class GatewayTls {
  private pair: KeyedCertificate = { certificate: "", key: "" };
  private readonly credentials: GatewayCredentials[] = [];
  private timer: NodeJS.Timeout | undefined;

  /** Use openTls(). */
  constructor(
    private readonly folder: string,
    readonly authority: KeyedCertificate,
    private readonly options: TlsOptions,
    private readonly now: () => Date,
  ) {}

  /** What the server shows, with its chain up to the authority. */
  get certificatePem(): string {
    return this.pair.certificate;
  }

  /** What clients need to verify it: the file for `--ca`. */
  get caPem(): string {
    return blocks(this.pair.certificate, "CERTIFICATE").at(-1) ?? "";
  }

  /** Of the certificate at the end of the chain, in ssh's form: `SHA256:` and base64 without padding. */
  get fingerprint(): string {
    return certificateFingerprint(new X509Certificate(this.caPem).raw);
  }

  /** Until when the server's certificate is good. */
  get until(): Date {
    return lifetimeOf(new X509Certificate(this.pair.certificate)).until;
  }

  /** New connections get the certificate of their time: one that is renewed needs no restart. */
  serverCredentials(): ServerCredentials {
    const credentials = new GatewayCredentials(this.context());
    this.credentials.push(credentials);
    this.timer ??= setInterval(() => void this.renew(), RENEW_CHECK_MS).unref();
    return credentials;
  }

  close(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  /** Renews the certificate if it is due; true if it was. Problems are reported, the present certificate stays. */
  async renew(): Promise<boolean> {
    const before = this.pair.certificate;
    try {
      await this.load();
    } catch (error) {
      this.options.report?.({ error: EdgePlugError.from(error) });
      return false;
    }
    if (this.pair.certificate === before) return false;
    for (const credentials of this.credentials) credentials.replace(this.context());
    this.options.report?.({ until: this.until });
    return true;
  }

  /** Reads the certificate that is there, or makes one. */
  async load(): Promise<void> {
    const { cert, key } = this.options;
    if ((cert === undefined) !== (key === undefined))
      throw new EdgePlugError("GATEWAY_CONFIG", "A certificate needs its key, and a key its certificate.", {
        action: "Pass both --tls-cert and --tls-key, or neither.",
      });
    this.pair =
      cert !== undefined && key !== undefined ? readGiven(cert, key, this.now()) : await this.ownPair();
  }

  private async ownPair(): Promise<KeyedCertificate> {
    const file = join(this.folder, "server.pem");
    const names = machineNames(this.options.names ?? []);
    const present = existsSync(file) ? readPair(file) : undefined;
    if (present !== undefined && !this.isDue(present, names)) return present;
    const { signServer } = await import("./authority.js");
    const made = await signServer(this.authority, names, lifetime(this.now(), SERVER_DAYS));
    const pair = { key: made.key, certificate: made.certificate + this.authority.certificate };
    writePrivateFile(file, pair.key + pair.certificate);
    return pair;
  }

  private isDue({ certificate }: KeyedCertificate, names: readonly string[]): boolean {
    const own = new X509Certificate(certificate);
    const issuer = new X509Certificate(this.authority.certificate);
    if (!own.verify(issuer.publicKey)) return true; // of an authority that was here before
    const now = this.now();
    // a clock that went back would only make certificates that nobody takes
    if (now < lifetimeOf(issuer).from) return false;
    const { from, until } = lifetimeOf(own);
    if (now < from || until.getTime() - now.getTime() < RENEW_DAYS * DAY_MS) return true;
    return !names.every((name) => isFor(own, name));
  }

  private context(): SecureContextOptions {
    const { clientCa } = this.options;
    const foreign = clientCa === undefined ? [] : [readText(clientCa)];
    return {
      ca: [this.authority.certificate, ...foreign],
      cert: this.pair.certificate,
      key: this.pair.key,
      minVersion: MIN_VERSION,
    };
  }
}

/**
 * grpc-js' createSsl() either asks for no client certificate or turns away who has none. With `rejectUnauthorized` off, the
 * handshake goes on without one; a call's getAuthContext() has only certificates that OpenSSL verified.
 */
class GatewayCredentials extends ServerCredentials {
  constructor(context: SecureContextOptions) {
    super({ requestCert: true, rejectUnauthorized: false, handshakeTimeout: HANDSHAKE_MS }, context);
  }

  replace(context: SecureContextOptions): void {
    this.updateSecureContextOptions(context);
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function isFor(certificate: X509Certificate, name: string): boolean {
  if (isIP(name) !== 0) return certificate.checkIP(name) !== undefined;
  return (certificate.subjectAltName ?? "").split(", ").includes(`DNS:${name}`);
}

/** What clients may call this machine by. Throws GATEWAY_CONFIG for a name that a certificate can't have. */
function machineNames(more: readonly string[]): string[] {
  const odd = more.find((name) => !isName(name));
  if (odd !== undefined)
    throw new EdgePlugError("GATEWAY_CONFIG", `"${odd}" is no host name and no address.`, {
      action: "Correct the names that the gateway's certificate is to have.",
    });
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    // link-local addresses are no use without a zone, which certificates don't know
    .filter(({ address }) => !/^fe80:/i.test(address))
    .map(({ address }) => address);
  const names = [hostname(), "localhost", "127.0.0.1", "::1", ...addresses, ...more];
  return [...new Set(names.filter(isName).map((name) => name.toLowerCase()))];
}

function isName(name: string): boolean {
  return isIP(name) !== 0 || /^(\*\.)?[a-z0-9_]([a-z0-9._-]{0,251}[a-z0-9_])?$/i.test(name);
}
