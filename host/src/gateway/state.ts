/**
 * The gateway's database: one SQLite file, owned by one process, on disk before a call returns.
 *
 * It runs in WAL mode under an exclusive lock. That is not for speed: the file system layer of node-sqlite3-wasm takes its own
 * lock for somebody else's when it looks for a rollback journal, so that a transaction which was cut by kill -9 would stay half
 * done. A write-ahead log needs no such look: what was not committed is not in the file. (The exclusive lock is needed because
 * the package has no shared memory; so commands reach the data of a running gateway through control.ts.)
 */
import { existsSync, readdirSync, renameSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import sqlite, { type Database as SqliteDatabase } from "node-sqlite3-wasm";

import { EdgePlugError } from "../errors.js";
import { FolderLock, type OwnerKind } from "./folder-lock.js";
import { makePrivate, preparePrivateFolder, reason, storageError, syncFolder } from "./private-files.js";

export type SqlValue = number | bigint | string | Uint8Array | null;
export type SqlRow = Record<string, SqlValue>;

const FILE = "gateway.db";
const DAMAGE = /not a database|malformed|corrupt/i;
const NOT_STORED = /disk I\/O|full|unable to open|readonly/i;

export class GatewayState {
  private depth = 0;

  private constructor(
    readonly folder: string,
    private readonly file: string,
    private readonly lock: FolderLock,
    private db: SqliteDatabase,
  ) {}

  /**
   * Makes the folder (0700) and an empty database if there is none. Throws GATEWAY_STATE: another process has it, the
   * database is damaged, the disk fails.
   */
  static open(folder: string, kind: OwnerKind = "gateway"): GatewayState {
    preparePrivateFolder(folder, FILE);
    const file = join(folder, FILE);
    const lock = takeLock(folder, kind);
    try {
      removeLeftovers(folder);
      if (!existsSync(file)) createDatabase(file);
      const state = new GatewayState(folder, file, lock, openChecked(file));
      state.start();
      return state;
    } catch (error) {
      lock.release();
      throw translate(error, file);
    }
  }

  /** One statement. On disk when it returns, unless a transaction is open. */
  run(sql: string, params: readonly SqlValue[] = []): { changes: number } {
    return this.guard(() => ({ changes: this.db.run(sql, [...params]).changes }));
  }

  all(sql: string, params: readonly SqlValue[] = []): SqlRow[] {
    return this.guard(() => this.db.all(sql, [...params]) as SqlRow[]);
  }

  /** All of what `act` writes is kept, or nothing. One inside another belongs to the outer one. */
  transaction<T>(act: () => T): T {
    if (this.depth > 0) return act();
    this.guard(() => this.db.exec("BEGIN IMMEDIATE"));
    this.depth++;
    try {
      const result = act();
      this.guard(() => this.db.exec("COMMIT"));
      return result;
    } catch (error) {
      // a failed write has ended the transaction already
      if (this.db.isOpen && this.db.inTransaction) this.db.exec("ROLLBACK");
      throw error;
    } finally {
      this.depth--;
    }
  }

  /**
   * Brings one part's tables up to date: `steps` are all statements since its first version, of which those that this database
   * hasn't seen are run. Steps are only ever added.
   */
  migrate(part: string, steps: readonly string[]): void {
    this.transaction(() => {
      const done = Number(this.all("SELECT steps FROM migrations WHERE part = ?", [part])[0]?.["steps"] ?? 0);
      if (done > steps.length) {
        throw new EdgePlugError("GATEWAY_STATE", `${this.file} was written by a newer version of EdgePlug.`, {
          action: "Install that version again, or restore the state folder from an older backup.",
        });
      }
      for (const step of steps.slice(done)) this.run(step);
      if (done < steps.length)
        this.run(
          "INSERT INTO migrations VALUES (?, ?) ON CONFLICT (part) DO UPDATE SET steps = excluded.steps",
          [part, steps.length],
        );
    });
  }

  /** A copy of the database as it is now, in one new file. Throws GATEWAY_STATE. */
  backup(to: string): void {
    try {
      writeFileSync(to, "", { flag: "wx", mode: 0o600 });
    } catch (error) {
      throw storageError(to, error);
    }
    this.guard(() => this.db.run("VACUUM INTO ?", [to]));
  }

  close(): void {
    if (!this.db.isOpen) return;
    this.db.close();
    this.lock.release();
  }

  /** The first write makes the log file; from then on its name has to be on disk too. */
  private start(): void {
    this.db.exec("CREATE TABLE IF NOT EXISTS migrations (part TEXT PRIMARY KEY, steps INTEGER NOT NULL)");
    this.db.exec(
      "CREATE TABLE IF NOT EXISTS opened (id INTEGER PRIMARY KEY CHECK (id = 1), times INTEGER NOT NULL)",
    );
    this.db.exec("INSERT INTO opened VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET times = times + 1");
    for (const name of [FILE, `${FILE}-wal`]) makePrivate(join(this.folder, name));
    syncFolder(this.folder);
  }

  private guard<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      throw translate(error, this.file);
    }
  }
}

function takeLock(folder: string, kind: OwnerKind): FolderLock {
  try {
    return FolderLock.take(folder, kind);
  } catch (error) {
    throw storageError(folder, error);
  }
}

/** What a killed process leaves: the package's lock, which is a folder, and a database that was never finished. */
function removeLeftovers(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(FILE)) continue;
    const path = join(folder, name);
    if (name.endsWith(".lock") && statSync(path).isDirectory()) rmdirSync(path);
    else if (name.startsWith(`${FILE}.new`)) rmSync(path, { force: true });
  }
}

/** Under another name until it is whole and in WAL mode. A log without its database would be taken for the new one's. */
function createDatabase(file: string): void {
  if (existsSync(`${file}-wal`))
    throw new EdgePlugError("GATEWAY_STATE", `${file} is gone, but ${file}-wal is there.`, {
      action: "Restore the database from a backup; without one, move that file away too.",
    });
  const fresh = `${file}.new`;
  writeFileSync(fresh, "", { flag: "wx", mode: 0o600 });
  const db = new sqlite.Database(fresh);
  try {
    configure(db);
  } finally {
    db.close();
  }
  renameSync(fresh, file);
}

function openChecked(file: string): SqliteDatabase {
  const db = new sqlite.Database(file, { fileMustExist: true });
  try {
    configure(db);
    const [row] = db.all("PRAGMA integrity_check(1)") as SqlRow[];
    if (row?.["integrity_check"] !== "ok") throw damaged(file, String(row?.["integrity_check"]));
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function configure(db: SqliteDatabase): void {
  db.exec("PRAGMA locking_mode = EXCLUSIVE"); // before the first look into the file
  const [row] = db.all("PRAGMA journal_mode = WAL") as SqlRow[];
  if (row?.["journal_mode"] !== "wal")
    throw new Error(`disk I/O error: journal mode ${String(row?.["journal_mode"])}`);
  db.exec("PRAGMA synchronous = FULL");
  db.exec("PRAGMA journal_size_limit = 4194304");
}

function damaged(file: string, how: string): EdgePlugError {
  return new EdgePlugError("GATEWAY_STATE", `The database ${file} is damaged: ${how}.`, {
    action: `Restore ${file} from a backup; without one, move it and its -wal file away: logins and queue start empty, the audit log stays.`,
  });
}

/** SQLite's errors come as texts without a code, and its file layer drops the system's reason: a small file is tried for that. */
function translate(error: unknown, file: string): unknown {
  if (error instanceof EdgePlugError) return error;
  if (!(error instanceof Error)) return error;
  if ((error as NodeJS.ErrnoException).code !== undefined) return storageError(file, error);
  if (!(error instanceof sqlite.SQLite3Error) && !/disk I\/O/.test(error.message)) return error;
  const { message } = error;
  if (DAMAGE.test(message)) return damaged(file, message);
  const why = NOT_STORED.test(message) ? (whyNoWrite(file) ?? message) : message;
  return new EdgePlugError("GATEWAY_STATE", `The database ${file} can't be used: ${why}.`, { cause: error });
}

const PROBE_BYTES = 65_536;

function whyNoWrite(file: string): string | undefined {
  const probe = `${file}.new-probe`;
  try {
    writeFileSync(probe, new Uint8Array(PROBE_BYTES), { mode: 0o600, flush: true });
    return undefined;
  } catch (error) {
    return reason((error as NodeJS.ErrnoException).code ?? String(error));
  } finally {
    rmSync(probe, { force: true });
  }
}
