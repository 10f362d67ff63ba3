// Lines as they are: noise, garbage, cut and doubled frames, a cable that is pulled, two who push at once.
import { Random } from "@edgeplug/sim";
import { NoisyLine } from "renode-test-harness";
import { expect, it } from "vitest";

import { controlAgent, makePackage, padded } from "@edgeplug/test-support/agents";
import { onBoard, onEachBoard, startTestBoard } from "./fixture.js";
import { FrameTamper } from "@edgeplug/test-support/line";
import { begin, failureOf, push, pushUntil, sendChunks, standing } from "@edgeplug/test-support/push";

/** EDGEPLUG_TEST_SEED tries another one. */
const SEED = Number(process.env["EDGEPLUG_TEST_SEED"] ?? 20_261_121);
console.log(`line noise: EDGEPLUG_TEST_SEED=${SEED}`);

const small = makePackage(controlAgent({ value: 8 }), { version: "2", release: 2 });
const large = makePackage(padded(controlAgent({ value: 9 }), 9_000), { version: "3", release: 3 });
const old = makePackage(controlAgent({ value: 7 }));

onEachBoard((backend) => {
  it("a push succeeds though 1 % of all bytes is corrupted, in both directions", async () => {
    const board = await startTestBoard(backend);
    await push(await board.connect(), old);
    let noisy: NoisyLine | undefined;
    const session = await board.connect({
      timeoutMs: 60_000,
      through: (line) =>
        (noisy = new NoisyLine(line, {
          toBoard: { seed: SEED, corrupt: 0.01 },
          fromBoard: { seed: SEED + 1, corrupt: 0.01 },
        })),
    });
    const pkg = makePackage(padded(controlAgent({ value: 8 }), 1_000), { release: 2 });
    const result = await push(session, pkg);
    expect(result.active).toMatchObject({ swapNumber: result.swapNumber, release: 2 });
    expect(noisy?.toBoard.counters.corrupted).toBeGreaterThan(10);
    expect(noisy?.fromBoard.counters.corrupted).toBeGreaterThan(0);
    noisy?.destroy();
    const { counters } = await (await board.connect()).status();
    expect(counters.framesDropped).toBeGreaterThan(0);
    expect(counters.scansMissed).toBe(0);
    expect(board.watch.missed).toBe(0);
  });

  it("ten seconds of garbage change nothing in flash, miss no scan, and a push succeeds right after", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    await push(session, old);
    await board.run(50);
    const before = await board.flash();
    const random = new Random(SEED);
    for (let sent = 0; sent < 1_000; sent++) {
      board.serial.write(random.bytes(115)); // what 115,200 baud carry in 10 ms
      await board.run(10);
    }
    const status = await session.status();
    expect(status.counters.framesDropped).toBeGreaterThan(100);
    expect(status.active).toMatchObject({ swapNumber: 1 });
    expect(before.changes(await board.flash())).toEqual({});
    expect((await push(session, small)).swapNumber).toBe(2);
    expect((await session.status()).counters.scansMissed).toBe(0);
    expect(board.watch.missed).toBe(0);
  });

  it("cut, doubled and swallowed frames, in both directions, cost repetitions and nothing else", async () => {
    const board = await startTestBoard(backend);
    const random = new Random(SEED + 2);
    const mangle = (frame: Buffer): Buffer[] => {
      switch (random.below(8)) {
        case 0:
          return [frame.subarray(0, random.below(frame.length))];
        case 1:
          return [frame, frame];
        case 2:
          return [];
        default:
          return [frame];
      }
    };
    let tamper: FrameTamper | undefined;
    const session = await board.connect({
      through: (line) => (tamper = new FrameTamper(line, { toBoard: mangle, fromBoard: mangle })),
    });
    await push(session, old);
    expect((await push(session, large)).active).toMatchObject({ version: "3" });
    expect(tamper?.changed).toBeGreaterThan(10);
    expect((await session.save()).package.payload).toEqual(large.payload);
    expect(board.watch.missed).toBe(0);
  });

  it("frames of a stranger's making are answered or dropped, and never acted on without their CRC", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    await push(session, old);
    const before = await board.flash();
    let broken = 0;
    const spoiler = await board.connect({
      through: (line) =>
        new FrameTamper(line, {
          // the last byte before the delimiter belongs to the CRC-32
          toBoard: (frame, index) => {
            if (index === 0) return [frame];
            broken++;
            const last = frame.length - 1;
            const other = (frame[last] ?? 0) === 0x55 ? 0x56 : 0x55;
            return [Buffer.from([...frame.subarray(0, last), other])];
          },
        }),
    });
    const attempt = spoiler.connection.request(
      { begin: { manifest: small.manifestBytes } },
      { timeoutMs: 3_000 },
    );
    expect((await failureOf(attempt)).code).toBe("TIMEOUT");
    expect(broken).toBeGreaterThan(1);
    expect((await session.status()).counters.framesDropped).toBeGreaterThanOrEqual(broken);
    expect(before.changes(await board.flash())).toEqual({});
  });

  it("a cable pulled in the middle of a push ends it with PORT_LOST; the next push goes on where it stopped", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    await push(session, old);
    const { step, rest } = await pushUntil(session, large, (at) => at.step === "sending" && at.page >= 2);
    board.unplug();
    expect((await failureOf(rest.next())).code).toBe("PORT_LOST");
    const acknowledged = step.step === "sending" ? step.acknowledged : 0;
    const again = await board.connect();
    const result = await push(again, large);
    expect(result.resumed).toBe(true);
    expect(result.offset).toBeGreaterThanOrEqual(acknowledged);
    expect(result.payloadBytesSent).toBe(large.payload.length - result.offset);
    expect(result.active).toMatchObject({ version: "3" });
    expect(board.watch.missed).toBe(0);
  });

  it("of two hosts that push at once, the second is told BUSY and the first one's push succeeds", async () => {
    const board = await startTestBoard(backend);
    const first = await board.connect();
    const second = await board.connect();
    await push(first, old);
    const { rest } = await pushUntil(first, large, (at) => at.step === "sending" && at.page >= 1);
    expect((await failureOf(push(second, small))).code).toBe("BUSY");
    let end = await rest.next();
    while (end.done !== true) end = await rest.next();
    expect(end.value.active).toMatchObject({ version: "3" });
    expect(
      (await push(second, { ...small, ...makePackage(controlAgent({ value: 8 }), { release: 4 }) }))
        .swapNumber,
    ).toBe(3);
  });

  it("another package in place of one that was left half sent begins anew, at byte 0", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    await push(session, old);
    await begin(session, large);
    await sendChunks(session, large.payload, 0, board.layout.eraseSize + 512);
    await session.abort();
    const other = makePackage(padded(controlAgent({ value: 9 }), 12_000), { release: 3, version: "other" });
    expect(await push(session, other)).toMatchObject({ resumed: false, offset: 0 });
    expect(await standing(session)).toMatchObject({
      runs: expect.stringContaining("agent other#") as string,
    });
  });
});

onBoard("sim", () => {
  it("a staging that stalls for 30 s is dropped; what was received in whole pages is resumed", async () => {
    const board = await startTestBoard("sim");
    const session = await board.connect();
    await push(session, old);
    const { eraseSize } = board.layout;
    await begin(session, large);
    await sendChunks(session, large.payload, 0, eraseSize + 512);
    const before = await board.flash();
    await board.run(29_000);
    expect(await standing(session)).toMatchObject({ phase: "receiving" }); // and that was a sign of life
    await board.run(30_500);
    const status = await session.status();
    expect([status.phase, status.lastError]).toEqual([0, 3014]);
    expect(status.active).toMatchObject({ swapNumber: 1 });
    expect(before.changes(await board.flash())).toEqual({});
    const result = await push(session, large);
    expect(result).toMatchObject({ resumed: true, offset: eraseSize });
    expect(board.watch.missed).toBe(0);
  });
});
