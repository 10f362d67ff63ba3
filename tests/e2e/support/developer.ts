/** Somebody who writes an agent while `edgeplug dev` runs: an editor on one side, what is printed on the other. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { cleanEnvironment, EDGEPLUG } from "./tool.js";

export type Printed = Record<string, unknown> & { event: string };

/** Counts its scans and says so now and then; hands the count over. */
export const COUNTER = `import { beginState, openState, output, putI32, say, sayInteger, sendLine, stateSize, takeI32 } from "@edgeplug/sdk";

export { io_buffer } from "@edgeplug/sdk";

let total: i32 = 0;

export function scan(): void {
  total++;
  if (total % 50 == 0) {
    say("one ");
    sayInteger(total);
    sendLine();
  }
  output(0, <f32>total);
}

export function save(): i32 {
  beginState();
  putI32(total);
  return stateSize();
}

export function restore(size: i32): void {
  openState(size);
  total = takeI32();
}
`;

export const COUNTER_JSON = {
  name: "counter",
  version: "1.0.0",
  release: 1,
  outputs: [{ name: "total", min: 0, max: 1_000_000, failSafe: 0 }],
  limits: { memory: 2048, ioBuffer: 64 },
  stateId: 7,
};

/** An agent's folder. */
export class Sources {
  constructor(readonly folder: string) {
    mkdirSync(join(folder, "assembly"), { recursive: true });
    this.write("agent.json", `${JSON.stringify(COUNTER_JSON, null, 2)}\n`);
    this.write("assembly/index.ts", COUNTER);
  }

  read(name: string): string {
    return readFileSync(join(this.folder, name), "utf8");
  }

  /** In place, as some editors do. */
  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }

  /** A new file in the old one's place, as others do. */
  replace(name: string, text: string): void {
    const path = join(this.folder, name);
    writeFileSync(`${path}.new~`, text);
    renameSync(`${path}.new~`, path);
  }

  edit(name: string, from: string, to: string): void {
    const text = this.read(name);
    if (!text.includes(from)) throw new Error(`${name} has no ${from}`);
    this.replace(name, text.replaceAll(from, to));
  }
}

/** `edgeplug dev --json`, running. */
export class Developing {
  readonly printed: Printed[] = [];
  readonly ended: Promise<number>;
  stderr = "";
  readonly child: ChildProcess;
  #read = 0;
  #heard: () => void = () => undefined;

  constructor(home: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(process.execPath, [EDGEPLUG, "dev", "--json", ...args], {
      cwd: home,
      env: { ...cleanEnvironment(home), ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const { stdout, stderr } = this.child;
    if (stdout === null || stderr === null) throw new Error("no output");
    createInterface(stdout).on("line", (line) => {
      this.printed.push(JSON.parse(line) as Printed);
      this.#heard();
    });
    stderr.setEncoding("utf8").on("data", (text: string) => (this.stderr += text));
    this.ended = new Promise((resolve) => this.child.once("close", (code) => resolve(code ?? -1)));
    void this.ended.then(() => this.#heard());
  }

  /** The next line that is about one of these, among those not looked at yet. */
  async next(...events: string[]): Promise<Printed> {
    for (let over = false; ;) {
      while (this.#read < this.printed.length) {
        const printed = this.printed[this.#read++];
        if (printed !== undefined && events.includes(printed.event)) return printed;
      }
      if (over) throw new Error(`it ended without ${events.join(" or ")}: ${this.all()}`);
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
        void this.ended.then(() => {
          over = true;
          resolve();
        });
      });
    }
  }

  /** The next line of the agent's log that matches. */
  async log(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(String((await this.next("log"))["text"]));
      if (found !== null) return found;
    }
  }

  /** Ctrl-C; its exit code. */
  async stop(): Promise<number> {
    this.child.kill("SIGINT");
    return this.ended;
  }

  all(): string {
    return `${this.printed.map((line) => JSON.stringify(line)).join("\n")}\n${this.stderr}`;
  }
}
