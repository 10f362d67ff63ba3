import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PROGRAM = join(import.meta.dirname, "renode.mjs");

/** How the stand-in behaves out of the ordinary; see renode.mjs. */
export interface Behaviour {
  /** It ends at once, with this code. */
  readonly exit?: number;
  /** What it prints first. */
  readonly say?: string;
  /** It never tells its port. */
  readonly mute?: boolean;
  /** What it answers to commands that begin so. */
  readonly refuse?: Readonly<Record<string, string>>;
  /** It ends, or never answers, at the command that begins so. */
  readonly die?: string;
  readonly hang?: string;
}

export interface Noted {
  readonly arguments?: readonly string[];
  readonly pid?: number;
  readonly temporary?: string;
  readonly keyword?: string;
  readonly command?: string;
  /** Virtual µs at which it came. */
  readonly time?: number;
}

/** A `renode` that is a script around another program, as the real one is. */
export class StandIn {
  readonly folder = mkdtempSync(join(tmpdir(), "stand-in-"));
  readonly program = join(this.folder, "renode");
  readonly #log = join(this.folder, "log");

  constructor(behaviour: Behaviour = {}) {
    this.behave(behaviour);
    writeFileSync(this.#log, "");
  }

  /** From its next start on. */
  behave(behaviour: Behaviour): void {
    const quoted = JSON.stringify(behaviour).replaceAll("'", "'\\''");
    const script = `#!/bin/sh
export STAND_IN='${quoted}' STAND_IN_LOG='${this.#log}'
'${process.execPath}' '${PROGRAM}' "$@"
`;
    writeFileSync(this.program, script);
    chmodSync(this.program, 0o755);
  }

  /** All that it was told, over all starts. */
  get notes(): Noted[] {
    return readFileSync(this.#log, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Noted);
  }

  get commands(): string[] {
    return this.notes.flatMap(({ command }) => (command === undefined ? [] : [command]));
  }

  /** Process ids of all that were started. */
  get pids(): number[] {
    return this.notes.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}
