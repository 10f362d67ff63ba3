import { execFileSync } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";

/** The one line that tests skip with where there is no Renode. */
export const RENODE_MISSING = "skipped: no Renode found (put `renode` on the PATH or its path into RENODE)";

/** A Renode that can be started. */
export interface RenodeFound {
  readonly path: string;
  /** E.g. "1.16.1". */
  readonly version: string;
}

const known = new Map<string, RenodeFound | undefined>();

/**
 * Looks for Renode: at `RENODE` (a program, or the folder that it lies in), else on the PATH. Undefined where there is
 * none, or where what is there doesn't tell its version.
 */
export function findRenode(environment: NodeJS.ProcessEnv = process.env): RenodeFound | undefined {
  const path = locate(environment);
  if (path === undefined) return undefined;
  if (!known.has(path)) known.set(path, ask(path));
  return known.get(path);
}

function locate({ RENODE, PATH }: NodeJS.ProcessEnv): string | undefined {
  const folders = (PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const places =
    RENODE === undefined || RENODE === ""
      ? folders.map((folder) => join(folder, "renode"))
      : [resolve(RENODE), join(resolve(RENODE), "renode")];
  return places.find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** `renode --version` prints "Renode v1.16.1.12345" and more, and ends. */
function ask(path: string): RenodeFound | undefined {
  try {
    const text = execFileSync(path, ["--version"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 30_000,
    });
    const version = /\bv(\d+\.\d+\.\d+)/.exec(text)?.[1];
    return version === undefined ? undefined : { path, version };
  } catch {
    return undefined;
  }
}
