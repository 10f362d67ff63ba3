// Power that goes away, and a core that is lost: what runs afterwards, and that nobody is ever locked out.
import { PowerCut } from "@edgeplug/sim";
import type { AgentPackage } from "edgeplug";
import {
  historyKindName,
  reasonName,
  slotStateName,
  type DeviceSession,
  type PushStep,
} from "edgeplug/device";
import { describe, expect, it } from "vitest";

import {
  controlAgent,
  DEEDS,
  failingAgent,
  makePackage,
  padded,
  type PackageOptions,
} from "@edgeplug/test-support/agents";
import type { Backend, TestBoard } from "@edgeplug/test-support/board";
import { onBoard, onEachBoard, startTestBoard } from "./fixture.js";
import { until } from "@edgeplug/test-support/clock";
import { historyOf, push, pushFails, pushUntil, standing } from "@edgeplug/test-support/push";

const OLD_RUNS = "agent 1#1 confirmed";
const old = makePackage(controlAgent({ value: 7 }));
/** A trial that no delay of the host's can bring to its end. */
const PATIENT = { trial: { healthyScans: 100_000, deadlineScans: 200_000 } };
/** Its scans are unhealthy after the first hundred, so that no delay of the host's lets resets be forgiven. */
const UNHEALTHY = failingAgent(8, 100, DEEDS.trap);

function update(options: PackageOptions = {}, size = 0): AgentPackage {
  const module = controlAgent({ value: 8 });
  return makePackage(size > 0 ? padded(module, size) : module, { version: "2", release: 2, ...options });
}

/** A board on which the old agent, swap 1, is confirmed. */
async function boardWithAgent(backend: Backend): Promise<{ board: TestBoard; session: DeviceSession }> {
  const board = await startTestBoard(backend);
  const session = await board.connect();
  await push(session, old);
  return { board, session };
}

async function powerCycle(board: TestBoard): Promise<DeviceSession> {
  await board.powerOff();
  await board.powerOn();
  return board.connect();
}

/** Where an update may be cut, and who may run after it: the step after which the power goes. */
const MOMENTS: { what: string; stop: (step: PushStep) => boolean; resumes: boolean }[] = [
  { what: "right after Begin", stop: ({ step }) => step === "begin", resumes: true },
  { what: "in the first page", stop: ({ step }) => step === "sending", resumes: true },
  { what: "after the first page", stop: (step) => step.step === "sending" && step.page >= 1, resumes: true },
  { what: "after the second page", stop: (step) => step.step === "sending" && step.page >= 2, resumes: true },
  {
    what: "when the last byte has been acknowledged",
    stop: (step) => step.step === "sending" && step.acknowledged === step.size,
    resumes: true,
  },
  { what: "when it is staged", stop: ({ step }) => step === "staged", resumes: true },
];

onEachBoard((backend) => {
  describe.each(["powerOff", "kill"] as const)("power cut by %s", (cut) => {
    it.each(MOMENTS)(
      "$what: the old agent runs again, and pushing again succeeds",
      async ({ stop, resumes }) => {
        const { board, session } = await boardWithAgent(backend);
        const pkg = update({}, 9_000);
        const { step } = await pushUntil(session, pkg, stop);
        await board[cut]();
        await board.powerOn();
        const again = await board.connect();
        expect(await standing(again)).toMatchObject({ phase: "idle", runs: OLD_RUNS, spent: 0 });
        const result = await push(again, pkg);
        expect(result.active).toMatchObject({ version: "2", release: 2 });
        // nothing is sent twice but what a busy host, away for too long, believes to be lost
        const rest = pkg.payload.length - result.offset;
        if (backend === "sim") expect(result.payloadBytesSent).toBe(rest);
        else expect(result.payloadBytesSent).toBeGreaterThanOrEqual(rest);
        if (cut === "powerOff") {
          // whole pages that were acknowledged are not sent again
          const done = step.step === "sending" ? step.page * board.layout.eraseSize : 0;
          expect(result.resumed).toBe(resumes);
          expect(result.offset).toBeGreaterThanOrEqual(done);
        }
        expect((await again.save()).package.payload).toEqual(pkg.payload);
        expect(board.watch.missed).toBe(0);
      },
    );

    it("in the trial: the new agent gets another attempt, and is confirmed by scans that ran", async () => {
      const { board, session } = await boardWithAgent(backend);
      const pkg = update({ trial: { healthyScans: 300, deadlineScans: 200_000, confirmByHost: true } });
      await pushUntil(session, pkg, ({ step }) => step === "activated", { confirm: false });
      await board[cut]();
      await board.powerOn();
      const again = await board.connect();
      await again.confirm();
      await until(board.clock, "confirmed", async () => {
        const slot = await again.slot(1);
        return slotStateName(slot.state) === "confirmed" && slot;
      });
      expect(await standing(again)).toMatchObject({ phase: "idle", runs: "agent 2#2 confirmed" });
      expect((await again.slot(1)).attempts).toBe(2);
      const ran = board.watch.seen.filter(({ swapNumber }) => swapNumber === 2).length;
      expect(ran).toBeGreaterThanOrEqual(300);
    });

    it("right after the trial: the new agent stays", async () => {
      const { board, session } = await boardWithAgent(backend);
      await push(session, update());
      if (cut === "kill") await board.run(1_000); // a careless cut may lose the latest writes, but not old ones
      await board[cut]();
      await board.powerOn();
      expect(await standing(await board.connect())).toMatchObject({ runs: "agent 2#2 confirmed" });
    });
  });

  it("power cuts use up the attempts of a trial; then the old agent runs and the package is not spent", async () => {
    const { board, session } = await boardWithAgent(backend);
    const pkg = update({ trial: { ...PATIENT.trial, attempts: 2 } });
    await pushUntil(session, pkg, ({ step }) => step === "activated");
    const second = await powerCycle(board);
    expect(await standing(second)).toMatchObject({ phase: "trial", runs: "agent 2#2 trial" });
    const third = await powerCycle(board);
    expect(await standing(third)).toEqual({ phase: "idle", runs: OLD_RUNS, last: "attempts#2", spent: 0 });
    const fourth = await powerCycle(board);
    expect(await standing(fourth)).toEqual({ phase: "idle", runs: OLD_RUNS, last: "attempts#2", spent: 0 });
    expect((await push(fourth, update())).active).toMatchObject({ version: "2" });
    expect(board.watch.seen.filter(({ swapNumber }) => swapNumber === 1).length).toBeGreaterThan(0);
  });

  describe.each(["loop", "scan"] as const)("a core that is lost in the %s", (where) => {
    it("during a trial is reset by the watchdog; that very boot runs the old agent, and the package is spent", async () => {
      const { board, session } = await boardWithAgent(backend);
      const pkg = update(PATIENT);
      const { rest } = await pushUntil(session, pkg, ({ step }) => step === "activated");
      await rest.return(undefined as never);
      const { bootNumber } = session.hello;
      const watchdog = board.harness.nextEvent(({ kind }) => kind === "watchdog");
      await board.loseCore(where);
      await board.watch.next("the old agent", ({ swapNumber }) => swapNumber === 1, 5_000);
      await watchdog;
      expect((await session.refresh()).bootNumber).toBe(bootNumber + 1);
      expect(await standing(session)).toEqual({
        phase: "idle",
        runs: OLD_RUNS,
        last: "watchdog#2",
        spent: 1,
      });
      expect(await historyOf(session, 2)).toEqual(["begin", "staged", "trial", "rejected watchdog"]);
      // not one scan of that boot was the new agent's
      expect(board.watch.seen.some(({ swapNumber }) => swapNumber === 2)).toBe(false);
      await pushFails(session, pkg, "SPENT");
    });
  });

  it("a confirmed agent after which the watchdog resets three times is rejected, and the other one runs", async () => {
    const { board, session } = await boardWithAgent(backend);
    await push(session, makePackage(UNHEALTHY, { version: "2", release: 2 }));
    for (let reset = 1; reset <= 3; reset++) {
      await loseAndReturn(board);
      await session.refresh();
      const runs = reset < 3 ? "agent 2#2 confirmed" : OLD_RUNS;
      expect(await standing(session)).toMatchObject({ runs });
    }
    expect(await standing(session)).toMatchObject({ last: "resets#2" });
    expect(reasonName((await session.slot(1)).reason)).toBe("resets");
    const causes = (await session.history()).filter(({ kind }) => historyKindName(kind) === "boot");
    expect(causes.slice(0, 3).map(({ detail }) => detail)).toEqual([2, 2, 2]);
  });

  it("a confirmed agent that has no other to fall back to is kept, but not run until the power has been off", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    await push(session, makePackage(UNHEALTHY));
    for (let reset = 1; reset <= 3; reset++) await loseAndReturn(board);
    await session.refresh();
    expect(await standing(session)).toMatchObject({ runs: "safe mode", last: "resets#1" });
    expect((await board.watch.next("safe mode", () => true)).outputs).toEqual([0, 0, 0, 0]);
    await board.reset();
    await until(board.clock, "the board is back", async () => (await session.refresh()) !== undefined);
    const again = await powerCycle(board);
    expect(await standing(again)).toMatchObject({ runs: OLD_RUNS });
    expect((await push(again, update())).active).toMatchObject({ version: "2" });
  });

  it("a thousand healthy scans between watchdog resets forgive them", async () => {
    const { board, session } = await boardWithAgent(backend);
    await push(session, update());
    for (let reset = 1; reset <= 4; reset++) {
      await loseAndReturn(board);
      await board.run(1_200);
    }
    await session.refresh();
    expect(await standing(session)).toMatchObject({ runs: "agent 2#2 confirmed", last: "none#0" });
  });
});

onBoard("sim", () => {
  // the qemu board has no register that tells a pressed button from a watchdog
  it("the reset button in a trial costs an attempt, as a power cut does", async () => {
    const { board, session } = await boardWithAgent("sim");
    await pushUntil(session, update(PATIENT), ({ step }) => step === "activated");
    await board.reset();
    await board.watch.next("the new agent again", ({ swapNumber, scan }) => swapNumber === 2 && scan < 50);
    expect(await session.slot(1)).toMatchObject({ attempts: 2, reason: 0 });
    expect(await standing(session)).toMatchObject({ phase: "trial", runs: "agent 2#2 trial" });
  });

  it.each(["before", "torn", "after"] as const)(
    "power cut %s any flash operation of an update: an agent runs that may, and pushing again succeeds",
    async (moment) => {
      const { board, session } = await boardWithAgent("sim");
      const { sim } = board;
      if (sim === undefined) throw new Error("a simulated board has a simulation");
      const pkg = update({ trial: { healthyScans: 30 } });
      const start = sim.snapshot();
      const operations = sim.flash.operations;
      await push(session, pkg);
      const count = sim.flash.operations - operations;
      expect(count).toBeGreaterThan(30);
      board.unplug();
      for (let operation = 1; operation <= count; operation++) {
        sim.restore(start);
        sim.flash.planCut({ operation, moment });
        await cutPush(board, pkg);
        await board.powerOff();
        await board.powerOn();
        const again = await board.connect();
        const { active, phase } = await again.status();
        expect([1, 2], `cut at operation ${operation}`).toContain(active?.swapNumber);
        if (phase === 5)
          await until(board.clock, "the trial's end", async () => (await again.status()).phase === 0);
        const result = await push(again, update({ release: 3, version: "3" }));
        expect(result.active, `cut at operation ${operation}`).toMatchObject({ version: "3" });
        board.unplug();
      }
    },
  );

  it("a scan that is missed during a trial ends it for its deadline, in the same scan", async () => {
    const { board, session } = await boardWithAgent("sim");
    const pkg = update(PATIENT);
    const { rest } = await pushUntil(session, pkg, ({ step }) => step === "activated");
    board.sim?.skipScans(1);
    await board.watch.next("the old agent", ({ swapNumber }) => swapNumber === 1);
    await rest.return(undefined as never);
    expect(await standing(session)).toEqual({ phase: "idle", runs: OLD_RUNS, last: "deadline#2", spent: 1 });
    expect(board.watch.gaps.missed).toBe(1);
    expect((await session.status()).counters.scansMissed).toBe(1);
  });
});

/** The main loop hangs, the watchdog resets the board, and it is up again. */
async function loseAndReturn(board: TestBoard): Promise<void> {
  const reset = board.harness.nextEvent(({ kind }) => kind === "watchdog");
  const { restarts } = board.watch.gaps;
  await board.loseCore("loop");
  await until(board.clock, "the watchdog's reset", () => board.watch.gaps.restarts > restarts, 2_000);
  await reset;
  await board.run(50);
}

/** Pushes on a board whose power will be cut. */
async function cutPush(board: TestBoard, pkg: AgentPackage): Promise<void> {
  const outcome = await board
    .connect()
    .then((session) => push(session, pkg))
    .catch((error: unknown) => error);
  if (outcome instanceof PowerCut || board.harness.powered)
    throw new Error("the cut did not come", { cause: outcome });
}
