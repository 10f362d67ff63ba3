/** The ways to a board: a real serial port, a simulated board in a file, and a gateway that owns one. */
import { spawn, type ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { startBoard, type TestBoard } from "@edgeplug/test-support/board";

import { cleanEnvironment, EDGEPLUG, runTool } from "./tool.js";

export interface BoardAway {
  /** What `--device` is given. */
  device: string;
  /** What the tools have to know besides. */
  env: NodeJS.ProcessEnv;
  close(): Promise<void>;
}

export interface Way {
  name: string;
  /** A blank board at the end of it; files lie in `folder`. */
  open(folder: string): Promise<BoardAway>;
}

export const SIM: Way = {
  name: "sim:FILE",
  open: async (folder) => ({
    device: `sim:${join(folder, "board.flash")}`,
    env: {},
    close: async () => undefined,
  }),
};

export const SERIAL: Way = {
  name: "a serial port",
  open: async () => {
    const { board, port } = await boardOnPort();
    return { device: port, env: {}, close: () => board.close() };
  },
};

/** A simulated board has a package before its sender can say stop, unless its line is slow. */
const SLOW_BAUD = 4800;

export const GATEWAY: Way = {
  name: "a gateway",
  open: async (folder) => {
    const device = `sim:${join(folder, "board.flash")}`;
    const gateway = await startGateway(folder, [device], { baud: SLOW_BAUD });
    return { device: gateway.address, env: {}, close: () => gateway.close() };
  },
};

/** A qemu board with a pseudo-terminal. */
export async function boardOnPort(): Promise<{ board: TestBoard; port: string }> {
  const board = await startBoard("qemu", { line: "pty" });
  const { port } = board.harness;
  if (port !== undefined) return { board, port };
  await board.close();
  throw new Error("the board has no port");
}

export interface GatewayProcess extends Started {
  /** HOST:PORT, trusted and logged in at from `folder`. */
  readonly address: string;
  readonly child: ChildProcess;
  close(): Promise<void>;
}

/** `edgeplug gateway` as a process of its own, on a free port, with its state in `folder`. */
export async function startGateway(
  folder: string,
  devices: readonly string[],
  { edgeplug = EDGEPLUG, port = 0, baud = 115_200 } = {},
): Promise<GatewayProcess> {
  const args = [
    "--listen",
    `127.0.0.1:${port}`,
    "--state",
    join(folder, "state"),
    "--baud",
    `${baud}`,
    "--metrics",
    "off",
    "--json",
  ];
  const named = devices.flatMap((device) => ["--device", device]);
  const child = spawn(process.execPath, [edgeplug, "gateway", ...args, ...named], {
    env: cleanEnvironment(folder),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const close = async (): Promise<void> => {
    child.kill("SIGTERM");
    await ended;
  };
  try {
    const started = await serving(child);
    const address = `127.0.0.1:${started.port}`;
    if (started.token !== undefined) {
      const tokenFile = join(folder, "token");
      writeFileSync(tokenFile, started.token);
      const login = ["login", address, "--trust", started.fingerprint, "--token-file", tokenFile];
      const outcome = await runTool(edgeplug, login, { folder });
      if (outcome.code !== 0) throw new Error(`no login: ${outcome.stderr.join(" ")}`);
    }
    return { ...started, address, child, close };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Started {
  port: number;
  fingerprint: string;
  /** An admin's, at the first start in a folder. */
  token?: string;
}

/** What the gateway says once it serves, and once its boards are there. */
async function serving(child: ChildProcess): Promise<Started> {
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  if (child.stdout === null) throw new Error("no output");
  let started: Started | undefined;
  for await (const line of createInterface(child.stdout)) {
    const record = JSON.parse(line) as Started & { event: string };
    if (record.event === "serving") started = record;
    else if (record.event === "connected") break;
  }
  if (started === undefined) throw new Error(`the gateway does not serve: ${stderr}`);
  child.stdout.resume();
  return started;
}
