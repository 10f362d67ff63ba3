/** Runs the built command as a user does: in a process of its own. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const MAIN = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
export const EDGEPLUG = fileURLToPath(new URL("../../../../host/dist/cli/main.js", import.meta.url));
const PTY = fileURLToPath(new URL("pty.py", import.meta.url));

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Called with the process and what it has printed so far, whenever it prints. */
  onOutput?: (child: ChildProcess, stdout: string) => void;
}

export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const env = { ...process.env, EDGEPLUG_DEVICE: "", ...options.env };
  const child = spawn(process.execPath, [program, ...args], {
    env,
    cwd: options.cwd,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const outcome: Outcome = { code: null, stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    outcome.stdout += text;
    options.onOutput?.(child, outcome.stdout);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => (outcome.stderr += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ ...outcome, code }));
  });
}

export const push = (args: readonly string[], options?: RunOptions): Promise<Outcome> =>
  run(MAIN, args, options);

/** The files of code that a command loaded, and the size of each, bytes. */
export async function codeRead(args: readonly string[]): Promise<Map<string, number>> {
  const folder = await mkdtemp(join(tmpdir(), "edgeplug-code-read-"));
  try {
    await push(args, { env: { NODE_V8_COVERAGE: folder } });
    const [report = "", ...more] = await readdir(folder);
    if (more.length > 0) throw new Error("the command has started another process of Node");
    const { result } = JSON.parse(await readFile(join(folder, report), "utf8")) as {
      result: { url: string }[];
    };
    const files = result.filter(({ url }) => url.startsWith("file:")).map(({ url }) => fileURLToPath(url));
    return new Map(await Promise.all(files.map(async (file) => [file, (await stat(file)).size] as const)));
  } finally {
    await rm(folder, { recursive: true });
  }
}

export interface FalsePort {
  path: string;
  /** Settles when the first byte has come in. */
  firstByte: Promise<string>;
  close(): void;
}

/** A port whose other end is no board; see pty.py. */
export async function falsePort(mode: "silent" | "garbage" | "hangup"): Promise<FalsePort> {
  const child = spawn("python3", [PTY, mode], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  let heard: () => void = () => undefined;
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part;
    heard();
  });
  const line = async (pattern: RegExp): Promise<string> => {
    for (;;) {
      const found = pattern.exec(text)?.[1];
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => (heard = resolve));
    }
  };
  const path = await line(/^(\/dev\/\S+)\n/);
  return { path, firstByte: line(/^first (\d+)\n/m), close: () => child.kill() };
}
