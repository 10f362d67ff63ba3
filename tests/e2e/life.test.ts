// The life of an update, from an empty board on.
import { serializePackage } from "edgeplug";
import { reasonName, slotStateName, type DeviceSession } from "edgeplug/device";
import { expect, it } from "vitest";

import { controlAgent, makePackage, padded, REQUEST, requestAgent } from "@edgeplug/test-support/agents";
import type { TestBoard } from "@edgeplug/test-support/board";
import { onEachBoard, startTestBoard } from "./fixture.js";
import { until } from "@edgeplug/test-support/clock";
import { failureOf, historyOf, push, standing } from "@edgeplug/test-support/push";

const FAIL_SAFE = [0, 0, 0, 0];

/** Neither the board nor whoever watches its outputs has missed a scan. */
async function expectNoScanMissed(board: TestBoard, session: DeviceSession): Promise<void> {
  const { counters } = await session.status();
  expect(counters.scansRun).toBeGreaterThan(0);
  expect(counters.scansMissed).toBe(0);
  expect(counters.scansRun).toBe(counters.ticksElapsed);
  expect(board.watch.gaps.scans).toBeGreaterThan(0);
  expect(board.watch.missed).toBe(0);
}

/** Requests that keep coming until stop(): each one and what became of it. */
class RequestStream {
  readonly replies: { request: number; tag: number; payload: number; swapNumber: number }[] = [];
  readonly failures: unknown[] = [];
  sent = 0;
  #running = true;
  readonly #done: Promise<void>;

  constructor(
    private readonly session: DeviceSession,
    private readonly board: TestBoard,
  ) {
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
  }

  async #run(): Promise<void> {
    while (this.#running) {
      const request = this.sent++ & 0x7f;
      try {
        const { data, swapNumber } = await this.session.call(Uint8Array.of(request));
        this.replies.push({ request, tag: data[0] ?? -1, payload: data[1] ?? -1, swapNumber });
      } catch (error) {
        this.failures.push(error);
      }
      await this.board.run(2);
    }
  }
}

onEachBoard((backend) => {
  it("an empty board is in safe mode: outputs at fail-safe, it answers, and a request gets NO_AGENT", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    expect(session.hello).toMatchObject({ boardClass: board.boardClass, locked: false, protocol: 1, abi: 1 });
    expect(await standing(session)).toEqual({ phase: "idle", runs: "safe mode", last: "none#0", spent: 0 });
    expect((await failureOf(session.call(Uint8Array.of(1)))).code).toBe("NO_AGENT");
    expect((await failureOf(session.rollback())).code).toBe("NO_FALLBACK");
    const seen = await board.watch.next("a scan in safe mode", () => true);
    expect(seen).toMatchObject({ swapNumber: 0, outputs: FAIL_SAFE });
    await expectNoScanMissed(board, session);
  });

  it("the first package runs, stays after its trial, and the board can tell all about it", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    const pkg = makePackage(controlAgent({ value: 7 }), { name: "first", version: "1.2", release: 9 });
    const steps = new Set<string>();
    const result = await push(session, pkg, { timestamp: 1234 }, ({ step }) => void steps.add(step));
    expect([...steps].filter((step) => step !== "verifying")).toEqual([
      "begin",
      "sending",
      "staged",
      "activated",
      "trial",
      "confirmed",
    ]);
    expect(result).toMatchObject({ swapNumber: 1, offset: 0, resumed: false, restarts: 0 });
    expect(await standing(session)).toMatchObject({ phase: "idle", runs: "first 1.2#1 confirmed" });
    expect(await session.slot(result.slot)).toMatchObject({
      name: "first",
      version: "1.2",
      release: 9,
      payloadSize: pkg.payload.length,
      timestamp: 1234,
      attempts: 1,
      keyId: pkg.keyId,
    });
    expect(await historyOf(session, 1)).toEqual(["begin", "staged", "trial", "confirmed"]);
    expect((await board.watch.next("its outputs", (seen) => seen.swapNumber === 1)).outputs[0]).toBe(7);
    await expectNoScanMissed(board, session);
  });

  it("an update takes over between two scans, with the state that the old agent had, and misses none", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    await push(session, makePackage(controlAgent({ value: 7 }), { version: "1", stateId: 5 }));
    const next = makePackage(controlAgent({ value: 8 }), { version: "2", release: 2, stateId: 5 });
    let scan = 0;
    let handedOver = 0;
    await push(session, next, {}, (step) => {
      if (step.step === "activated") ({ scan, handedOver } = step);
    });
    expect(handedOver).toBe(4);
    const before = await board.watch.at(scan - 1);
    const after = await board.watch.at(scan);
    expect(before).toMatchObject({ swapNumber: 1, outputs: [7, expect.any(Number), 0, 0] });
    expect(after).toMatchObject({ swapNumber: 2, outputs: [8, (before.outputs[1] ?? 0) + 1, 0, 0] });
    expect(before.outputs[1]).toBeGreaterThan(20);
    expect(await standing(session)).toMatchObject({ runs: "agent 2#2 confirmed" });
    await expectNoScanMissed(board, session);
  });

  it("between agents of different state ids nothing is handed over", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    await push(session, makePackage(controlAgent({ value: 7 }), { stateId: 5 }));
    let scan = 0;
    await push(session, makePackage(controlAgent({ value: 8 }), { release: 2, stateId: 6 }), {}, (step) => {
      if (step.step === "activated") ({ scan } = step);
      if (step.step === "activated") expect(step.handedOver).toBe(0);
    });
    expect((await board.watch.at(scan)).outputs).toEqual([8, 1, 0, 0]);
  });

  it("an output that the new agent does not write keeps the value that the machine has", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    await push(session, makePackage(controlAgent({ value: 7 })));
    const silent = `(module (func (export "scan")))`;
    await push(session, makePackage(silent, { release: 2, limits: { memory: 0, ioBuffer: 0 } }));
    const seen = await board.watch.next("the silent agent", ({ swapNumber }) => swapNumber === 2);
    expect(seen.outputs[0]).toBe(7);
  });

  it("swap after swap alternates between the slots, counts up by one, and misses no scan", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    const placed: [number, number][] = [];
    for (let release = 1; release <= 6; release++) {
      const pkg = makePackage(controlAgent({ value: release }), { release, stateId: 1 });
      const { slot, swapNumber } = await push(session, pkg);
      placed.push([slot, swapNumber]);
    }
    expect(placed).toEqual([
      [0, 1],
      [1, 2],
      [0, 3],
      [1, 4],
      [0, 5],
      [1, 6],
    ]);
    expect((await session.status()).counters.swaps).toBe(6);
    await expectNoScanMissed(board, session);
  });

  it("requests that keep coming through swaps are all answered, each by the agent that its swap number names", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    const tagOf = new Map<number, number>();
    const swap = async (release: number, trialRequests: Uint8Array[]): Promise<void> => {
      const tag = 0x80 + release;
      const pkg = makePackage(requestAgent(tag), { ...REQUEST, release, trial: { minRequests: 4 } });
      await push(session, pkg, { trialRequests }, (step) => {
        if (step.step === "begin") tagOf.set(step.swapNumber, tag);
      });
    };
    await swap(1, [Uint8Array.of(1)]);
    const requests = new RequestStream(session, board);
    for (let release = 2; release <= 5; release++) await swap(release, []);
    await requests.stop();
    expect(requests.failures).toEqual([]);
    expect(requests.replies).toHaveLength(requests.sent);
    for (const { request, tag, payload, swapNumber } of requests.replies) {
      expect([payload, tag]).toEqual([request, tagOf.get(swapNumber)]);
    }
    expect(new Set(requests.replies.map(({ swapNumber }) => swapNumber))).toEqual(new Set([1, 2, 3, 4, 5]));
    await expectNoScanMissed(board, session);
  });

  it("while a request agent is active the scan goes on, with the outputs at the package's fail-safe values", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    await push(session, makePackage(controlAgent({ value: 7 })));
    const pkg = makePackage(requestAgent(1), {
      ...REQUEST,
      outputs: 2,
      release: 2,
      guards: { failSafe: [3, 4] },
      trial: { minRequests: 1 },
    });
    await push(session, pkg, { trialRequests: [Uint8Array.of(1)] });
    const seen = await board.watch.next("the request agent", ({ swapNumber }) => swapNumber === 2);
    expect(seen.outputs).toEqual([3, 4, 0, 0]);
    await expectNoScanMissed(board, session);
  });

  it("a control agent answers a request with NO_HANDLER, never with silence", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    await push(session, makePackage(controlAgent({ value: 7 })));
    expect((await failureOf(session.call(Uint8Array.of(1, 2, 3)))).code).toBe("NO_HANDLER");
  });

  it("a request larger than the agent's buffer is refused and does the agent no harm", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    const pkg = makePackage(requestAgent(9), {
      ...REQUEST,
      limits: { memory: 512, ioBuffer: 64, fuel: 10_000 },
    });
    await push(session, pkg, { trialRequests: [Uint8Array.of(1)] });
    expect((await failureOf(session.call(new Uint8Array(65)))).code).toBe("REQUEST_SIZE");
    expect((await session.call(Uint8Array.of(5))).data).toEqual(Uint8Array.of(9, 5));
    expect((await session.status()).counters.traps).toBe(0);
  });

  it("a confirmed agent runs again after a reset and after a power cycle, and its boots are counted", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    await push(session, makePackage(controlAgent({ value: 7 })));
    const { bootNumber } = session.hello;
    await board.reset();
    await board.watch.next("the agent after the reset", (seen) => seen.swapNumber === 1, 2_000);
    expect((await session.refresh()).bootNumber).toBe(bootNumber + 1);
    await board.powerOff();
    await board.powerOn();
    const again = await board.connect();
    expect(again.hello.bootNumber).toBe(bootNumber + 2);
    expect(again.hello.boardId).toEqual(session.hello.boardId);
    expect(await standing(again)).toMatchObject({ runs: "agent 1#1 confirmed", last: "none#0" });
    await expectNoScanMissed(board, again);
  });

  it("resets at any moment leave no scan unseen but those that the reset took", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    await push(session, makePackage(controlAgent({ value: 7 })));
    for (let reset = 1; reset <= 20; reset++) {
      await board.run(reset % 7);
      const { restarts } = board.watch.gaps;
      await board.reset();
      await board.watch.next("the agent after the reset", () => board.watch.gaps.restarts > restarts, 2_000);
      expect(board.watch.missed).toBe(0);
    }
  });

  it("after the boot three more boots change nothing but the journal", async () => {
    const board = await startTestBoard(backend);
    await push(await board.connect(), makePackage(controlAgent({ value: 7 })));
    await board.powerOff();
    const before = await board.flash();
    for (let boot = 0; boot < 3; boot++) {
      await board.powerOn();
      await board.watch.next("the agent", (seen) => seen.swapNumber === 1);
      await board.powerOff();
    }
    expect(Object.keys(before.changes(await board.flash()))).toEqual(["journal"]);
  });

  it.each([
    ["signed, small", makePackage(controlAgent({ value: 7 }))],
    ["unsigned", makePackage(controlAgent({ value: 7 }), { key: null })],
    ["as large as a slot", makePackage(padded(controlAgent({ value: 7 }), 13_824))],
  ])("the running package reads back byte for byte: %s", async (_, pkg) => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    await push(session, pkg);
    const saved = await session.save();
    expect(Buffer.compare(saved.bytes, serializePackage(pkg))).toBe(0);
    expect(saved.swapNumber).toBe(1);
  });

  it("an agent's log lines and the board's own steps reach the host as events, in order", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    const told: string[] = [];
    session.connection.onEvent((event) => told.push(`${event.text || event.kind}`));
    const talker = `(module (import "edgeplug" "log" (func $log (param i32 i32))) (memory 1)
      (data (i32.const 0) "hello") (global $n (mut i32) (i32.const 0))
      (func (export "scan")
        (global.set $n (i32.add (global.get $n) (i32.const 1)))
        (if (i32.eq (global.get $n) (i32.const 5)) (then (call $log (i32.const 0) (i32.const 5))))))`;
    await push(session, makePackage(talker, { limits: { ioBuffer: 0 } }));
    await until(board.clock, "the line", () => told.includes("hello"));
    const status = await session.status();
    expect(status.counters.eventsLost).toBe(0);
    expect(reasonName(status.lastReason)).toBe("none");
    expect(slotStateName(status.active?.state ?? 0)).toBe("confirmed");
  });
});
