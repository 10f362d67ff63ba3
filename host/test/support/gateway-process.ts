/** `edgeplug gateway` as a process of its own, as a service manager runs it. */
import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { Caller } from "./test-gateway.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface ProcessEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
  stderr: string;
}

export type ProcessEvent = Record<string, unknown> & { event: string };

export class GatewayProcess {
  readonly events: ProcessEvent[] = [];
  readonly ended: Promise<ProcessEnd>;
  private readonly listeners = new Set<() => void>();
  private over = false;

  private constructor(
    private readonly child: ChildProcess,
    readonly state: string,
  ) {
    let stderr = "";
    child.stderr?.on("data", (text: Buffer) => (stderr += text.toString()));
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on("line", (line) => {
        this.events.push(JSON.parse(line) as ProcessEvent);
        this.poke();
      });
    }
    this.ended = new Promise((resolve) =>
      child.once("close", (code, signal) => {
        this.over = true;
        this.poke();
        resolve({ code, signal, stderr });
      }),
    );
  }

  /** Started, with whatever comes of it. */
  static spawn(state: string, args: readonly string[]): GatewayProcess {
    const all = [
      MAIN,
      "gateway",
      "--json",
      "--state",
      state,
      "--metrics",
      "off",
      "--listen",
      "127.0.0.1:0",
      ...args,
    ];
    const env = { ...process.env, HOME: state, XDG_STATE_HOME: state, XDG_CONFIG_HOME: state };
    return new GatewayProcess(
      spawn(process.execPath, all, { env, stdio: ["ignore", "pipe", "pipe"] }),
      state,
    );
  }

  /** Started, serving, its boards connected. */
  static async serve(
    state: string,
    devices: readonly string[],
    args: readonly string[] = [],
  ): Promise<GatewayProcess> {
    const named = devices.flatMap((device) => ["--device", device]);
    const gateway = GatewayProcess.spawn(state, [...named, ...args]);
    await gateway.happens(({ event }) => event === "serving");
    for (const device of devices)
      await gateway.happens(({ event, port }) => event === "connected" && port === device);
    return gateway;
  }

  /** Waits for an event; throws if the process ends before. */
  async happens(matches: (event: ProcessEvent) => boolean): Promise<ProcessEvent> {
    for (;;) {
      const found = this.events.find(matches);
      if (found !== undefined) return found;
      if (this.over) throw new Error(`the gateway has ended: ${(await this.ended).stderr}`);
      await new Promise<void>((resolve) => {
        const listener = (): void => {
          this.listeners.delete(listener);
          resolve();
        };
        this.listeners.add(listener);
      });
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Whatever state it is in, it is gone afterwards. */
  async end(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.ended;
  }

  caller(token: string): Caller {
    const port = this.events.find(({ event }) => event === "serving")?.["port"];
    return new Caller(`127.0.0.1:${String(port)}`, readFileSync(join(this.state, "ca.pem"), "utf8"), token);
  }

  get token(): string | undefined {
    const token = this.events.find(({ event }) => event === "serving")?.["token"];
    return typeof token === "string" ? token : undefined;
  }

  private poke(): void {
    for (const listener of [...this.listeners]) listener();
  }
}
