// Every figure of docs/measurements.md that one run can take.
//
//   node scripts/bench.mjs [--json] [--exact] [--scans N]
//   node scripts/bench.mjs gateway …        load on a gateway: a long job of its own, see --help
//   node scripts/bench.mjs dev …            from a save to the agent that runs: wall times, see --help
//
// --exact leaves out what depends on the machine (wall times) and the workloads, which first have to be compiled.
// Exit code 1 if an exact figure misses its target; wall times are printed, not judged.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { checkFits, measureAgents, readAgents, readMaps } from "./bench/agents.mjs";
import { ROOT, runImage } from "./bench/board.mjs";
import { measureFuel, measureFused } from "./bench/fuel.mjs";
import { main as benchDev } from "./bench/dev.mjs";
import { main as benchGateway } from "./bench/gateway.mjs";
import { measureSizes } from "./bench/sizes.mjs";
import { measureUpdate } from "./bench/update.mjs";
import { measureWall } from "./bench/wall.mjs";
import { codeSize } from "./bench/wasm.mjs";
import { measureWorkloads } from "./bench/workloads.mjs";

const LIMITS = { ed25519_verify_300_bytes: { instructions: 4_000_000, stack: 3072 } };
/** What the update may take, in times of the line's. */
const UPDATE_LIMIT = 1.25;
/** No instruction costs more per fuel than so many times i32.add with its dispatch. */
const FUEL_LAW = 2;

const HELP = `Usage: npm run bench -- [options]
       npm run bench -- gateway [options]
       npm run bench -- dev [options]

Takes the figures of docs/measurements.md. Those of the gateway and of \`edgeplug dev\` are jobs of their own: \`npm run bench -- gateway
--help\`, \`npm run bench -- dev --help\`.

  --exact      without wall times and workloads: what is the same on every machine
  --scans <n>  scans of each example agent (default 10000)
  --json       print one JSON object`;

/** The job that is named first, if any. */
const [job, ...jobArguments] = process.argv.slice(2);
if (job === "gateway" || job === "dev") {
  await (job === "dev" ? benchDev : benchGateway)(jobArguments);
  process.exit();
}

const { values: options } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    exact: { type: "boolean", default: false },
    scans: { type: "string", default: "10000" },
    help: { type: "boolean", default: false },
  },
});
if (options.help) {
  console.log(HELP);
  process.exit();
}

function measureCrypto() {
  return runImage().table.map((line) => {
    const [name, instructions, stack] = line.split(" ");
    return { name, instructions: Number(instructions), stack: Number(stack), limit: LIMITS[name] };
  });
}

/** What sim charges for its units of work (work.ts) against what the Arm objects take. */
async function measureWork(crypto, agents) {
  const { WORK_INSTRUCTIONS } = await import("../firmware/boards/sim/dist/work.js");
  const [, ed25519, sha512, crc, copy, validate] = WORK_INSTRUCTIONS;
  const taken = (name) => crypto.find((row) => row.name === name).instructions;
  const sizes = new Map(readAgents().map(({ folder, wasm }) => [folder, codeSize(wasm)]));
  // in a smaller one what an instance takes once would count as its code's
  const large = agents.filter(({ agent }) => sizes.get(agent) > 1024);
  const blocks = large.map(({ agent, load }) => load / Math.ceil(sizes.get(agent) / 64));
  return [
    { unit: "1/256 of a signature check", charged: ed25519, taken: taken("ed25519_verify_300_bytes") / 256 },
    { unit: "SHA-512 block of 128 bytes", charged: sha512, taken: taken("sha512_block") },
    { unit: "CRC-32 of 256 bytes", charged: crc, taken: taken("crc32_256_bytes") },
    { unit: "copy of 256 bytes", charged: copy, taken: taken("copy_256_bytes") },
    { unit: "64 bytes of code validated, loading included", charged: validate, taken: Math.max(...blocks) },
  ];
}

/** The law of fuel: {unit, limit, worst, violations with the weight that would do}. */
function judgeFuel(rows) {
  const unit = rows.find(({ name }) => name === "i32.add").ratio;
  const limit = FUEL_LAW * unit;
  const worst = rows.reduce((most, row) => (row.ratio > most.ratio ? row : most));
  const violations = rows
    .filter(({ ratio }) => ratio > limit)
    .map((row) => ({ ...row, needs: Math.ceil(row.instructions / limit) }))
    .sort((a, b) => b.ratio - a.ratio);
  return { unit, limit, worst, violations };
}

const hash = (file) =>
  createHash("sha256")
    .update(readFileSync(join(ROOT, file)))
    .digest("hex")
    .slice(0, 16);

async function measureAll() {
  const crypto = measureCrypto();
  const agents = measureAgents(Number(options.scans));
  const fuel = measureFuel();
  const maps = readMaps();
  return {
    objects: { engine: hash("build/qemu/libep_wasm.a"), crypto: hash("build/qemu/libep_crypto.a") },
    ...measureSizes(),
    crypto,
    agents,
    workloads: options.exact ? [] : await measureWorkloads(),
    fuel: { ...judgeFuel(fuel), rows: fuel, fused: measureFused() },
    boards: maps.map(({ board, nanosPerFuel }) => ({ board, nanosPerFuel })),
    fits: checkFits(maps),
    work: await measureWork(crypto, agents),
    update: await measureUpdate(),
    wall: options.exact ? undefined : await measureWall(),
  };
}

// ---- judging ---------------------------------------------------------------------------------------

/** Every exact figure that misses its target, in words. */
function failuresOf({ sizes, crypto, fuel, work, update }) {
  const failures = [];
  for (const [image, rows] of Object.entries(sizes))
    for (const { name, bytes, target, over: outgrown } of rows)
      if (outgrown) failures.push(`${image}: ${name} takes ${bytes} bytes, ${target} is the target`);
  for (const { name, instructions, stack, limit } of crypto)
    if (limit !== undefined && (instructions > limit.instructions || stack > limit.stack))
      failures.push(`${name}: ${instructions} instructions, ${stack} bytes of stack`);
  for (const { name, variant, instructions, fuel: paid, needs } of fuel.violations)
    failures.push(
      `fuel: ${name} ${variant} takes ${instructions} instructions for ${paid} fuel and needs ${needs}`,
    );
  for (const { name, variant, ratio } of fuel.fused)
    if (ratio > fuel.limit)
      failures.push(
        `fuel: a sequence with ${name} ${variant} takes ${ratio.toFixed(1)} instructions per fuel`,
      );
  for (const { unit, charged, taken } of work)
    if (taken > charged)
      failures.push(`sim charges ${charged} instructions for ${unit}, which takes ${Math.ceil(taken)}`);
  if (update.ratio > UPDATE_LIMIT) failures.push(`update: ${update.ratio.toFixed(3)} times the line's time`);
  if (update.scansMissed !== 0) failures.push(`update: ${update.scansMissed} scans missed`);
  return failures;
}

// ---- printing --------------------------------------------------------------------------------------

const number = (value, digits = 0) =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** `columns`: heading, then what of a row stands under it. The first is set left. */
function table(title, rows, columns) {
  const cells = [
    columns.map(([heading]) => heading),
    ...rows.map((row) => columns.map(([, text]) => String(text(row)))),
  ];
  const widths = columns.map((_, column) => Math.max(...cells.map((line) => line[column].length)));
  console.log(`\n${title}`);
  for (const line of cells)
    console.log(
      `  ${line.map((text, column) => (column === 0 ? text.padEnd(widths[0]) : text.padStart(widths[column]))).join("  ")}`.trimEnd(),
    );
}

const over = (bad) => (bad ? "OVER" : "");

function print(found) {
  for (const [image, rows] of Object.entries(found.sizes))
    table(`${image}: bytes of flash; one build`, rows, [
      ["part", ({ name }) => name],
      ["bytes", ({ bytes }) => number(bytes)],
      ["target", ({ target }) => (target === undefined ? "" : number(target))],
      ["", ({ bytes, target }) => over(bytes > target)],
    ]);
  const { objects } = found;
  table(
    `Cortex-M4F, instructions under -icount; one run, no spread (objects ${objects.crypto})`,
    found.crypto,
    [
      ["work", ({ name }) => name],
      ["instructions", ({ instructions }) => number(instructions)],
      ["target", ({ limit }) => (limit === undefined ? "" : number(limit.instructions))],
      ["stack", ({ stack }) => number(stack)],
      ["target", ({ limit }) => (limit === undefined ? "" : number(limit.stack))],
    ],
  );
  table(`One scan, or one request of 64 bytes: instructions (objects ${objects.engine})`, found.agents, [
    ["agent", ({ agent }) => agent],
    ["runs", ({ runs, trapped }) => `${number(runs)}${trapped ? ", then a trap" : ""}`],
    ["mean", ({ mean }) => number(mean)],
    ["most", ({ max }) => number(max)],
    ["most fuel", ({ maxFuel }) => number(maxFuel)],
    ["limit", ({ limit }) => number(limit)],
  ]);
  if (found.workloads.length > 0)
    table("Workloads: instructions a call, and times native C (gcc -O2) in the same run", found.workloads, [
      ["workload", ({ name }) => name],
      ["calls", ({ calls }) => number(calls)],
      ["engine", ({ instructions }) => number(instructions)],
      ["target", ({ target }) => number(target)],
      ["native", ({ native }) => number(native)],
      ["ratio", ({ ratio }) => number(ratio, 1)],
      ["target", ({ targetRatio }) => targetRatio],
      [
        "",
        ({ instructions, target, ratio, targetRatio }) => over(instructions > target || ratio > targetRatio),
      ],
    ]);
  printFuel(found);
  printUpdate(found.update);
  table("What sim charges for main loop work, instructions", found.work, [
    ["unit", ({ unit }) => unit],
    ["charged", ({ charged }) => number(charged)],
    ["takes", ({ taken }) => number(taken)],
    ["", ({ charged, taken }) => over(taken > charged)],
  ]);
  if (found.wall !== undefined)
    table(
      `Milliseconds of ${found.wall.rows[0].runs} runs; load of the machine ${number(found.wall.load, 1)}`,
      found.wall.rows,
      [
        ["command", ({ name }) => name],
        ["median", ({ median }) => number(median)],
        ["least", ({ least }) => number(least)],
        ["most", ({ most }) => number(most)],
        ["target", ({ target }) => (target === undefined ? "" : number(target))],
      ],
    );
}

function printFuel({ fuel, boards, fits }) {
  const { unit, limit, worst, violations, rows } = fuel;
  console.log(
    `\nFuel: i32.add takes ${unit} instructions for 1 fuel; ${rows.length} ways of all opcodes measured, ` +
      `the dearest ${worst.name} ${worst.variant} with ${number(worst.ratio, 1)} per fuel, the law's limit ${limit}`,
  );
  if (violations.length > 0)
    table("Beyond the law", violations, [
      ["instruction", ({ name, variant }) => `${name} ${variant}`.trim()],
      ["instructions", ({ instructions }) => number(instructions)],
      ["fuel", ({ fuel: paid }) => number(paid)],
      ["needs", ({ needs }) => number(needs)],
    ]);
  const rowsOf = boards.map(({ board, nanosPerFuel }) => {
    const all = fits.filter((fit) => fit.board === board);
    const not = all
      .filter(({ fits: good }) => !good)
      .map(({ active, candidate }) => (active ? `${candidate} beside ${active}` : candidate));
    return { board, nanosPerFuel, fitting: all.length - not.length, all: all.length, not };
  });
  table(
    "Nanoseconds per fuel, and which control agents fit into 70 % of a scan, alone and beside each other",
    rowsOf,
    [
      ["board", ({ board }) => board],
      ["ns/fuel", ({ nanosPerFuel }) => nanosPerFuel],
      ["fit", ({ fitting, all }) => `${fitting} of ${all}`],
      [
        "not",
        ({ not }) =>
          not.length > 6 ? `${not.slice(0, 6).join(", ")} and ${not.length - 6} more` : not.join(", "),
      ],
    ],
  );
}

function printUpdate(update) {
  console.log(
    "\nUpdate of a full slot beside a running agent, virtual time (STM32L5 flash, 115,200 baud, signed)",
  );
  console.log(
    `  line: ${number(update.wireBytes)} bytes for ${number(update.payload)}, ${number(update.wireMs, 1)} ms`,
  );
  console.log(`  Begin's first byte to STAGED acknowledged: ${number(update.stagedMs, 1)} ms`);
  console.log(
    `  ratio ${number(update.ratio, 3)}, target ${UPDATE_LIMIT}; scans missed ${update.scansMissed}`,
  );
}

const found = await measureAll();
const failures = failuresOf(found);
if (options.json) console.log(JSON.stringify({ ...found, failures }, null, 2));
else {
  print(found);
  for (const failure of failures)
    console.log(`${failures[0] === failure ? "\n" : ""}misses its target: ${failure}`);
}
if (failures.length > 0) process.exitCode = 1;
