/** The user's own files about gateways: whom to trust, and by which token to log in. Nobody else may read them. */
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

import { EdgePlugError } from "../../errors.js";

const PRIVATE_FILE = 0o600;
const PRIVATE_FOLDER = 0o700;

/** XDG_CONFIG_HOME/edgeplug, else ~/.config/edgeplug; on Windows %APPDATA%\edgeplug. */
export function configFolder(env: NodeJS.ProcessEnv = process.env): string {
  const { XDG_CONFIG_HOME: xdg, APPDATA: roaming } = env;
  if (xdg !== undefined && xdg !== "") return join(xdg, "edgeplug");
  if (process.platform === "win32" && roaming !== undefined) return join(roaming, "edgeplug");
  return join(homedir(), ".config", "edgeplug");
}

/** An object by gateway, kept in one JSON file. */
export class PerGatewayFile<T> {
  readonly path: string;

  constructor(
    name: string,
    private readonly isEntry: (value: unknown) => value is T,
    folder = configFolder(),
  ) {
    this.path = join(folder, name);
  }

  get(gateway: string): T | undefined {
    const entries = this.read();
    return Object.hasOwn(entries, gateway) ? entries[gateway] : undefined;
  }

  /** Undefined takes the entry out. */
  set(gateway: string, entry: T | undefined): void {
    const entries = this.read();
    const others = Object.entries(entries).filter(([name]) => name !== gateway);
    this.write(Object.fromEntries(entry === undefined ? others : [...others, [gateway, entry]]));
  }

  private read(): Record<string, T> {
    let text: string;
    try {
      text = readFileSync(this.path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
      throw this.unusable(`can't be read: ${String((error as NodeJS.ErrnoException).code)}`, error);
    }
    // What can't be understood is not taken for empty: that would ask for trust anew, and forget all the rest.
    let entries: unknown;
    try {
      entries = JSON.parse(text);
    } catch (error) {
      throw this.unusable("is no JSON", error);
    }
    if (typeof entries !== "object" || entries === null || Array.isArray(entries)) {
      throw this.unusable("is not what this tool writes");
    }
    if (!Object.values(entries).every(this.isEntry)) throw this.unusable("is not what this tool writes");
    return entries as Record<string, T>;
  }

  /** Whole or not at all. */
  private write(entries: Record<string, T>): void {
    const partial = `${this.path}.${process.pid}.part`;
    try {
      mkdirSync(join(this.path, ".."), { recursive: true, mode: PRIVATE_FOLDER });
      writeFileSync(partial, `${JSON.stringify(entries, null, 2)}\n`, { mode: PRIVATE_FILE });
      chmodSync(partial, PRIVATE_FILE); // also where the umask, or a file left behind, says otherwise
      renameSync(partial, this.path);
    } catch (error) {
      rmSync(partial, { force: true });
      throw this.unusable(`can't be written: ${String((error as NodeJS.ErrnoException).code)}`, error);
    }
  }

  private unusable(why: string, cause?: unknown): EdgePlugError {
    return new EdgePlugError("FILE_UNREADABLE", `${this.path} ${why}.`, {
      cause,
      action: "Correct the file or its permissions, or take it away: gateways are then asked for trust anew.",
    });
  }
}
