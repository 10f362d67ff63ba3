/** Files as commands read and write them: what goes wrong becomes a typed error that names the path. */
import { stat } from "node:fs/promises";

import { EdgePlugError } from "./errors.js";

/** Reads `path` by `read`. Throws FILE_NOT_FOUND or FILE_UNREADABLE. */
export async function readInputFile<T>(path: string, read: (path: string) => Promise<T>): Promise<T> {
  try {
    return await read(path);
  } catch (error) {
    throw fileError(path, error);
  }
}

/** The typed error for a failed file operation on `path`. */
export function fileError(path: string, error: unknown): EdgePlugError {
  const code = (error as NodeJS.ErrnoException).code ?? String(error);
  if (code === "ENOENT" || code === "ENOTDIR")
    return new EdgePlugError("FILE_NOT_FOUND", `${path} does not exist.`, { cause: error });
  const why =
    code === "EISDIR"
      ? "it is a directory"
      : code === "EACCES" || code === "EPERM"
        ? "permission is denied"
        : code;
  return new EdgePlugError("FILE_UNREADABLE", `${path} can't be used: ${why}.`, { cause: error });
}

export async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    throw fileError(path, error);
  }
}
