/**
 * The audit log: an append-only file in which each entry names the hash of the one before.
 *
 * The order of an append tells every crash from a cut: the database first keeps the whole line as the log's head, then the file
 * gets it. So the file is at most one line behind, and what is missing is in the database; anything else was done by somebody.
 * Whoever can write both could make a new chain: note the head down elsewhere (`edgeplug audit verify` prints it).
 */
import { closeSync, constants, existsSync, fsyncSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";

import {
  GENESIS,
  RECOVERED,
  readEntry,
  sha256,
  writeEntry,
  type AuditInput,
  type AuditLink,
} from "./audit-entry.js";
import { findLog } from "./audit-recovery.js";
import { makePrivate, storageError, syncFolder } from "./private-files.js";
import type { GatewayState } from "./state.js";

export type { AuditEntry, AuditInput, AuditLink } from "./audit-entry.js";
export { verifyAudit, type AuditReport } from "./audit-verify.js";

export const AUDIT_FILE = "audit.log";

/** Where the log's end is kept beside the log. */
export interface AuditHead {
  /** The last line that was begun, "" before the first; undefined if nothing is known of this log. */
  read(): string | undefined;
  /** Durable when it returns. Throws GATEWAY_STATE. */
  write(line: string): void;
}

export interface AuditOptions {
  head?: AuditHead;
  /** The clock. */
  now?: () => Date;
  /** Called after each entry, e.g. to count it. */
  onEntry?: () => void;
}

const PRIVATE = 0o600;
/** Smaller steps back are a clock being corrected. */
const CLOCK_BACK_MS = 1_000;

export class AuditLog {
  private last: AuditLink = GENESIS;
  private lastLine = "";
  private lastTime = 0;
  /** Bytes up to the last entry's end. */
  private size = 0;
  /** A failed write that could not be taken back yet. */
  private dirty = false;

  private constructor(
    readonly path: string,
    private readonly file: number,
    private readonly options: AuditOptions,
  ) {}

  /**
   * Opens or begins the log, and closes a line that a crash tore. Throws GATEWAY_STATE, and AUDIT_BROKEN if the file is not what
   * was written: then it is left as it is.
   */
  static open(path: string, options: AuditOptions = {}): AuditLog {
    const isNew = !existsSync(path);
    let file: number;
    try {
      file = openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, PRIVATE);
      makePrivate(path);
      if (isNew) syncFolder(dirname(path));
    } catch (error) {
      throw storageError(path, error);
    }
    const log = new AuditLog(path, file, options);
    try {
      log.recover();
      return log;
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }

  /** The log in a gateway's state folder, its head in the database. */
  static openIn(state: GatewayState, options: Omit<AuditOptions, "head"> = {}): AuditLog {
    return AuditLog.open(join(state.folder, AUDIT_FILE), { ...options, head: headIn(state) });
  }

  /** The last entry. */
  get head(): AuditLink {
    return this.last;
  }

  /** On disk when it returns. Throws GATEWAY_STATE; then nothing was written, and the action must not be done. */
  append(entry: AuditInput): void {
    const now = this.options.now?.() ?? new Date();
    const back = this.lastTime - now.getTime();
    if (back > CLOCK_BACK_MS) {
      const detail = `${Math.round(back / 1_000)} s`;
      this.write({ who: "gateway", what: "clock-back", detail, outcome: "noted" }, now);
    }
    this.write(entry, now);
  }

  close(): void {
    closeSync(this.file);
  }

  private write(entry: AuditInput, time: Date): void {
    const { line, link } = this.entryAfterLast(entry, time);
    this.put(line, link, Buffer.from(`${line}\n`));
    this.lastTime = time.getTime();
  }

  private entryAfterLast(entry: AuditInput, time: Date): { line: string; link: AuditLink } {
    this.takeBack();
    return writeEntry(entry, this.last, time);
  }

  private put(line: string, link: AuditLink, bytes: Buffer): void {
    this.options.head?.write(line);
    try {
      const written = writeSync(this.file, bytes);
      // a write ends early where the disk does
      if (written !== bytes.length) throw Object.assign(new Error("short write"), { code: "ENOSPC" });
      fsyncSync(this.file);
    } catch (error) {
      this.dirty = true;
      this.takeBack();
      throw storageError(this.path, error);
    }
    this.size += bytes.length;
    this.lastLine = line;
    this.last = link;
    this.options.onEntry?.();
  }

  /** After a failed write, file and database go back to the entry before it; until both did, nothing more is written. */
  private takeBack(): void {
    if (!this.dirty) return;
    try {
      ftruncateSync(this.file, this.size);
      fsyncSync(this.file);
    } catch (error) {
      throw storageError(this.path, error);
    }
    this.options.head?.write(this.lastLine);
    this.dirty = false;
  }

  private recover(): void {
    const found = findLog(this.path, this.options.head?.read(), this.options.head !== undefined);
    this.last = found.last;
    this.lastLine = found.lastLine;
    this.lastTime = found.lastTime;
    this.size = found.size + found.tail.length;
    if (found.recovery !== undefined) this.explain(found.tail, found.recovery);
  }

  /** Ends a torn line and says what it was, in one write: a crash in the middle of that can be told too. */
  private explain(tail: Buffer, detail: string): void {
    const torn = tail.length === 0 ? undefined : { bytes: tail.length, sha256: sha256(tail) };
    const entry = { who: "gateway", what: RECOVERED, detail, outcome: "noted" };
    const { line, link } = writeEntry(entry, this.last, this.options.now?.() ?? new Date(), torn);
    this.put(line, link, Buffer.from(`${torn === undefined ? "" : "\n"}${line}\n`));
  }
}

/** The log's end in the gateway's database. */
export function headIn(state: GatewayState): AuditHead {
  state.migrate("audit", [
    "CREATE TABLE audit_head (id INTEGER PRIMARY KEY CHECK (id = 1), line TEXT NOT NULL)",
  ]);
  return {
    read: () => state.all("SELECT line FROM audit_head")[0]?.["line"] as string | undefined,
    write: (line) => {
      state.run("INSERT INTO audit_head VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET line = excluded.line", [
        line,
      ]);
    },
  };
}

/** The last entry as the database has it; undefined if it knows of no log. */
export function knownHead(state: GatewayState): AuditLink | undefined {
  const line = headIn(state).read();
  if (line === undefined) return undefined;
  const entry = readEntry(Buffer.from(line));
  return entry === undefined ? GENESIS : { seq: entry.seq, hash: entry.hash };
}
