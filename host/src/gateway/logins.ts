/**
 * Who calls, and what they may: by a token, or by a client certificate that this gateway knows.
 *
 * A token is `epg_` and 32 random bytes. Its SHA-256 is kept, no slow hash: those make up for passwords that can be guessed, and
 * nobody guesses 256 random bits; so a wrong token costs the gateway microseconds. Roles are in the database only: a certificate
 * says a name, its fingerprint is what counts.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

import { EdgePlugError } from "../errors.js";
import type { AuditInput } from "./audit.js";
import { FailedLogins } from "./failed-logins.js";
import { LoginStore, type CertificateRecord, type TokenRecord } from "./login-store.js";
import { RateLimit, type RateLimitOptions } from "./rate-limit.js";
import type { Role } from "./roles.js";
import type { GatewayState } from "./state.js";

export { requireRole, ROLES, type Role } from "./roles.js";

/** Who calls. */
export interface Login {
  readonly name: string;
  readonly role: Role;
  readonly means: "token" | "certificate";
}

/** What a caller shows. */
export interface Peer {
  /** IP address, or as the transport names it. */
  address: string;
  /** What stands behind `Bearer ` in the metadata `authorization`. */
  bearer?: string | undefined;
  /** The client certificate that TLS verified, DER. */
  certificate?: Uint8Array | undefined;
}

/** Why somebody is turned away. */
export interface Refusal {
  readonly name: "GATEWAY_LOGIN" | "GATEWAY_LIMIT";
  readonly message: string;
  /** Seconds until the next try, 0 where there is no limit. */
  readonly detail: number;
}

export interface LoginsOptions {
  limit?: RateLimitOptions;
  now?: () => Date;
  /** Told of each try, e.g. to count it. */
  onLogin?: (outcome: "token" | "certificate" | "failed" | "limited") => void;
}

const TOKEN = /^epg_[A-Za-z0-9_-]{43}$/;
const TOKEN_BYTES = 32;
/** How exact "last used" is. */
const USED_STEP_MS = 60_000;

/** Only what Logins needs of the audit log. */
export interface LoginAudit {
  append(entry: AuditInput): void;
}

export class Logins {
  readonly store: LoginStore;
  private readonly limit: RateLimit;
  private readonly failures: FailedLogins;
  private readonly now: () => Date;

  constructor(
    state: GatewayState,
    private readonly audit: LoginAudit,
    private readonly options: LoginsOptions = {},
  ) {
    this.store = new LoginStore(state);
    this.limit = new RateLimit(options.limit);
    const clock = options.limit?.monotonicMs;
    this.failures = new FailedLogins({
      append: (entry) => this.audit.append(entry),
      ...(clock === undefined ? {} : { monotonicMs: clock }),
    });
    this.now = options.now ?? ((): Date => new Date());
  }

  /** Throws GATEWAY_LOGIN, or GATEWAY_LIMIT after too many wrong ones. Right ones always get in. */
  identify(peer: Peer): Login {
    const found = this.judge(peer);
    if (typeof found === "string") {
      const { name, message, detail } = this.refusal(peer.address, found);
      throw new EdgePlugError(name, message, { detail });
    }
    return this.admit(found);
  }

  /**
   * What speaks against a caller, counted as a failure; undefined if identify() lets them in. The same judgement at the cost
   * of a look: no error is made.
   */
  refuse(peer: Peer): Refusal | undefined {
    const found = this.judge(peer);
    return typeof found === "string" ? this.refusal(peer.address, found) : undefined;
  }

  /** The very first admin's token; undefined if there ever was a login. */
  firstAdmin(): string | undefined {
    if (!this.store.isNew()) return undefined;
    const token = newToken();
    this.audit.append({
      who: "gateway",
      what: "token-add",
      detail: "admin (admin), the first",
      outcome: "ok",
    });
    this.store.addToken({ name: "admin", role: "admin", hash: tokenHash(token), expires: 0 }, this.now());
    return token;
  }

  close(): void {
    this.failures.close();
    this.store.saveUses();
  }

  /** Who it is, or why it is nobody. */
  private judge({ bearer, certificate }: Peer): Found | string {
    const byToken = bearer === undefined ? undefined : this.byToken(bearer);
    if (byToken !== undefined && typeof byToken !== "string") return byToken;
    const other = certificate === undefined ? undefined : this.byCertificate(certificate);
    if (other !== undefined && typeof other !== "string") return other;
    return byToken ?? other ?? "no token and no certificate that this gateway knows";
  }

  private byToken(token: string): Found | string {
    if (!TOKEN.test(token)) return "not a token";
    const hash = tokenHash(token);
    const record = this.store.findToken(hash);
    // found by a part of the hash; whoever measured the time could learn something of a hash, and nothing of a token
    if (record === undefined || !timingSafeEqual(record.hash, hash)) return "unknown token";
    return this.unexpired(record, "token");
  }

  private byCertificate(der: Uint8Array): Found | string {
    const record = this.store.findCertificate(createHash("sha256").update(der).digest());
    if (record === undefined) return "unknown certificate";
    if (record.revoked > 0) return `revoked certificate of ${record.name}`;
    return this.unexpired(record, "certificate");
  }

  private unexpired(record: Found["record"], means: Login["means"]): Found | string {
    const expired = record.expires > 0 && record.expires <= this.now().getTime();
    return expired ? `expired ${means} of ${record.name}` : { record, means };
  }

  private admit({ record, means }: Found): Login {
    const now = this.now().getTime();
    if (Math.abs(now - record.used) >= USED_STEP_MS) this.store.noteUse(record, now);
    this.options.onLogin?.(means);
    return { name: record.name, role: record.role, means };
  }

  private refusal(address: string, why: string): Refusal {
    const wait = this.limit.fail(address);
    this.failures.note(address, why);
    this.options.onLogin?.(wait === 0 ? "failed" : "limited");
    if (wait === 0)
      return {
        name: "GATEWAY_LOGIN",
        message: `The gateway does not let this caller in: ${why}.`,
        detail: 0,
      };
    return {
      name: "GATEWAY_LIMIT",
      message: `Too many failed logins. Wait ${wait} s before the next try.`,
      detail: wait,
    };
  }
}

interface Found {
  record: TokenRecord | CertificateRecord;
  means: Login["means"];
}

export function newToken(): string {
  return `epg_${randomBytes(TOKEN_BYTES).toString("base64url")}`;
}

export function tokenHash(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
