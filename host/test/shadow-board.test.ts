/** Shadow runs by a push to the real runtime, on the simulated board: what a scripted one can't show. */
import {
  controlAgent,
  DEEDS,
  failingAgent,
  makePackage,
  requestAgent,
  REQUEST,
  TRAP_BYTE,
  type PackageOptions,
} from "@edgeplug/test-support/agents";
import { SimBoard } from "@edgeplug/sim";
import { describe, expect, it, onTestFinished } from "vitest";

import { edgeplug } from "../src/generated/messages.js";
import type { AgentPackage } from "../src/package.js";
import { phaseName, reasonName, shadowStateName, type ShadowReport } from "../src/session/messages.js";
import { DeviceSession } from "../src/session/session.js";
import { SimTransport } from "../src/transports/sim.js";
import type { Transport } from "../src/transports/transport.js";
import { failure } from "./support/failure.js";
import { push } from "./support/push.js";
import { printedSeed, TestRandom } from "./support/random.js";

const BAUD = 115_200;
/** They hand their count of scans over, so that output 1 goes on alike. */
const STATE = { stateId: 5, trial: { healthyScans: 100 } };
const CHANNELS = [{ name: "power", unit: "kW" }, { name: "count" }];
const fill = (release: number, value: number, options: PackageOptions = {}, before = ""): AgentPackage =>
  makePackage(controlAgent({ value, before }), {
    ...STATE,
    name: "fill",
    version: `${release}`,
    release,
    channels: CHANNELS,
    ...options,
  });

const running = fill(1, 12.5);
const alike = fill(2, 12.5);
const apart = fill(3, 13.5);
/** Writes 12.75 in every hundredth scan. */
const rarely = fill(
  4,
  12.5,
  {},
  `(if (i32.eqz (i32.rem_u (global.get $count) (i32.const 100))) (then
     (call $output (i32.const 0) (f32.const 12.75))
     (call $output (i32.const 1) (f32.convert_i32_u (global.get $count)))
     (return)))`,
);
const trapping = makePackage(failingAgent(12.5, 50, DEEDS.trap), {
  name: "fill",
  release: 5,
  outputs: 2,
  trial: { healthyScans: 100 },
});

interface Bench {
  board: SimBoard;
  session: DeviceSession;
}

async function bench(present = running, wrap = (line: SimTransport): Transport => line): Promise<Bench> {
  const board = await SimBoard.create({ serial: { baud: BAUD } });
  const session = await DeviceSession.connect(wrap(new SimTransport("sim:", board, BAUD)), {
    timeoutMs: 30_000,
  });
  onTestFinished(() => session.close());
  await push(session, present, { silenceMs: 25_000, timeoutMs: 600_000 });
  return { board, session };
}

/** What runs, whether it is undisturbed, and how many packages are spent. */
async function standing({ session }: Bench): Promise<object> {
  const { active, phase, counters, spent } = await session.status();
  return {
    active: active?.version,
    phase: phaseName(phase),
    missed: counters.scansMissed,
    traps: counters.traps,
    spent,
  };
}

const UNDISTURBED = { active: "1", phase: "idle", missed: 0, traps: 0 };

describe("a push with a shadow run to the real runtime", () => {
  it("activates what agrees, which goes on from the running agent's state", async () => {
    const { session } = await bench();
    const seen: ShadowReport[] = [];
    const handed: number[] = [];
    const result = await push(session, alike, { shadow: { scans: 500 } }, (step) => {
      if (step.step === "shadow") seen.push(step);
      if (step.step === "activated") handed.push(step.handedOver);
    });
    expect(seen.length).toBeGreaterThan(2);
    expect(result.active).toMatchObject({ version: "2", state: edgeplug.SlotState.SLOT_STATE_CONFIRMED });
    expect(result.shadow).toMatchObject({ compared: 500, needed: 500, differing: 0, swapNumber: 2 });
    expect(result.shadow).toEqual(expect.objectContaining({ state: seen.at(-1)?.state }));
    expect(result.shadow?.channels.slice(0, 2)).toEqual([
      { differing: 0, largest: 0 },
      { differing: 0, largest: 0 },
    ]);
    expect(handed).toEqual([4]);
  });

  it("rejects what differs, with the first differences; the old agent runs on and the package is spent", async () => {
    const at = await bench();
    let last: ShadowReport | undefined;
    const error = await failure(
      push(at.session, apart, { shadow: { scans: 500, tolerance: [0.5] } }, (step) => {
        if (step.step === "shadow") last = step;
      }),
    );
    expect(error).toMatchObject({ code: "SHADOW", exit: 55 });
    expect(error.message).toMatch(
      /^fill 3 \(swap 2\) differs from fill 1 in 8 of 8 scans, none may \(0 % agree\); first in scan [\d,]+: power 12\.5 kW, the new agent 13\.5 kW\. It was not activated; fill 1 \(swap 1\) runs on\.$/,
    );
    expect(error.action).toContain("--tolerance power=1.");
    expect(last?.first).toHaveLength(8);
    expect(last?.first[0]).toMatchObject({ number: 1, channel: 0, active: 12.5, candidate: 13.5 });
    expect(await standing(at)).toEqual({ ...UNDISTURBED, spent: 1 });
    expect(await failure(push(at.session, apart, { shadow: { scans: 5 } }))).toMatchObject({ code: "SPENT" });
  });

  it("lets differences pass that are within the tolerance, or as few as are allowed", async () => {
    const { session } = await bench();
    const shadow = { scans: 500, tolerance: [1, 0] };
    expect((await push(session, apart, { shadow })).shadow).toMatchObject({
      differing: 0,
      channels: expect.arrayContaining([{ differing: 0, largest: 1 }]) as unknown,
    });
    const few = await bench();
    const result = await push(few.session, rarely, { shadow: { scans: 500, allowed: 5 } });
    expect(result.shadow).toMatchObject({ differing: 5, allowed: 5, compared: 500 });
    const less = await bench();
    const refused = await failure(push(less.session, rarely, { shadow: { scans: 500, allowed: 4 } }));
    expect(refused.message).toMatch(/differs from fill 1 in 5 of 500 scans, 4 may \(99\.00 % agree\)/);
    expect(refused.action).toContain("--tolerance power=0.25 or --allow-differences 5");
  });

  it("tells a trap with its place in the module, and the old agent never hears of it", async () => {
    const at = await bench();
    const error = await failure(push(at.session, trapping, { shadow: { scans: 500, allowed: 500 } }));
    expect(error).toMatchObject({ code: "AGENT_TRAP", exit: 52 });
    expect(error.message).toMatch(
      /^fill 1 \(swap 2\) failed beside fill 1 after 50 scans: trap \(unreachable at byte \d+ of its module\)\. It was not activated; fill 1 \(swap 1\) runs on\.$/,
    );
    expect(await standing(at)).toEqual({ ...UNDISTURBED, spent: 1 });
  });

  it("that is stopped in the middle leaves the old agent alone and the package unspent, to be resumed", async () => {
    const at = await bench();
    const controller = new AbortController();
    const error = await failure(
      push(at.session, alike, { shadow: { scans: 50_000 }, signal: controller.signal }, (step) => {
        if (step.step === "shadow" && step.compared > 200) controller.abort();
      }),
    );
    expect(error).toMatchObject({ code: "INTERRUPTED" });
    expect(error.message).toMatch(/^Stopped by the user after \d+ of 50,000 scans of the shadow run;/);
    expect(await standing(at)).toEqual({ ...UNDISTURBED, spent: 0 });
    const { response } = await at.session.connection.request({ shadowReport: {} });
    expect(shadowStateName(response.shadowReport?.state ?? 0)).toBe("stopped");
    const result = await push(at.session, alike, { shadow: { scans: 100 } });
    expect(result).toMatchObject({ resumed: true, payloadBytesSent: 0, shadow: { compared: 100 } });
  });

  it("that died in the middle is in no one's way: the same package goes in without a shadow run", async () => {
    const at = await bench();
    const dead = at.session.push(alike, { shadow: { scans: 50_000 } });
    for (let next = await dead.next(); next.done !== true && next.value.step !== "shadow";)
      next = await dead.next();
    expect(await standing(at)).toMatchObject({ active: "1", phase: "shadow" });
    const result = await push(at.session, alike);
    expect(result).toMatchObject({ resumed: true, payloadBytesSent: 0, active: { version: "2" } });
    expect(await standing(at)).toEqual({ ...UNDISTURBED, active: "2", spent: 0 });
  });

  it("begins its shadow run anew after a power cut in the middle of it", async () => {
    const { board, session } = await bench();
    const steps: string[] = [];
    let cuts = 0;
    const result = await push(session, alike, { shadow: { scans: 600 } }, (step) => {
      if (step.step !== steps.at(-1)) steps.push(step.step);
      if (step.step !== "shadow" || step.compared < 200 || cuts++ > 0) return;
      board.cutPower();
      board.powerOn();
    });
    expect(result).toMatchObject({
      restarts: 1,
      shadow: { compared: 600, differing: 0 },
      active: { version: "2" },
    });
    expect(steps.filter((step) => step === "shadow" || step === "interrupted")).toEqual([
      "shadow",
      "interrupted",
      "shadow",
    ]);
  });

  it("comes to the same end over a line that corrupts one byte in 300, both ways", async () => {
    const seed = printedSeed("noisy line to a shadow run");
    const random = new TestRandom(seed);
    let noisy = false;
    const mangle = (bytes: Uint8Array): Uint8Array =>
      noisy ? bytes.map((byte) => (random.chance(1 / 300) ? random.below(256) : byte)) : bytes;
    const at = await bench(running, (line) => ({
      name: line.name,
      baud: line.baud,
      clock: line.clock,
      closed: line.closed,
      onData: (listener) => line.onData((bytes) => listener(mangle(bytes))),
      write: (bytes) => line.write(mangle(bytes)),
      close: () => line.close(),
    }));
    noisy = true;
    const patience = { silenceMs: 25_000, timeoutMs: 600_000 };
    const error = await failure(push(at.session, rarely, { ...patience, shadow: { scans: 800 } }));
    noisy = false;
    expect(error.message).toMatch(/^fill 4 \(swap \d+\) differs from fill 1 in 8 of \d+ scans/);
    expect(await standing(at)).toMatchObject({ active: "1", missed: 0, spent: 1 });
    noisy = true;
    const result = await push(at.session, alike, { ...patience, shadow: { scans: 800 } });
    expect(result).toMatchObject({ shadow: { compared: 800, differing: 0 }, active: { version: "2" } });
  });
});

describe("a push with a shadow run of a request agent to the real runtime", () => {
  const vectors = [Uint8Array.of(1, 2), Uint8Array.of(3)];
  const asker = (tag: number, release: number, traps = false): AgentPackage =>
    makePackage(requestAgent(tag, { traps }), {
      ...REQUEST,
      name: "asker",
      version: `${release}`,
      release,
      trial: { minRequests: 2 },
      vectors: vectors.map((request) => ({ request, reply: Uint8Array.of(tag, ...request) })),
    });

  it("ends by itself on a board that nobody asks, on the requests of its vectors", async () => {
    const { session } = await bench(asker(0x2a, 1));
    const result = await push(session, asker(0x2a, 2), { shadow: { scans: 60 } });
    expect(result).toMatchObject({
      shadow: { compared: 60, differing: 0, channels: [] },
      active: { version: "2" },
    });
  });

  it("rejects other replies, with the first byte that differs", async () => {
    const at = await bench(asker(0x2a, 1));
    const error = await failure(push(at.session, asker(0x2b, 2), { shadow: { scans: 60 } }));
    expect(error.message).toMatch(
      /differs from asker 1 in 8 of 8 requests, none may \(0 % agree\); first in request 1: reply from byte 0 on 2a0102, the new agent 2b0102\./,
    );
    expect(error.action).toContain("--allow-differences");
    expect(await standing(at)).toEqual({ ...UNDISTURBED, spent: 1 });
  });

  it("that traps on a request of somebody else's is rejected for that, and the one who asked has the reply", async () => {
    const at = await bench(asker(0x2a, 1));
    let reply: Promise<string> | undefined;
    const traps = asker(0x2a, 2, true);
    const error = await failure(
      push(at.session, traps, { shadow: { scans: 5_000 } }, ({ step }) => {
        if (step === "shadow")
          reply ??= at.session
            .call(Uint8Array.of(TRAP_BYTE, 9))
            .then(({ data }) => Buffer.from(data).toString("hex"));
      }),
    );
    expect(error).toMatchObject({ code: "AGENT_TRAP" });
    expect(error.message).toMatch(/: trap \(unreachable at byte \d+ of its module\)\./);
    expect(await reply).toBe("2aee09");
    expect(await standing(at)).toEqual({ ...UNDISTURBED, spent: 1 });
    expect(reasonName((await at.session.status()).lastReason)).toBe("trap");
  });
});
