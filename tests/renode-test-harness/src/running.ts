import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";

/** An emulated board that other programs of the same user may talk to. */
export interface RunningBoard {
  readonly name: string;
  readonly backend: string;
  /** A device or a unix socket. */
  readonly port: string;
  /** The process that runs it. */
  readonly pid: number;
}

function folder(): string {
  const base = process.env["XDG_RUNTIME_DIR"] ?? tmpdir();
  return join(base, `renode-test-harness-${userInfo().username}`);
}

/** Lists `board` for others until the function that comes back is called. */
export function announceBoard(board: Omit<RunningBoard, "pid">): () => void {
  mkdirSync(folder(), { recursive: true, mode: 0o700 });
  const path = join(folder(), `${process.pid}-${encodeURIComponent(board.name)}.json`);
  // whole or not at all: a reader may come at any time
  writeFileSync(`${path}.new`, JSON.stringify({ ...board, pid: process.pid }), { mode: 0o600 });
  renameSync(`${path}.new`, path);
  const withdraw = (): void => {
    process.off("exit", withdraw);
    rmSync(path, { force: true });
  };
  process.on("exit", withdraw);
  return withdraw;
}

/** The boards announced by processes that still live. */
export function runningBoards(): RunningBoard[] {
  const boards: RunningBoard[] = [];
  for (const name of listFolder().filter((file) => file.endsWith(".json"))) {
    const board = readBoard(join(folder(), name));
    if (board && isAlive(board.pid)) boards.push(board);
    else rmSync(join(folder(), name), { force: true });
  }
  return boards;
}

function listFolder(): string[] {
  try {
    return readdirSync(folder());
  } catch {
    return [];
  }
}

function readBoard(path: string): RunningBoard | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as RunningBoard;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
