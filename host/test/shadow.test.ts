/** Shadow runs against a scripted board: what is asked when, what is told, and what becomes of it when something gets lost. */
import { runOut } from "@edgeplug/test-support/run-out";
import { describe, expect, it } from "vitest";

import { EdgePlugError } from "../src/errors.js";
import { ERRORS } from "../src/generated/errors.js";
import { edgeplug } from "../src/generated/messages.js";
import { floatText, roundedText, roundedUpText } from "../src/numbers.js";
import { toShadowReport, type ShadowReport } from "../src/session/messages.js";
import type { PushOptions, PushStep } from "../src/session/push.js";
import { DeviceSession } from "../src/session/session.js";
import {
  agreement,
  channelRows,
  differenceRows,
  shadowRecord,
  whatWouldAgree,
} from "../src/session/shadow-words.js";
import { checkShadowOptions, longestShadowMs } from "../src/session/shadow.js";
import { FakeBoard, type FakeBoardOptions } from "./support/fake-board.js";
import { packageOf } from "./support/packages.js";
import { TestRandom } from "./support/random.js";

const { UpdatePhase, ShadowState, Reason, EventKind, AgentKind } = edgeplug;
const payload = withDetails(new TestRandom(2).bytes(3_000), {
  outputs: [{ name: "power", unit: "kW" }, { name: "flow" }],
  vectors: [{ request: Uint8Array.of(7, 7), reply: Uint8Array.of(1) }],
});
const SHADOW = { scans: 1_000, tolerance: [0.01, 0.5], allowed: 2 };

/** A module header, then the custom section "edgeplug", then what is no module: the fake board runs nothing. */
function withDetails(rest: Uint8Array, fields: edgeplug.AgentDetails.$Properties): Uint8Array {
  const details = edgeplug.AgentDetails.encode(fields).finish();
  const name = Buffer.from("edgeplug");
  const head = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  return Uint8Array.from([
    ...head,
    0,
    1 + name.length + details.length,
    name.length,
    ...name,
    ...details,
    ...rest,
  ]);
}

interface Pushed {
  board: FakeBoard;
  steps: PushStep[];
  shadows: ShadowReport[];
  end: EdgePlugError | undefined;
  shadow: ShadowReport | undefined;
}

async function push(
  options: FakeBoardOptions,
  { activeKind, ...more }: PushOptions & { activeKind?: edgeplug.AgentKind } = {},
  onStep: (step: PushStep, board: FakeBoard) => void = () => undefined,
  fields: edgeplug.Manifest.$Properties = {},
): Promise<Pushed> {
  const board = new FakeBoard({ ...options, hello: { tickUs: 1_000, ...options.hello } });
  board.active.kind = activeKind ?? fields.kind ?? AgentKind.AGENT_KIND_CONTROL;
  const session = await DeviceSession.connect(board);
  const pushed: Pushed = { board, steps: [], shadows: [], end: undefined, shadow: undefined };
  try {
    const run = session.push(packageOf(payload, fields), { shadow: SHADOW, ...more });
    const { shadow } = await runOut(run, (step) => {
      pushed.steps.push(step);
      if (step.step === "shadow") pushed.shadows.push(step);
      onStep(step, board);
    });
    pushed.shadow = shadow;
    return pushed;
  } catch (error) {
    pushed.end = EdgePlugError.from(error);
    return pushed;
  }
}

/** Requests that matter, in order. */
function asked({ requests }: FakeBoard): string[] {
  const names = ["begin", "shadow", "activate", "abort", "call"] as const;
  return requests.flatMap((request) => names.filter((name) => request[name]));
}

describe("a push with a shadow run", () => {
  it("compares before it activates, tells how far it is, and hands the whole report over", async () => {
    const { board, steps, shadows, shadow, end } = await push({ shadow: {} });
    expect(end).toBeUndefined();
    expect(asked(board)).toEqual(["begin", "shadow", "activate"]);
    expect(board.requests.find((request) => request.shadow)?.shadow).toMatchObject({
      scans: 1_000,
      allowed: 2,
      tolerance: [Math.fround(0.01), 0.5],
    });
    const names = steps.map(({ step }) => step);
    expect(names.slice(names.indexOf("staged")).filter((name, at, all) => name !== all[at - 1])).toEqual([
      "staged",
      "shadow",
      "activated",
      "trial",
      "confirmed",
    ]);
    expect(shadows.map(({ compared }) => compared)).toEqual([400, 800, 1_000]);
    expect(shadow).toMatchObject({ state: ShadowState.SHADOW_STATE_AGREED, swapNumber: 7, compared: 1_000 });
  });

  it("names a request that differs by its number, and what to pass where no number is known", async () => {
    const end = {
      state: ShadowState.SHADOW_STATE_REJECTED,
      reason: Reason.REASON_SHADOW,
      compared: 20,
      differing: 8,
      first: [{ scan: 153, number: 12, channel: 0, activeReply: Uint8Array.of(1) }],
    };
    const fields = { kind: AgentKind.AGENT_KIND_REQUEST };
    const pushed = await push({ shadow: { end } }, { trialRequests: [] }, undefined, fields);
    expect(pushed.end?.message).toContain("; first in request 12: reply from byte 0 on 01,");
    expect(pushed.end?.action).toMatch(/ and push it again with --allow-differences N\.$/);
  });

  it("asks for none unless it is told to", async () => {
    const { board, shadow } = await push({ shadow: {} }, { shadow: undefined });
    expect(asked(board)).toEqual(["begin", "activate"]);
    expect(shadow).toBeUndefined();
  });

  it("does not look more often because the running agent writes log lines", async () => {
    const { board } = await push({ shadow: { pace: 50 } }, {}, ({ step }, peer) => {
      if (step !== "shadow") return;
      for (let at = 0; at < 20; at++)
        peer.clock.after(at * 5, () => peer.emit({ kind: EventKind.EVENT_KIND_LOG, text: "busy" }));
    });
    expect(board.requests.filter((request) => request.shadowReport)).toHaveLength(1 + 20); // one before the push, to see whether the board knows it
    expect(board.clock.now()).toBeGreaterThan(19 * 100);
  });

  it("ends with SHADOW, says where they differ first and what would let it pass, and activates nothing", async () => {
    const end = {
      state: ShadowState.SHADOW_STATE_REJECTED,
      reason: Reason.REASON_SHADOW,
      differing: 13,
      channels: [{ differing: 13, largest: 1.5 }, { largest: 0.25 }, {}, {}],
      first: [{ scan: 81_201, number: 12, channel: 0, active: 12.5, candidate: Math.fround(13.1) }],
    };
    const pushed = await push({ shadow: { end } }, {}, undefined, { outputs: 2 });
    expect(pushed.end).toMatchObject({ code: "SHADOW", exit: 55, detail: Reason.REASON_SHADOW });
    expect(pushed.end?.message).toBe(
      "new 2 (swap 7) differs from old 1 in 13 of 1,000 scans, 2 may (98.70 % agree); first in scan 81,201: " +
        "power 12.5 kW, the new agent 13.1 kW. It was not activated; old 1 (swap 6) runs on.",
    );
    expect(pushed.end?.action).toContain("--tolerance power=1.5 or --allow-differences 13");
    expect(pushed.end?.action).toContain("`edgeplug board spent clear PACKAGE`");
    expect(asked(pushed.board)).toEqual(["begin", "shadow"]); // and no abort: there is nothing to
    expect(pushed.shadows.at(-1)).toMatchObject({ state: ShadowState.SHADOW_STATE_REJECTED, differing: 13 });
  });

  it.each([
    [
      Reason.REASON_TRAP,
      "AGENT_TRAP",
      52,
      /after 1,000 scans: trap \(out of bounds at byte 1,234 of its module\)\./,
    ],
    [Reason.REASON_FUEL, "AGENT_FUEL", 52, /: fuel \(out of bounds\)\./],
    [Reason.REASON_HANDOVER, "HANDOVER", 53, /: handover \(out of bounds\)\./],
    [Reason.REASON_GUARD, "SHADOW", 55, /: guard \(out of bounds\)\./],
    [Reason.REASON_DEADLINE, "SHADOW", 55, /: deadline \(out of bounds\)\./],
  ] as const)("tells the board's reason %i by its own code", async (reason, code, exit, words) => {
    const end = { state: ShadowState.SHADOW_STATE_REJECTED, reason };
    const pushed = await push({ shadow: { end } }, {}, ({ step }, board) => {
      if (step !== "shadow") return;
      Object.assign(board, { lastReason: reason, lastReasonSwap: 7, lastMessage: "out of bounds" });
      if (reason === Reason.REASON_TRAP)
        board.emit({ kind: EventKind.EVENT_KIND_TRAP, swapNumber: 7, detail: 1_234 });
    });
    expect(pushed.end).toMatchObject({ code, exit });
    expect(pushed.end?.message).toMatch(words);
    expect(pushed.end?.message).toMatch(/It was not activated; old 1 \(swap 6\) runs on\.$/);
    expect(asked(pushed.board)).not.toContain("activate");
  });

  it("to a board that knows none ends before anything is sent", async () => {
    const { board, end } = await push({});
    expect(end).toMatchObject({ code: "UNSUPPORTED" });
    expect(end?.message).toBe("The board's runtime 0.1.0 knows no shadow run; the board was left as it is.");
    expect(end?.action).toContain("without --shadow");
    expect(asked(board)).toEqual([]);
  });

  it("beside an agent of another kind, or none, ends before anything is sent", async () => {
    const fields = { kind: AgentKind.AGENT_KIND_REQUEST };
    const other = await push({ shadow: {} }, { activeKind: AgentKind.AGENT_KIND_CONTROL }, undefined, fields);
    expect(other.end).toMatchObject({ code: "NO_SHADOW_PARTNER", exit: 32 });
    expect(other.end?.message).toBe(
      "The board runs old 1, a control agent; new 2 is a request agent, and has nothing to be compared with.",
    );
    const script: FakeBoardOptions["script"] = (request) =>
      request.status ? { status: { safeMode: true, bootNumber: 1 } } : undefined;
    const none = await push({ shadow: {}, script });
    expect(none.end).toMatchObject({ code: "NO_SHADOW_PARTNER" });
    expect(none.end?.message).toMatch(/^The board runs no agent;/);
    expect([...asked(other.board), ...asked(none.board)]).toEqual([]);
  });

  it("that finds no scan with room for a hand-over says so, and leaves the package staged", async () => {
    const script: FakeBoardOptions["script"] = (request) =>
      request.shadow ? { error: ERRORS.FUEL.code } : undefined;
    const { board, end } = await push({ shadow: {}, script });
    expect(end).toMatchObject({ code: "FUEL" });
    expect(end?.message).toMatch(/^No scan has room for handing the running agent's state over/);
    expect(asked(board)).toEqual(["begin", "shadow", "abort"]);
  });

  it("whose partner has gone meanwhile is left staged", async () => {
    const script: FakeBoardOptions["script"] = (request) =>
      request.shadow ? { error: ERRORS.NO_SHADOW_PARTNER.code } : undefined;
    const { board, end } = await push({ shadow: {}, script });
    expect(end).toMatchObject({ code: "NO_SHADOW_PARTNER", exit: 32 });
    expect(asked(board)).toEqual(["begin", "shadow", "abort"]);
  });
});

describe("a shadow run that is disturbed", () => {
  it("begins anew after a reset, from what the board has kept, and only then activates", async () => {
    let resets = 0;
    const { board, steps, shadow, end } = await push({ shadow: {} }, {}, (step, peer) => {
      if (step.step === "shadow" && resets++ === 0) peer.reset(1);
    });
    expect(end).toBeUndefined();
    expect(asked(board)).toEqual(["begin", "shadow", "begin", "shadow", "activate"]);
    expect(steps.find(({ step }) => step === "interrupted")).toMatchObject({
      error: { code: "BOARD_RESET" },
    });
    expect(shadow).toMatchObject({ compared: 1_000 });
    expect(board.requests.filter((request) => request.chunk)).toHaveLength(Math.ceil(payload.length / 512));
  });

  it("never takes the report of an earlier run for its own", async () => {
    // the board is reset between the request and the first look, and then tells of a run of long ago
    const stale = toShadowReport({
      state: ShadowState.SHADOW_STATE_AGREED,
      swapNumber: 6,
      compared: 9,
      needed: 9,
    });
    let done = false;
    const { board, shadows } = await push({
      shadow: {},
      script: (request, peer) => {
        if (!request.shadowReport || done || peer.phase !== UpdatePhase.UPDATE_PHASE_SHADOW) return undefined;
        done = true;
        peer.reset(1);
        return { shadowReport: stale };
      },
    });
    expect(asked(board)).toEqual(["begin", "shadow", "begin", "shadow", "activate"]);
    expect(shadows.every(({ swapNumber }) => swapNumber === 7)).toBe(true);
  });

  it("that somebody else has stopped begins anew", async () => {
    let stops = 0;
    const { board, end } = await push({ shadow: {} }, {}, ({ step }, peer) => {
      if (step !== "shadow" || stops++ > 0) return;
      peer.answer({ abort: {} });
    });
    expect(end).toBeUndefined();
    expect(asked(board)).toEqual(["begin", "shadow", "begin", "shadow", "activate"]);
  });

  it("of a push that died is ended by the next push, which asks for none", async () => {
    const script: FakeBoardOptions["script"] = (request, peer) => {
      // the package is staged, and the run of the push before goes on
      if (request.activate && !asked(peer).includes("abort")) peer.phase = UpdatePhase.UPDATE_PHASE_SHADOW;
      return undefined;
    };
    const { board, end } = await push({ shadow: {}, script }, { shadow: undefined });
    expect(end).toBeUndefined();
    expect(asked(board)).toEqual(["begin", "activate", "abort", "begin", "activate"]);
  });

  it("is begun once, whatever copies of the request arrive, and activated after the last of them", async () => {
    let late = false;
    const { board, end } = await push({
      shadow: {},
      script: (request, peer) => {
        // a copy that was long on its way arrives when the run is over
        if (request.activate && !late) {
          late = true;
          peer.answer({ shadow: { scans: 1_000, tolerance: [Math.fround(0.01), 0.5], allowed: 2 } });
        }
        return undefined;
      },
    });
    expect(end).toBeUndefined();
    expect(asked(board)).toEqual(["begin", "shadow", "activate", "shadow", "activate"]);
  });

  it("whose answers get lost is asked again and is no other run", async () => {
    let lost = 0;
    const { board, end } = await push({
      shadow: {},
      toHost: (line, peer) =>
        peer.phase === UpdatePhase.UPDATE_PHASE_SHADOW && ++lost % 2 === 1 ? [] : [line],
    });
    expect(end).toBeUndefined();
    expect(lost).toBeGreaterThan(3);
    expect(asked(board).filter((name) => name === "activate")).toHaveLength(1);
  });

  it("that has failed while its answer got lost is told as failed", async () => {
    let refused = false;
    const end = { state: ShadowState.SHADOW_STATE_REJECTED, reason: Reason.REASON_SHADOW, differing: 1 };
    const pushed = await push({
      shadow: { end, pace: 1_000 },
      script: (request, peer) => {
        if (!request.shadow || refused) return undefined;
        refused = true;
        peer.answer(request);
        peer.answer({ shadowReport: {} }); // runs to its end
        return peer.answer(request); // as the board answers the second copy
      },
    });
    expect(pushed.end).toMatchObject({ code: "SHADOW" });
    expect(asked(pushed.board)).toEqual(["begin", "shadow"]); // a real board would refuse it as spent
  });

  it.each([10, 400])("of an earlier push with other settings is ended, not waited for (%i)", async (pace) => {
    let earlier = true;
    const { board, end, steps } = await push({
      shadow: { pace },
      script: (request, peer) => {
        if (!request.shadow || !earlier) return undefined;
        earlier = false;
        peer.answer({ shadow: { scans: 77, tolerance: [], allowed: 0 } });
        return undefined;
      },
    });
    expect(end).toBeUndefined();
    expect(asked(board)).toEqual(["begin", "shadow", "abort", "begin", "shadow", "activate"]);
    expect(steps.find(({ step }) => step === "interrupted")).toMatchObject({
      error: { message: "An earlier shadow run of this package was still under way." },
    });
  });

  it("ends with TIMEOUT on a line that is silent from then on", async () => {
    let silent = false;
    const pushed = await push({ shadow: {}, toHost: (line) => (silent ? [] : [line]) }, {}, ({ step }) => {
      silent ||= step === "shadow";
    });
    expect(pushed.end).toMatchObject({ code: "TIMEOUT" });
    expect(pushed.end?.message).toMatch(/answered nothing/);
  });

  it("that gets nowhere ends when its own time is over, not before, and says why", async () => {
    const { board, end } = await push({ shadow: { pace: 0 } });
    expect(end).toMatchObject({ code: "TIMEOUT" });
    expect(end?.message).toMatch(
      /^Only 0 of 1,000 scans could be compared within 34 s: .* was not activated\.$/,
    );
    expect(board.clock.now()).toBeGreaterThan(34_000);
    expect(asked(board)).toEqual(["begin", "shadow", "abort"]);
    const short = await push({ shadow: { pace: 0 } }, { timeoutMs: 5_000 });
    expect(short.end?.message).toBe(
      "The shadow run was not over within 5 s; the new agent was not activated.",
    );
  });

  it("that the user stops is aborted on the board, and told to be harmless", async () => {
    const controller = new AbortController();
    const pushed = await push({ shadow: {} }, { signal: controller.signal }, ({ step }) => {
      if (step === "shadow") controller.abort();
    });
    expect(pushed.end).toMatchObject({ code: "INTERRUPTED", exit: 130 });
    expect(pushed.end?.message).toBe(
      "Stopped by the user after 400 of 1,000 scans of the shadow run; the new agent was not activated, the old one runs on.",
    );
    expect(asked(pushed.board)).toEqual(["begin", "shadow", "abort"]);
    expect(pushed.board.shadow.state).toBe(ShadowState.SHADOW_STATE_STOPPED);
  });
});

describe("a shadow run between request agents", () => {
  const request = { kind: AgentKind.AGENT_KIND_REQUEST };
  /** Compares what is called, and as many others. */
  const comparing =
    (others: (board: FakeBoard) => number = () => 0): NonNullable<FakeBoardOptions["script"]> =>
    (asked_, board) => {
      if (asked_.call) {
        if (board.shadow.compared !== undefined && board.shadow.compared !== null) board.shadow.compared++;
        return { call: { data: Uint8Array.of(1), swapNumber: 6 } };
      }
      if (asked_.shadowReport) board.shadow.compared = (board.shadow.compared ?? 0) + others(board);
      return undefined;
    };

  it("is served with the requests of the package's vectors, no more than it needs, and ends by itself", async () => {
    const { board, end } = await push({ shadow: { pace: 0 }, script: comparing() }, {}, undefined, request);
    expect(end).toBeUndefined();
    const before = asked(board).slice(0, asked(board).indexOf("activate"));
    expect(before.filter((name) => name === "call")).toHaveLength(1_000);
    expect(board.requests.find(({ call }) => call)?.call?.data).toEqual(Uint8Array.of(7, 7));
  });

  it("is left to others while they ask", async () => {
    const { board, shadows } = await push(
      { shadow: { pace: 0 }, script: comparing((peer) => (peer.clock.now() > 500 ? 10 : 0)) },
      {},
      undefined,
      request,
    );
    const calls = asked(board).slice(0, asked(board).indexOf("activate"));
    expect(calls.filter((name) => name === "call").length).toBeLessThan(500);
    expect(shadows.at(-1)).toMatchObject({ compared: 1_000 });
  });

  it("that nobody asks for anything, for want of vectors too, says so", async () => {
    const { end, board } = await push({ shadow: { pace: 0 } }, { trialRequests: [] }, undefined, request);
    expect(end?.message).toMatch(/^Only 0 of 1,000 requests could be compared within 310 s: nobody asked/);
    expect(asked(board)).not.toContain("call");
  });
});

describe("options of a shadow run", () => {
  it.each([
    { scans: 0 },
    { scans: -1 },
    { scans: 1.5 },
    { scans: NaN },
    { scans: 2 ** 32 },
    { scans: 1, allowed: -1 },
    { scans: 1, allowed: 0.5 },
    { scans: 1, tolerance: [-0.1] },
    { scans: 1, tolerance: [0, NaN] },
    { scans: 1, tolerance: [0, 0, 0, 0, 0, 0, 0] },
  ])("that no board takes are refused before anything is sent: %j", async (shadow) => {
    expect(() => checkShadowOptions(shadow)).toThrow(TypeError);
    const board = new FakeBoard({ shadow: {} });
    const session = await DeviceSession.connect(board);
    await expect(session.push(packageOf(payload), { shadow }).next()).rejects.toThrow(TypeError);
    expect(asked(board)).toEqual([]);
  });

  it("give it time by scans, ticks and divider, and by requests", () => {
    const control = { kind: "control", scanDivider: 0 } as const;
    expect(longestShadowMs({ scans: 5_000 }, control, 1_000)).toBe(30_000 + 20_000);
    expect(longestShadowMs({ scans: 5_000 }, { ...control, scanDivider: 10 }, 1_000)).toBe(30_000 + 200_000);
    expect(longestShadowMs({ scans: 100 }, { kind: "request", scanDivider: 0 }, 1_000)).toBe(60_000 + 25_000);
  });
});

describe("the words of a shadow run", () => {
  const outputs = [
    { name: "power", unit: "kW" },
    { name: "a,b", unit: "" },
  ];
  const control = { kind: "control", channels: 4, outputs, tolerance: [0.01, 0.5] } as const;
  const report = toShadowReport({
    state: ShadowState.SHADOW_STATE_REJECTED,
    needed: 100_000,
    compared: 100_000,
    differing: 2,
    reason: Reason.REASON_SHADOW,
    channels: [
      { differing: 1, largest: Math.fround(0.1) },
      { differing: 2, largest: Infinity },
      {},
      { differing: 1, largest: 3 },
    ],
    first: [{ scan: 12_345, number: 9, channel: 1, active: 1, candidate: Infinity }],
  });

  it("say 100 % only of what agrees, and 0 % only of what never does", () => {
    expect(agreement(0, 7)).toBe("100 %");
    expect(agreement(1, 100_000)).toBe("99.99 %");
    expect(agreement(99_999, 100_000)).toBe("0.01 %");
    expect(agreement(7, 7)).toBe("0 %");
    expect(agreement(0, 0)).toBe("–");
  });

  it("tell floats as short as they are, and two that differ never alike", () => {
    expect([0.1, 13.1, 1e6, 16_777_216, NaN].map((value) => floatText(Math.fround(value)))).toEqual([
      "0.1",
      "13.1",
      "1000000",
      "16777216",
      "NaN",
    ]);
    const random = new TestRandom(5);
    const floats = new Float32Array(random.bytes(8_000).buffer);
    for (const value of floats) expect(Math.fround(Number(floatText(value)))).toBe(value);
  });

  it("round a difference, and a tolerance for it upwards only", () => {
    const difference = Math.fround(Math.fround(13.02) - 12.5);
    expect([roundedText(difference), roundedUpText(difference)]).toEqual(["0.52", "0.521"]);
    const random = new TestRandom(6);
    for (const value of new Float32Array(random.bytes(8_000).buffer)) {
      if (!(value > 0 && value < 1e38)) continue;
      expect(Math.fround(Number(roundedUpText(value)))).toBeGreaterThanOrEqual(value);
    }
  });

  it("name each output that has a name or differs, with unit and tolerance", () => {
    expect(channelRows(control, report)).toEqual([
      ["output", "agrees", "largest difference", "tolerance"],
      ["power", "99.99 %", "0.1 kW", "0.01 kW"],
      ["a,b", "99.99 %", "Infinity", "0.5"],
      ["output 3", "99.99 %", "3", "0.5"],
    ]);
    expect(differenceRows(control, report)[1]).toEqual(["12,345", "a,b", "1", "Infinity"]);
  });

  it("suggest what the command takes, and nothing that no tolerance would let pass", () => {
    const finite = { ...report, channels: report.channels.filter(({ largest }) => Number.isFinite(largest)) };
    expect(whatWouldAgree(control, finite)).toBe("--tolerance power=0.1,2=3 or --allow-differences 2");
    expect(whatWouldAgree(control, { ...finite, needed: 200_000 })).toBe("--tolerance power=0.1,2=3");
    expect(whatWouldAgree(control, report)).toBe("--allow-differences 2");
    expect(whatWouldAgree({ ...control, channels: 2 }, finite)).toBe("--allow-differences 2");
    expect(whatWouldAgree({ ...control, kind: "request" }, { ...report, channels: [] })).toBe(
      "--allow-differences 2",
    );
    const odd = { ...control, outputs: [{ name: "it's €", unit: "" }] };
    expect(whatWouldAgree(odd, finite)).toContain(`--tolerance 'it'\\''s €=0.1,2=3'`);
  });

  it("are numbers in JSON, and null where there is no number", () => {
    const record = JSON.parse(JSON.stringify(shadowRecord(control, report))) as Record<string, unknown>;
    expect(record).toMatchObject({ state: "rejected", reason: "shadow", compares: "scans", differing: 2 });
    expect(record["channels"]).toMatchObject([
      { channel: 0, name: "power", unit: "kW", tolerance: 0.01, differing: 1, largest: 0.1 },
      { channel: 1, name: "a,b", tolerance: 0.5, largest: null },
      { channel: 2, name: "", tolerance: 0.5, differing: 0, largest: 0 },
      { channel: 3, largest: 3 },
    ]);
    expect(record["first"]).toEqual([
      { scan: 12_345, number: 9, channel: 1, name: "a,b", active: 1, candidate: null },
    ]);
  });

  it("of replies are bytes in hex from the first that differs on", () => {
    const view = { kind: "request", channels: 0, outputs: [], tolerance: [] } as const;
    const replies = toShadowReport({
      first: [
        {
          scan: 5,
          number: 3,
          channel: 4,
          activeReply: Uint8Array.of(0x2a, 1),
          candidateReply: new Uint8Array(),
        },
      ],
    });
    expect(differenceRows(view, replies)[1]).toEqual(["3", "5", "4", "2a01", "(no more)"]);
    expect(shadowRecord(view, replies)).toMatchObject({
      compares: "requests",
      first: [{ scan: 5, number: 3, byte: 4, active: "2a01", candidate: "" }],
    });
  });
});
