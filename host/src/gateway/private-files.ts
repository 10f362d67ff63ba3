/** Files that only the gateway's user may read, on disk when a function returns: a power cut leaves the old or the new one. */
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  type PathLike,
} from "node:fs";
import { dirname, join } from "node:path";

import { EdgePlugError } from "../errors.js";

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const OTHERS = 0o077;
const WINDOWS = process.platform === "win32";

/**
 * Makes the folder, or closes it to others if it is empty or has `ours` in it. Throws GATEWAY_STATE for one that holds other
 * people's files and is open: its mode is not the gateway's to change.
 */
export function preparePrivateFolder(folder: string, ours: string): void {
  try {
    if (mkdirSync(folder, { recursive: true, mode: FOLDER_MODE }) !== undefined) return;
    refuseAsRoot(folder, join(folder, ours));
    if (WINDOWS || (statSync(folder).mode & OTHERS) === 0) return;
    const files = readdirSync(folder);
    if (files.length === 0 || files.includes(ours)) {
      chmodSync(folder, FOLDER_MODE);
      return;
    }
  } catch (error) {
    throw storageError(folder, error);
  }
  throw new EdgePlugError("GATEWAY_STATE", `${folder} can be read by others and holds other files.`, {
    action: `Name an empty folder with --state, or run: chmod 700 ${folder}`,
  });
}

/** What root writes into another user's folder, that user's gateway can't read at its next start. */
function refuseAsRoot(folder: string, file: string): void {
  if (process.getuid?.() !== 0 || !existsSync(file)) return;
  const { uid } = statSync(file);
  if (uid === 0) return;
  throw new EdgePlugError(
    "GATEWAY_STATE",
    `${folder} belongs to another user (uid ${uid}), and this is root.`,
    {
      action: `Run the command as that user: sudo -u '#${uid}' edgeplug …; while the gateway runs, root may do it too.`,
    },
  );
}

/** Replaces the file in one step. Throws GATEWAY_STATE. */
export function writePrivateFile(path: string, contents: string | Uint8Array): void {
  const fresh = `${path}.new`;
  try {
    rmSync(fresh, { force: true });
    const file = openSync(fresh, "wx", FILE_MODE);
    try {
      writeFileSync(file, contents);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(fresh, path);
    syncFolder(dirname(path));
  } catch (error) {
    rmSync(fresh, { force: true });
    throw storageError(path, error);
  }
}

/** Makes sure that nobody else may read the file. */
export function makePrivate(path: string): void {
  if (!WINDOWS && existsSync(path)) chmodSync(path, FILE_MODE);
}

/** New names in a folder survive a power cut only after this. Windows knows no such call and needs none. */
export function syncFolder(folder: string): void {
  if (WINDOWS) return;
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** GATEWAY_STATE for a file operation that failed. */
export function storageError(path: PathLike, error: unknown): EdgePlugError {
  if (error instanceof EdgePlugError) return error;
  const code = (error as NodeJS.ErrnoException).code ?? String(error);
  return new EdgePlugError("GATEWAY_STATE", `${String(path)} can't be used: ${reason(code)}.`, {
    cause: error,
  });
}

/** The system's error code in words, for those that an operator can do something about. */
export function reason(code: string): string {
  const words: Record<string, string> = {
    ENOSPC: "the disk is full",
    EDQUOT: "the disk quota is used up",
    EFBIG: "the file may not grow any more",
    EROFS: "the disk is read-only",
    EACCES: "permission is denied",
    EPERM: "permission is denied",
    EIO: "the disk fails",
  };
  return words[code] ?? code;
}
