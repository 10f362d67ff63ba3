// What only the stm32l552 image can show: option bytes that are wrong, and a stack that has no room left.
import { historyKindName } from "edgeplug/device";
import { afterAll, describe, expect, it } from "vitest";

import { controlAgent, makePackage } from "@edgeplug/test-support/agents";
import { BACKENDS, keepRenodes, STM32L552_ELF, type TestBoard } from "@edgeplug/test-support/board";
import { push, pushFails, standing } from "@edgeplug/test-support/push";
import { addressOf } from "@edgeplug/test-support/gdb";
import { findRenode, RENODE_MISSING, type RenodeBoard } from "renode-test-harness";
import { startTestBoard } from "./fixture.js";

const OLD_RUNS = "agent 1#1 confirmed";
const OPTION_BYTES = 4005;
const FAULT = 3;
const old = makePackage(controlAgent({ value: 7 }));
const next = makePackage(controlAgent({ value: 8 }), { version: "2", release: 2 });

function monitor(board: TestBoard, command: string): Promise<string> {
  return (board.harness as RenodeBoard).monitor(command);
}

const missing = findRenode() === undefined;
const runs = !missing && BACKENDS.includes("renode");

describe.runIf(runs)(missing ? `on renode (${RENODE_MISSING})` : "on renode", () => {
  if (runs) afterAll(keepRenodes());

  it.each([
    ["OptionBytes", "one bank of 4 KiB pages", (value: number) => value & ~(1 << 22)],
    ["BootAddress", "another boot address", (value: number) => value - 0x7000],
  ] as const)(
    "%s: with %s the board says so, runs nothing and touches nothing",
    async (name, _what, spoil) => {
      const board = await startTestBoard("renode");
      await push(await board.connect(), old);
      const before = await board.flash();
      const good = Number(await monitor(board, `sysbus.flashController ${name}`));
      try {
        await monitor(board, `sysbus.flashController ${name} ${spoil(good) >>> 0}`);
        await board.reset();
        const session = await board.connect();
        const status = await session.status();
        expect([status.safeMode, status.journalError]).toEqual([true, OPTION_BYTES]);
        await pushFails(session, next, "OPTION_BYTES");
        await board.run(200);
        expect(before.changes(await board.flash())).toEqual({});
        expect(status.counters.scansMissed).toBe(0);
      } finally {
        await monitor(board, `sysbus.flashController ${name} ${good}`);
      }
      await board.reset();
      const session = await board.connect();
      expect((await session.status()).journalError).toBe(0);
      expect(await standing(session)).toMatchObject({ phase: "idle", runs: OLD_RUNS });
    },
  );

  it("a stack without room is a fault, noted for the next boot", async () => {
    const board = await startTestBoard("renode");
    await push(await board.connect(), old);
    const bottom = addressOf(STM32L552_ELF, "ep_stack_bottom");
    await board.harness.pause();
    await monitor(board, `sysbus.cpu SP ${bottom + 0x100}`);
    await board.harness.resume();
    await board.run(100);
    const session = await board.connect();
    const boot = (await session.history()).find(({ kind }) => historyKindName(kind) === "boot");
    expect(boot?.detail).toBe(FAULT);
    expect(await standing(session)).toMatchObject({ phase: "idle", runs: OLD_RUNS });
  });
});
