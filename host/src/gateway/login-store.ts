/** Tokens and client certificates in the database. The gateway is its only owner, so all are in memory too. */
import { EdgePlugError } from "../errors.js";
import type { Role } from "./roles.js";
import type { GatewayState, SqlRow } from "./state.js";

/** Times are Unix milliseconds; 0 = never. */
interface LoginRecord {
  readonly name: string;
  readonly role: Role;
  readonly created: number;
  readonly expires: number;
  /** To the minute, written down when the gateway ends and at times. */
  used: number;
}

export interface TokenRecord extends LoginRecord {
  /** SHA-256 of the token. */
  readonly hash: Buffer;
}

export interface CertificateRecord extends LoginRecord {
  /** Hex, as in the certificate. */
  readonly serial: string;
  /** SHA-256 of the certificate. */
  readonly fingerprint: Buffer;
  revoked: number;
}

export type NewToken = Pick<TokenRecord, "name" | "role" | "hash" | "expires">;
export type NewCertificate = Pick<CertificateRecord, "name" | "role" | "serial" | "fingerprint" | "expires">;

const TOKENS = `CREATE TABLE tokens (
  name TEXT PRIMARY KEY,
  role TEXT NOT NULL,
  hash BLOB NOT NULL UNIQUE,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  used INTEGER NOT NULL
)`;
const CERTIFICATES = `CREATE TABLE certificates (
  serial TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  fingerprint BLOB NOT NULL UNIQUE,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  used INTEGER NOT NULL,
  revoked INTEGER NOT NULL
)`;
/** Whether there ever was a login: without this, removing the last one would make a new admin at the next start. */
const EVER = "CREATE TABLE logins_ever (id INTEGER PRIMARY KEY CHECK (id = 1))";
const SAVE_USES_MS = 3_600_000;

export class LoginStore {
  private readonly tokens = new Map<string, TokenRecord>();
  private readonly certificates = new Map<string, CertificateRecord>();
  private readonly unsaved = new Set<TokenRecord | CertificateRecord>();
  private savedUses = 0;

  constructor(private readonly state: GatewayState) {
    state.migrate("logins", [TOKENS, CERTIFICATES, EVER]);
    for (const row of state.all("SELECT * FROM tokens")) {
      const record = { ...common(row), hash: blob(row["hash"]) };
      this.tokens.set(shortKey(record.hash), record);
    }
    for (const row of state.all("SELECT * FROM certificates")) {
      const fingerprint = blob(row["fingerprint"]);
      this.certificates.set(fingerprint.toString("hex"), {
        ...common(row),
        serial: String(row["serial"]),
        fingerprint,
        revoked: Number(row["revoked"]),
      });
    }
  }

  isNew(): boolean {
    return this.state.all("SELECT id FROM logins_ever").length === 0;
  }

  /** The token whose hash begins as this one does: compare the rest in constant time. */
  findToken(hash: Buffer): TokenRecord | undefined {
    return this.tokens.get(shortKey(hash));
  }

  findCertificate(fingerprint: Buffer): CertificateRecord | undefined {
    return this.certificates.get(fingerprint.toString("hex"));
  }

  listTokens(): TokenRecord[] {
    return [...this.tokens.values()].sort(byName);
  }

  listCertificates(): CertificateRecord[] {
    return [...this.certificates.values()].sort(byName);
  }

  /** Throws GATEWAY_CONFIG if there is none of the name. */
  token(wanted: string): TokenRecord {
    const record = this.listTokens().find(({ name }) => name === wanted);
    if (record !== undefined) return record;
    throw new EdgePlugError("GATEWAY_CONFIG", `There is no token of the name ${wanted}.`, {
      action: "List them with `edgeplug gateway token list`.",
    });
  }

  /** Throws GATEWAY_CONFIG if there is none of the serial number. */
  certificate(serial: string): CertificateRecord {
    const wanted = serial.replaceAll(":", "").toLowerCase();
    const record = this.listCertificates().find((certificate) => certificate.serial === wanted);
    if (record !== undefined) return record;
    throw new EdgePlugError(
      "GATEWAY_CONFIG",
      `There is no certificate with the serial number ${JSON.stringify(serial)}.`,
      { action: "List them with `edgeplug gateway cert list`." },
    );
  }

  /** Throws GATEWAY_CONFIG if a token has the name. */
  checkName(wanted: string): void {
    if (!this.listTokens().some(({ name }) => name === wanted)) return;
    throw new EdgePlugError("GATEWAY_CONFIG", `There is a token of the name ${wanted} already.`, {
      action: "Take another name, or revoke that one first.",
    });
  }

  /** Throws GATEWAY_CONFIG if the name is taken, GATEWAY_STATE. */
  addToken(token: NewToken, now: Date): void {
    this.checkName(token.name);
    const record: TokenRecord = { ...token, created: now.getTime(), used: 0 };
    this.state.transaction(() => {
      this.state.run("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, 0)", [
        record.name,
        record.role,
        record.hash,
        record.created,
        record.expires,
      ]);
      this.noteEver();
    });
    this.tokens.set(shortKey(record.hash), record);
  }

  /** From the next call on it is unknown. Throws GATEWAY_CONFIG if there is none of the name. */
  revokeToken(name: string): void {
    const record = this.token(name);
    this.state.run("DELETE FROM tokens WHERE name = ?", [name]);
    this.tokens.delete(shortKey(record.hash));
    this.unsaved.delete(record);
  }

  addCertificate(certificate: NewCertificate, now: Date): void {
    if (this.certificates.has(certificate.fingerprint.toString("hex")))
      throw new EdgePlugError("GATEWAY_CONFIG", "The gateway knows this certificate already.", {
        action: "List them with `edgeplug gateway cert list`.",
      });
    const record: CertificateRecord = { ...certificate, created: now.getTime(), used: 0, revoked: 0 };
    this.state.transaction(() => {
      this.state.run("INSERT INTO certificates VALUES (?, ?, ?, ?, ?, ?, 0, 0)", [
        record.serial,
        record.name,
        record.role,
        record.fingerprint,
        record.created,
        record.expires,
      ]);
      this.noteEver();
    });
    this.certificates.set(record.fingerprint.toString("hex"), record);
  }

  /** From the next call on it counts no more. Throws GATEWAY_CONFIG if there is no such serial. */
  revokeCertificate(serial: string, now: Date): void {
    const record = this.certificate(serial);
    this.state.run("UPDATE certificates SET revoked = ? WHERE serial = ?", [now.getTime(), record.serial]);
    record.revoked = now.getTime();
  }

  noteUse(record: TokenRecord | CertificateRecord, now: number): void {
    record.used = now;
    this.unsaved.add(record);
    if (Math.abs(now - this.savedUses) < SAVE_USES_MS) return;
    this.savedUses = now;
    this.saveUses();
  }

  /** When logins were used last is worth no failed call: what can't be written is tried again later. */
  saveUses(): void {
    try {
      this.state.transaction(() => {
        for (const record of this.unsaved) {
          if ("hash" in record)
            this.state.run("UPDATE tokens SET used = ? WHERE name = ?", [record.used, record.name]);
          else
            this.state.run("UPDATE certificates SET used = ? WHERE serial = ?", [record.used, record.serial]);
        }
      });
      this.unsaved.clear();
    } catch (error) {
      if (!(error instanceof EdgePlugError)) throw error;
    }
  }

  private noteEver(): void {
    this.state.run("INSERT OR IGNORE INTO logins_ever VALUES (1)");
  }
}

function common(row: SqlRow): LoginRecord {
  return {
    name: String(row["name"]),
    role: String(row["role"]) as Role,
    created: Number(row["created"]),
    expires: Number(row["expires"]),
    used: Number(row["used"]),
  };
}

const KEY_BYTES = 8;

function shortKey(hash: Buffer): string {
  return hash.toString("latin1", 0, KEY_BYTES);
}

function blob(value: unknown): Buffer {
  return value instanceof Uint8Array ? Buffer.from(value) : Buffer.alloc(0);
}

function byName(one: { name: string }, other: { name: string }): number {
  return one.name.localeCompare(other.name);
}
