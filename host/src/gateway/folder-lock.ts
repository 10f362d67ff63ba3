/**
 * One process at a time works in a state folder. A file in it names the process; the file of one that was killed doesn't count.
 *
 * A process is told by pid and start: after a reboot, or in a container, another program soon has the same pid.
 */
import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

import { EdgePlugError } from "../errors.js";

/** A gateway stays; a command is through in a moment, so that waiting for it pays. */
export type OwnerKind = "gateway" | "command";

export interface Owner {
  readonly pid: number;
  /** Names this run of the pid; empty where the system doesn't tell. */
  readonly run: string;
  readonly kind: OwnerKind;
}

const FILE = "gateway.pid";
const WAIT_STEP_MS = 50;
const WAIT_STEPS = 100;
const PRIVATE = 0o600;

export class FolderLock {
  private constructor(
    private readonly path: string,
    readonly owner: Owner,
  ) {}

  /** Throws GATEWAY_STATE naming the process that has the folder. Waits up to 5 s for a command. */
  static take(folder: string, kind: OwnerKind): FolderLock {
    const path = join(folder, FILE);
    const owner: Owner = { pid: process.pid, run: runOf(process.pid), kind };
    for (let step = 0; ; step++) {
      const other = tryTake(path, owner);
      if (other === undefined) return new FolderLock(path, owner);
      if (other.kind === "gateway" || other.pid === process.pid || step >= WAIT_STEPS)
        throw inUse(folder, other);
      sleep(WAIT_STEP_MS);
    }
  }

  /** The live process that works in the folder, if there is one. */
  static ownerOf(folder: string): Owner | undefined {
    const owner = readOwner(join(folder, FILE));
    return owner !== undefined && isAlive(owner) ? owner : undefined;
  }

  release(): void {
    if (sameOwner(readOwner(this.path), this.owner)) rmSync(this.path, { force: true });
  }
}

/** Undefined if it is ours now, else whose it is. */
function tryTake(path: string, owner: Owner): Owner | undefined {
  const own = `${path}.${owner.pid}`;
  writeOwner(own, owner);
  try {
    for (;;) {
      try {
        linkSync(own, path); // unlike a rename it fails if somebody was quicker, and the file is whole from the start
        return undefined;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const other = readOwner(path);
      if (other !== undefined && isAlive(other)) return other;
      setAside(path, other);
    }
  } finally {
    rmSync(own, { force: true });
  }
}

/** Takes a dead owner's file away, and puts it back if it turns out to be a living one's that came in between. */
function setAside(path: string, dead: Owner | undefined): void {
  const aside = `${path}.${process.pid}.old`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  const moved = readOwner(aside);
  if (moved !== undefined && !sameOwner(moved, dead) && isAlive(moved)) linkSync(aside, path);
  rmSync(aside, { force: true });
}

function writeOwner(path: string, owner: Owner): void {
  rmSync(path, { force: true });
  const file = openSync(path, "wx", PRIVATE);
  try {
    writeSync(file, `${JSON.stringify(owner)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function readOwner(path: string): Owner | undefined {
  try {
    const { pid, run, kind } = JSON.parse(readFileSync(path, "utf8")) as Partial<Owner>;
    if (!Number.isInteger(pid) || (pid ?? 0) <= 0) return undefined;
    return { pid: pid ?? 0, run: String(run ?? ""), kind: kind === "command" ? "command" : "gateway" };
  } catch {
    return undefined; // gone, or what a power cut left of it
  }
}

function sameOwner(one: Owner | undefined, other: Owner | undefined): boolean {
  return one?.pid === other?.pid && one?.run === other?.run;
}

function isAlive({ pid, run }: Owner): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false; // EPERM: alive, another user's
  }
  const now = runOf(pid);
  return run === "" || now === "" || now === run;
}

/** Boot and start time of a process, which together with its pid no other process has. Linux tells them. */
function runOf(pid: number): string {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // proc(5): the name in parentheses may hold anything; `starttime` is the 20th field behind it
    const start = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    return start === undefined ? "" : `${boot} ${start}`;
  } catch {
    return "";
  }
}

function inUse(folder: string, { pid, kind }: Owner): EdgePlugError {
  const who = kind === "gateway" ? "a gateway" : "a command";
  return new EdgePlugError(
    "GATEWAY_STATE",
    `The state folder ${folder} is in use by ${who}, process ${pid}.`,
    {
      action: `Stop it first (\`kill ${pid}\`), or name another folder with --state.`,
    },
  );
}

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
