/**
 * Rollback in the same scan, as somebody sees it who only has the machine's outputs: which scan a new agent failed in is
 * known from its own outputs, which count its scans, and from what it was written to do; nothing of the runtime is asked.
 */
import {
  controlAgent,
  DEEDS,
  failingAgent,
  makePackage,
  type PackageOptions,
} from "@edgeplug/test-support/agents";
import type { TestBoard } from "@edgeplug/test-support/board";
import { until } from "@edgeplug/test-support/clock";
import { push, pushUntil } from "@edgeplug/test-support/push";
import type { Observation } from "edgeplug/device";

import type { Machine } from "./machine.js";

const OLD = 7;
const NEW = 8;
/** The new agent runs well for so many scans. */
const GOOD_SCANS = 10;
const TICK_US = 1_000;
/** Goes on for longer than any test here. */
const LONG = { trial: { healthyScans: 5_000, deadlineScans: 20_000 } };

/** Both outputs beyond their guards are two hits, one more than is forgiven: the first such scan is the last. */
const GUARDED: PackageOptions = {
  guards: { min: [-10, 0], max: [10, 1_000] },
  trial: { ...LONG.trial, maxGuardHits: 1 },
};
const OVERSHOOTS = failingAgent(
  NEW,
  GOOD_SCANS,
  "(call $output (i32.const 0) (f32.const 1e6)) (call $output (i32.const 1) (f32.const 1e6)) (return)",
);

const RECURSES = controlAgent({
  value: NEW,
  extra: "(func $deep (call $deep))",
  before: `(if (i32.gt_u (global.get $count) (i32.const ${GOOD_SCANS})) (then (call $deep)))`,
});

/** How a new agent fails, by itself. */
export const FAILURES: readonly {
  readonly what: string;
  readonly module: string;
  readonly options?: PackageOptions;
}[] = [
  { what: "traps", module: failingAgent(NEW, GOOD_SCANS, DEEDS.trap) },
  { what: "loops for ever", module: failingAgent(NEW, GOOD_SCANS, DEEDS.loop) },
  { what: "writes outside its memory", module: failingAgent(NEW, GOOD_SCANS, DEEDS.bounds) },
  { what: "calls itself without end", module: RECURSES },
  {
    what: "wants outputs beyond its guards",
    module: OVERSHOOTS,
    options: GUARDED,
  },
];

export interface Seen {
  /** Everything observed from the scan before the new agent's first to some scans after its last. */
  readonly records: readonly Observation[];
  /** Sentences about what should not have been seen. */
  readonly violations: readonly string[];
}

/** Lets a new agent fail in its trial and judges the outputs alone. */
export async function watchFailure(
  machine: Machine,
  module: string,
  options: PackageOptions = {},
): Promise<Seen> {
  const board = await boardWithOld(machine);
  try {
    const pkg = makePackage(module, { version: "2", release: 2, ...LONG, ...options });
    const pushed = push(await board.connect(), pkg).catch(() => undefined); // it is rolled back
    await until(board.clock, "the new agent's first scan", () => board.watch.seen.some(isNew));
    await until(board.clock, "scans of the old agent", () => !board.watch.seen.slice(-20).some(isNew));
    await pushed;
    const records = around(board.watch.seen);
    return { records, violations: [...unbroken(records, []), ...sameScan(records, GOOD_SCANS)] };
  } finally {
    await board.close();
  }
}

/** One scan interrupt is lost in a trial. A board that is started anew for that makes the new agent's second attempt. */
export async function watchMissedDeadline(machine: Machine): Promise<Seen> {
  const board = await boardWithOld(machine);
  try {
    const pkg = makePackage(controlAgent({ value: NEW }), { version: "2", release: 2, ...LONG });
    const session = await board.connect();
    const { rest } = await pushUntil(session, pkg, ({ step }) => step === "activated");
    await rest.return(undefined as never);
    await machine.loseOneScan(board);
    await until(board.clock, "the new agent's first scan", () => board.watch.seen.some(isNew));
    await until(board.clock, "scans of the old agent", () => !board.watch.seen.slice(-20).some(isNew));
    const records = around(board.watch.seen);
    const gap = records.findIndex((seen, at) => at > 0 && ticksSince(seen, records[at - 1]) !== 1);
    const before = records[gap - 1];
    const lost = before?.scan === undefined ? [] : [before.scan + 1];
    const good = records.findLast(isNew)?.outputs[1] ?? 0;
    return { records, violations: [...unbroken(records, lost), ...sameScan(records, good, before)] };
  } finally {
    await board.close();
  }
}

async function boardWithOld(machine: Machine): Promise<TestBoard> {
  const board = await machine.start();
  try {
    const session = await board.connect();
    await push(session, makePackage(controlAgent({ value: OLD })));
    await session.close();
    return board;
  } catch (error) {
    await board.close();
    throw error;
  }
}

function isNew({ swapNumber }: Observation): boolean {
  return swapNumber === 2;
}

function around(seen: readonly Observation[]): Observation[] {
  return seen.slice(Math.max(0, seen.findIndex(isNew) - 1));
}

function ticksSince(seen: Observation, before: Observation | undefined): number {
  return before === undefined ? 1 : Math.round((seen.timeUs - before.timeUs) / TICK_US);
}

/** One record a tick of the timer, one after the other; `lost` are scans that the test itself took away. */
function unbroken(records: readonly Observation[], lost: readonly number[]): string[] {
  return records.flatMap((seen, at) => {
    const before = records[at - 1];
    if (before === undefined) return [];
    const skipped = lost.includes(before.scan + 1) ? 2 : 1;
    const isNext =
      seen.scan === before.scan + skipped && ticksSince(seen, before) === skipped && seen.spoilt === 0;
    const time = `${seen.timeUs - before.timeUs} µs`;
    return isNext ? [] : [`scan ${seen.scan} came ${time} after scan ${before.scan}`];
  });
}

/**
 * The new agent's scans, numbered by itself, and in the very next one the old agent, from where it was. `last` is the
 * new agent's last record, where that is known from elsewhere.
 */
function sameScan(records: readonly Observation[], good: number, last?: Observation): string[] {
  const asleep = records[0];
  const news = records.slice(1).filter(isNew);
  const wrong: string[] = [];
  const counted = news.every(({ outputs }, at) => outputs[0] === NEW && outputs[1] === at + 1);
  if (!counted || news.length !== good)
    wrong.push(`${news.length} scans of the new agent were seen, ${good} were good`);
  if (last !== undefined && last !== news.at(-1))
    wrong.push("the new agent ran on after the missed deadline");
  const olds = records.slice(1 + news.length);
  const count = asleep?.outputs[1] ?? 0;
  olds.forEach(({ scan, swapNumber, outputs }, at) => {
    if (swapNumber !== 1 || outputs.join() !== [OLD, count + 1 + at, 0, 0].join())
      wrong.push(`scan ${scan} has outputs ${outputs.join(" ")} of swap ${swapNumber}, not the old agent's`);
  });
  if (asleep?.swapNumber !== 1 || olds.length < 10) wrong.push("the old agent was not seen before and after");
  return wrong;
}
