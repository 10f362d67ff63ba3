/** What may be done to a gateway's logins and state from its own machine. Each change is in the audit log before it is made. */
import { X509Certificate } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { basename, join } from "node:path";

import { EdgePlugError } from "../errors.js";
import { AUDIT_FILE, knownHead, type AuditLink, type AuditLog } from "./audit.js";
import { openAuthority } from "./certificate-files.js";
import { lifetime, lifetimeOf } from "./lifetime.js";
import type { LoginStore } from "./login-store.js";
import { makePrivate, storageError } from "./private-files.js";
import { ROLES, type Role } from "./roles.js";
import type { GatewayState } from "./state.js";

export interface TokenSummary {
  name: string;
  role: Role;
  /** ISO 8601; null: never. */
  created: string | null;
  expires: string | null;
  lastUsed: string | null;
}

export interface CertificateSummary extends TokenSummary {
  serial: string;
  revoked: string | null;
}

/** Each operation's input and output; both pass through JSON. */
export interface Operations {
  /** `hash`: SHA-256 of the token in hex. `expires`: Unix milliseconds, 0 = never. */
  "token-add": { input: { name: string; role: string; hash: string; expires: number }; output: object };
  "token-list": { input: object; output: { tokens: TokenSummary[] } };
  "token-revoke": { input: { name: string }; output: object };
  /** Signs a public key (`spki`, base64). */
  "cert-issue": {
    input: { name: string; role: string; spki: string; days: number };
    output: { certificate: string; serial: string; expires: string };
  };
  /** Takes a certificate of another authority (PEM). */
  "cert-add": {
    input: { name: string; role: string; certificate: string };
    output: { serial: string; expires: string };
  };
  "cert-list": { input: object; output: { certificates: CertificateSummary[] } };
  "cert-revoke": { input: { serial: string }; output: { name: string } };
  "audit-head": { input: object; output: { head: AuditLink | null } };
  /** Copies all that is needed into a new folder. */
  backup: { input: { folder: string }; output: { files: string[] } };
}

export type OperationName = keyof Operations;

const NAME = /^[\p{L}\p{N}][\p{L}\p{N} ._@-]{0,63}$/u;
const HASH = /^[0-9a-f]{64}$/;
const DAYS_MAX = 3_650;
const BACKED_UP = ["ca-secret.pem", "ca.pem", "server.pem"];

export interface AdministrationParts {
  state: GatewayState;
  store: LoginStore;
  audit: AuditLog;
  now?: () => Date;
}

export class Administration {
  private readonly now: () => Date;

  constructor(private readonly parts: AdministrationParts) {
    this.now = parts.now ?? ((): Date => new Date());
  }

  /**
   * `input` comes from another process and is checked. Throws GATEWAY_CONFIG for what can't be, GATEWAY_STATE for what can't be
   * stored.
   */
  async perform<N extends OperationName>(
    operation: N,
    input: Record<string, unknown>,
    who: string,
  ): Promise<Operations[N]["output"]> {
    const operations: {
      [M in OperationName]: () => Promise<Operations[M]["output"]> | Operations[M]["output"];
    } = {
      "token-add": () => this.addToken(input, who),
      "token-list": () => ({ tokens: this.parts.store.listTokens().map(summary) }),
      "token-revoke": () => this.revokeToken(input, who),
      "cert-issue": () => this.issueCertificate(input, who),
      "cert-add": () => this.addCertificate(input, who),
      "cert-list": () => this.listCertificates(),
      "cert-revoke": () => this.revokeCertificate(input, who),
      "audit-head": () => ({ head: knownHead(this.parts.state) ?? null }),
      backup: () => this.backup(input, who),
    };
    if (!Object.hasOwn(operations, operation)) throw wrong("operation", operation);
    return operations[operation]();
  }

  private addToken(input: Record<string, unknown>, who: string): object {
    const name = nameField(input);
    const role = roleField(input);
    const { hash, expires } = input;
    if (typeof hash !== "string" || !HASH.test(hash)) throw wrong("hash", hash);
    if (typeof expires !== "number" || !Number.isSafeInteger(expires) || expires < 0)
      throw wrong("expires", expires);
    this.parts.store.checkName(name);
    this.audit(who, "token-add", `${name} (${role})${expires === 0 ? "" : `, until ${iso(expires) ?? ""}`}`);
    this.parts.store.addToken({ name, role, hash: Buffer.from(hash, "hex"), expires }, this.now());
    return {};
  }

  private revokeToken(input: Record<string, unknown>, who: string): object {
    const name = nameField(input);
    this.parts.store.token(name);
    this.audit(who, "token-revoke", name);
    this.parts.store.revokeToken(name);
    return {};
  }

  private async issueCertificate(
    input: Record<string, unknown>,
    who: string,
  ): Promise<Operations["cert-issue"]["output"]> {
    const name = nameField(input);
    const role = roleField(input);
    const { spki, days } = input;
    if (typeof spki !== "string") throw wrong("spki", spki);
    if (typeof days !== "number" || !(days > 0 && days <= DAYS_MAX)) throw wrong("days", days);
    const authority = await openAuthority(this.parts.state.folder, this.now());
    const { signClient } = await import("./authority.js");
    let pem: string;
    try {
      pem = await signClient(authority, Buffer.from(spki, "base64"), name, lifetime(this.now(), days));
    } catch (error) {
      throw new EdgePlugError("GATEWAY_CONFIG", "The public key is none on the curve P-256.", {
        cause: error,
      });
    }
    return { certificate: pem, ...this.record(pem, name, role, who, "cert-issue") };
  }

  private addCertificate(input: Record<string, unknown>, who: string): Operations["cert-add"]["output"] {
    const { certificate } = input;
    if (typeof certificate !== "string") throw wrong("certificate", certificate);
    return this.record(certificate, nameField(input), roleField(input), who, "cert-add");
  }

  private record(
    pem: string,
    name: string,
    role: Role,
    who: string,
    what: string,
  ): { serial: string; expires: string } {
    let certificate: X509Certificate;
    try {
      certificate = new X509Certificate(pem);
    } catch (error) {
      throw new EdgePlugError("GATEWAY_CONFIG", "This is no certificate in PEM form.", { cause: error });
    }
    const serial = certificate.serialNumber.toLowerCase();
    const { until } = lifetimeOf(certificate);
    const fingerprint = Buffer.from(certificate.fingerprint256.replaceAll(":", ""), "hex");
    if (this.parts.store.findCertificate(fingerprint) !== undefined)
      throw new EdgePlugError("GATEWAY_CONFIG", "The gateway knows this certificate already.", {
        action: "List them with `edgeplug gateway cert list`.",
      });
    this.audit(who, what, `${name} (${role}), serial ${serial}, until ${until.toISOString()}`);
    this.parts.store.addCertificate(
      { name, role, serial, fingerprint, expires: until.getTime() },
      this.now(),
    );
    return { serial, expires: until.toISOString() };
  }

  private listCertificates(): Operations["cert-list"]["output"] {
    const certificates = this.parts.store.listCertificates();
    return {
      certificates: certificates.map((one) => ({
        ...summary(one),
        serial: one.serial,
        revoked: iso(one.revoked),
      })),
    };
  }

  private revokeCertificate(input: Record<string, unknown>, who: string): { name: string } {
    const { serial } = input;
    if (typeof serial !== "string") throw wrong("serial", serial);
    const record = this.parts.store.certificate(serial);
    this.audit(who, "cert-revoke", `${record.name}, serial ${record.serial}`);
    this.parts.store.revokeCertificate(serial, this.now());
    return { name: record.name };
  }

  /** Nothing else runs in this process meanwhile: database and audit log belong together. */
  private backup(input: Record<string, unknown>, who: string): { files: string[] } {
    const { folder } = input;
    if (typeof folder !== "string" || folder === "") throw wrong("folder", folder);
    this.audit(who, "backup", folder);
    try {
      mkdirSync(folder, { mode: 0o700 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST")
        throw new EdgePlugError("FILE_EXISTS", `${folder} exists already.`, { cause: error });
      throw storageError(folder, error);
    }
    this.parts.state.backup(join(folder, "gateway.db"));
    const present = [AUDIT_FILE, ...BACKED_UP].filter((file) =>
      existsSync(join(this.parts.state.folder, file)),
    );
    for (const file of present) {
      try {
        copyFileSync(join(this.parts.state.folder, file), join(folder, file));
        makePrivate(join(folder, file));
      } catch (error) {
        throw storageError(join(folder, basename(file)), error);
      }
    }
    return { files: ["gateway.db", ...present] };
  }

  private audit(who: string, what: string, detail: string): void {
    this.parts.audit.append({ who, what, detail, outcome: "ok" });
  }
}

function summary(record: {
  name: string;
  role: Role;
  created: number;
  expires: number;
  used: number;
}): TokenSummary {
  return {
    name: record.name,
    role: record.role,
    created: iso(record.created),
    expires: iso(record.expires),
    lastUsed: iso(record.used),
  };
}

function nameField({ name }: Record<string, unknown>): string {
  if (typeof name === "string" && NAME.test(name)) return name;
  throw new EdgePlugError("GATEWAY_CONFIG", `${JSON.stringify(name)} can't be a login's name.`, {
    action: "Take 1 to 64 letters, digits, spaces and . _ @ -, a letter or digit first.",
  });
}

function roleField({ role }: Record<string, unknown>): Role {
  const known = ROLES.find((one) => one === role);
  if (known !== undefined) return known;
  throw new EdgePlugError("GATEWAY_CONFIG", `${JSON.stringify(role)} is no role.`, {
    action: `The roles are ${ROLES.join(", ")}.`,
  });
}

function wrong(field: string, value: unknown): EdgePlugError {
  return new EdgePlugError(
    "GATEWAY_CONFIG",
    `The field ${field} can't be ${JSON.stringify(value) ?? "missing"}.`,
    {
      action: "Use commands and gateway of the same version.",
    },
  );
}

function iso(time: number): string | null {
  return time === 0 ? null : new Date(time).toISOString();
}
