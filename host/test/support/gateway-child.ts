import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

const DIST = new URL("../../dist/gateway/", import.meta.url).href;

/** A process of its own that runs `code` with the gateway's modules at hand: `await use("state.js")`. */
export class GatewayChild {
  private readonly lines: AsyncIterator<string>;
  readonly seen: string[] = [];

  private constructor(private readonly child: ChildProcessByStdio<Writable, Readable, null>) {
    this.lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  static start(code: string, options: { args?: string[]; fileSizeLimit?: number } = {}): GatewayChild {
    const script = `const use = (name) => import(${JSON.stringify(DIST)} + name);
      const say = (text) => require("node:fs").writeSync(1, text + "\\n");
      (async () => { ${code} })().catch((error) => { say("threw " + error.stack); process.exit(1); });`;
    const command = [process.execPath, "-e", script, "--", ...(options.args ?? [])];
    const limited =
      options.fileSizeLimit === undefined
        ? command
        : ["prlimit", `--fsize=${options.fileSizeLimit}:unlimited`, ...command];
    const [program = "", ...args] = limited;
    return new GatewayChild(spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] }));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** The next line that it prints; undefined at the end. */
  async line(): Promise<string | undefined> {
    const { value, done } = await this.lines.next();
    if (done === true) return undefined;
    this.seen.push(value);
    return value;
  }

  async lineThat(matches: (line: string) => boolean): Promise<string> {
    for (let line = await this.line(); line !== undefined; line = await this.line())
      if (matches(line)) return line;
    throw new Error(`the child ended without it; it said ${this.seen.join(" | ")}`);
  }

  tell(text: string): void {
    this.child.stdin.write(`${text}\n`);
  }

  /** As by `kill -9`; what it had printed before is in `seen`. */
  async kill(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = once(this.child, "exit");
      this.child.kill("SIGKILL");
      await ended;
    }
    while ((await this.line()) !== undefined);
  }
}
