/** Pushes to locked boards that want an operator's word: for an older package, and at the end of a trial. */
import { createHash } from "node:crypto";

import { runOut } from "@edgeplug/test-support/run-out";
import { describe, expect, it } from "vitest";

import { EdgePlugError } from "../src/errors.js";
import { edgeplug } from "../src/generated/messages.js";
import type { SessionPushOptions } from "../src/session/board-session.js";
import type { Deliverable, PushResult } from "../src/session/push.js";
import { DeviceSession } from "../src/session/session.js";
import { CountingSigner, FakeAuthority } from "./support/fake-authority.js";
import { FakeBoard } from "./support/fake-board.js";
import { packageOf } from "./support/packages.js";
import { failure } from "./support/failure.js";

const { UPDATE_PHASE_TRIAL, UPDATE_PHASE_IDLE, UPDATE_PHASE_RECEIVING } = edgeplug.UpdatePhase;
const { SLOT_STATE_CONFIRMED } = edgeplug.SlotState;
const payload = new Uint8Array(5000).fill(1);
const patient = packageOf(payload, { trial: { confirmByHost: true } });

interface Bench {
  board: FakeBoard;
  authority: FakeAuthority;
  signer: CountingSigner;
  session: DeviceSession;
}

type Disturb = (request: edgeplug.Request, board: FakeBoard, authority: FakeAuthority) => void;

/** A locked board whose trials are healthy at once and wait for their host for ever. */
async function open(disturb: Disturb = () => undefined): Promise<Bench> {
  const authority = new FakeAuthority();
  const board = new FakeBoard({
    trialScans: 1_000_000_000,
    script: (request, peer) => {
      disturb(request, peer, authority);
      const answer = authority.answer(request, peer);
      if (!answer?.status || peer.phase !== UPDATE_PHASE_TRIAL) return answer;
      return { status: { ...answer.status, trialScans: 10, trialNeeded: 10 } };
    },
  });
  return { authority, board, signer: new CountingSigner(), session: await DeviceSession.connect(board) };
}

async function push({ session }: Bench, pkg: Deliverable, options: SessionPushOptions): Promise<PushResult> {
  return runOut(session.push(pkg, options));
}

describe("the confirmation of a trial on a locked board", () => {
  it("is signed by the operator's key", async () => {
    const bench = await open();
    const { active } = await push(bench, patient, { signer: bench.signer });
    expect(active.state).toBe(SLOT_STATE_CONFIRMED);
    expect([bench.authority.done, bench.signer.messages.length]).toEqual([["confirm"], 1]);
  });

  it("is left to whoever has an operator's key if the push has none, and the push says so", async () => {
    const bench = await open();
    expect(await failure(push(bench, patient, {}))).toMatchObject({
      code: "LOCKED",
      action: expect.stringContaining("--confirm --key") as string,
    });
    expect([bench.authority.done, bench.board.phase]).toEqual([[], UPDATE_PHASE_TRIAL]);
    await bench.session.confirm({ signer: bench.signer });
    expect(bench.board.active.state).toBe(SLOT_STATE_CONFIRMED);
  });

  it("that can't be signed ends the push at once with the reason, and says that the trial goes on", async () => {
    const bench = await open();
    const broken = Object.assign(new CountingSigner(), {
      sign: () => Promise.reject(new EdgePlugError("SIGNER", "The token is not plugged in.")),
    });
    const error = await failure(push(bench, patient, { signer: broken }));
    expect([error.code, error.message]).toEqual([
      "SIGNER",
      "The token is not plugged in; the new agent is healthy, waits for an operator's word, and gives way if none comes.",
    ]);
    expect(bench.board.phase).toBe(UPDATE_PHASE_TRIAL);
  });

  it("by a key that the board does not have ends the push with KEY_UNKNOWN, not at the deadline", async () => {
    const bench = await open();
    expect((await failure(push(bench, patient, { signer: new CountingSigner(4) }))).code).toBe("KEY_UNKNOWN");
  });
});

describe("an older package on a locked board", () => {
  const older = packageOf(payload, { release: 1 });
  const digest = createHash("sha512").update(older.manifestBytes).digest().subarray(0, 16);
  const confirmed: Disturb = (request, board) => {
    if (request.status && board.phase === UPDATE_PHASE_TRIAL) board.options.trialScans = 0;
  };

  it("gets the operator's permission for just this package before the first byte", async () => {
    const bench = await open(confirmed);
    await push(bench, older, { signer: bench.signer, allowDowngrade: true });
    expect(Buffer.from(bench.authority.granted ?? [])).toEqual(digest);
    const order = bench.board.requests.flatMap((request) =>
      Object.keys(request).filter((name) => name !== "id"),
    );
    expect(order.indexOf("signedCommand")).toBeLessThan(order.indexOf("begin"));
  });

  it("gets it again after a reset in the middle of the transfer", async () => {
    let reset = false;
    const bench = await open((request, board, authority) => {
      confirmed(request, board, authority);
      if (reset || !request.chunk || board.phase !== UPDATE_PHASE_RECEIVING || board.nextOffset < 2048)
        return;
      reset = true;
      authority.reset(board);
    });
    const result = await push(bench, older, { signer: bench.signer, allowDowngrade: true });
    expect(result.restarts).toBe(1);
    expect(bench.authority.done).toEqual(["allowDowngrade", "allowDowngrade"]);
  });

  it("gets it again after a reset between the permission and Begin", async () => {
    let reset = false;
    const bench = await open((request, board, authority) => {
      confirmed(request, board, authority);
      if (reset || !request.begin) return;
      reset = true;
      authority.reset(board);
    });
    await push(bench, older, { signer: bench.signer, allowDowngrade: true });
    expect(bench.authority.done).toEqual(["allowDowngrade", "allowDowngrade"]);
  });

  it("does not ask for it again in the same boot when only the transfer was lost", async () => {
    let dropped = false;
    const bench = await open((request, board, authority) => {
      confirmed(request, board, authority);
      if (dropped || !request.chunk || board.nextOffset < 2048) return;
      dropped = true;
      board.phase = UPDATE_PHASE_IDLE;
    });
    const result = await push(bench, older, { signer: bench.signer, allowDowngrade: true });
    expect([result.restarts, bench.signer.messages.length]).toEqual([1, 1]);
  });

  it("without an operator's key is refused", async () => {
    const bench = await open();
    expect((await failure(push(bench, older, { allowDowngrade: true }))).code).toBe("LOCKED");
    expect(bench.authority.done).toEqual([]);
  });

  it("is not asked for where nobody asked for a downgrade", async () => {
    const bench = await open(confirmed);
    await push(bench, older, { signer: bench.signer });
    expect(bench.signer.messages).toEqual([]);
  });
});
