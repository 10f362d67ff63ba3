/**
 * Lost cores on any emulated board, as somebody sees it who has its virtual clock and the records of its scans: the stamp
 * of a record counts from the boot, so that the reset was as long ago as the last record says. No debugger is needed, and
 * the board runs on as it would; times are good to a scan.
 */
import type { TestBoard } from "@edgeplug/test-support/board";
import { addressOf, HANG } from "@edgeplug/test-support/gdb";

import { MASK_ALL, NOP, recoveryOf } from "./losses.js";
import type { Loss, LossOptions, Recovery, Return } from "./losses.js";

/** What has to be known of a board's image. */
export interface LostImage {
  readonly elf: string;
  /** Machine code that switches the scan's interrupt off and returns; its constants are found from where it lies, in words. */
  readonly switchScanOff: Uint8Array;
  /** The watchdog's period as start-up sets it, ms. */
  readonly periodMs: number;
}

/** A lost core that is not reset by then will not be, virtual ms. */
const GIVE_UP_MS = 2_000;
/** `bx lr` */
const RETURN = [0x70, 0x47];
const TICK_MS = 1;
const RECORDS_BEFORE = 450;

/** What is written where. The functions are long enough, and run from RAM: the next start brings them anew. */
function spoils(image: LostImage, loss: Loss): { address: number; bytes: Uint8Array } {
  const poll = addressOf(image.elf, "ep_runtime_poll");
  const scan = addressOf(image.elf, "ep_runtime_scan");
  if (loss === "main loop") return { address: poll, bytes: Uint8Array.from(HANG) };
  if (loss === "masked") return { address: poll, bytes: Uint8Array.from([...MASK_ALL, ...HANG]) };
  if (loss === "scan hang") return { address: scan, bytes: Uint8Array.from(HANG) };
  const aligned = scan % 4 === 0 ? [] : NOP;
  return { address: scan, bytes: Uint8Array.from([...aligned, ...image.switchScanOff]) };
}

/** Lets the core be lost and watches it come back. */
export function loseCoreObserved(
  start: () => Promise<TestBoard>,
  image: LostImage,
  options: LossOptions,
): Promise<Recovery> {
  return recoveryOf(start, options, (board) => watchLoss(board, image, options.loss));
}

async function watchLoss(
  board: TestBoard,
  image: LostImage,
  loss: Loss,
): Promise<Omit<Return, "watchdogTold">> {
  const { harness, watch } = board;
  const starts = watch.gaps.restarts;
  await harness.pause();
  const lost = await timeOf(board);
  const { address, bytes } = spoils(image, loss);
  await harness.writeMemory(address, bytes);
  const back = await harness.runUntil(
    () => watch.gaps.restarts > starts && watch.seen.find(({ swapNumber }) => swapNumber === 1),
    GIVE_UP_MS,
  );
  const now = await timeOf(board);
  const last = watch.seen.at(-1) ?? back;
  await harness.resume();
  const bootMs = back.timeUs / 1000;
  const untilResetMs = now - last.timeUs / 1000 - lost;
  return { periodMs: image.periodMs, untilResetMs, bootMs, totalMs: untilResetMs + bootMs };
}

async function timeOf(board: TestBoard): Promise<number> {
  const time = await board.harness.virtualTime();
  if (time === undefined) throw new TypeError("this board can't tell its time");
  return time;
}

/** For one tick, the scan returns at once, when it has run well for a while. */
export async function loseOneScanObserved(board: TestBoard, { elf }: LostImage): Promise<void> {
  const { harness } = board;
  const scan = addressOf(elf, "ep_runtime_scan");
  await board.run(RECORDS_BEFORE);
  await harness.pause();
  const code = await harness.readMemory(scan, RETURN.length);
  await harness.writeMemory(scan, Uint8Array.from(RETURN));
  await harness.runFor(TICK_MS);
  await harness.writeMemory(scan, code);
  await harness.resume();
}
