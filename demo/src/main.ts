#!/usr/bin/env node
/** The main job, end to end, on a real Arm image: `npm start`. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { EdgePlugError } from "edgeplug";
import type { DeviceSession } from "edgeplug/device";

import { badPackages, failingAgents, firstInstall, liveSwaps, powerCut, preparePackages } from "./acts.js";
import { MACHINES, requireEmulator, startMachine, type Machine, type MachineName } from "./machine.js";
import { makeKeys } from "./packages.js";
import { beginStory, countScans, tellEvents, type Story } from "./story.js";
import { isGood, tallyLines } from "./tally.js";
import { Timeline } from "./timeline.js";

async function tell(story: Story): Promise<void> {
  let session: DeviceSession = await story.machine.connect();
  const quiet = tellEvents(story, session);
  await firstInstall(story, session);
  await liveSwaps(story, session);
  await failingAgents(story, session);
  quiet();
  await badPackages(story, session);
  session = await powerCut(story, session);
  countScans(story, await session.status());
  await session.close();
  story.tally.scansMissed = Math.max(story.tally.scansMissed, story.machine.watch.missed);
}

const HELP = `The main job, end to end: builds agents, starts a board with empty flash, and swaps them live, through agents that
fail, packages that must not get in, and a power cut.

  npm start                         on a Cortex-M4F board under QEMU
  npm start -- --board renode       on an STM32L552 under Renode

Exit code 0 only if all of it held; else that of the error (docs/cli.md).
`;

/** The board that the command line asks for; undefined: only help is wanted. */
function readArguments(): MachineName | undefined {
  let values: { board?: string; help?: boolean };
  try {
    const options = { board: { type: "string" }, help: { type: "boolean", short: "h" } } as const;
    ({ values } = parseArgs({ options }));
  } catch (error) {
    throw new EdgePlugError("USAGE", error instanceof Error ? error.message : String(error));
  }
  if (values.help === true) return undefined;
  const wanted = values.board ?? "qemu";
  const board = MACHINES.find((name) => name === wanted);
  if (board === undefined)
    throw new EdgePlugError("USAGE", `--board: expected ${MACHINES.join(" or ")}, got ${wanted}.`);
  return board;
}

async function main(): Promise<number> {
  const board = readArguments();
  if (board === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  return play(board);
}

async function play(board: MachineName): Promise<number> {
  requireEmulator(board);
  const folder = await mkdtemp(join(tmpdir(), "edgeplug-"));
  const timeline = new Timeline();
  timeline.header();
  let machine: Machine | undefined;
  try {
    timeline.act("1. An empty board gets its first agent");
    const keys = await makeKeys(folder);
    timeline.say("made keys: a publisher's, which signs packages, and an operator's");
    const packages = await preparePackages(timeline, keys, folder);
    machine = await startMachine(board, folder);
    timeline.say(`started ${machine.description}`);
    const story = beginStory({ timeline, machine, keys, packages });
    await tell(story);
    process.stdout.write(`\n${tallyLines(story.tally).join("\n")}\n`);
    return isGood(story.tally) ? 0 : 1;
  } finally {
    await machine?.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function complain(error: unknown): number {
  const known = EdgePlugError.from(error);
  process.stderr.write(`\nerror ${known.id}: ${known.message}\n  try: ${known.action}\n`);
  if (process.env["DEBUG"] !== undefined) process.stderr.write(`${known.stack ?? ""}\n`);
  return known.exit;
}

process.exitCode = await main().catch(complain);
