/**
 * Records an update by the log that a flash model keeps of its operations, and cuts by that model: before an operation, in
 * the middle of it with whatever state the cells are left in, or after it.
 */
import type { TestBoard } from "@edgeplug/test-support/board";
import { push } from "@edgeplug/test-support/push";

import { imageOf } from "./check.js";
import type { Chip } from "./chip.js";
import { since, type LoggedOperation } from "./flash-log.js";
import { expectSame, History, type Operation } from "./history.js";
import type { FlashRecorder, Moment, RealCut, Recording } from "./recording.js";
import { prepare, slotsOf, TIMESTAMP, type Scenario } from "./scenario.js";

/** What the recorder needs of a board's flash model. */
export interface LoggingMachine {
  readonly chip: Chip;
  start(): Promise<TestBoard>;
  /** The log so far. */
  log(board: TestBoard): Promise<LoggedOperation[]>;
  /** Does `work` while no time passes on the board. */
  still<T>(board: TestBoard, work: () => Promise<T>): Promise<T>;
}

/** The scan after a confirmation, and the note of it, come within that, board ms. */
const AFTERWARDS_MS = 20;
/** Longer than any push of a scenario takes, board ms. */
const PATIENCE_MS = 60_000;

export class LoggedRecorder implements FlashRecorder {
  readonly moments = ["before", "torn", "after"] as const;
  /** What the board holds before each scenario's update. */
  readonly #prepared = new Map<Scenario, Uint8Array>();

  constructor(private readonly machine: LoggingMachine) {}

  async record(scenario: Scenario): Promise<Recording> {
    const { chip } = this.machine;
    const board = await this.machine.start();
    try {
      await prepare(board, scenario);
      const session = await board.connect();
      const { first, count, begun } = await this.#begin(board);
      await push(session, scenario.update, { timestamp: TIMESTAMP });
      await board.run(AFTERWARDS_MS);
      const [log, end] = await this.machine.still(board, async () => [
        await this.machine.log(board),
        await imageOf(board, chip),
      ]);
      const operations = since(log, count, begun);
      const history = new History(first, operations);
      expectSame(end, history.last, "by the update");
      this.#prepared.set(scenario, first);
      const recording = { scenario, chip, history, end };
      return { ...recording, newSeenAfter: await this.#newSeenAfter(recording) };
    } finally {
      await board.close();
    }
  }

  async cut(recording: Recording, operation: number, moment: Moment, seed: number): Promise<RealCut> {
    return this.#cut(recording, operation, moment, seed);
  }

  /** The new agent's attempt is cut right before its mark: its outputs must not have been seen by then. */
  async #newSeenAfter(recording: Omit<Recording, "newSeenAfter">): Promise<number> {
    const { scenario, chip, history } = recording;
    const mark = chip.markAddress(slotsOf(scenario).target, "trial");
    const number = history.operations.findIndex(({ address }) => address === mark) + 1;
    if (number === 0) return 0;
    const { board, newSeen } = await this.#cut(recording, number, "before", 1);
    await board.close();
    return newSeen ? number - 1 : number;
  }

  /** A board whose power goes at the n-th operation of the update. */
  async #cut(
    { scenario }: Pick<Recording, "scenario">,
    operation: number,
    moment: Moment,
    seed: number,
  ): Promise<RealCut & { newSeen: boolean }> {
    const { chip } = this.machine;
    const board = await this.machine.start();
    try {
      await this.#prepare(board, scenario);
      const session = await board.connect();
      const { first, count } = await this.#begin(board, () =>
        board.harness.cutAt({ operation, moment, seed }),
      );
      const gone = board.harness.nextEvent(({ kind }) => kind === "power-off", PATIENCE_MS);
      gone.catch(() => undefined);
      const pushed = push(session, scenario.update, { timestamp: TIMESTAMP });
      pushed.catch(() => undefined); // its board dies
      // a board that nobody hears any more may say so by the end of the push alone
      await Promise.race([gone, pushed.catch(() => undefined)]);
      if (board.harness.powered) throw new Error(`the power was not cut at operation ${operation}`);
      const newSeen = board.watch.seen.some(({ swapNumber }) => swapNumber > scenario.before.length);
      board.unplug();
      await pushed.catch(() => undefined);
      await board.powerOff(); // has happened; its watch learns of it
      const left = await imageOf(board, chip);
      const operations = since(await this.machine.log(board), count, 0);
      const history = new History(first, operations);
      const faults = differences(left, history, operation, moment);
      return { board, left, history, faults, newSeen };
    } catch (error) {
      await board.close();
      throw error;
    }
  }

  /** What the flash holds and has counted, before an update. */
  async #begin(
    board: TestBoard,
    also: () => Promise<void> = () => Promise.resolve(),
  ): Promise<{ first: Uint8Array; count: number; begun: number }> {
    const { harness } = board;
    return this.machine.still(board, async () => {
      const first = await imageOf(board, this.machine.chip);
      const count = await harness.flashOperations();
      const begun = (await harness.virtualTime()) ?? 0;
      await also();
      return { first, count, begun };
    });
  }

  /** Brings a new board to where the scenario begins: by pushes once, by the image that they left from then on. */
  async #prepare(board: TestBoard, scenario: Scenario): Promise<void> {
    const image = this.#prepared.get(scenario);
    if (image === undefined) return prepare(board, scenario);
    await board.powerOff();
    await board.writeFlash(0, image);
    await board.powerOn();
  }
}

/** What is not as a cut at this operation has to leave it: whole operations before it, and of a torn one its own bytes. */
export function differences(left: Uint8Array, history: History, operation: number, moment: Moment): string[] {
  const begun = moment === "before" ? operation - 1 : operation;
  const { length } = history.operations;
  if (length < begun || length > operation) return [`${length} operations began before the cut`];
  const whole = moment === "after" ? operation : operation - 1;
  const expected = history.after(whole);
  const cut = moment === "torn" ? history.operations[operation - 1] : undefined;
  for (let at = 0; at < expected.length; at++) {
    if (left[at] === expected[at] || (cut !== undefined && isTornBit(left, expected, cut, at))) continue;
    return [`the cut left 0x${left[at]?.toString(16)} at 0x${at.toString(16)}`];
  }
  return [];
}

/** Whether a byte of the torn operation holds only bits that it had before or would have got. */
function isTornBit(left: Uint8Array, before: Uint8Array, cut: Operation, at: number): boolean {
  if (at < cut.address || at >= cut.address + cut.size) return false;
  const old = before[at] ?? 0;
  const wanted = cut.kind === "erase" ? 0xff : old & (cut.data[at - cut.address] ?? 0);
  // where the two agree nothing may have changed
  return (((left[at] ?? 0) ^ old) & ~(old ^ wanted)) === 0;
}
