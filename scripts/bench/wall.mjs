// What depends on the machine: how long a person waits for the tools. Each is the median of five fresh processes, beside
// what Node alone takes to start in the same run.
import { spawn, spawnSync } from "node:child_process";
import { appendFileSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";

import { ROOT } from "./board.mjs";

const EDGEPLUG = join(ROOT, "host/dist/cli/main.js");
const PUSH = join(ROOT, "tools/edgeplug-push/dist/main.js");
const PTY = join(ROOT, "tools/edgeplug-push/test/support/pty.py");
const RUNS = 5;

function timed(args) {
  const start = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`node ${args.join(" ")}: ${stderr}`);
  return performance.now() - start;
}

function summary(name, times, target) {
  const sorted = [...times].sort((a, b) => a - b);
  return { name, median: sorted[RUNS >> 1], least: sorted[0], most: sorted[RUNS - 1], runs: RUNS, target };
}

const runs = (measure) => Array.from({ length: RUNS }, (_, index) => measure(index));

function build() {
  const folder = mkdtempSync(join(tmpdir(), "edgeplug-bench-"));
  try {
    cpSync(join(ROOT, "firmware/agents/voltage-event"), folder, { recursive: true });
    return runs((index) => {
      appendFileSync(join(folder, "assembly/index.ts"), `// change ${index}\n`);
      return timed([EDGEPLUG, "build", folder]);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** From the start of the process to the first byte at the other end of a pseudo-terminal, by the same clock. */
async function firstByte() {
  const pty = spawn("python3", [PTY, "silent"], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const line = lines(pty.stdout);
    const port = (await line.next()).value;
    const start = process.hrtime.bigint(); // CLOCK_MONOTONIC, as pty.py's
    const args = [
      PUSH,
      "--device",
      port,
      join(ROOT, "build/agents/voltage-event/agent.epk"),
      "--timeout",
      "0.3",
    ];
    const push = spawn(process.execPath, args, { stdio: "ignore" });
    const [, at] = (await line.next()).value.split(" ");
    await new Promise((resolve) => push.on("exit", resolve));
    return Number(BigInt(at) - start) / 1e6;
  } finally {
    pty.kill();
  }
}

async function* lines(stream) {
  let text = "";
  for await (const part of stream) {
    const whole = (text + part).split("\n");
    text = whole.pop() ?? "";
    yield* whole;
  }
}

/** {load, rows: [{name, median, least, most, runs, target}]}, milliseconds */
export async function measureWall() {
  const node = runs(() => timed(["-e", "0"]));
  const builds = build();
  const pushes = [];
  for (let run = 0; run < RUNS; run++) pushes.push(await firstByte());
  return {
    load: loadavg()[0],
    rows: [
      summary("node -e 0", node),
      summary("edgeplug build, changed source", builds, 2_500),
      summary("edgeplug-push, start to first byte", pushes, 300),
    ],
  };
}
