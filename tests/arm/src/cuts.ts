/** Cuts a recorded update at many points, on several boards side by side. */
import { startBoard, type TestBoard } from "@edgeplug/test-support/board";

import { checkPoint, type Thoroughness, type Verdict } from "./check.js";
import { pointsOf, spread, type Point } from "./points.js";
import { killAt, record, type Killed, type Recording } from "./recording.js";
import { Random } from "./random.js";
import type { Scenario } from "./scenario.js";

export interface CutsOptions {
  readonly seed: number;
  /** Points at most; Infinity for all. */
  readonly count: number;
  /** Points where QEMU is really killed. */
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
  /** Where QEMU was really killed, and whether the file was what the copy is. */
  readonly kills: readonly { id: string; same: boolean }[];
}

/** Runs `work` on each of `items`, on `lanes` boards that are off. */
export async function onBoards<T, R>(
  items: readonly T[],
  lanes: number,
  work: (board: TestBoard, item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    const board = await startBoard("qemu");
    try {
      await board.powerOff();
      while (next < items.length) {
        const index = next++;
        results[index] = await work(board, items[index] as T);
      }
    } finally {
      await board.close();
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.min(lanes, items.length)) }, lane));
  return results;
}

export async function runCuts(scenario: Scenario, options: CutsOptions): Promise<CutsRun> {
  const { seed, count, kills, full = false, lanes = 2, onPoint = () => undefined } = options;
  const recording = await record(scenario);
  const all = pointsOf(recording, seed);
  const killed = await reallyKill(recording, seed, kills, lanes);
  const points = [...spread(recording, all, count), ...killed.map(({ point }) => point)];
  const thorough: Thoroughness = { tried: new Set(), full };
  let done = 0;
  const verdicts = await onBoards(points, lanes, async (board, point) => {
    const verdict = await checkPoint(board, recording, point, thorough);
    onPoint(verdict, ++done, points.length);
    return verdict;
  });
  const told = killed.map(({ point, copy, left }) => ({
    id: point.id,
    same: Buffer.compare(copy, left) === 0,
  }));
  return { recording, possible: all.length, verdicts, endStates: thorough.tried.size, kills: told };
}

/** Kills QEMU for real at some operations. Such a point's image is what the process left. */
async function reallyKill(
  recording: Recording,
  seed: number,
  count: number,
  lanes: number,
): Promise<(Killed & { point: Point })[]> {
  const random = new Random(seed);
  const { scenario, operations } = recording;
  const places = Array.from({ length: count }, (_, at) => ({
    operation: Math.floor(((at + random.below(1000) / 1000) * operations.length) / count),
    moment: random.pick(["entry", "return"] as const),
  }));
  const results: (Killed & { point: Point })[] = [];
  const work = places.values();
  const lane = async (): Promise<void> => {
    for (const { operation, moment } of work) {
      const killed = await killAt(scenario, operation, moment);
      const done = moment === "entry" ? operation : operation + 1;
      const like = pointsOf(recording, seed).find(
        (point) => point.operation === done && point.shape === "after",
      );
      if (like === undefined) throw new Error(`no point after ${done} operations`);
      results.push({ ...killed, point: { ...like, id: `${like.id}/killed`, image: killed.left } });
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return results;
}

/** The one point that an id names. */
export async function replay(
  scenario: Scenario,
  id: string,
  seed: number,
): Promise<{ recording: Recording; verdict: Verdict }> {
  const recording = await record(scenario);
  const point = pointsOf(recording, seed).find((each) => each.id === id);
  if (point === undefined) throw new RangeError(`there is no point ${id}`);
  const [verdict] = await onBoards([point], 1, (board, each) =>
    checkPoint(board, recording, each, { tried: new Set(), full: true }),
  );
  return { recording, verdict: verdict as Verdict };
}
