/**
 * A look at a gateway's certificates before anything is said to it. Nothing is sent over this connection; what it finds
 * serves to choose whom to trust, and to say in words why not. The calls themselves verify on their own.
 */
import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { checkServerIdentity, connect, type PeerCertificate, type TLSSocket } from "node:tls";

import { EdgePlugError } from "../../errors.js";
import { interrupted } from "../../session/connection.js";
import { certificateFingerprint } from "../fingerprint.js";
import type { GatewayAddress } from "./address.js";

export interface LookOptions {
  /** Milliseconds until GATEWAY_UNREACHABLE. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  /** PEM of the only authorities that count; without, none does. */
  authorities?: string | undefined;
}

export interface SeenCertificates {
  /** The gateway's own. */
  leaf: X509Certificate;
  /** The end of the chain that it showed, if that signed itself as authorities do. */
  authority: X509Certificate | undefined;
  /** OpenSSL's verdict over chain, dates and purpose, such as CERT_HAS_EXPIRED; undefined if all of it holds. */
  problem: string | undefined;
  /** Undefined if the gateway's certificate is good for this name or address, else why not. */
  nameProblem(name: string): string | undefined;
}

/** Throws GATEWAY_UNREACHABLE, GATEWAY_CERTIFICATE (no TLS there), INTERRUPTED. */
export async function lookAtGateway(
  address: GatewayAddress,
  options: LookOptions,
): Promise<SeenCertificates> {
  const socket = await handshake(address, options);
  try {
    const peer = socket.getPeerCertificate(true);
    const chain = chainOf(peer);
    const [leaf] = chain;
    if (leaf === undefined) throw noTls(address, "it shows no certificate");
    const last = chain.at(-1);
    // The reason is a code here, whatever the declaration says.
    const verdict = socket.authorizationError as unknown as string | null;
    return {
      leaf,
      authority: last !== undefined && signsItself(last) ? last : undefined,
      problem: verdict === null ? undefined : String(verdict),
      nameProblem: (name) => checkServerIdentity(name, peer)?.message,
    };
  } finally {
    socket.destroy();
  }
}

/** Names and addresses that a certificate is good for: `plant.example`, `10.0.0.7`. */
export function namesOf(certificate: X509Certificate): string[] {
  const names = certificate.subjectAltName?.split(", ") ?? [];
  return names.flatMap((entry) => /^(?:DNS|IP Address):(.+)$/.exec(entry)?.[1] ?? []);
}

export function fingerprintOf(certificate: X509Certificate): string {
  return certificateFingerprint(certificate.raw);
}

function handshake(address: GatewayAddress, options: LookOptions): Promise<TLSSocket> {
  const { host, port, gateway } = address;
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      // A name only: RFC 6066 section 3 knows no addresses here.
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ALPNProtocols: ["h2"],
      ca: options.authorities ?? [],
      rejectUnauthorized: false, // the verdict is wanted, not an end
      checkServerIdentity: () => undefined,
    });
    const finish = (act: () => void): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", aborted);
      socket.off("error", failed);
      socket.on("error", () => undefined);
      act();
    };
    const fail = (error: EdgePlugError): void =>
      finish(() => {
        socket.destroy();
        reject(error);
      });
    const aborted = (): void => fail(interrupted(options.signal));
    const failed = (error: NodeJS.ErrnoException): void => fail(connectError(address, error));
    const timer = setTimeout(() => {
      const seconds = (options.timeoutMs / 1000).toFixed(1);
      fail(new EdgePlugError("GATEWAY_UNREACHABLE", `${gateway} has not answered within ${seconds} s.`));
    }, options.timeoutMs);
    socket.once("error", failed);
    socket.once("secureConnect", () => finish(() => resolve(socket)));
    options.signal?.addEventListener("abort", aborted);
    if (options.signal?.aborted === true) aborted();
  });
}

const UNREACHABLE: Record<string, string> = {
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "the name is unknown",
  EAI_AGAIN: "names can't be looked up now",
  EHOSTUNREACH: "there is no way to that host",
  ENETUNREACH: "there is no way to that network",
  ETIMEDOUT: "the host does not answer",
};

function connectError(address: GatewayAddress, error: NodeJS.ErrnoException): EdgePlugError {
  const { gateway } = address;
  const code = error.code ?? "";
  if (code.startsWith("ERR_SSL") || code === "EPROTO")
    return noTls(address, "it speaks no TLS that fits", error);
  if (code === "ECONNRESET") {
    return new EdgePlugError(
      "GATEWAY_UNREACHABLE",
      `${gateway} ended the connection before TLS was agreed on: is that a gateway?`,
      { cause: error },
    );
  }
  const why = UNREACHABLE[code] ?? (code || error.message);
  return new EdgePlugError("GATEWAY_UNREACHABLE", `${gateway} can't be reached: ${why}.`, { cause: error });
}

function noTls({ gateway }: GatewayAddress, why: string, cause?: unknown): EdgePlugError {
  return new EdgePlugError("GATEWAY_CERTIFICATE", `${gateway} can't be trusted: ${why}.`, {
    cause,
    action: "Check host and port: a gateway always speaks TLS.",
  });
}

function chainOf(peer: Partial<PeerCertificate>): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next: { raw?: Buffer; issuerCertificate?: object } | undefined = peer;
  while (next?.raw !== undefined) {
    const certificate = new X509Certificate(next.raw);
    if (chain.some(({ fingerprint256 }) => fingerprint256 === certificate.fingerprint256)) break;
    chain.push(certificate);
    next = next.issuerCertificate;
  }
  return chain;
}

function signsItself(certificate: X509Certificate): boolean {
  return certificate.ca && certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey);
}
