/** Cuts a recorded update at many points, on several boards side by side. */
import type { TestBoard } from "@edgeplug/test-support/board";

import { checkPoint, type Thoroughness, type Verdict } from "./check.js";
import type { Machine } from "./machine.js";
import { permit, pointsOf, spread, type Point } from "./points.js";
import { Random } from "./random.js";
import type { Moment, Recording } from "./recording.js";
import type { Scenario } from "./scenario.js";

export interface CutsOptions {
  readonly seed: number;
  /** Points at most; Infinity for all. */
  readonly count: number;
  /** Points where the board's power is really cut. */
  readonly kills: number;
  /** Every point is started twice, not only each distinct end state. Default false. */
  readonly full?: boolean;
  /** Boards side by side. Default 2. */
  readonly lanes?: number;
  readonly onPoint?: (verdict: Verdict, done: number, all: number) => void;
}

export interface CutsRun {
  readonly recording: Recording;
  /** Distinct points that the recording has in all. */
  readonly possible: number;
  readonly verdicts: readonly Verdict[];
  readonly endStates: number;
  /** Where the power was really cut, and what was wrong with what that left; empty if nothing. */
  readonly kills: readonly { readonly id: string; readonly faults: readonly string[] }[];
}

/** Runs `work` on each of `items`, on `lanes` boards that are off. */
export async function onBoards<T, R>(
  machine: Machine,
  items: readonly T[],
  lanes: number,
  work: (board: TestBoard, item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const left = items.entries();
  await sideBySide(Math.min(lanes, items.length), async () => {
    const board = await machine.start();
    try {
      await board.powerOff();
      for (const [index, item] of left) results[index] = await work(board, item);
    } finally {
      await board.close();
    }
  });
  return results;
}

async function sideBySide(lanes: number, lane: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: Math.max(1, lanes) }, lane));
}

export async function runCuts(machine: Machine, scenario: Scenario, options: CutsOptions): Promise<CutsRun> {
  const { seed, count, kills, full = false, lanes = 2, onPoint = () => undefined } = options;
  const recording = await machine.recorder.record(scenario);
  const all = pointsOf(recording, seed);
  const points = spread(recording, all, count);
  const places = placesOfKills(machine, recording, seed, kills);
  const thorough: Thoroughness = { tried: new Set(), full };
  let done = 0;
  const told = (verdict: Verdict): Verdict => {
    onPoint(verdict, ++done, points.length + places.length);
    return verdict;
  };
  const killed: { verdict: Verdict; faults: readonly string[] }[] = [];
  const left = places.values();
  await sideBySide(lanes, async () => {
    for (const place of left) {
      const cut = await reallyCut(machine, recording, place, thorough);
      told(cut.verdict);
      killed.push(cut);
    }
  });
  const verdicts = await onBoards(machine, points, lanes, async (board, point) =>
    told(await checkPoint(board, recording, point, thorough)),
  );
  return {
    recording,
    possible: all.length,
    verdicts: [...verdicts, ...killed.map(({ verdict }) => verdict)],
    endStates: thorough.tried.size,
    kills: killed.map(({ verdict, faults }) => ({ id: verdict.point.id, faults })),
  };
}

interface Place {
  /** From 1. */
  readonly operation: number;
  readonly moment: Moment;
  readonly seed: number;
}

function placesOfKills({ recorder }: Machine, { history }: Recording, seed: number, count: number): Place[] {
  const random = new Random(seed);
  const { length } = history.operations;
  return Array.from({ length: count }, (_, at) => ({
    operation: 1 + Math.floor(((at + random.below(1000) / 1000) * length) / count),
    moment: random.pick(recorder.moments),
    seed: seed + at,
  }));
}

/** Cuts the power for real. The board starts again on what that left, whatever state its cells are in. */
async function reallyCut(
  { recorder }: Machine,
  recording: Recording,
  { operation, moment, seed }: Place,
  thorough: Thoroughness,
): Promise<{ verdict: Verdict; faults: readonly string[] }> {
  const { board, left, history, faults } = await recorder.cut(recording, operation, moment, seed);
  try {
    const whole = moment === "after" ? operation : operation - 1;
    const point: Point = {
      id: `${recording.scenario.name.replace(" ", "-")}/${operation}/${moment}/killed`,
      operation: moment === "before" ? whole : operation,
      shape: moment === "torn" ? "bits" : "after",
      image: () => left,
      ...permit({ ...recording, history }, whole, moment === "torn"),
    };
    return { verdict: await checkPoint(board, recording, point, { ...thorough, asLeft: true }), faults };
  } finally {
    await board.close();
  }
}

/** The one point that an id names. */
export async function replay(
  machine: Machine,
  scenario: Scenario,
  id: string,
  seed: number,
): Promise<{ recording: Recording; verdict: Verdict }> {
  const recording = await machine.recorder.record(scenario);
  const point = pointsOf(recording, seed).find((each) => each.id === id);
  if (point === undefined) throw new RangeError(`there is no point ${id}`);
  const [verdict] = await onBoards(machine, [point], 1, (board, each) =>
    checkPoint(board, recording, each, { tried: new Set(), full: true }),
  );
  return { recording, verdict: verdict as Verdict };
}
