/** A field engineer's desk: commands as processes, boards on serial ports, and nothing of the real user's files. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { vi } from "vitest";

import { announceBoard, startSim, type InProcessBoard } from "renode-test-harness";

// For what hangs for good, and no measure of anything: on a busy machine processes start slowly.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

export const EDGEPLUG = fileURLToPath(new URL("../../../host/dist/cli/main.js", import.meta.url));
export const PUSH = fileURLToPath(new URL("../../../tools/edgeplug-push/dist/main.js", import.meta.url));
const RELAY = fileURLToPath(new URL("serial-relay.py", import.meta.url));

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  uid?: number;
  /** Called with the process and what it has printed so far on stdout. */
  onOutput?: (child: ChildProcess, stdout: string) => void;
}

export class Desk {
  readonly folder = mkdtempSync(join(tmpdir(), "edgeplug-desk-"));
  readonly #children = new Set<ChildProcess>();
  readonly #boards: { board: InProcessBoard; withdraw: () => void }[] = [];
  readonly #runtime = process.env["XDG_RUNTIME_DIR"];

  constructor() {
    process.env["XDG_RUNTIME_DIR"] = this.folder; // where announceBoard() and all commands look
  }

  file(name: string, contents?: string | Uint8Array): string {
    const path = join(this.folder, name);
    if (contents !== undefined) writeFileSync(path, contents);
    return path;
  }

  /** A simulated board on a unix socket. `announced`: as `edgeplug board run` does it. */
  async board({
    id = "3f2a00112233445566778899",
    announced = true,
    speed = 20,
  } = {}): Promise<InProcessBoard> {
    const boardId = Buffer.from(id, "hex");
    const board = await startSim({ backend: "sim", line: "socket", boardId, speed });
    const withdraw = announced
      ? announceBoard({ name: id, backend: "sim", port: board.port ?? "" })
      : () => undefined;
    this.#boards.push({ board, withdraw });
    return board;
  }

  /** A real serial port (a pseudo-terminal) to a board; unplug() takes it away. */
  async plug(
    board: InProcessBoard,
    name: string,
    mode = "666",
  ): Promise<{ port: string; unplug(): Promise<void> }> {
    const port = this.file(name);
    const child = spawn("python3", [RELAY, port, board.port ?? "", mode], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#children.add(child);
    const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
    await new Promise<void>((resolve) => child.stdout.once("data", () => resolve()));
    return {
      port,
      unplug: async () => {
        child.stdin.end();
        await ended;
      },
    };
  }

  edgeplug(args: readonly string[], options?: RunOptions): Promise<Outcome> {
    return this.run(process.execPath, [EDGEPLUG, ...args], options);
  }

  push(args: readonly string[], options?: RunOptions): Promise<Outcome> {
    return this.run(process.execPath, [PUSH, ...args], options);
  }

  run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    const child = this.start(program, args, options);
    const outcome: Outcome = { code: null, stdout: "", stderr: "" };
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      outcome.stdout += text;
      options.onOutput?.(child, outcome.stdout);
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (outcome.stderr += text));
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve({ ...outcome, code }));
    });
  }

  start(program: string, args: readonly string[], { env, uid }: RunOptions = {}): ChildProcess {
    const child = spawn(program, args, {
      cwd: this.folder,
      env: {
        ...process.env,
        HOME: this.folder,
        XDG_CONFIG_HOME: this.folder,
        XDG_STATE_HOME: this.folder,
        EDGEPLUG_DEVICE: "",
        EDGEPLUG_USB_IDS: "",
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
      ...(uid === undefined ? {} : { uid, gid: uid }),
    });
    this.#children.add(child);
    child.once("close", () => this.#children.delete(child));
    return child;
  }

  async close(): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    for (const { board, withdraw } of this.#boards) {
      withdraw();
      await board.close();
    }
    if (this.#runtime === undefined) delete process.env["XDG_RUNTIME_DIR"];
    else process.env["XDG_RUNTIME_DIR"] = this.#runtime;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The objects of --json, one a line; throws if anything else is in between. */
export function records(stdout: string): Record<string, unknown>[] {
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
