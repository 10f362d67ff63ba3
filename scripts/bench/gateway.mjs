// Load on a gateway: boards in memory, clients over TLS, pushes, and failed logins beside them.
//
//   node scripts/bench.mjs gateway [--boards 1,10,100] [--pushes 10000] [--clients 8] [--logins 1000] [--json] …
import { execFileSync } from "node:child_process";
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { ROOT } from "./board.mjs";
import { Load } from "./gateway/load.mjs";
import { attackInSegments } from "./gateway/logins-segments.mjs";
import { GatewayProcess } from "./gateway/process.mjs";

const DIRECT = join(ROOT, "scripts/bench/gateway/direct.mjs");
const DIRECT_PUSHES = 500;
const DISK_WRITES = 100;
const WARM_UP_PUSHES = 2;
/** Share of all pushes after each of which memory is looked at. */
const STEPS = 10;
const IDLE_MS = 3_000;

export const HELP = `Usage: npm run bench -- gateway [options]

Pushes small signed packages to 1, 10 and 100 simulated boards of a gateway, then fails to log in beside it. About five minutes.

  --boards <list>    numbers of boards (default 1,10,100)
  --pushes <count>   pushes to the most boards; fewer boards get a tenth of it each time (default 10000)
  --clients <count>  connections over TLS (default 8)
  --logins <rate>    failed logins a second beside the last pushes; 0 leaves them out (default 1000)
  --pairs <count>    segments without and with failed logins (default 8)
  --segment <s>      length of one (default 4)
  --state <folder>   where the gateway's state is: which disk it waits for (default: the system's temporary folder)
  --profile <folder> write a profile of each gateway's processor time there
  --json             print one JSON object`;

const OPTIONS = {
  boards: { type: "string", default: "1,10,100" },
  pushes: { type: "string", default: "10000" },
  clients: { type: "string", default: "8" },
  logins: { type: "string", default: "1000" },
  pairs: { type: "string", default: "8" },
  segment: { type: "string", default: "4" },
  state: { type: "string", default: tmpdir() },
  profile: { type: "string" },
  json: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
};

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

const median = (values) => quantile(values, 0.5);

// ---- measuring -------------------------------------------------------------------------------------

/** Milliseconds that the disk takes to have a small write for certain: {median, p95} */
function measureDisk(folder) {
  const path = join(folder, `edgeplug-bench-${process.pid}`);
  const file = openSync(path, "w");
  try {
    const times = Array.from({ length: DISK_WRITES }, () => {
      writeSync(file, Buffer.alloc(512));
      const start = performance.now();
      fsyncSync(file);
      return performance.now() - start;
    });
    return { median: median(times), p95: quantile(times, 0.95) };
  } finally {
    closeSync(file);
    rmSync(path);
  }
}

function measureDirect() {
  return JSON.parse(execFileSync(process.execPath, [DIRECT, String(DIRECT_PUSHES)], { encoding: "utf8" }));
}

/** Processor time that boards nobody talks to take, as a share of one processor. */
async function measureIdle(gateway) {
  await pause(500);
  const [cpu, start] = [gateway.cpu, performance.now()];
  await pause(IDLE_MS);
  return (gateway.cpu - cpu) / (performance.now() - start);
}

/** Pushes in ten steps, after each of which the clients rest and memory is looked at. */
async function measurePushes(gateway, load, pushes) {
  const boards = gateway.boards.length;
  const each = Math.ceil(pushes / boards);
  await load.run(WARM_UP_PUSHES);
  load.times.length = 0;
  const memory = [];
  let [cpuMs, seconds] = [0, 0];
  const spreads = [];
  for (let step = 1; step <= STEPS; step++) {
    const before = [...load.done];
    const goal = WARM_UP_PUSHES + Math.round((each * step) / STEPS);
    let first;
    const onPush = () => {
      if (first !== undefined || !load.done.some((count) => count === goal)) return;
      first = load.done.map((count, board) => count - before[board]);
    };
    const [cpu, start] = [gateway.cpu, performance.now()];
    await load.run(goal, { onPush });
    cpuMs += gateway.cpu - cpu;
    seconds += (performance.now() - start) / 1000;
    if (first !== undefined) spreads.push({ least: Math.min(...first), most: Math.max(...first) });
    memory.push({ pushes: load.total, ...(await gateway.settle()) });
  }
  const times = load.times.map(({ ms }) => ms);
  return {
    pushes: load.total,
    perSecond: load.total / seconds,
    p50: median(times),
    p95: quantile(times, 0.95),
    cpuMs: cpuMs / load.total,
    busy: cpuMs / 1000 / seconds,
    evenness: evenness(spreads),
    memory,
  };
}

/** How far the boards were apart when the first had its share: least and most pushes, the worst step. */
function evenness(spreads) {
  return spreads.reduce((worst, step) => (step.least / step.most < worst.least / worst.most ? step : worst));
}

async function measureLogins(gateway, load, { logins, pairs, segment, state }) {
  const decoy = await GatewayProcess.start(1, { state });
  try {
    const options = { rate: logins, pairs, ms: segment * 1000 };
    return judgeLogins(await attackInSegments(gateway, decoy, load, options), pairs);
  } finally {
    await decoy.stop();
  }
}

function judgeLogins({ segments, statuses }, pairs) {
  const figures = (wanted) => {
    const chosen = segments.filter(({ attacked }) => attacked === wanted);
    const times = chosen.flatMap((one) => one.times);
    const sum = (field) => chosen.reduce((total, one) => total + one[field], 0);
    return {
      perSecond: sum("pushes") / sum("seconds"),
      p50: median(times),
      p95: quantile(times, 0.95),
      cpuMs: sum("cpuMs") / sum("pushes"),
      asked: sum("asked") / sum("seconds"),
      answered: sum("answered") / sum("seconds"),
      decoyBusy: sum("decoyMs") / 1000 / sum("seconds"),
    };
  };
  const slowdowns = Array.from({ length: pairs }, (_, pair) => {
    const rate = (attacked) => {
      const one = segments.find((candidate) => candidate.pair === pair && candidate.attacked === attacked);
      return { wall: one.pushes / one.seconds, cpu: one.cpuMs / one.pushes };
    };
    const [without, under] = [rate(false), rate(true)];
    return { wall: without.wall / under.wall - 1, cpu: under.cpu / without.cpu - 1 };
  });
  const spread = (field) => {
    const values = slowdowns.map((one) => one[field]);
    return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
  };
  return {
    without: figures(false),
    under: figures(true),
    statuses,
    slower: spread("wall"),
    moreCpu: spread("cpu"),
    // what the same logins take of a gateway that has nothing else to do
    alone: figures(false).decoyBusy - figures(true).decoyBusy,
  };
}

async function measureBoards(boards, pushes, options, logins) {
  const gateway = await GatewayProcess.start(boards, options);
  try {
    const disk = measureDisk(options.state);
    const idle = await measureIdle(gateway);
    const load = await Load.start(gateway, Number(options.clients));
    try {
      const found = { boards, idle, disk, ...(await measurePushes(gateway, load, pushes)) };
      return logins === undefined ? found : { ...found, logins: await measureLogins(gateway, load, logins) };
    } finally {
      load.close();
    }
  } finally {
    await gateway.stop();
  }
}

async function measureAll(options) {
  const counts = options.boards.split(",").map(Number);
  const most = Math.max(...counts);
  const logins = {
    logins: Number(options.logins),
    pairs: Number(options.pairs),
    segment: Number(options.segment),
    state: options.state,
  };
  const rows = [];
  const direct = [measureDirect()];
  for (const boards of counts) {
    const pushes = Number(options.pushes) / (boards === most ? 1 : 10);
    const attacked = boards === most && logins.logins > 0 ? logins : undefined;
    rows.push(await measureBoards(boards, pushes, options, attacked));
  }
  direct.push(measureDirect());
  const mean = (field) => direct.reduce((sum, one) => sum + one[field], 0) / direct.length;
  return { load: loadavg(), direct: { cpuMs: mean("cpuMs"), wallMs: mean("wallMs") }, rows };
}

// ---- printing --------------------------------------------------------------------------------------

const number = (value, digits = 0) =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const percent = (share) => `${number(100 * share, 1)} %`;
const mib = (bytes) => number(bytes / 2 ** 20, 1);

function print({ load, direct, rows }) {
  console.log(`Load of the machine in the last 15 minutes: ${number(load[2], 1)}`);
  console.log(
    `A push to one board without a gateway: ${number(direct.cpuMs, 2)} ms of processor, ${number(direct.wallMs, 2)} ms`,
  );
  for (const row of rows) {
    const { least, most } = row.evenness;
    console.log(
      `\n${row.boards} boards, ${number(row.pushes)} pushes; idle they take ${percent(row.idle)} of a processor`,
    );
    console.log(
      `  the disk takes ${number(row.disk.median, 2)} ms to be certain (95 %: ${number(row.disk.p95, 2)} ms)`,
    );
    console.log(
      `  pushes a second ${number(row.perSecond, 1)}, p50 ${number(row.p50, 1)} ms, p95 ${number(row.p95, 1)} ms`,
    );
    console.log(
      `  processor ${number(row.cpuMs, 2)} ms a push, ${number(row.cpuMs - direct.cpuMs, 2)} ms more than without a gateway; ` +
        `${percent(row.busy)} of one busy`,
    );
    console.log(
      `  when the first board had its share: least ${least}, most ${most} (max/min ${number(most / least, 2)})`,
    );
    console.log("  memory after garbage collection, MiB");
    for (const { pushes, rss, heapUsed, external } of row.memory)
      console.log(
        `    ${number(pushes).padStart(7)} pushes: resident ${mib(rss)}, heap ${mib(heapUsed)}, external ${mib(external)}`,
      );
    if (row.logins !== undefined) printLogins(row.logins);
  }
}

function printLogins({ without, under, slower, moreCpu, alone, statuses }) {
  console.log(
    `  failed logins a second: ${number(under.asked)} asked for, ${number(under.answered)} answered, the rest made to wait ` +
      `(gRPC status → count: ${JSON.stringify(statuses)})`,
  );
  for (const [name, row] of [
    ["elsewhere", without],
    ["here", under],
  ])
    console.log(
      `    ${name.padEnd(9)}: ${number(row.perSecond, 1)} pushes a second, p50 ${number(row.p50, 1)} ms, p95 ${number(row.p95, 1)} ms, ` +
        `${number(row.cpuMs, 2)} ms of processor a push`,
    );
  const spread = ({ median: middle, least, most }) =>
    `${percent(middle)} (${percent(least)} to ${percent(most)})`;
  console.log(
    `    pushes take ${spread(slower)} longer by the clock, ${spread(moreCpu)} more of the gateway's processor time`,
  );
  console.log(`    they take ${percent(alone)} of a processor from a gateway that has nothing else to do`);
}

export async function main(args) {
  const { values } = parseArgs({ args, options: OPTIONS });
  if (values.help) {
    console.log(HELP);
    return;
  }
  const found = await measureAll(values);
  if (values.json) console.log(JSON.stringify(found, null, 2));
  else print(found);
}
