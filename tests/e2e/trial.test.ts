// Every way that a trial ends, as the host reads it and as somebody sees it who only watches the outputs.
import { EdgePlugError, type AgentPackage } from "edgeplug";
import {
  eventKindName,
  reasonName,
  slotStateName,
  type DeviceEvent,
  type DeviceSession,
} from "edgeplug/device";
import { describe, expect, it } from "vitest";

import {
  controlAgent,
  DEEDS,
  failingAgent,
  makePackage,
  REQUEST,
  requestAgent,
  TRAP_BYTE,
  type PackageOptions,
} from "@edgeplug/test-support/agents";
import type { Backend, TestBoard } from "@edgeplug/test-support/board";
import { until } from "@edgeplug/test-support/clock";
import { onEachBoard, startTestBoard } from "./fixture.js";
import {
  failureOf,
  historyOf,
  phase,
  push,
  pushFails,
  pushUntil,
  standing,
} from "@edgeplug/test-support/push";

const OLD = 7;
const NEW = 8;
const OLD_RUNS = "agent 1#1 confirmed";

/** A board on which the old agent, swap 1, is confirmed. */
async function boardWithAgent(
  backend: Backend,
  options: PackageOptions = {},
): Promise<{ board: TestBoard; session: DeviceSession }> {
  const board = await startTestBoard(backend);
  const session = await board.connect();
  await push(session, makePackage(controlAgent({ value: OLD }), options));
  return { board, session };
}

function update(module: string, options: PackageOptions = {}): AgentPackage {
  return makePackage(module, { version: "2", release: 2, ...options });
}

/** Collects what the board tells of the swap's beginning and end. */
function collectSwapEvents(session: DeviceSession): { activated?: DeviceEvent; rolledBack?: DeviceEvent } {
  const told: { activated?: DeviceEvent; rolledBack?: DeviceEvent } = {};
  session.connection.onEvent((event) => {
    if (eventKindName(event.kind) === "activated") told.activated = event;
    if (eventKindName(event.kind) === "rolled back") told.rolledBack = event;
  });
  return told;
}

/** Events have no place of their own in the order of replies: a status may say first what they tell. */
function bothTold(board: TestBoard, told: ReturnType<typeof collectSwapEvents>): Promise<typeof told> {
  return until(board.clock, "the swap's two events", () => told.activated && told.rolledBack && told, 2_000);
}

const FAILURES: { what: string; deed: string; reason: string; options?: PackageOptions }[] = [
  { what: "traps", deed: DEEDS.trap, reason: "trap" },
  { what: "loops for ever", deed: DEEDS.loop, reason: "fuel" },
  { what: "writes outside its memory", deed: DEEDS.bounds, reason: "trap" },
  { what: "divides by zero", deed: DEEDS.divide, reason: "trap" },
  {
    what: "wants outputs beyond its guards again and again",
    deed: DEEDS.guard,
    reason: "guard",
    options: { guards: { min: [-10, 0], max: [10, 1e9] }, trial: { maxGuardHits: 3 } },
  },
];

onEachBoard((backend) => {
  describe.each(FAILURES)("a new agent that $what in its trial", ({ deed, reason, options = {} }) => {
    const bad = update(failingAgent(NEW, 10, deed), {
      ...options,
      trial: { healthyScans: 500, ...options.trial },
    });

    it("is replaced by the old one within the same scan, and no scan is missed", async () => {
      const { board, session } = await boardWithAgent(backend);
      const told = collectSwapEvents(session);
      const error = await pushFails(session, bad, "ROLLED_BACK");
      expect(error.message).toContain(reason);
      const { activated, rolledBack } = await bothTold(board, told);
      expect(rolledBack).toMatchObject({ swapNumber: 2 });
      expect(reasonName(rolledBack?.reason ?? 0)).toBe(reason);
      const scan = rolledBack?.scan ?? 0;
      const asleep = await board.watch.at((activated?.scan ?? 0) - 1);
      const last = await board.watch.at(scan - 1);
      const back = await board.watch.at(scan);
      expect(scan - (activated?.scan ?? 0)).toBeGreaterThanOrEqual(10);
      expect(last.swapNumber).toBe(2);
      // the old agent goes on with the state that it had at the swap
      expect(back).toMatchObject({ swapNumber: 1, outputs: [OLD, (asleep.outputs[1] ?? 0) + 1, 0, 0] });
      const { counters } = await session.status();
      expect(counters).toMatchObject({ rollbacks: 1, scansMissed: 0 });
      expect(board.watch.missed).toBe(0);
    });

    it("is on record as rejected with its reason, is spent, and is refused until the list is cleared", async () => {
      const { session } = await boardWithAgent(backend);
      await pushFails(session, bad, "ROLLED_BACK");
      expect(await standing(session)).toEqual({
        phase: "idle",
        runs: OLD_RUNS,
        last: `${reason}#2`,
        spent: 1,
      });
      const slot = await session.slot(1);
      expect([slotStateName(slot.state), reasonName(slot.reason)]).toEqual(["rejected", reason]);
      expect(await historyOf(session, 2)).toEqual(["begin", "staged", "trial", `rejected ${reason}`]);
      await pushFails(session, bad, "SPENT");
      const [digest] = await session.spent();
      await session.clearSpent(digest);
      expect(await session.spent()).toEqual([]);
      await pushFails(session, bad, "ROLLED_BACK");
    });
  });

  it("a guard breaker's outputs never leave the guards, and a few hits are forgiven", async () => {
    const { board, session } = await boardWithAgent(backend);
    const overshoots = `(if (i32.le_u (global.get $count) (i32.const 3)) (then
      (call $output (i32.const 0) (f32.const 1e6)) (return)))`;
    const pkg = update(controlAgent({ value: NEW, before: overshoots }), {
      guards: { min: [-10, 0], max: [10, 1e9], slew: [2, 1e9] },
      trial: { maxGuardHits: 3 },
    });
    await push(session, pkg);
    const values = board.watch.seen.filter((seen) => seen.swapNumber === 2).map(({ outputs }) => outputs[0]);
    expect(values.slice(0, 4)).toEqual([9, 10, 10, 8]);
    expect(Math.max(...values.map(Number))).toBeLessThanOrEqual(10);
    expect((await session.status()).counters.guardHits).toBe(3);
  });

  it("a trial that waits for the host ends unconfirmed at its deadline, which does not spend the package", async () => {
    const { board, session } = await boardWithAgent(backend);
    const trial = { confirmByHost: true, healthyScans: 20, deadlineScans: 300 };
    const pkg = update(controlAgent({ value: NEW }), { trial });
    const told = collectSwapEvents(session);
    await pushFails(session, pkg, "ROLLED_BACK", { confirm: false });
    expect(await standing(session)).toEqual({
      phase: "idle",
      runs: OLD_RUNS,
      last: "unconfirmed#2",
      spent: 0,
    });
    const ran = board.watch.seen.filter((seen) => seen.swapNumber === 2);
    expect(ran.length).toBeGreaterThanOrEqual(300);
    expect(ran.length).toBeLessThan(310); // the main loop ends it, one turn later at most a few scans
    expect((await bothTold(board, told)).activated?.scan).toBe(ran[0]?.scan);
    const patient = update(controlAgent({ value: NEW }), { trial: { ...trial, deadlineScans: 20_000 } });
    expect((await push(session, patient)).swapNumber).toBe(3);
  });

  it("a trial that waits for the host goes on until the host confirms", async () => {
    const { board, session } = await boardWithAgent(backend);
    const trial = { confirmByHost: true, healthyScans: 20, deadlineScans: 60_000 };
    const { rest } = await pushUntil(
      session,
      update(controlAgent({ value: NEW }), { trial }),
      ({ step }) => step === "activated",
      { confirm: false },
    );
    await rest.return(undefined as never);
    await board.run(200);
    expect(await standing(session)).toMatchObject({ phase: "trial", runs: "agent 2#2 trial" });
    await session.confirm();
    await phase(session, board.clock, "idle");
    expect(await standing(session)).toMatchObject({ runs: "agent 2#2 confirmed", last: "none#0" });
    expect((await failureOf(session.confirm())).code).toBe("NOT_IN_TRIAL");
  });

  it("a request agent that served too few requests by its deadline ends unconfirmed", async () => {
    const { session } = await boardWithAgent(backend);
    const pkg = update(requestAgent(2), {
      ...REQUEST,
      trial: { minRequests: 5, healthyScans: 20, deadlineScans: 400 },
    });
    const { rest } = await pushUntil(session, pkg, ({ step }) => step === "activated", { trialRequests: [] });
    // one of them may come after the deadline where the emulator is fast
    for (let request = 0; request < 4; request++) {
      await session.call(Uint8Array.of(request)).catch(() => undefined);
    }
    const error = await failureOf(drain(rest));
    expect(error.code).toBe("ROLLED_BACK");
    expect(await standing(session)).toMatchObject({ runs: OLD_RUNS, last: "unconfirmed#2", spent: 0 });
  });

  it("requests of a trial that a bad line swallows don't end the push, as long as the board answers the others", async () => {
    const { session } = await boardWithAgent(backend);
    const call = session.call.bind(session);
    let swallowed = 0;
    session.call = (data, options) =>
      swallowed++ < 3 ? Promise.reject(new EdgePlugError("TIMEOUT")) : call(data, options);
    const trialRequests = [Uint8Array.of(1, 2, 3)];
    const { active } = await push(session, update(requestAgent(NEW), REQUEST), { trialRequests });
    expect(slotStateName(active.state)).toBe("confirmed");
    expect(swallowed).toBeGreaterThan(3);
  });

  it("a request on which a new request agent traps is answered by the old one", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    const one = { ...REQUEST, trial: { minRequests: 1 } };
    await push(session, makePackage(requestAgent(1), one), { trialRequests: [Uint8Array.of(1)] });
    const bad = update(requestAgent(2, { traps: true }), {
      ...REQUEST,
      trial: { minRequests: 3, deadlineScans: 60_000 },
    });
    const { rest } = await pushUntil(session, bad, ({ step }) => step === "activated", { trialRequests: [] });
    const good = await session.call(Uint8Array.of(5));
    expect([good.data, good.swapNumber]).toEqual([Uint8Array.of(2, 5), 2]);
    const saved = await session.call(Uint8Array.of(TRAP_BYTE, 6));
    expect([saved.data, saved.swapNumber]).toEqual([Uint8Array.of(1, TRAP_BYTE, 6), 1]);
    expect((await failureOf(drain(rest))).code).toBe("ROLLED_BACK");
    expect(await standing(session)).toMatchObject({ runs: OLD_RUNS, last: "trap#2", spent: 1 });
  });

  it.each([
    ["the new agent traps in restore", {}, { restore: "(unreachable)" }],
    ["the old agent traps in save", { save: "(unreachable)" }, {}],
    ["the old agent saves more than the new one takes", { save: "(i32.const 65)" }, {}],
  ])("when %s, the old agent goes on, undisturbed, and the package is rejected", async (_, from, to) => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    await push(session, makePackage(controlAgent({ value: OLD, ...from }), { stateId: 3 }));
    await pushFails(session, update(controlAgent({ value: NEW, ...to }), { stateId: 3 }), "HANDOVER");
    expect(await standing(session)).toMatchObject({ phase: "idle", runs: OLD_RUNS, last: "handover#2" });
    await board.run(10);
    const { seen } = board.watch;
    expect(seen.filter(({ swapNumber }) => swapNumber === 2)).toEqual([]);
    const counts = seen.filter(({ swapNumber }) => swapNumber === 1).map(({ outputs }) => outputs[1] ?? 0);
    expect(counts).toEqual(counts.map((_value, index) => index + 1));
    expect(board.watch.missed).toBe(0);
  });

  it("an abort during the trial brings the old agent back and does not spend the package", async () => {
    const { session } = await boardWithAgent(backend);
    const pkg = update(controlAgent({ value: NEW }), {
      trial: { healthyScans: 100_000, deadlineScans: 200_000 },
    });
    const { rest } = await pushUntil(session, pkg, ({ step }) => step === "activated");
    await session.abort();
    expect((await failureOf(drain(rest))).code).toBe("ABORTED");
    expect(await standing(session)).toEqual({ phase: "idle", runs: OLD_RUNS, last: "aborted#2", spent: 0 });
    expect((await failureOf(session.abort())).code).toBe("NO_SESSION");
    expect((await push(session, update(controlAgent({ value: NEW })))).swapNumber).toBe(3);
  });

  it("an abort during the transfer leaves the old agent running and what was received for a resume", async () => {
    const { session } = await boardWithAgent(backend);
    const before = await session.status();
    const pkg = update(controlAgent({ value: NEW }));
    const { rest } = await pushUntil(session, pkg, ({ step }) => step === "begin");
    await session.abort();
    await rest.return(undefined as never);
    const after = await session.status();
    expect(after.active).toEqual(before.active);
    expect(after.lastReason).toBe(before.lastReason);
    expect((await push(session, pkg)).resumed).toBe(true);
  });

  it("a rollback during the trial is the operator's, and so is its reason", async () => {
    const { board, session } = await boardWithAgent(backend);
    const pkg = update(controlAgent({ value: NEW }), {
      trial: { healthyScans: 100_000, deadlineScans: 200_000 },
    });
    const { rest } = await pushUntil(session, pkg, ({ step }) => step === "activated");
    await session.rollback();
    expect((await failureOf(drain(rest))).code).toBe("ROLLED_BACK");
    expect(await standing(session)).toEqual({ phase: "idle", runs: OLD_RUNS, last: "operator#2", spent: 0 });
    expect(board.watch.missed).toBe(0);
  });

  it("a manual rollback goes to the other confirmed agent without missing a scan, and can't be done twice", async () => {
    const { board, session } = await boardWithAgent(backend);
    await push(session, update(controlAgent({ value: NEW })));
    const status = await session.rollback();
    expect(status.active).toMatchObject({ swapNumber: 1, version: "1" });
    expect(await standing(session)).toEqual({ phase: "idle", runs: OLD_RUNS, last: "operator#2", spent: 0 });
    expect((await board.watch.next("the old agent", (seen) => seen.swapNumber === 1)).outputs[0]).toBe(OLD);
    expect((await failureOf(session.rollback())).code).toBe("NO_FALLBACK");
    expect((await session.status()).counters.scansMissed).toBe(0);
    expect(board.watch.missed).toBe(0);
    await board.powerOff();
    await board.powerOn();
    expect(await standing(await board.connect())).toMatchObject({ runs: OLD_RUNS });
  });

  it("a manual rollback below the board's security version needs to be allowed", async () => {
    const { session } = await boardWithAgent(backend, { securityVersion: 1 });
    await push(session, update(controlAgent({ value: NEW }), { securityVersion: 2 }));
    expect((await failureOf(session.rollback())).code).toBe("DOWNGRADE");
    expect(await standing(session)).toMatchObject({ runs: "agent 2#2 confirmed" });
    expect((await session.rollback({ allowDowngrade: true })).active?.swapNumber).toBe(1);
    expect((await session.status()).securityVersion).toBe(2);
  });

  it("when the very first agent fails its trial, the board goes back to safe mode with fail-safe outputs", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    const bad = makePackage(failingAgent(NEW, 5, DEEDS.trap), { trial: { healthyScans: 100 } });
    await pushFails(session, bad, "REJECTED");
    expect(await standing(session)).toMatchObject({ runs: "safe mode", last: "trap#1", spent: 1 });
    const seen = await board.watch.next("safe mode", ({ swapNumber }) => swapNumber === 0);
    expect(seen.outputs).toEqual([0, 0, 0, 0]);
  });

  it.each([
    ["holds its outputs", "hold" as const, NEW],
    ["goes to its fail-safe values", "failSafe" as const, -3],
  ])("a confirmed agent that traps %s, as its manifest says, and stays", async (_, onTrap, expected) => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    const pkg = makePackage(failingAgent(NEW, 100, DEEDS.trap), { onTrap, guards: { failSafe: [-3, 0] } });
    await push(session, pkg);
    const scan = (board.watch.seen.find(({ swapNumber }) => swapNumber === 1)?.scan ?? 0) + 100;
    expect((await board.watch.at(scan - 1)).outputs[0]).toBe(NEW);
    expect((await board.watch.at(scan + 5)).outputs[0]).toBe(expected);
    const status = await session.status();
    expect(status.active).toMatchObject({ swapNumber: 1 });
    expect(status.counters.traps).toBeGreaterThan(0);
    expect(board.watch.missed).toBe(0);
  });

  it("a trap's place and message can be read by the host", async () => {
    const { session } = await boardWithAgent(backend);
    // AssemblyScript's abort: message and file as UTF-16 strings with their length before them
    const text = (at: number, words: string): string =>
      `(data (i32.const ${at - 4}) "\\${(2 * words.length).toString(16).padStart(2, "0")}\\00\\00\\00${[...words].map((c) => `${c}\\00`).join("")}")`;
    const aborts = `(module (import "env" "abort" (func $abort (param i32 i32 i32 i32))) (memory 1)
      ${text(16, "too hot")} ${text(64, "a.ts")} (global $n (mut i32) (i32.const 0))
      (func (export "scan")
        (global.set $n (i32.add (global.get $n) (i32.const 1)))
        (if (i32.gt_u (global.get $n) (i32.const 9)) (then
          (call $abort (i32.const 16) (i32.const 64) (i32.const 12) (i32.const 34))))))`;
    const bad = update(aborts, { limits: { memory: 128, ioBuffer: 0 }, trial: { healthyScans: 100 } });
    const error = await pushFails(session, bad, "ROLLED_BACK");
    expect(error.message).toContain("too hot a.ts:12:34");
    expect((await session.status()).lastMessage).toBe("too hot a.ts:12:34");
  });
});

/** Lets a push that was left alone go to its end. */
async function drain(rest: AsyncGenerator): Promise<void> {
  while ((await rest.next()).done !== true);
}
