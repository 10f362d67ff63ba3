#!/usr/bin/env node
/** `npm run qemu`, and with `--board renode` the same on the other Arm board. */
import { reportJunit } from "@edgeplug/report/junit";
import { writeResult } from "@edgeplug/report/results";

import { Cases } from "./junit-cases.js";

import { keepRenodes } from "@edgeplug/test-support/board";
import { complaint } from "@edgeplug/test-support/own-agents";
import { EdgePlugError } from "edgeplug";

import { replay, runCuts, type CutsRun } from "./cuts.js";
import { runKills, type Kill } from "./kills.js";
import { judge, LOSSES, RECOVERY_LIMIT_MS, type Loss } from "./losses.js";
import { HELP, parseOptions, UsageError, type CliOptions } from "./options.js";
import { Progress } from "./progress.js";
import { Random } from "./random.js";
import { powerResult, violationsOf } from "./result.js";
import { machineOf } from "./machines.js";
import { FAILURES, watchFailure, watchMissedDeadline } from "./rollback.js";
import { SCENARIOS } from "./scenario.js";

/** Points of a scenario where the power is really cut. */
const REAL_KILLS = { qemu: 6, renode: 30 } as const;

/** What a part of a run has to say: a line on stdout, and what did not hold. */
interface Part {
  readonly line: string;
  readonly wrong: readonly string[];
}

async function cuts(options: CliOptions, progress: Progress, cases: Cases): Promise<CutsRun[]> {
  const runs: CutsRun[] = [];
  for (const scenario of SCENARIOS.filter(({ name }) => options.scenarios.includes(name))) {
    progress.update(`${scenario.name}: recording ${scenario.about}`);
    const run = await runCuts(machineOf(options.board), scenario, {
      ...{ seed: options.seed, count: options.cuts, lanes: options.lanes, full: true },
      kills: REAL_KILLS[options.board],
      onPoint: (_, done, all) => progress.update(`${scenario.name}: ${done} of ${all} cuts`),
    });
    runs.push(run);
    const point = run.verdicts.find(({ violations }) => violations.length > 0)?.point.id;
    const again = point === undefined ? `--scenario "${scenario.name}"` : `--point ${point}`;
    cases.add(`power cuts: ${scenario.name}`, violationsOf([run], []), again);
  }
  progress.done();
  return runs;
}

async function kills(options: CliOptions, progress: Progress, cases: Cases): Promise<Kill[]> {
  const { seed, lanes } = options;
  if (options.kills === 0) return [];
  const onKill = (_: Kill, done: number, all: number): void => progress.update(`kills: ${done} of ${all}`);
  const killed = await runKills(machineOf(options.board), { seed, kills: options.kills, lanes, onKill });
  progress.done();
  cases.add("careless kills during pushes", violationsOf([], killed), `--kills ${options.kills}`);
  return killed;
}

async function watchdog({ seed, board }: CliOptions, progress: Progress, cases: Cases): Promise<Part> {
  const machine = machineOf(board);
  const random = new Random(seed);
  const wrong: string[] = [];
  let worst = 0;
  let losses = 0;
  for (const loss of Object.keys(LOSSES) as Loss[])
    for (const inTrial of [true, false]) {
      const before = wrong.length;
      const where = `${loss}, ${inTrial ? "in a trial" : "outside a trial"}`;
      for (const moment of [machine.moments[0] ?? "anywhere", "anywhere", "anywhere"] as const) {
        const options = {
          loss,
          inTrial,
          moment,
          afterMs: random.below(60),
          fullSlots: moment === machine.moments[0],
        };
        progress.update(`lost core: ${where}`);
        const recovery = await machine.loseCore(options);
        losses++;
        worst = Math.max(worst, recovery.totalMs);
        wrong.push(...judge(options, recovery).map((text) => `${JSON.stringify(options)}: ${text}`));
      }
      cases.add(`lost core: ${where}`, wrong.slice(before), "--watchdog");
    }
  progress.done();
  const line = `${losses} lost cores: the old agent ran again after ${worst.toFixed(1)} ms of virtual time at most (limit ${RECOVERY_LIMIT_MS})`;
  return { line, wrong };
}

async function rollback({ board }: CliOptions, progress: Progress, cases: Cases): Promise<Part> {
  const machine = machineOf(board);
  const wrong: string[] = [];
  for (const { what, module, options } of FAILURES) {
    progress.update(`a new agent that ${what}`);
    const { violations } = await watchFailure(machine, module, options);
    wrong.push(...violations.map((text) => `an agent that ${what}: ${text}`));
    cases.add(`rollback: an agent that ${what}`, violations, "--rollback");
  }
  const { violations } = await watchMissedDeadline(machine);
  wrong.push(...violations.map((text) => `a missed deadline: ${text}`));
  cases.add("rollback: a missed deadline", violations, "--rollback");
  progress.done();
  return {
    line: `${FAILURES.length + 1} kinds of failing agents: the old one's outputs in the same scan`,
    wrong,
  };
}

function cutsPart(runs: readonly CutsRun[], killed: readonly Kill[]): Part[] {
  const parts = runs.map(({ recording, verdicts, possible, endStates, kills: real }) => {
    const { scenario, history } = recording;
    const { operations } = history;
    const where = `${operations.length} flash operations, ${verdicts.length} cuts of ${possible}`;
    return `${scenario.name}: ${where}, ${real.length} by a real cut, ${endStates} end states`;
  });
  if (killed.length > 0) {
    const news = killed.filter(({ outcome }) => outcome === "new").length;
    parts.push(
      `${killed.length} careless kills in a push: each followed by a boot and a push; the new agent ran ${news} times`,
    );
  }
  const wrong = violationsOf(runs, killed);
  return parts.map((line, at) => ({ line, wrong: at === 0 ? wrong : [] }));
}

async function tellPoint(options: CliOptions, id: string): Promise<number> {
  const scenario = SCENARIOS.find(({ name }) => id.startsWith(`${name.replace(" ", "-")}/`));
  if (scenario === undefined) throw new UsageError(`"${id}" begins with no scenario's name`);
  const { recording, verdict } = await replay(machineOf(options.board), scenario, id, options.seed).catch(
    (error: unknown) => {
      throw error instanceof RangeError ? new UsageError(error.message) : error;
    },
  );
  const around = recording.history.operations
    .map((each, at) => ({ ...each, number: at + 1 }))
    .slice(0, verdict.point.operation);
  for (const { number, atMs, kind, address, size, area } of around.slice(-12)) {
    const line = `${atMs.toFixed(2).padStart(9)} ms  ${kind.padEnd(7)} 0x${address.toString(16).padStart(4, "0")} ${size} bytes  ${area}`;
    process.stdout.write(`${String(number).padStart(4)} ${line}\n`);
  }
  process.stdout.write(`power cut: ${verdict.point.shape}\nends as ${verdict.key}\n${verdict.outcome}\n`);
  for (const text of verdict.violations) process.stdout.write(`  ${text}\n`);
  return verdict.violations.length === 0 ? 0 : 1;
}

async function run(options: CliOptions): Promise<number> {
  const { seed, point, board } = options;
  if (point !== undefined) return tellPoint(options, point);
  const command = `npm run qemu -- --seed ${seed} ${process.argv.slice(2).join(" ")}`.trim();
  const cases = new Cases(`npm run qemu -- --board ${board} --seed ${seed}`);
  const when = new Date();
  const progress = new Progress();
  process.stderr.write(`seed ${seed}\n`);
  const runs = options.cuts > 0 ? await cuts(options, progress, cases) : [];
  const killed = await kills(options, progress, cases);
  const parts = cutsPart(runs, killed);
  if (parts.length > 0) writeResult(powerResult(runs, killed, { board, when, command, seed }));
  if (options.watchdog) parts.push(await watchdog(options, progress, cases));
  if (options.rollback) parts.push(await rollback(options, progress, cases));
  const wrong = parts.flatMap((part) => part.wrong);
  const seconds = (Date.now() - when.getTime()) / 1000;
  const about = { suite: "power", board, when: when.toISOString(), command, seed, seconds };
  const file = reportJunit(options, { ...about, cases: cases.all });
  if (file !== undefined) process.stderr.write(`${file}\n`);
  if (options.json) {
    const lines = parts.map(({ line }) => line);
    process.stdout.write(
      `${JSON.stringify({ seed, seconds, passed: wrong.length === 0, lines, violations: wrong })}\n`,
    );
  } else {
    for (const { line } of parts) process.stdout.write(`${line}\n`);
    for (const text of wrong) process.stdout.write(`VIOLATION ${text}\n`);
    process.stdout.write(
      `${wrong.length === 0 ? "everything held" : `${wrong.length} violations`}, seed ${seed}, ${seconds.toFixed(0)} s\n`,
    );
  }
  return wrong.length === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options.help) {
      process.stdout.write(HELP);
      return 0;
    }
    const end = keepRenodes();
    return await run(options).finally(end);
  } catch (error) {
    if (error instanceof EdgePlugError && error.code === "RENODE_MISSING") {
      process.stderr.write(`${complaint(error)}\n`);
      return error.exit;
    }
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\nSee --help.\n`);
    return 2;
  }
}

for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    process.stderr.write("\nstopped; no emulator is left running, the last result is as it was\n");
    process.exit(130); // the emulators end with this process
  });
process.exitCode = await main();
