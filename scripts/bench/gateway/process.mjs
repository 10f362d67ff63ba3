// `edgeplug gateway` as a process of its own, whose processor time and memory are read from /proc.
import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

import { ROOT } from "../board.mjs";

const EDGEPLUG = join(ROOT, "host/dist/cli/main.js");
const SETTLE = join(ROOT, "scripts/bench/gateway/settle.mjs");
const TICKS = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
const STOP_PATIENCE_MS = 20_000;

export class GatewayProcess {
  /**
   * Resolves when every one of so many boards in memory is there. `profile`: folder for a profile of the processor; `state`:
   * folder on the disk to use.
   */
  static async start(boards, { profile, state = tmpdir() } = {}) {
    const folder = mkdtempSync(join(state, "edgeplug-bench-gateway-"));
    const devices = Array(boards).fill(["--device", "sim:"]).flat();
    const args = ["gateway", "--json", "--listen", "127.0.0.1:0", "--metrics", "off", "--state", folder];
    const profiled = profile === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", profile];
    const child = fork(EDGEPLUG, [...args, "--grace", "2", ...devices], {
      execArgv: ["--expose-gc", "--import", pathToFileURL(SETTLE).href, ...profiled],
      stdio: ["ignore", "pipe", "inherit", "ipc"],
      env: { ...process.env, HOME: folder, XDG_STATE_HOME: folder, XDG_CONFIG_HOME: folder },
    });
    const gateway = new GatewayProcess(child, folder);
    try {
      await gateway.follow(boards);
      return gateway;
    } catch (error) {
      await gateway.stop();
      throw error;
    }
  }

  constructor(child, folder) {
    this.child = child;
    this.folder = folder;
    /** Board ids in the order in which they came. */
    this.boards = [];
    this.ended = once(child, "exit");
  }

  /** Reads its log: address, the first token, boards. What comes later is read and forgotten. */
  follow(wanted) {
    return new Promise((resolve, reject) => {
      void this.ended.then(([code, signal]) => reject(new Error(`the gateway ended: ${signal ?? code}`)));
      createInterface({ input: this.child.stdout }).on("line", (line) => {
        const entry = JSON.parse(line);
        if (entry.event === "serving") Object.assign(this, { port: entry.port, token: entry.token });
        if (entry.event === "connected") this.boards.push(entry.device);
        if (this.port !== undefined && this.boards.length === wanted) resolve();
      });
    });
  }

  get ca() {
    return readFileSync(join(this.folder, "ca.pem"));
  }

  /** Processor time of all its threads so far, milliseconds. */
  get cpu() {
    const stat = readFileSync(`/proc/${this.child.pid}/stat`, "utf8");
    // the name in brackets may have blanks
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS;
  }

  /** {rss, heapUsed, external} in bytes after garbage was collected. */
  async settle() {
    this.child.send("settle");
    const [{ heapUsed, external }] = await once(this.child, "message");
    const status = readFileSync(`/proc/${this.child.pid}/status`, "utf8");
    return { rss: 1024 * Number(/VmRSS:\s+(\d+)/.exec(status)[1]), heapUsed, external };
  }

  async stop() {
    this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), STOP_PATIENCE_MS);
    await this.ended;
    clearTimeout(timer);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
