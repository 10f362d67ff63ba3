import { spawn, type ChildProcess } from "node:child_process";
import { rmSync } from "node:fs";
import type { Socket } from "node:net";

import { HarnessError } from "./board.js";

/**
 * Runs a program that ends when this process ends, however that happens: SIGKILL included. A shell starts it and
 * waits for the end of a pipe whose other end only this process holds; then it kills the program and removes the
 * folder. Its first output line is the program's process id.
 * The watcher is ended with the program, but no more once it has begun to clear up.
 * A program that is only a script around another one is given a process group of its own, where setsid can do that, and
 * is killed with all that is in it.
 */
const SCRIPT = `
folder=$1; grouped=$2; input=$3; shift 3
group=
if [ "$grouped" = yes ] && command -v setsid >/dev/null; then set -- setsid "$@"; group=-; fi
if [ "$input" = open ]; then "$@" <&3 3<&- 1>&2 &
else "$@" </dev/null 3<&- 1>&2 &
fi
program=$!
echo "$group$program"
( read -r _ <&3; trap "" TERM; kill -9 "$group$program"; kill -9 $program; rm -rf "$folder" ) 2>/dev/null >/dev/null &
watcher=$!
exec 3<&- 1>&-
wait $program
code=$?
kill $watcher 2>/dev/null
exit $code
`;

/** A running program on its leash. */
export interface Leashed {
  readonly pid: number;
  /** Resolves when it has ended, with its exit code (above 128: a signal) and the end of what it wrote. */
  readonly ended: Promise<{ readonly code: number; readonly output: string }>;
  /** Ends it at once, by SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
}

/** Process ids, or those of process groups with a minus, as kill takes them. */
const running = new Set<number>();
const folders = new Set<string>();
let hooked = false;

/** Whatever is left when this process exits in an orderly way goes with it. */
function hookExit(): void {
  if (hooked) return;
  hooked = true;
  process.on("exit", () => {
    for (const pid of running) killQuietly(pid);
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });
}

/** `folder` is removed at the latest when this process exits. */
export function ownFolder(folder: string): void {
  hookExit();
  folders.add(folder);
}

export function disownFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}

export interface LeashOptions {
  /** The program may start others, which have to end with it. */
  readonly grouped?: boolean;
  /** Its input never ends, and nothing comes. Default: it ends at once. */
  readonly openInput?: boolean;
  /** Beside this process's own. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Starts `program`; `folder` (may be empty) is removed if this process is killed. */
export async function leash(
  program: string,
  args: readonly string[],
  folder: string,
  { grouped = false, openInput = false, environment = {} }: LeashOptions = {},
): Promise<Leashed> {
  hookExit();
  const how = [grouped ? "yes" : "no", openInput ? "open" : "none"];
  const shell = spawn("/bin/sh", ["-c", SCRIPT, "leash", folder, ...how, program, ...args], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    detached: true, // whoever signals this process's group must not end the one that clears up after it
    env: { ...process.env, ...environment },
  });
  // the pipe must not keep this process alive, only be there
  const pipe = shell.stdio[3] as Socket;
  pipe.unref();
  const output = collect(shell);
  const ended = new Promise<{ code: number; output: string }>((resolve) => {
    shell.once("close", (code) => {
      resolve({ code: code ?? 128 + 9, output: output() });
    });
  });
  const target = await firstLine(shell, program);
  running.add(target);
  void ended.then(() => running.delete(target));
  const kill = async (): Promise<void> => {
    pipe.ref(); // its end is the last that is waited for, and nothing else may be left to wait
    if (running.has(target)) killQuietly(target);
    await ended;
  };
  return { pid: Math.abs(target), ended, kill };
}

function killQuietly(target: number): void {
  // a group comes to be a moment after its first process
  for (const one of new Set([target, Math.abs(target)])) {
    try {
      process.kill(one, "SIGKILL");
    } catch {
      // it has ended already
    }
  }
}

function collect(shell: ChildProcess): () => string {
  let text = "";
  shell.stderr?.setEncoding("utf8").on("data", (part: string) => {
    text = (text + part).slice(-4000);
  });
  return () => text.trim();
}

function firstLine(shell: ChildProcess, program: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = "";
    shell.once("error", (cause) => {
      reject(new HarnessError("EMULATOR_MISSING", `${program} could not be started`, { cause }));
    });
    shell.stdout?.setEncoding("utf8").on("data", (part: string) => {
      text += part;
      if (text.includes("\n")) resolve(Number(text.trim()));
    });
  });
}
