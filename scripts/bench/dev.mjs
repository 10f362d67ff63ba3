// From a save to the agent that runs, as `edgeplug dev` itself tells it: a new agent, one line of it changed again and again.
//
//   node scripts/bench.mjs dev [--board sim,qemu] [--saves 25] [--agent FOLDER] [--json]
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

import { ROOT } from "./board.mjs";

const EDGEPLUG = join(ROOT, "host/dist/cli/main.js");
const SOURCE = "assembly/index.ts";
const TARGETS = { built: 300, total: 500 };
/** Somebody looks at what happened before the next save. */
const PAUSE_MS = 400;

export const HELP = `Usage: npm run bench -- dev [options]

Starts \`edgeplug dev\` with a new agent and saves one changed line again and again; prints how long each part took. Wall times: run it
on a machine that does nothing else.

  --board <list>     kinds of boards (default sim,qemu)
  --saves <count>    on each of them (default 25)
  --agent <folder>   another agent than a new one
  --json             print one JSON object`;

const OPTIONS = {
  board: { type: "string", default: "sim,qemu" },
  saves: { type: "string", default: "25" },
  agent: { type: "string" },
  json: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
};

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

/** Every line that `edgeplug dev --json` prints, one at a time. */
class Developing {
  #lines;
  child;

  constructor(folder, board) {
    const args = [EDGEPLUG, "dev", folder, "--board", board, "--json"];
    this.child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.#lines = createInterface(this.child.stdout)[Symbol.asyncIterator]();
  }

  async next(event) {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new Error(`edgeplug dev ended before "${event}"`);
      const line = JSON.parse(value);
      if (["refused", "failed", "error"].includes(line.event)) throw new Error(value);
      if (line.event === event) return line;
    }
  }

  async stop() {
    const ended = new Promise((resolve) => this.child.once("close", resolve));
    this.child.kill("SIGINT");
    await ended;
  }
}

function makeAgent(place, from) {
  const folder = join(place, "agent");
  const template = join(ROOT, "host/templates/control");
  cpSync(from ?? template, folder, { recursive: true, filter: (path) => !path.endsWith("node_modules") });
  if (from === undefined) {
    const config = join(folder, "agent.json");
    writeFileSync(config, readFileSync(config, "utf8").replaceAll("AGENT_NAME", "bench"));
  }
  return folder;
}

async function measureBoard(board, saves, agent) {
  const place = mkdtempSync(join(tmpdir(), "edgeplug-bench-"));
  const folder = makeAgent(place, agent);
  const source = join(folder, SOURCE);
  const text = readFileSync(source, "utf8");
  const developing = new Developing(folder, board);
  try {
    const first = await developing.next("swapped");
    await developing.next("stayed");
    const lines = [];
    for (let save = 1; save <= saves; save++) {
      await pause(PAUSE_MS);
      writeFileSync(source, `${text}\nexport let change: i32 = ${save};\n`);
      lines.push(await developing.next("swapped"));
      await developing.next("stayed");
    }
    return { board, bytes: lines[0].bytes, vectors: lines[0].vectors, scans: lines[0].runs, first, lines };
  } finally {
    await developing.stop();
    rmSync(place, { recursive: true });
  }
}

function summarize({ board, bytes, vectors, scans, first, lines }) {
  const parts = Object.keys(first.parts);
  const columns = {
    ...Object.fromEntries(parts.map((part) => [part, lines.map((line) => line.parts[part])])),
    built: lines.map((line) => line.parts.compile + line.parts.checks),
    total: lines.map((line) => line.totalMs),
  };
  const rows = Object.entries(columns).map(([part, values]) => ({
    part,
    first: part === "built" ? first.parts.compile + first.parts.checks : (first.parts[part] ?? first.totalMs),
    median: quantile(values, 0.5),
    least: Math.min(...values),
    upper: quantile(values, 0.75),
    most: Math.max(...values),
    target: TARGETS[part],
    within: TARGETS[part] === undefined ? undefined : values.filter((value) => value <= TARGETS[part]).length,
  }));
  return { board, saves: lines.length, bytes, vectors, scans, handedOver: lines.at(-1).handedOver, rows };
}

function print({ board, saves, bytes, vectors, scans, rows }) {
  console.log(
    `\n${board}: ${saves} saves of one line; module of ${bytes} bytes, ${vectors} vectors, ${scans} scans checked`,
  );
  console.log("| ms | first start | median | least | upper quartile | worst | target | within |");
  console.log("|---|---|---|---|---|---|---|---|");
  const names = { built: "compile and checks", total: "save to running" };
  for (const { part, first, median, least, upper, most, target, within } of rows)
    console.log(
      `| ${names[part] ?? part} | ${first} | ${median} | ${least} | ${upper} | ${most} | ${target ?? ""} | ` +
        `${within === undefined ? "" : `${within} of ${saves}`} |`,
    );
}

export async function main(args) {
  const { values } = parseArgs({ args, options: OPTIONS });
  if (values.help) return console.log(HELP);
  const saves = Number(values.saves);
  if (!Number.isInteger(saves) || saves < 1) throw new Error(`--saves ${values.saves} is no number above 0`);
  const load = loadavg()[0];
  const results = [];
  for (const board of values.board.split(","))
    results.push(summarize(await measureBoard(board, saves, values.agent)));
  if (values.json) return console.log(JSON.stringify({ load, boards: results }));
  console.log(`Load of the machine before: ${load.toFixed(1)}`);
  for (const result of results) print(result);
}
