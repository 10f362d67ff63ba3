/** Why a port can't be opened, in words that help: who holds it, which command gives permission. */
import {
  accessSync,
  constants,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  statSync,
} from "node:fs";
import type { Stats } from "node:fs";

import { EdgePlugError } from "../errors.js";

/** O_ACCMODE of fcntl.h, which Node doesn't name. */
const ACCESS_MODE = 0o3;

export interface PortHolder {
  pid: number;
  /** The program's name as the system knows it. */
  program: string;
}

/**
 * Other processes that have `path` open and may read from it. Linux tells it in /proc; elsewhere, and for processes of other
 * users, the list stays empty.
 */
export function portHolders(path: string): PortHolder[] {
  if (process.platform !== "linux") return [];
  const device = realpathOr(path);
  const holders: PortHolder[] = [];
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    if (holds(pid, device)) holders.push({ pid, program: programName(pid) });
  }
  return holders;
}

function holds(pid: number, device: string): boolean {
  const folder = `/proc/${pid}/fd`;
  let entries: string[];
  try {
    entries = readdirSync(folder);
  } catch {
    return false; // ended meanwhile, or another user's
  }
  return entries.some((entry) => {
    try {
      return readlinkSync(`${folder}/${entry}`) === device && reads(pid, entry);
    } catch {
      return false;
    }
  });
}

/** Who has a port open only to keep it from hanging up takes no bytes away. */
function reads(pid: number, descriptor: string): boolean {
  const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${descriptor}`, "utf8"));
  return flags === null || (Number.parseInt(flags[1] ?? "0", 8) & ACCESS_MODE) !== constants.O_WRONLY;
}

/** Linux tells it in /proc; elsewhere any process is just "a program". */
export function programName(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "a program";
  }
}

/** Whether there is a process of that id. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function realpathOr(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

export function busyError(path: string, holders = portHolders(path)): EdgePlugError {
  if (holders.length === 0) {
    return new EdgePlugError("PORT_BUSY", `Another program holds ${path}.`, {
      action: `Find it with \`sudo fuser -v ${path}\`, end it, and try again.`,
    });
  }
  const who = holders.map(({ program, pid }) => `${program} (pid ${pid})`).join(" and ");
  return new EdgePlugError("PORT_BUSY", `${path} is held by ${who}.`, {
    action: `End ${holders.length === 1 ? "that program" : "those programs"}, or wait: \`kill ${holders.map((h) => h.pid).join(" ")}\`.`,
  });
}

export function notFoundError(path: string, ports: readonly string[]): EdgePlugError {
  const known = ports.length === 0 ? "no serial port is connected" : `the ports are: ${ports.join(", ")}`;
  return new EdgePlugError("PORT_NOT_FOUND", `${path} does not exist; ${known}.`);
}

/** The exact command that gives permission. */
export function permissionError(path: string, stats: Stats): EdgePlugError {
  const group = groupName(stats.gid);
  const groupMayUse = (stats.mode & 0o060) === 0o060;
  const options =
    groupMayUse && group !== undefined && group !== "root"
      ? { action: `Run \`sudo usermod -aG ${group} $USER\`, then log out and in again.` }
      : { action: `Run \`sudo chmod a+rw ${path}\`.` };
  return new EdgePlugError("PORT_PERMISSION", `No permission to open ${path}.`, options);
}

function groupName(gid: number): string | undefined {
  try {
    const line = readFileSync("/etc/group", "utf8")
      .split("\n")
      .find((entry) => entry.split(":")[2] === String(gid));
    return line?.split(":")[0];
  } catch {
    return undefined;
  }
}

/**
 * What can be said of a port without touching it: throws if opening it must fail, or would take bytes
 * away from another program.
 */
export function checkPort(path: string, listPorts: () => Promise<string[]>): Promise<void> {
  return process.platform === "win32" ? Promise.resolve() : checkPosixPort(path, listPorts);
}

async function checkPosixPort(path: string, listPorts: () => Promise<string[]>): Promise<void> {
  let stats: Stats;
  try {
    stats = statSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EACCES") {
      throw new EdgePlugError("PORT_PERMISSION", `No permission to reach ${path}.`, { cause: error });
    }
    throw notFoundError(path, await listPorts());
  }
  if (!stats.isCharacterDevice()) {
    const kind = stats.isDirectory() ? "a directory" : "a file";
    throw new EdgePlugError("PORT_NOT_FOUND", `${path} is ${kind}, not a serial port.`);
  }
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
  } catch {
    throw permissionError(path, stats);
  }
  const holders = portHolders(path);
  if (holders.length > 0) throw busyError(path, holders);
}
