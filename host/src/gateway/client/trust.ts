/**
 * Which certificates a gateway may have. Three ways: an authority from a file (`--ca`), which must have signed a
 * certificate for the very host that is asked for; an authority seen before; or one trusted now, on first use, by a
 * person who compares its fingerprint, or by `--trust`.
 *
 * What is kept from first use is the authority *and a name* that the gateway's certificate must be good for ever after.
 * The name is the host asked for if the certificate has it. Where it hasn't (a forwarded port, an address that came
 * later), one of the certificate's own names is kept in its place: whoever else has a certificate of that authority is
 * still not taken for this gateway. Certificates for clients are none for gateways: TLS checks the purpose.
 */
import { readFileSync } from "node:fs";

import { EdgePlugError } from "../../errors.js";
import { readFingerprint } from "../fingerprint.js";
import type { GatewayAddress } from "./address.js";
import { fingerprintOf, lookAtGateway, namesOf, type SeenCertificates } from "./certificates.js";
import { PerGatewayFile } from "./config-folder.js";

/** Asked before an unknown gateway is trusted. */
export interface TrustQuestion {
  gateway: string;
  fingerprint: string;
  /** What its certificate is good for. */
  names: string[];
}

export interface TrustOptions {
  /** PEM file of the only authorities that count. */
  ca?: string | undefined;
  /** Fingerprint of the authority to trust from now on, whatever was trusted before. */
  trust?: string | undefined;
  /** Asks a person; without it, an unknown gateway is refused. */
  ask?: ((question: TrustQuestion) => Promise<boolean>) | undefined;
  /** For each look at the gateway, milliseconds. Default 5,000. */
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** What the calls are verified by. */
export interface Trust {
  /** PEM. */
  authorities: string;
  /** The name or address that the gateway's certificate must be good for. */
  name: string;
}

interface Pin {
  /** For the eye; what counts is the certificate. */
  fingerprint: string;
  /** PEM of the authority. */
  ca: string;
  /** What the gateway's certificate must be good for. */
  name: string;
}

const LOOK_MS = 5_000;

export function knownGateways(): PerGatewayFile<Pin> {
  return new PerGatewayFile("known-gateways.json", isPin);
}

/** Throws GATEWAY_CERTIFICATE, GATEWAY_UNREACHABLE, USAGE, FILE_NOT_FOUND, FILE_UNREADABLE or INTERRUPTED. */
export async function establishTrust(address: GatewayAddress, options: TrustOptions): Promise<Trust> {
  if (options.ca !== undefined) return byFile(address, options.ca, options);
  const wanted = options.trust === undefined ? undefined : fingerprintArgument(options.trust);
  const pin = knownGateways().get(address.gateway);
  if (pin !== undefined && (wanted === undefined || wanted === pin.fingerprint)) {
    return byPin(address, pin, options);
  }
  return onFirstUse(address, wanted, options);
}

async function byFile(address: GatewayAddress, file: string, options: TrustOptions): Promise<Trust> {
  const trust = { authorities: readPem(file), name: address.host };
  const seen = await look(address, options, trust.authorities);
  if (isStrange(seen)) {
    throw refusal(address, `its certificate is not from an authority in ${file}`, {
      action: "Pass the file of the authority that signed it; the gateway keeps its own as ca.pem.",
    });
  }
  check(address, seen, trust.name);
  return trust;
}

async function byPin(address: GatewayAddress, pin: Pin, options: TrustOptions): Promise<Trust> {
  const seen = await look(address, options, pin.ca);
  if (isStrange(seen)) throw changed(address, pin, seen);
  check(address, seen, pin.name);
  return { authorities: pin.ca, name: pin.name };
}

async function onFirstUse(
  address: GatewayAddress,
  wanted: string | undefined,
  options: TrustOptions,
): Promise<Trust> {
  const { authority } = await look(address, options);
  if (authority === undefined) {
    throw refusal(address, "it does not show the authority behind its certificate", {
      action: "Get the authority's certificate from whoever runs the gateway, and pass it with --ca.",
    });
  }
  const ca = authority.toString();
  // A second look: only now OpenSSL can judge the chain. Both must show the same.
  const seen = await look(address, options, ca);
  if (isStrange(seen)) throw refusal(address, "its certificate is not from the authority that it shows");
  const { name, names } = lastingName(address, seen);
  check(address, seen, name);
  const fingerprint = fingerprintOf(authority);
  if (wanted === undefined) await askForTrust(address, { fingerprint, names }, options);
  else if (wanted !== fingerprint) throw mismatch(address, wanted, fingerprint);
  knownGateways().set(address.gateway, { fingerprint, ca, name });
  return { authorities: ca, name };
}

async function askForTrust(
  address: GatewayAddress,
  { fingerprint, names }: { fingerprint: string; names: string[] },
  { ask }: TrustOptions,
): Promise<void> {
  const { gateway } = address;
  if (ask === undefined) {
    throw refusal(address, `it is not known here; its fingerprint is ${fingerprint}`, {
      action: `Compare that with what the gateway shows, then pass --trust ${fingerprint} once.`,
    });
  }
  if (await ask({ gateway, fingerprint, names })) return;
  throw refusal(address, `it is not known here, and its fingerprint ${fingerprint} was not accepted`);
}

/** The host asked for if the certificate has it, else a name that the certificate has: the first, but rather not localhost. */
function lastingName(address: GatewayAddress, seen: SeenCertificates): { name: string; names: string[] } {
  const names = namesOf(seen.leaf);
  if (seen.nameProblem(address.host) === undefined) return { name: address.host, names };
  const name = names.find((entry) => !/^(localhost|127\.|0*:|\*)/i.test(entry)) ?? names[0];
  if (name === undefined) throw refusal(address, "its certificate names no host");
  return { name, names };
}

function look(
  address: GatewayAddress,
  options: TrustOptions,
  authorities?: string,
): Promise<SeenCertificates> {
  return lookAtGateway(address, {
    authorities,
    timeoutMs: options.timeoutMs ?? LOOK_MS,
    signal: options.signal,
  });
}

/** The chain does not lead to any authority that counts. */
function isStrange({ problem }: SeenCertificates): boolean {
  return (
    problem === "SELF_SIGNED_CERT_IN_CHAIN" ||
    problem === "DEPTH_ZERO_SELF_SIGNED_CERT" ||
    problem === "UNABLE_TO_GET_ISSUER_CERT" ||
    problem === "UNABLE_TO_GET_ISSUER_CERT_LOCALLY" ||
    problem === "UNABLE_TO_VERIFY_LEAF_SIGNATURE" ||
    problem === "CERT_SIGNATURE_FAILURE"
  );
}

function check(address: GatewayAddress, seen: SeenCertificates, name: string): void {
  const { leaf, authority, problem } = seen;
  if (problem === "CERT_HAS_EXPIRED") {
    const isLeaf = Date.parse(leaf.validTo) < Date.now();
    const whose = isLeaf ? "its certificate" : "its authority's certificate";
    const when = isLeaf ? leaf.validTo : (authority?.validTo ?? "some time ago");
    throw refusal(address, `${whose} expired on ${when}`, {
      action: "Have the gateway's certificate renewed, see docs/gateway.md; check this machine's clock too.",
    });
  }
  if (problem === "CERT_NOT_YET_VALID") {
    throw refusal(address, `its certificate holds only from ${leaf.validFrom} on`, {
      action: "Check the clocks of this machine and of the gateway.",
    });
  }
  if (problem !== undefined) throw refusal(address, `its certificate does not hold (${problem})`);
  if (seen.nameProblem(name) !== undefined) {
    throw refusal(
      address,
      `its certificate is for ${namesOf(leaf).join(", ") || "no host"}, not for ${name}`,
      {
        action:
          "Name the gateway as its certificate does, or have it made for this name, see docs/gateway.md.",
      },
    );
  }
}

function changed(address: GatewayAddress, pin: Pin, { authority, leaf }: SeenCertificates): EdgePlugError {
  const now = fingerprintOf(authority ?? leaf);
  return new EdgePlugError(
    "GATEWAY_CERTIFICATE",
    `THE GATEWAY AT ${address.gateway} IS NOT THE ONE THAT WAS TRUSTED, or somebody sits in between: ` +
      `it was ${pin.fingerprint}, now it shows ${now}. Nothing was sent to it.`,
    {
      action: `Ask whoever runs it whether it was set up anew; only if ${now} is what it shows, pass --trust with that.`,
    },
  );
}

function mismatch(address: GatewayAddress, wanted: string, fingerprint: string): EdgePlugError {
  return refusal(address, `its fingerprint is ${fingerprint}, not ${wanted}`, {
    action: "Check host and port, and compare with what the gateway shows; somebody may sit in between.",
  });
}

function refusal({ gateway }: GatewayAddress, why: string, options?: { action: string }): EdgePlugError {
  return new EdgePlugError("GATEWAY_CERTIFICATE", `${gateway} can't be trusted: ${why}.`, options);
}

function fingerprintArgument(text: string): string {
  const fingerprint = readFingerprint(text);
  if (fingerprint !== undefined) return fingerprint;
  throw new EdgePlugError("USAGE", `"${text}" is no fingerprint.`, {
    action: "Pass --trust SHA256:… as the gateway shows it.",
  });
}

function readPem(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const name = code === "ENOENT" ? "FILE_NOT_FOUND" : "FILE_UNREADABLE";
    throw new EdgePlugError(name, `${file} can't be read: ${String(code)}.`, { cause: error });
  }
  if (!text.includes("-----BEGIN CERTIFICATE-----")) {
    throw new EdgePlugError("FILE_UNREADABLE", `${file} holds no certificate as PEM.`);
  }
  return text;
}

function isPin(value: unknown): value is Pin {
  const { fingerprint, ca, name } = (value ?? {}) as Partial<Record<keyof Pin, unknown>>;
  return typeof fingerprint === "string" && typeof ca === "string" && typeof name === "string";
}
