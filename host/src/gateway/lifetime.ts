/** Certificates as they are kept, and for how long they are good. */
import type { X509Certificate } from "node:crypto";

const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
/** Other clocks may be behind this one. */
const EARLIER_MS = HOUR_MS;

/** A certificate and its key, both PEM. */
export interface KeyedCertificate {
  readonly certificate: string;
  readonly key: string;
}

export interface Lifetime {
  readonly from: Date;
  readonly until: Date;
}

/** Valid from an hour ago for `days`. */
export function lifetime(now: Date, days: number): Lifetime {
  return {
    from: new Date(now.getTime() - EARLIER_MS),
    until: new Date(now.getTime() + days * DAY_MS),
  };
}

/** Until when and from when on a certificate is good. */
export function lifetimeOf(certificate: X509Certificate): Lifetime {
  return { from: new Date(certificate.validFrom), until: new Date(certificate.validTo) };
}
