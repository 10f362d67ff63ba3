// A core that is lost, by the emulator's own count of time; no wall clock decides anything here.
import { push, standing } from "@edgeplug/test-support/push";
import { boardBefore, judge, lockUp, LOSSES, machineOf, measurePeriod, type Loss } from "@edgeplug/arm-suite";
import { BACKENDS } from "@edgeplug/test-support/backends";
import { describe, expect, it, onTestFinished, vi } from "vitest";

import { onArmBoards } from "./boards.js";

vi.setConfig({ testTimeout: 300_000 });

/** How much later than the watchdog's period a reset may be: a scan, and on renode what its times are good to. */
const SLACK_MS = { qemu: 1, renode: 3 };
/** Hashing two full slots takes that at least. */
const LEAST_BOOT_MS = { qemu: 20, renode: 5 };
const LOST = Object.keys(LOSSES) as Loss[];

const { start } = machineOf("qemu");
const ON_QEMU = BACKENDS.includes("qemu");

if (ON_QEMU)
  it("the watchdog's period is what its register says, to half a millisecond of virtual time", async () => {
    // on a busy machine QEMU may put the clock forward while it stops the core, up to the next tick: never back
    let longest = 0;
    for (let tries = 0; tries < 3; tries++) {
      const { registerMs, measuredMs } = await measurePeriod();
      expect(registerMs).toBe(150);
      longest = Math.max(longest, measuredMs);
    }
    expect(Math.abs(longest - 150)).toBeLessThan(0.5);
  });

onArmBoards("a core that is lost", (board) => {
  const machine = machineOf(board);
  const [longest = "anywhere"] = machine.moments;

  describe.each([
    ["during a trial", true],
    ["outside a trial", false],
  ])("%s", (_, inTrial) => {
    it.each(LOST)(
      "(%s) runs the confirmed agent again within 250 ms of virtual time, and the host reads why",
      async (loss) => {
        // the longest way: the watchdog has just been fed
        const options = { loss, inTrial, moment: longest, afterMs: 5 };
        expect(judge(options, await machine.loseCore(options))).toEqual([]);
      },
    );

    it("at any moment, with both slots full, is back as soon", async () => {
      const options = { loss: "masked", inTrial, moment: "anywhere", afterMs: 17, fullSlots: true } as const;
      const recovery = await machine.loseCore(options);
      expect(judge(options, recovery)).toEqual([]);
      // the main loop may end its turn, and be fed for it in the next scan, before it comes to where it is lost
      expect(recovery.untilResetMs).toBeLessThan(recovery.periodMs + SLACK_MS[board]);
      expect(recovery.bootMs).toBeGreaterThan(LEAST_BOOT_MS[board]);
    });
  });
});

// this emulator aborts where silicon would wait for its watchdog
if (ON_QEMU)
  describe("a core that locks up, a fault in its fault handler, and is cycled", () => {
    it("during a trial makes the next attempt: to the board it was a power cut", async () => {
      const { board } = await boardBefore(start, true);
      onTestFinished(() => board.close());
      expect(await lockUp(board)).toContain("Lockup");
      await board.powerOn();
      const session = await board.connect();
      expect(await standing(session)).toEqual({
        phase: "trial",
        runs: "agent 2#2 trial",
        last: "none#0",
        spent: 0,
      });
      expect((await session.slot(1)).attempts).toBe(2);
    });

    it("outside a trial runs the confirmed agent again and takes an update", async () => {
      const { board, session: before } = await boardBefore(start, false);
      onTestFinished(() => board.close());
      const running = (await before.save()).package;
      expect(await lockUp(board)).toContain("Lockup");
      await board.powerOn();
      const session = await board.connect();
      expect(await standing(session)).toMatchObject({
        phase: "idle",
        runs: "agent 1#1 confirmed",
        last: "none#0",
      });
      expect((await push(session, running)).swapNumber).toBe(2);
    });
  });
