// Shadow runs: a staged candidate beside the active agent, compared and not applied.
import type { AgentPackage } from "edgeplug";
import { eventKindName, reasonName, type DeviceEvent, type DeviceSession } from "edgeplug/device";
import { describe, expect, it } from "vitest";

import {
  controlAgent,
  DEEDS,
  failingAgent,
  makePackage,
  OPERATOR,
  PUBLISHER,
  publicKeyOf,
  REQUEST,
  requestAgent,
  TRAP_BYTE,
} from "@edgeplug/test-support/agents";
import type { Backend, TestBoard } from "@edgeplug/test-support/board";
import type { BoardClock } from "@edgeplug/test-support/clock";
import { begin, failureOf, historyOf, phase, push, standing } from "@edgeplug/test-support/push";
import {
  activate,
  askShadow,
  errorName,
  shadow,
  shadowEnd,
  shadowReport,
  stage,
  type ShadowWish,
} from "@edgeplug/test-support/shadow";
import { onBoard, onEachBoard, startTestBoard } from "./fixture.js";

const STATE = { stateId: 5 };
const OLD = makePackage(controlAgent({ value: 7 }), { name: "old", ...STATE });
const SAME = makePackage(controlAgent({ value: 7 }), { name: "same", release: 2, ...STATE });
const OTHER = makePackage(controlAgent({ value: 8 }), { name: "other", release: 2, ...STATE });
const ECHO = makePackage(requestAgent(0xa1), { name: "echo", ...REQUEST });

/** Gives ECHO's replies, but takes over a tenth of a second for each. */
const SLOW = candidate(
  requestAgent(0xa1).replace(
    "(result i32)\n",
    `(result i32) (local $left i32)
      (local.set $left (i32.const 400000))
      (loop $again (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))\n`,
  ),
  { ...REQUEST, limits: { ...REQUEST.limits, fuel: 8_000_000 } },
);

interface Bench {
  board: TestBoard;
  session: DeviceSession;
  clock: BoardClock;
  events: DeviceEvent[];
}

async function boardWith(backend: Backend, pkg: AgentPackage | null = OLD): Promise<Bench> {
  const board = await startTestBoard(backend);
  const session = await board.connect();
  const events: DeviceEvent[] = [];
  session.connection.onEvent((event) => void events.push(event));
  if (pkg !== null) await push(session, pkg, { trialRequests: [Uint8Array.of(1)] });
  return { board, session, clock: board.clock, events };
}

async function staged(
  backend: Backend,
  candidate: AgentPackage,
  active?: AgentPackage | null,
): Promise<Bench> {
  const bench = await boardWith(backend, active);
  await stage(bench.session, bench.clock, candidate);
  return bench;
}

function candidate(wat: string, options: Parameters<typeof makePackage>[1] = {}): AgentPackage {
  return makePackage(wat, { name: "candidate", release: 2, ...options });
}

/** Asks a request agent `count` times. */
async function ask(session: DeviceSession, count: number, first = 1): Promise<Uint8Array[]> {
  const replies: Uint8Array[] = [];
  for (let at = 0; at < count; at++) replies.push((await session.call(Uint8Array.of(first + at, 9, 9))).data);
  return replies;
}

onEachBoard((backend) => {
  describe("between control agents", () => {
    it("a candidate that agrees with the active agent is staged again, and can be activated", async () => {
      const { board, session, clock } = await staged(backend, SAME);
      const report = await shadow(session, clock, { scans: 300 });
      expect(report).toEqual({
        state: "agreed",
        swapNumber: 2,
        needed: 300,
        compared: 300,
        differing: 0,
        allowed: 0,
        reason: "none",
        channels: Array.from({ length: 4 }, () => ({ differing: 0, largest: 0 })),
        first: [],
      });
      expect(await standing(session)).toMatchObject({ phase: "staged", runs: "old 1#1 confirmed", spent: 0 });
      await activate(session);
      await phase(session, clock, "idle");
      expect(await standing(session)).toMatchObject({ runs: "same 1#2 confirmed" });
      expect(board.watch.missed).toBe(0);
    });

    it("a candidate that differs is rejected and spent, and its outputs never reach the machine", async () => {
      const { board, session, clock, events } = await staged(backend, OTHER);
      const report = await shadow(session, clock, { scans: 300 });
      expect(report).toMatchObject({ state: "rejected", reason: "shadow", compared: 8, differing: 8 });
      expect(
        report.first.map(({ number, channel, active, candidate }) => [number, channel, active, candidate]),
      ).toEqual(Array.from({ length: 8 }, (_, at) => [at + 1, 0, 7, 8]));
      const scans = report.first.map(({ scan }) => scan);
      expect(scans).toEqual(scans.map((_, at) => (scans[0] ?? 0) + at));
      expect(report.channels.slice(0, 2)).toEqual([
        { differing: 8, largest: 1 },
        { differing: 0, largest: 0 },
      ]);
      expect(await standing(session)).toEqual({
        phase: "idle",
        runs: "old 1#1 confirmed",
        last: "shadow#2",
        spent: 1,
      });
      const failures = events.filter(({ kind }) => eventKindName(kind) === "staging failed");
      expect(failures.map(({ swapNumber, error, text }) => [swapNumber, errorName(error), text])).toEqual([
        [2, "SHADOW", ""],
      ]);
      expect(errorName((await session.status()).lastError)).toBe("SHADOW");
      expect(await historyOf(session, 2)).toEqual(["begin", "staged", "rejected shadow"]);
      expect((await failureOf(activate(session))).code).toBe("NO_SESSION");
      expect((await failureOf(begin(session, OTHER))).code).toBe("SPENT");
      expect(board.watch.seen.every(({ swapNumber }) => swapNumber < 2)).toBe(true);
      expect(board.watch.missed).toBe(0);
    });

    it("a difference within the tolerance agrees, and the report says how large it was", async () => {
      const { session, clock } = await staged(backend, OTHER);
      const report = await shadow(session, clock, { scans: 50, tolerance: [1, 0] });
      expect(report).toMatchObject({ state: "agreed", compared: 50, differing: 0, first: [] });
      expect(report.channels[0]).toEqual({ differing: 0, largest: 1 });
      expect((await standing(session)).phase).toBe("staged");
    });

    it("as many scans as are allowed may differ, and not one more", async () => {
      const { session, clock } = await staged(backend, OTHER);
      expect(await shadow(session, clock, { scans: 20, allowed: 20 })).toMatchObject({
        state: "agreed",
        differing: 20,
      });
      expect(await shadow(session, clock, { scans: 20, allowed: 19 })).toMatchObject({
        state: "rejected",
        compared: 20,
        differing: 20,
      });
    });

    it.each([
      ["traps", failingAgent(7, 12, DEEDS.trap), "trap", "AGENT_TRAP"],
      ["never ends", failingAgent(7, 12, DEEDS.loop), "fuel", "AGENT_FUEL"],
      ["runs into its guards", failingAgent(7, 12, DEEDS.guard), "guard", "SHADOW"],
    ] as const)("a candidate that %s is rejected for that", async (_, wat, reason, error) => {
      const bad = candidate(wat, { guards: { min: [-10], max: [10] }, trial: { maxGuardHits: 2 } });
      const good = makePackage(controlAgent({ value: 7 }));
      const { board, session, clock, events } = await staged(backend, bad, good);
      const before = (await session.status()).counters;
      expect(await shadow(session, clock, { scans: 300, allowed: 300 })).toMatchObject({
        state: "rejected",
        reason,
      });
      const status = await session.status();
      expect(errorName(status.lastError)).toBe(error);
      expect(await standing(session)).toMatchObject({ phase: "idle", last: `${reason}#2`, spent: 1 });
      expect(status.counters).toMatchObject({ traps: before.traps, guardHits: before.guardHits });
      const traps = events.filter(({ kind }) => eventKindName(kind) === "trap");
      expect(traps.map(({ swapNumber, reason }) => [swapNumber, reasonName(reason)])).toEqual(
        reason === "guard" ? [] : [[2, reason]],
      );
      expect(board.watch.missed).toBe(0);
    });

    it("without an equal state id both have their own state, and that shows", async () => {
      const stranger = candidate(controlAgent({ value: 7 }), { stateId: 6 });
      const { session, clock } = await staged(backend, stranger);
      const report = await shadow(session, clock, { scans: 100 });
      expect(report).toMatchObject({ state: "rejected", reason: "shadow" });
      // counts of scans: the candidate's begins with 1
      expect(report.first[0]).toMatchObject({ channel: 1, candidate: 1 });
      expect(report.first[0]?.active).toBeGreaterThan(40);
    });

    it("a hand-over that fails rejects, as at an activation, and the active agent goes on", async () => {
      const dropping = candidate(controlAgent({ value: 7, restore: "(unreachable)" }), STATE);
      const { board, session } = await staged(backend, dropping);
      expect((await failureOf(askShadow(session, { scans: 10 }))).code).toBe("HANDOVER");
      expect(await shadowReport(session)).toMatchObject({
        state: "rejected",
        reason: "handover",
        compared: 0,
      });
      expect(await standing(session)).toEqual({
        phase: "idle",
        runs: "old 1#1 confirmed",
        last: "handover#2",
        spent: 1,
      });
      await board.run(5);
      expect(board.watch.missed).toBe(0);
    });

    it("a state that the scan has no time to save is not waited for, and spends nothing", async () => {
      const long = `(global.set $left (i32.const 300)) (loop $again
        (global.set $left (i32.sub (global.get $left) (i32.const 1))) (br_if $again (global.get $left)))`;
      const extra = `(global $left (mut i32) (i32.const 0))`;
      const slow = controlAgent({ value: 7, extra, before: long, save: `${long} (i32.const 4)` });
      const active = makePackage(slow, { ...STATE, limits: { fuel: 2_400 } });
      const { board, session } = await staged(backend, candidate(controlAgent({ value: 7 }), STATE), active);
      expect((await failureOf(askShadow(session, { scans: 10 }))).code).toBe("FUEL");
      expect(await shadowReport(session)).toMatchObject({ state: "stopped", compared: 0 });
      expect(await standing(session)).toMatchObject({ phase: "staged", spent: 0 });
      expect(board.watch.missed).toBe(0);
    });

    it("what the candidate logs is dropped, and what the active one logs is not", async () => {
      const logs = (text: string) =>
        controlAgent({
          value: 7,
          extra: `(import "edgeplug" "log" (func $log (param i32 i32))) (data (i32.const 32) "${text}")`,
          before: `(if (i32.eqz (i32.rem_u (global.get $count) (i32.const 100)))
            (then (call $log (i32.const 32) (i32.const 3))))`,
        });
      const { session, clock, events } = await staged(
        backend,
        candidate(logs("new"), STATE),
        makePackage(logs("old"), STATE),
      );
      const from = events.length;
      expect(await shadow(session, clock, { scans: 350 })).toMatchObject({ state: "agreed" });
      const lines = () => events.slice(from).filter(({ kind }) => eventKindName(kind) === "log");
      await phase(session, clock, "staged");
      expect(new Set(lines().map(({ text }) => text))).toEqual(new Set(["old"]));
      await activate(session);
      await clock.pass(150);
      expect(lines().at(-1)?.text).toBe("new");
    });
  });

  describe("between request agents", () => {
    const AGREES = candidate(requestAgent(0xa1), REQUEST);

    it("a candidate that gives the same replies is staged again, and whoever asks notices nothing", async () => {
      const { session, clock } = await staged(backend, AGREES, ECHO);
      await askShadow(session, { scans: 10 });
      const replies = await ask(session, 10);
      expect(replies.map((reply) => [...reply])).toEqual(
        Array.from({ length: 10 }, (_, at) => [0xa1, 1 + at, 9, 9]),
      );
      expect(await shadowEnd(session, clock)).toMatchObject({ state: "agreed", compared: 10, channels: [] });
      await activate(session);
      await ask(session, 1);
      await phase(session, clock, "idle");
      expect(await standing(session)).toMatchObject({ runs: "candidate 1#2 confirmed" });
    });

    it("a wrong reply is told from the first byte that differs, and rejects", async () => {
      const wrong = requestAgent(0xa1).replace(
        "(i32.store8",
        "(i32.store8 (i32.const 2) (i32.const 0x55)) (i32.store8",
      );
      const { session, clock } = await staged(backend, candidate(wrong, REQUEST), ECHO);
      await askShadow(session, { scans: 3 });
      expect(await ask(session, 3)).toHaveLength(3);
      const report = await shadowEnd(session, clock);
      expect(report).toMatchObject({ state: "rejected", reason: "shadow", compared: 3, differing: 3 });
      expect(report.first).toMatchObject([
        { number: 1, channel: 2, activeReply: "0909", candidateReply: "5509" },
        { number: 2, channel: 2, activeReply: "0909", candidateReply: "5509" },
        { number: 3, channel: 2, activeReply: "0909", candidateReply: "5509" },
      ]);
      expect(await standing(session)).toMatchObject({
        runs: "echo 1#1 confirmed",
        last: "shadow#2",
        spent: 1,
      });
    });

    /** Its buffer holds three bytes, and it answers with one more than it is asked with. */
    const withSmallBuffer = (): ReturnType<typeof staged> => {
      const limits = { ...REQUEST.limits, ioBuffer: 3 };
      return staged(backend, candidate(requestAgent(0xa1), { ...REQUEST, limits }), ECHO);
    };

    it("a candidate whose buffer is too small for a request differs with no reply", async () => {
      const { session, clock } = await withSmallBuffer();
      await askShadow(session, { scans: 2, allowed: 2 });
      for (let request = 0; request < 2; request++) await session.call(Uint8Array.of(1, 2, 3, 4));
      expect((await shadowEnd(session, clock)).first).toMatchObject([
        { channel: 0, activeReply: "a101020304", candidateReply: "" },
        { channel: 0, activeReply: "a101020304", candidateReply: "" },
      ]);
    });

    it("a candidate whose reply is longer than its buffer is rejected, however many may differ", async () => {
      const { session, clock } = await withSmallBuffer();
      await askShadow(session, { scans: 2, allowed: 2 });
      await session.call(Uint8Array.of(1, 2, 3));
      expect(await shadowEnd(session, clock)).toMatchObject({
        state: "rejected",
        reason: "trap",
        compared: 0,
      });
    });

    it("a candidate that traps is rejected for that, after the reply has been given", async () => {
      const trapping = candidate(requestAgent(0xa1, { traps: true }), REQUEST);
      const { session, clock, events } = await staged(backend, trapping, ECHO);
      await askShadow(session, { scans: 5, allowed: 5 });
      expect([...(await session.call(Uint8Array.of(TRAP_BYTE))).data]).toEqual([0xa1, TRAP_BYTE]);
      expect(await shadowEnd(session, clock)).toMatchObject({
        state: "rejected",
        reason: "trap",
        compared: 0,
      });
      expect(errorName((await session.status()).lastError)).toBe("AGENT_TRAP");
      expect((await session.status()).counters.traps).toBe(0);
      const traps = events.filter(({ kind }) => eventKindName(kind) === "trap");
      expect(traps).toMatchObject([{ swapNumber: 2 }]);
      expect(traps[0]?.detail).toBeGreaterThan(0);
    });

    it("requests on which the active agent errs are not compared", async () => {
      const trapping = makePackage(requestAgent(0xa1, { traps: true }), { ...REQUEST, name: "echo" });
      const { session, clock } = await staged(backend, AGREES, trapping);
      await askShadow(session, { scans: 2 });
      expect((await failureOf(session.call(Uint8Array.of(TRAP_BYTE)))).code).toBe("AGENT_TRAP");
      expect((await failureOf(session.call(new Uint8Array(300)))).code).toBe("REQUEST_SIZE");
      expect(await shadowReport(session)).toMatchObject({ state: "running", compared: 0 });
      await ask(session, 2);
      expect(await shadowEnd(session, clock)).toMatchObject({ state: "agreed", compared: 2 });
    });

    it("a candidate begins with the active agent's state", async () => {
      const counting = `(module (memory 1) (global $count (mut i32) (i32.const 0))
        (func (export "io_buffer") (result i32) (i32.const 0))
        (func (export "handle") (param i32) (result i32)
          (global.set $count (i32.add (global.get $count) (i32.const 1)))
          (i32.store (i32.const 0) (global.get $count)) (i32.const 4))
        (func (export "save") (result i32) (i32.store (i32.const 0) (global.get $count)) (i32.const 4))
        (func (export "restore") (param i32) (global.set $count (i32.load (i32.const 0)))))`;
      const old = makePackage(counting, { ...REQUEST, ...STATE });
      const { session, clock } = await boardWith(backend, old);
      await ask(session, 3);
      await stage(session, clock, candidate(counting, { ...REQUEST, ...STATE }));
      await askShadow(session, { scans: 4 });
      await ask(session, 4);
      expect(await shadowEnd(session, clock)).toMatchObject({ state: "agreed", compared: 4 });
    });

    it("a candidate that computes for long holds up nobody's scan and no watchdog", async () => {
      const { board, session, clock } = await staged(backend, SLOW, ECHO);
      const { bootNumber } = await session.status();
      await askShadow(session, { scans: 2 });
      await ask(session, 2);
      expect(await shadowEnd(session, clock)).toMatchObject({ state: "agreed", compared: 2 });
      expect((await session.status()).bootNumber).toBe(bootNumber);
      expect(board.watch.missed).toBe(0);
    });
  });

  describe("from outside", () => {
    const LONG: ShadowWish = { scans: 100_000, tolerance: [0.5], allowed: 3 };

    it("while it runs, only the request that began it and its own Begin are welcome", async () => {
      const { session } = await staged(backend, SAME);
      await askShadow(session, LONG);
      await askShadow(session, LONG);
      const busy = [
        askShadow(session, { ...LONG, allowed: 2 }),
        askShadow(session, { ...LONG, scans: 5 }),
        askShadow(session, { ...LONG, tolerance: [0.5, 0.5] }),
        activate(session),
        begin(session, OTHER),
      ];
      for (const attempt of busy) {
        const error = await failureOf(attempt);
        expect(error.code).toBe("BUSY");
        expect(error.message).toContain("a shadow run");
      }
      expect(await begin(session, SAME)).toMatchObject({ resumed: true, offset: SAME.payload.length });
      expect(await shadowReport(session)).toMatchObject({ state: "running", needed: 100_000, allowed: 3 });
      expect((await standing(session)).phase).toBe("shadow");
    });

    it("without a staged package, or an active agent of its kind, there is nothing to run or to compare with", async () => {
      const { session, clock } = await boardWith(backend, null);
      expect((await failureOf(askShadow(session, LONG))).code).toBe("NO_SESSION");
      expect(await shadowReport(session)).toMatchObject({ state: "none", swapNumber: 0 });
      await stage(session, clock, OLD);
      expect((await failureOf(askShadow(session, LONG))).code).toBe("NO_SHADOW_PARTNER");
      expect((await standing(session)).phase).toBe("staged");
      await activate(session);
      await phase(session, clock, "idle");
      await stage(session, clock, ECHO);
      expect((await failureOf(askShadow(session, LONG))).code).toBe("NO_SHADOW_PARTNER");
      expect((await standing(session)).phase).toBe("staged");
    });

    it.each([
      ["no scans", { scans: 0 }],
      ["a negative tolerance", { scans: 1, tolerance: [1, -1e-30] }],
      ["a tolerance that is no number", { scans: 1, tolerance: [0, 0, 0, 0, 0, NaN] }],
      ["a tolerance of minus infinity", { scans: 1, tolerance: [-Infinity] }],
    ])("%s is a bad request, and the package stays staged", async (_, wish) => {
      const { session } = await staged(backend, SAME);
      expect((await failureOf(askShadow(session, wish))).code).toBe("BAD_REQUEST");
      expect(await standing(session)).toMatchObject({ phase: "staged", spent: 0 });
      expect(await shadowReport(session)).toMatchObject({ state: "none" });
    });

    it("a request with seven tolerances is no message, and is dropped", async () => {
      const { session } = await staged(backend, SAME);
      const { counters } = await session.status();
      const attempt = session.connection.request(
        { shadow: { scans: 1, tolerance: [0, 0, 0, 0, 0, 0, 0], allowed: 0 } },
        { timeoutMs: 300, attemptMs: 100 },
      );
      expect((await failureOf(attempt)).code).toBe("TIMEOUT");
      expect((await session.status()).counters.framesDropped).toBeGreaterThan(counters.framesDropped);
      expect((await standing(session)).phase).toBe("staged");
    });

    it("the largest figures are taken as they are", async () => {
      const { session } = await staged(backend, OTHER);
      await askShadow(session, { scans: 0xffff_ffff, tolerance: [0, Infinity], allowed: 0xffff_ffff });
      expect(await shadowReport(session)).toMatchObject({ needed: 0xffff_ffff, allowed: 0xffff_ffff });
      expect((await standing(session)).phase).toBe("shadow");
    });

    it("an abort stops it: nothing is spent, and the same package begins again without a byte sent", async () => {
      const { session, clock } = await staged(backend, SAME);
      await askShadow(session, LONG);
      await session.abort();
      expect(await shadowReport(session)).toMatchObject({ state: "stopped", reason: "none" });
      expect(await standing(session)).toMatchObject({ phase: "idle", runs: "old 1#1 confirmed", spent: 0 });
      expect(await begin(session, SAME)).toMatchObject({ resumed: true, offset: SAME.payload.length });
      await phase(session, clock, "staged");
      expect(await shadow(session, clock, { scans: 20 })).toMatchObject({ state: "agreed" });
    });

    it("a reset in the middle leaves the package staged; the run is asked for again", async () => {
      const { board, session, clock } = await staged(backend, SAME);
      await askShadow(session, LONG);
      await board.reset();
      const again = await board.connect();
      expect(await standing(again)).toMatchObject({ phase: "idle", runs: "old 1#1 confirmed", spent: 0 });
      expect(await shadowReport(again)).toMatchObject({ state: "none" });
      expect(await begin(again, SAME)).toMatchObject({ resumed: true, offset: SAME.payload.length });
      await phase(again, clock, "staged");
      expect(await shadow(again, clock, { scans: 20 })).toMatchObject({ state: "agreed", swapNumber: 2 });
    });

    it("a locked board asks for no operator, as little as for an activation", async () => {
      const board = await startTestBoard(backend);
      const session = await board.connect();
      await session.addKey("publisher", publicKeyOf(PUBLISHER));
      await session.addKey("operator", publicKeyOf(OPERATOR));
      await push(session, OLD);
      await session.lock();
      await stage(session, board.clock, SAME);
      expect(await shadow(session, board.clock, { scans: 20 })).toMatchObject({ state: "agreed" });
      await activate(session);
      await phase(session, board.clock, "idle");
      expect(await standing(session)).toMatchObject({ runs: "same 1#2 confirmed" });
    });
  });
});

onBoard("sim", () => {
  it.each([
    ["control", SAME, OLD],
    ["request", candidate(requestAgent(0xa1), REQUEST), ECHO],
  ] as const)(
    "a scan that is missed meanwhile rejects a %s agent for its deadline",
    async (_, pkg, active) => {
      const { board, session, clock } = await staged("sim", pkg, active);
      await askShadow(session, { scans: 100_000 });
      await clock.pass(20);
      board.sim?.skipScans(1);
      expect(await shadowEnd(session, clock)).toMatchObject({ state: "rejected", reason: "deadline" });
      expect(errorName((await session.status()).lastError)).toBe("SHADOW");
      expect(await standing(session)).toMatchObject({ phase: "idle", last: "deadline#2", spent: 1 });
    },
  );

  it("a host that falls silent for half a minute ends it, as it ends any staging", async () => {
    const { board, session, clock, events } = await staged("sim", SAME);
    await askShadow(session, { scans: 100_000 });
    await clock.pass(29_000);
    expect((await standing(session)).phase).toBe("shadow");
    await clock.pass(31_000);
    expect(await standing(session)).toMatchObject({ phase: "idle", spent: 0 });
    expect(errorName((await session.status()).lastError)).toBe("STALLED");
    expect(await shadowReport(session)).toMatchObject({ state: "stopped" });
    const failed = events.filter(({ kind }) => eventKindName(kind) === "staging failed");
    expect(failed.map(({ error }) => errorName(error))).toEqual(["STALLED"]);
    expect(board.watch.missed).toBe(0);
  });

  it("the reply is on its way before the candidate begins to work on the request", async () => {
    const { board, session } = await staged("sim", SLOW, ECHO);
    const { sim } = board;
    if (sim === undefined) throw new TypeError("no simulated board");
    const { serial } = sim;
    const write = serial.write.bind(serial);
    let handedAt = 0; // to the transmit ring, in nanoseconds of the board's
    serial.write = (bytes, nanos) => {
      handedAt = nanos;
      return write(bytes, nanos);
    };
    /** From then until the main loop's turn was over, in which all of that happened. */
    const rest = async (): Promise<number> => {
      const { data } = await session.call(Uint8Array.of(1));
      expect([...data]).toEqual([0xa1, 1]);
      return sim.milliseconds - handedAt / 1e6;
    };
    expect(await rest()).toBeLessThan(5);
    await askShadow(session, { scans: 3 });
    expect(await rest()).toBeGreaterThan(100);
    expect(await shadowReport(session)).toMatchObject({ compared: 1, differing: 0 });
  });
});
