#!/usr/bin/env node
/** The main job, end to end, on a real Arm image: `npm start`. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { EdgePlugError } from "edgeplug";
import type { DeviceSession } from "edgeplug/device";

import { badPackages, failingAgents, firstInstall, liveSwaps, powerCut, preparePackages } from "./acts.js";
import { Machine } from "./machine.js";
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

async function main(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "edgeplug-"));
  const timeline = new Timeline();
  timeline.header();
  let machine: Machine | undefined;
  try {
    timeline.act("1. An empty board gets its first agent");
    const keys = await makeKeys(folder);
    timeline.say("made keys: a publisher's, which signs packages, and an operator's");
    const packages = await preparePackages(timeline, keys, folder);
    machine = await Machine.start(folder);
    timeline.say(
      `started a Cortex-M4F board with empty flash under QEMU, its serial line at ${machine.port}`,
    );
    const story = beginStory({ timeline, machine, keys, packages });
    await tell(story);
    process.stdout.write(`\n${tallyLines(story.tally).join("\n")}\n`);
    return isGood(story.tally) ? 0 : 1;
  } catch (error) {
    const known = EdgePlugError.from(error);
    process.stderr.write(`\nerror ${known.id}: ${known.message}\n  try: ${known.action}\n`);
    if (process.env["DEBUG"] !== undefined) process.stderr.write(`${known.stack ?? ""}\n`);
    return known.exit;
  } finally {
    await machine?.close();
    await rm(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main();
