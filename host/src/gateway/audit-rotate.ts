/** Begins a new audit log and keeps the old one, whatever is in it. */
import { createHash } from "node:crypto";
import { closeSync, existsSync, openSync, readSync, renameSync } from "node:fs";
import { join } from "node:path";

import { AUDIT_FILE, AuditLog, knownHead } from "./audit.js";
import { storageError, syncFolder } from "./private-files.js";
import type { GatewayState } from "./state.js";

const CHUNK = 1 << 20;

/**
 * The new log's first entry names the old file, its SHA-256, and the last entry that the database knew. Gives the old file's new
 * name; undefined if there was none. Throws GATEWAY_STATE.
 */
export function rotateAudit(state: GatewayState, who: string, now: Date = new Date()): string | undefined {
  const path = join(state.folder, AUDIT_FILE);
  const old = existsSync(path) ? `audit-${now.toISOString().replace(/[:.]/g, "-")}.log` : undefined;
  const known = knownHead(state);
  const before = old === undefined ? "no log was there" : `${old}, SHA-256 ${setAside(path, old)}`;
  const ended =
    known === undefined
      ? "the database knew no log"
      : `the database knew entry ${known.seq} with hash ${known.hash}`;
  state.run("DELETE FROM audit_head");
  const log = AuditLog.openIn(state, { now: () => now });
  try {
    log.append({ who, what: "audit-rotate", detail: `${before}; ${ended}`, outcome: "ok" });
  } finally {
    log.close();
  }
  return old;
}

function setAside(path: string, name: string): string {
  try {
    const digest = hashFile(path);
    renameSync(path, join(path, "..", name));
    syncFolder(join(path, ".."));
    return digest;
  } catch (error) {
    throw storageError(path, error);
  }
}

function hashFile(path: string): string {
  const hash = createHash("sha256");
  const chunk = Buffer.alloc(CHUNK);
  const file = openSync(path, "r");
  try {
    for (let size = readSync(file, chunk); size > 0; size = readSync(file, chunk))
      hash.update(chunk.subarray(0, size));
  } finally {
    closeSync(file);
  }
  return hash.digest("hex");
}
