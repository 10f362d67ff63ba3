// Somebody who only watches, and a journal that was damaged.
import { MEMORY_MAPS, Random } from "@edgeplug/sim";
import { phaseName, type DeviceSession } from "edgeplug/device";
import { expect, it } from "vitest";

import {
  controlAgent,
  makePackage,
  OPERATOR,
  PUBLISHER,
  publicKeyOf,
  signed,
} from "@edgeplug/test-support/agents";
import type { TestBoard } from "@edgeplug/test-support/board";
import { onBoard, onEachBoard, startTestBoard } from "./fixture.js";
import { until } from "@edgeplug/test-support/clock";
import { begin, failureOf, push, pushFails, pushUntil, standing } from "@edgeplug/test-support/push";

const OLD_RUNS = "agent 1#1 confirmed";
const old = makePackage(controlAgent({ value: 7 }));
const next = makePackage(controlAgent({ value: 8 }), { version: "2", release: 2 });
const JOURNAL_ERROR = 4003;

/** Overwrites one half of the journal, or both, of a board without power. */
async function damage(board: TestBoard, halves: readonly (0 | 1)[]): Promise<void> {
  const { journal, journalHalfSize } = board.layout;
  for (const half of halves) {
    const garbage = new Random(half + 1).bytes(journalHalfSize);
    await board.writeFlash(journal + half * journalHalfSize, garbage);
  }
}

async function damagedAndBooted(board: TestBoard, halves: readonly (0 | 1)[]): Promise<DeviceSession> {
  await board.powerOff();
  await damage(board, halves);
  await board.powerOn();
  return board.connect();
}

async function lockedBoard(board: TestBoard): Promise<DeviceSession> {
  const session = await board.connect();
  await session.addKey("publisher", publicKeyOf(PUBLISHER));
  await session.addKey("operator", publicKeyOf(OPERATOR));
  await push(session, old);
  await session.lock();
  return session;
}

onEachBoard((backend) => {
  it("a journal destroyed in both halves: the board counts as locked and says why, and its agent runs on", async () => {
    const board = await startTestBoard(backend);
    await push(await board.connect(), old); // an open board
    const session = await damagedAndBooted(board, [0, 1]);
    expect(session.hello.locked).toBe(true);
    const status = await session.status();
    expect([status.journalError, status.locked]).toEqual([JOURNAL_ERROR, true]);
    expect(await standing(session)).toMatchObject({ phase: "idle", runs: OLD_RUNS });
    expect((await board.watch.next("the agent", () => true)).swapNumber).toBe(1);
    const before = await board.flash();
    await pushFails(session, next, "JOURNAL");
    await pushFails(session, signed(next, null), "JOURNAL");
    expect((await failureOf(session.addKey("publisher", publicKeyOf(PUBLISHER)))).code).toBe("LOCKED");
    expect((await failureOf(session.rollback())).code).toBe("LOCKED");
    expect((await failureOf(session.clearSpent())).code).toBe("LOCKED");
    expect(before.changes(await board.flash())).toEqual({});
    expect(board.watch.missed).toBe(0);
  });

  it.each([[[0]], [[1]]] as const)(
    "a journal destroyed in half %j heals: keys, lock and agent are as before, and either half can go next",
    async (halves) => {
      const board = await startTestBoard(backend);
      const first = await lockedBoard(board);
      const keys = await first.listKeys();
      for (const half of [halves[0], halves[0] === 0 ? 1 : 0] as const) {
        const session = await damagedAndBooted(board, [half]);
        expect((await session.status()).journalError).toBe(0);
        expect(session.hello.locked).toBe(true);
        expect(await session.listKeys()).toEqual(keys);
        expect(await standing(session)).toMatchObject({ phase: "idle", runs: OLD_RUNS });
        expect((await failureOf(begin(session, signed(next, null)))).code).toBe("UNSIGNED");
      }
      const session = await board.connect();
      expect((await push(session, next)).active).toMatchObject({ version: "2" });
    },
  );
});

onBoard("qemu", () => {
  it("a masked scan interrupt is one missed scan by the board's count, and one gap for who watches its outputs", async () => {
    const board = await startTestBoard("qemu", {
      patches: [{ offset: MEMORY_MAPS.qemu.maskOneScan, bytes: Uint8Array.of(1) }],
    });
    const session = await board.connect();
    await until(board.clock, "scan 600", () => (board.watch.seen.at(-1)?.scan ?? 0) >= 600);
    const { counters } = await session.status();
    expect(counters.scansMissed).toBe(1);
    expect(counters.ticksElapsed - counters.scansRun).toBe(1);
    expect(board.watch.gaps.gaps).toHaveLength(1);
    expect(board.watch.gaps.gaps[0]).toMatchObject({
      missed: 1,
      before: { scan: 499 },
      after: { scan: 501 },
    });
  });

  it("a scan that is missed during a trial ends it for its deadline, in the same scan", async () => {
    const board = await startTestBoard("qemu");
    const session = await board.connect();
    await push(session, old);
    const trial = { healthyScans: 100_000, deadlineScans: 200_000 };
    const pkg = makePackage(controlAgent({ value: 8 }), { version: "2", release: 2, trial });
    await pushUntil(session, pkg, ({ step }) => step === "activated");
    await board.powerOff();
    // the second attempt begins with the boot, long before the scan that will be masked
    await board.writeFlash(MEMORY_MAPS.qemu.maskOneScan, Uint8Array.of(1));
    await board.powerOn();
    await board.watch.next("the trial", ({ swapNumber, scan }) => swapNumber === 2 && scan < 500);
    const back = await board.watch.next(
      "the old agent",
      ({ swapNumber, scan }) => swapNumber === 1 && scan > 400,
    );
    expect(back).toMatchObject({ scan: 501, outputs: [7, expect.any(Number), 0, 0] });
    const again = await board.connect();
    await until(board.clock, "its end", async () => phaseName((await again.status()).phase) === "idle");
    expect(await standing(again)).toEqual({ phase: "idle", runs: OLD_RUNS, last: "deadline#2", spent: 1 });
  });
});
