import { runOut } from "@edgeplug/test-support/run-out";
import { describe, expect, it } from "vitest";

import { EdgePlugError } from "../src/errors.js";
import { ERRORS } from "../src/generated/errors.js";
import { edgeplug } from "../src/generated/messages.js";
import type { PushOptions, PushResult, PushStep } from "../src/session/push.js";
import { DeviceSession } from "../src/session/session.js";
import { FakeBoard, type FakeBoardOptions } from "./support/fake-board.js";
import { packageOf } from "./support/packages.js";
import { printedSeed, TestRandom } from "./support/random.js";
import { failure } from "./support/failure.js";

const { UpdatePhase, SlotState, Reason } = edgeplug;
const PAYLOAD_CRC = ERRORS.PAYLOAD_CRC.code;
const RECEIVING = UpdatePhase.UPDATE_PHASE_RECEIVING;
const payload = new TestRandom(1).bytes(13_312);

async function open(options: FakeBoardOptions = {}): Promise<{ board: FakeBoard; session: DeviceSession }> {
  const board = new FakeBoard(options);
  return { board, session: await DeviceSession.connect(board) };
}

async function push(
  session: DeviceSession,
  bytes = payload,
  options: PushOptions = {},
  onStep: (step: PushStep) => void = () => undefined,
): Promise<PushResult> {
  return runOut(session.push(packageOf(bytes), options), onStep);
}

const chunkSizes = (board: FakeBoard): number[] =>
  board.requests.flatMap((request) => (request.chunk ? [request.chunk.data?.length ?? 0] : []));

describe("a push", () => {
  it("goes through every step in order and tells success only after the trial", async () => {
    const { board, session } = await open();
    const steps: string[] = [];
    const result = await push(session, payload, {}, (step) => {
      if (steps.at(-1) !== step.step) steps.push(step.step);
      if (step.step === "activated")
        expect(step).toMatchObject({ scan: 4711, handedOver: 12, swapNumber: 7 });
    });
    expect(steps).toEqual(["begin", "sending", "verifying", "staged", "activated", "trial", "confirmed"]);
    expect(result).toMatchObject({
      swapNumber: 7,
      offset: 0,
      resumed: false,
      payloadBytesSent: payload.length,
      restarts: 0,
    });
    expect(result.active.state).toBe(SlotState.SLOT_STATE_CONFIRMED);
    expect(Buffer.compare(board.received, payload)).toBe(0);
  });

  it("never has more frames in flight than the board told", async () => {
    for (const window of [1, 2, 3]) {
      const { board, session } = await open({ hello: { window }, delay: () => 5 });
      const calls = Promise.all([session.status(), session.status(), session.slots().catch(() => undefined)]);
      await push(session);
      await calls;
      expect(board.largestBurst).toBe(window);
    }
  });

  it("sends nothing twice on a clean line at 115,200 baud, and keeps it busy", async () => {
    const { board, session } = await open({ baud: 115_200, delay: () => 3 });
    const result = await push(session);
    expect(result.payloadBytesSent).toBe(payload.length);
    expect(result.transferMs).toBeLessThan(1.25 * ((payload.length * 10_000) / 115_200));
    expect(new Set(chunkSizes(board))).toEqual(new Set([512]));
  });

  it("goes back to the told offset when a chunk is lost", async () => {
    let count = 0;
    const { board, session } = await open({
      toBoard: (line) => (line.length > 500 && ++count === 5 ? [] : [line]),
    });
    const result = await push(session);
    expect(Buffer.compare(board.received, payload)).toBe(0);
    expect(result.payloadBytesSent).toBe(payload.length + 2 * 512); // the lost one and the one behind it
  });

  it("does not send a chunk again whose acknowledgement alone got lost", async () => {
    let acks = 0;
    const { session } = await open({
      toHost: (line, board) => (board.phase === RECEIVING && ++acks === 6 ? [] : [line]),
    });
    const result = await push(session);
    expect(result.payloadBytesSent).toBe(payload.length);
  });

  it("takes duplicated and late acknowledgements for what they are", async () => {
    const held: Uint8Array[] = [];
    const { board, session } = await open({
      toHost: (line, peer) => {
        if (peer.phase !== RECEIVING) return [line];
        held.push(line);
        // each answer comes twice, the second time three answers late
        return held.length > 3 ? [line, held[held.length - 4] as Uint8Array] : [line];
      },
    });
    const result = await push(session);
    expect(Buffer.compare(board.received, payload)).toBe(0);
    expect(result.payloadBytesSent).toBe(payload.length);
  });

  it("halves its chunks after two losses in a row down to 32, and doubles them after sixteen clean ones", async () => {
    const { board, session } = await open({
      // the line lets nothing longer than 80 bytes through until 4 KiB have arrived
      toBoard: (line, peer) =>
        line.length > 80 && peer.phase === RECEIVING && peer.nextOffset < 4096 ? [] : [line],
    });
    await push(session, payload);
    expect(Buffer.compare(board.received, payload)).toBe(0);
    const sizes = chunkSizes(board);
    expect(Math.min(...sizes.slice(0, 100))).toBe(32);
    expect(sizes.at(-2)).toBe(512);
    const firstLarge = sizes.findIndex((size, at) => at > 0 && size === 64);
    expect(sizes.slice(0, firstLarge).every((size) => size === 32)).toBe(true);
    expect(firstLarge).toBeGreaterThanOrEqual(16);
  });

  it("arrives whole over lines that lose, double and corrupt frames both ways", async () => {
    const seed = printedSeed("disturbed pushes");
    for (let run = 0; run < 20; run++) {
      const random = new TestRandom(seed + run);
      const disturb = (line: Uint8Array): Uint8Array[] => {
        const copy = Uint8Array.from(line);
        // 0.3 % of bytes corrupted
        for (let at = 0; at < copy.length; at++) if (random.chance(0.003)) copy[at] = random.below(256);
        if (random.chance(0.03)) return [];
        return random.chance(0.03) ? [copy, line] : [copy];
      };
      const { board, session } = await open();
      Object.assign(board.options, { toBoard: disturb, toHost: disturb });
      await push(session, payload, { silenceMs: 60_000, timeoutMs: 600_000 });
      expect(Buffer.compare(board.received, payload), `seed ${seed + run}`).toBe(0);
    }
  });

  it("resumes by itself where the board says after a reset in the middle", async () => {
    let resets = 0;
    const { board, session } = await open({
      script: (request, peer) => {
        if (request.chunk && resets === 0 && peer.nextOffset > 5000) {
          resets++;
          peer.reset();
          return null;
        }
        return undefined;
      },
    });
    const begins: number[] = [];
    const causes: string[] = [];
    const result = await push(session, payload, {}, (step) => {
      if (step.step === "begin") begins.push(step.offset);
      if (step.step === "interrupted") causes.push(step.error.code);
    });
    expect(begins).toEqual([0, 4096]);
    expect(causes).toEqual(["BOARD_RESET"]);
    expect(result).toMatchObject({ restarts: 1, resumed: false });
    expect(Buffer.compare(board.received, payload)).toBe(0);
    expect(result.payloadBytesSent).toBeLessThan(payload.length + 4096);
  });

  it("ends when another board answers after a reset in the middle, and sends that one nothing", async () => {
    const { board, session } = await open({
      script: (request, peer) => {
        if (!request.chunk || peer.nextOffset <= 5000) return undefined;
        peer.reset();
        peer.options.hello = { boardId: new Uint8Array(12).fill(8) };
        return null;
      },
    });
    const error = await failure(push(session, payload));
    expect(error).toMatchObject({ code: "PORT_LOST", message: expect.stringContaining("08".repeat(12)) });
    expect(board.requests.filter(({ begin }) => begin)).toHaveLength(1);
    expect(board.requests.filter(({ abort }) => abort)).toEqual([]);
  });

  it("sends only what is missing when an earlier push got part of the way", async () => {
    const { board, session } = await open();
    const controller = new AbortController();
    const stopped = failure(
      push(session, payload, { signal: controller.signal }, (step) => {
        if (step.step === "sending" && step.acknowledged >= 6144) controller.abort();
      }),
    );
    expect((await stopped).code).toBe("INTERRUPTED");
    expect(board.requests.at(-1)?.abort).toBeTruthy();
    expect(board.phase).toBe(UpdatePhase.UPDATE_PHASE_IDLE);
    const kept = board.nextOffset;
    const result = await push(session);
    expect(result).toMatchObject({ offset: kept, resumed: true, payloadBytesSent: payload.length - kept });
    expect(Buffer.compare(board.received, payload)).toBe(0);
  });

  it("sends everything once more when what the board had kept turns out to have rotted, and only then", async () => {
    let rots = 1;
    const { board, session } = await open({
      script: (request, peer) => {
        if (!request.status || peer.phase !== UpdatePhase.UPDATE_PHASE_VERIFYING || rots === 0)
          return undefined;
        rots--;
        Object.assign(peer, { phase: UpdatePhase.UPDATE_PHASE_IDLE, lastError: PAYLOAD_CRC, nextOffset: 0 });
        return undefined;
      },
    });
    const halfWay = ({ step }: PushStep): boolean => step === "sending" && board.nextOffset >= 6144;
    const run = session.push(packageOf(payload));
    for (let step = await run.next(); step.done !== true && !halfWay(step.value);) step = await run.next();
    await run.return(undefined as never);
    expect(board.nextOffset).toBeGreaterThan(0);
    expect(await push(session)).toMatchObject({ resumed: true, restarts: 1 });
    expect(Buffer.compare(board.received, payload)).toBe(0);
    rots = 1;
    expect((await failure(push(session, payload.subarray(1)))).code).toBe("PAYLOAD_CRC");
  });

  it("repeats Begin until it is answered, and the board takes the copies for a resume", async () => {
    let begins = 0;
    const { session } = await open({
      script: (request) => (request.begin && ++begins < 4 ? null : undefined),
    });
    await push(session);
    expect(begins).toBe(4);
  });

  it("takes an activation whose answer got lost for done", async () => {
    let activations = 0;
    const { session } = await open({
      script: (request, peer) => {
        if (!request.activate || ++activations > 1) return undefined;
        peer.answer({ activate: {} });
        return null;
      },
    });
    const result = await push(session);
    expect(activations).toBe(2);
    expect(result.swapNumber).toBe(7);
  });

  it("says why, and which agent runs, when the board rolls back", async () => {
    const { session } = await open({
      script: (request, peer) => {
        if (!request.status || peer.phase !== UpdatePhase.UPDATE_PHASE_TRIAL) return undefined;
        peer.phase = UpdatePhase.UPDATE_PHASE_IDLE;
        const { kind } = peer.active;
        peer.active = {
          state: SlotState.SLOT_STATE_CONFIRMED,
          swapNumber: 6,
          name: "old",
          version: "1",
          kind,
        };
        Object.assign(peer, {
          lastReason: Reason.REASON_TRAP,
          lastReasonSwap: 7,
          lastMessage: "unreachable",
        });
        return undefined;
      },
    });
    const error = await failure(push(session));
    expect(error).toMatchObject({ code: "ROLLED_BACK", id: "EP6001", exit: 60, detail: Reason.REASON_TRAP });
    expect(error.message).toBe(
      "new 2 (swap 7) failed its trial: trap (unreachable); old 1 (swap 6) runs again.",
    );
  });

  it("passes on why the board ended the staging", async () => {
    const { session } = await open({
      script: (request, peer) => {
        if (!request.status || peer.phase !== UpdatePhase.UPDATE_PHASE_VERIFYING) return undefined;
        Object.assign(peer, {
          phase: UpdatePhase.UPDATE_PHASE_IDLE,
          lastError: 5004,
          lastMessage: "env.print",
        });
        return undefined;
      },
    });
    const error = await failure(push(session));
    expect(error).toMatchObject({ code: "MODULE_IMPORT", exit: 50 });
    expect(error.message).toContain("env.print");
  });

  it("passes on what Begin is refused for, and sends nothing", async () => {
    const { board, session } = await open({
      script: (request) => (request.begin ? { error: 3001, message: "a trial" } : undefined),
    });
    const error = await failure(push(session));
    expect(error).toMatchObject({ code: "BUSY", message: "The board is busy with another update: a trial" });
    expect(chunkSizes(board)).toEqual([]);
  });

  it("ends with a clear error when the board falls silent in the middle, and tries to abort", async () => {
    let silent = false;
    const { board, session } = await open({
      script: (_request, peer) => {
        if (peer.nextOffset > 3000) silent = true;
        return silent ? null : undefined;
      },
    });
    const error = await failure(push(session, payload, { silenceMs: 5_000 }));
    expect(error.code).toBe("TIMEOUT");
    expect(error.message).toMatch(/acknowledged nothing for 5 s, at byte \d+ of 13312/);
    expect(board.requests.at(-1)?.abort).toBeTruthy();
  });

  it("keeps to its overall deadline in a trial that never ends, and leaves the trial alone", async () => {
    const { board, session } = await open({ trialScans: 1e9 });
    const error = await failure(push(session, payload, { timeoutMs: 20_000 }));
    expect(error.code).toBe("TIMEOUT");
    expect(board.clock.now()).toBeLessThan(21_000);
    expect(board.requests.some((request) => request.abort)).toBe(false);
  });

  it("that is interrupted during the trial says how to take the new agent back", async () => {
    const { board, session } = await open({ trialScans: 1e9 });
    const controller = new AbortController();
    const error = await failure(
      push(session, payload, { signal: controller.signal }, (step) => {
        if (step.step === "trial") controller.abort();
      }),
    );
    expect(error).toMatchObject({ code: "INTERRUPTED", exit: 130 });
    expect(error.action).toContain("--rollback");
    expect(board.requests.some((request) => request.abort)).toBe(false);
  });

  it("fails at once when the port vanishes", async () => {
    const { board, session } = await open();
    const error = await failure(
      push(session, payload, {}, (step) => {
        if (step.step === "sending" && step.acknowledged > 4000) {
          board.vanish(new EdgePlugError("PORT_LOST", "fake vanished: pulled."));
        }
      }),
    );
    expect(error).toMatchObject({ code: "PORT_LOST", message: "fake vanished: pulled.", exit: 74 });
  });
});

describe("a session", () => {
  it("finds its board behind noise and lost answers", async () => {
    let hellos = 0;
    const board = new FakeBoard({ script: (request) => (request.hello && ++hellos < 4 ? null : undefined) });
    board.raw(new TestRandom(3).bytes(700));
    const session = await DeviceSession.connect(board);
    expect(session.hello).toMatchObject({ protocol: 1, maxChunk: 512, locked: false });
    expect(hellos).toBe(4);
  });

  it("says that nothing answers, that what comes is no board, or that the board does not hear", async () => {
    const mute = (): FakeBoardOptions => ({ script: () => null });
    const nothing = new FakeBoard(mute());
    expect(await failure(DeviceSession.connect(nothing))).toMatchObject({
      code: "NO_BOARD",
      message: "Nothing answers on fake within 5 s.",
    });
    const babble = new FakeBoard(mute());
    babble.raw(new TestRandom(4).bytes(2000));
    expect((await failure(DeviceSession.connect(babble))).message).toMatch(
      /sends bytes \(2000 in 5 s\), but nothing/,
    );
    const deaf = new FakeBoard(mute());
    deaf.emit({ kind: 1 });
    expect((await failure(DeviceSession.connect(deaf))).message).toMatch(/sends, but answers nothing/);
  });

  it("refuses another version of the protocol by naming both", async () => {
    const board = new FakeBoard({ hello: { protocol: 9, runtimeVersion: "7.0" } });
    const error = await failure(DeviceSession.connect(board));
    expect(error).toMatchObject({
      code: "PROTOCOL",
      message: "The board (runtime 7.0) speaks protocol 9, this tool 1.",
    });
  });

  it("times out with the request's name on a silent board, and says so", async () => {
    const { board, session } = await open({ script: (request) => (request.status ? null : undefined) });
    const error = await failure(session.status({ timeoutMs: 3_000 }));
    expect(error).toMatchObject({ code: "TIMEOUT" });
    expect(error.message).toMatch(/No answer from the board to status within 3\.0 s: it has been silent\./);
    expect(board.requests.filter((request) => request.status).length).toBeGreaterThan(3);
  });

  it("takes a late answer to an earlier copy of the request", async () => {
    const { session } = await open({ delay: (kind) => (kind === "status" ? 900 : 1) });
    expect((await session.status()).active?.name).toBe("old");
    expect(session.line.repeats).toBe(1);
  });

  it("rolls back once although the first answer got lost", async () => {
    let rollbacks = 0;
    const { session } = await open({
      script: (request, peer) => {
        if (!request.rollback) return undefined;
        if (++rollbacks === 1) {
          peer.active = { ...peer.active, swapNumber: 5 };
          return null;
        }
        return { error: 3006 };
      },
    });
    expect((await session.rollback()).active?.swapNumber).toBe(5);
  });

  it("passes a refused rollback on", async () => {
    const { session } = await open({ script: (request) => (request.rollback ? { error: 3006 } : undefined) });
    expect(await failure(session.rollback())).toMatchObject({ code: "NO_FALLBACK", exit: 33 });
  });

  it("reads the whole journal page by page, and stops at a limit", async () => {
    const { session } = await open({
      script: (request) => {
        if (!request.history) return undefined;
        const before = request.history.before || 41;
        const entries = [];
        for (let sequence = before - 1; sequence >= 1 && entries.length < 16; sequence--)
          entries.push({ sequence, kind: 1 });
        return { history: { entries } };
      },
    });
    const all = await session.history();
    expect(all.map((entry) => entry.sequence)).toEqual(Array.from({ length: 40 }, (_, index) => 40 - index));
    expect(await session.history({ limit: 20 })).toHaveLength(20);
  });

  it("hands out events in order and ends them with the signal", async () => {
    const { board, session } = await open();
    const controller = new AbortController();
    const texts: string[] = [];
    const reader = (async () => {
      for await (const event of session.events(controller.signal)) {
        texts.push(event.text);
        if (texts.length === 3) controller.abort();
      }
    })();
    await Promise.resolve();
    for (const text of ["one", "two", "three"])
      board.emit({ kind: edgeplug.EventKind.EVENT_KIND_LOG, text, scan: 2 ** 40 });
    await reader;
    expect(texts).toEqual(["one", "two", "three"]);
  });

  it("gives texts of boards and agents without what would move a terminal's cursor", async () => {
    const name = "x\u001b[2J\r\ny\u009b";
    const { session } = await open({
      script: (request) =>
        request.status ? { status: { active: { name, version: "1" }, lastMessage: "a\u0007b" } } : undefined,
    });
    const status = await session.status();
    expect([status.active?.name, status.lastMessage]).toEqual(["x [2J  y ", "a b"]);
    expect(EdgePlugError.fromBoard(3001, 0, name).message).not.toMatch(/\p{Cc}/u);
  });

  it("gives 64-bit counters as numbers", async () => {
    const { session } = await open({
      script: (request) =>
        request.status ? { status: { scan: 2 ** 40 + 1, counters: { scansRun: 2 ** 33 } } } : undefined,
    });
    const status = await session.status();
    expect(status.scan).toBe(2 ** 40 + 1);
    expect(status.counters.scansRun).toBe(2 ** 33);
    expect(status.counters.scansMissed).toBe(0);
  });

  it("ends every waiting request when the port vanishes", async () => {
    const { board, session } = await open({ script: (request) => (request.hello ? undefined : null) });
    const waiting = [session.status(), session.slot(0), session.call(new Uint8Array(3))].map(failure);
    board.vanish(new EdgePlugError("PORT_LOST", "gone"));
    for (const error of await Promise.all(waiting)) expect(error.code).toBe("PORT_LOST");
  });

  it("ends a waiting request when its signal is aborted", async () => {
    const { session } = await open({ script: (request) => (request.hello ? undefined : null) });
    const controller = new AbortController();
    const waiting = failure(session.status({ signal: controller.signal }));
    setImmediate(() => controller.abort());
    expect((await waiting).code).toBe("INTERRUPTED");
  });
});
