/** The tools as their users run them: processes of their own, with nothing of this user's settings. */
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const EDGEPLUG = fileURLToPath(new URL("../../../host/dist/cli/main.js", import.meta.url));
export const EDGEPLUG_PUSH = fileURLToPath(
  new URL("../../../tools/edgeplug-push/dist/main.js", import.meta.url),
);

const STOP_AT = new URL("stop-at.mjs", import.meta.url).href;

export interface Outcome {
  code: number;
  stdout: string[];
  stderr: string[];
}

export interface ToolOptions {
  /** Working folder and home. */
  folder: string;
  env?: NodeJS.ProcessEnv | undefined;
  /** SIGINT, by its own hand, at the first line on stdout that this finds. */
  stopAt?: RegExp | undefined;
  /** Called for each line on stdout. */
  onLine?: ((line: string, child: ChildProcess) => void) | undefined;
}

/** The environment of a user who has set nothing, with `folder` as home. */
export function cleanEnvironment(folder: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(EDGEPLUG|XDG_|NO_COLOR|FORCE_COLOR)/.test(name),
  );
  return { ...Object.fromEntries(own), HOME: folder, XDG_CONFIG_HOME: folder, XDG_STATE_HOME: folder };
}

export async function runTool(
  script: string,
  args: readonly string[],
  options: ToolOptions,
): Promise<Outcome> {
  const { folder, env, stopAt, onLine } = options;
  const stop = stopAt === undefined ? {} : { NODE_OPTIONS: `--import ${STOP_AT}`, STOP_AT: stopAt.source };
  const child = spawn(process.execPath, [script, ...args], {
    cwd: folder,
    env: { ...cleanEnvironment(folder), ...env, ...stop },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const outcome: Outcome = { code: -1, stdout: [], stderr: [] };
  createInterface(child.stdout).on("line", (line) => {
    outcome.stdout.push(line);
    onLine?.(line, child);
  });
  createInterface(child.stderr).on("line", (line) => outcome.stderr.push(line));
  outcome.code = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? -1));
  });
  return outcome;
}

/** The same, with each output as one text. */
export async function runToolText(
  script: string,
  args: readonly string[],
  options: ToolOptions,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await runTool(script, args, options);
  const text = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join("");
  return { code, stdout: text(stdout), stderr: text(stderr) };
}
