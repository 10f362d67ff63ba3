/** Commands to open and locked boards over a line that loses answers, and boards that are reset in between. */
import { describe, expect, it } from "vitest";

import { edgeplug } from "../src/generated/messages.js";
import type { BoardCommand, SignableCommand, WantedSignature } from "../src/session/board-session.js";
import { encodeCommand } from "../src/session/commands.js";
import { DeviceSession } from "../src/session/session.js";
import { keyId } from "../src/signing.js";
import {
  BOARD_ID,
  CountingSigner,
  FakeAuthority,
  NEWCOMER,
  OPERATOR,
  PUBLISHER,
} from "./support/fake-authority.js";
import { FakeBoard } from "./support/fake-board.js";
import { failure } from "./support/failure.js";

const { UPDATE_PHASE_TRIAL, UPDATE_PHASE_RECEIVING } = edgeplug.UpdatePhase;
const { SLOT_STATE_TRIAL } = edgeplug.SlotState;
const STRANGER = 4;

interface Bench {
  board: FakeBoard;
  authority: FakeAuthority;
  session: DeviceSession;
  signer: CountingSigner;
}

interface Trouble {
  locked?: boolean;
  /** Called with each request before the board sees it; "lose" keeps its answer from the host. */
  disturb?: (request: edgeplug.Request, bench: Omit<Bench, "session">) => "lose" | undefined;
  /** Called after the board has answered. */
  after?: (request: edgeplug.Request, bench: Omit<Bench, "session">) => void;
}

async function open({ locked = true, disturb, after }: Trouble = {}): Promise<Bench> {
  const authority = new FakeAuthority();
  const signer = new CountingSigner();
  authority.locked = locked;
  const board = new FakeBoard({
    script: (request, peer) => {
      const bench = { board: peer, authority, signer };
      const lost = disturb?.(request, bench) === "lose";
      const answer = authority.answer(request, peer) ?? peer.answer(request);
      after?.(request, bench);
      return lost ? null : answer;
    },
  });
  return { board, authority, signer, session: await DeviceSession.connect(board) };
}

/** A board in a trial of swap 6, so that each command has something to do. */
function inTrial({ board }: Pick<Bench, "board">): void {
  board.phase = UPDATE_PHASE_TRIAL;
  board.active.state = SLOT_STATE_TRIAL;
  board.options.trialScans = Infinity;
}

const sent = (board: FakeBoard, kind: keyof edgeplug.Request.$Properties): number =>
  board.requests.filter((request) => request[kind]).length;

/** Loses the first answer to this kind of request. */
function loseFirst(
  kind: keyof edgeplug.Request.$Properties,
): (request: edgeplug.Request) => "lose" | undefined {
  let count = 0;
  return (request) => (request[kind] && ++count === 1 ? "lose" : undefined);
}

/** Resets the board once, when this kind of request has been answered, or before it is. */
function resetOnce(kind: keyof edgeplug.Request.$Properties): NonNullable<Trouble["after"]> {
  let done = false;
  return (request, { board, authority }) => {
    if (!request[kind] || done) return;
    done = true;
    authority.reset(board);
  };
}

const COMMANDS: SignableCommand[] = [
  { kind: "confirm" },
  { kind: "abort" },
  { kind: "rollback", allowDowngrade: true },
  { kind: "clearSpent" },
  { kind: "addKey", role: "publisher", publicKey: NEWCOMER },
  { kind: "removeKey", keyId: keyId(PUBLISHER) },
  { kind: "replaceKey", keyId: keyId(PUBLISHER), publicKey: NEWCOMER },
  { kind: "unlock" },
  { kind: "allowDowngrade", digest: new Uint8Array(16).fill(5) },
];

describe("a command to an open board", () => {
  it.each(COMMANDS)("goes as it is, and nothing is signed: $kind", async (command) => {
    const bench = await open({ locked: false });
    inTrial(bench);
    await bench.session.execute(command, { signer: bench.signer });
    expect(bench.authority.done).toEqual([command.kind]);
    expect(bench.signer.messages).toEqual([]);
    expect(sent(bench.board, "challenge")).toBe(0);
  });

  const once: BoardCommand[] = [...COMMANDS.slice(0, 3), ...COMMANDS.slice(5, 7), { kind: "lock" }];
  it.each(once)("succeeds although the answer got lost and its copy is refused: $kind", async (command) => {
    const bench = await open({ locked: false, disturb: loseFirst(command.kind) });
    inTrial(bench);
    await bench.session.execute(command);
    expect(sent(bench.board, command.kind)).toBe(2);
  });

  it("is refused if it had nothing to do, lost answer or not", async () => {
    const { session } = await open({ locked: false, disturb: loseFirst("confirm") });
    expect((await failure(session.confirm())).code).toBe("NOT_IN_TRIAL");
    const unknown = session.execute({ kind: "removeKey", keyId: new Uint8Array(8).fill(1) });
    expect(await failure(unknown)).toMatchObject({
      code: "KEY_UNKNOWN",
      message: "The board has no key 0101010101010101.",
    });
  });

  it("is signed once the board has turned out to be locked", async () => {
    const { session, authority, signer, board } = await open({ locked: false });
    authority.locked = true;
    await session.execute({ kind: "clearSpent" }, { signer });
    expect([authority.done, signer.messages.length]).toEqual([["clearSpent"], 1]);
    expect(session.hello.locked).toBe(true);
    await session.execute({ kind: "clearSpent" }, { signer });
    expect(sent(board, "clearSpent")).toBe(1);
  });
});

describe("a command to a locked board", () => {
  it.each(COMMANDS)("is signed for that board and a nonce of its own: $kind", async (command) => {
    const bench = await open();
    inTrial(bench);
    await bench.session.execute(command, { signer: bench.signer });
    expect(bench.authority.done).toEqual([command.kind]);
    const nonce = [1, 0, 0, 0, 1, 0, 0, 0];
    const message = [
      ...Buffer.from("EdgePlug command v1\0"),
      ...BOARD_ID,
      ...nonce,
      ...encodeCommand(command),
    ];
    expect(bench.signer.messages.map((bytes) => [...bytes])).toEqual([message]);
  });

  it("without an operator's key is refused by the board, and nothing changes", async () => {
    const bench = await open();
    inTrial(bench);
    for (const command of COMMANDS)
      expect((await failure(bench.session.execute(command))).code, command.kind).toBe("LOCKED");
    expect((await failure(bench.session.lock())).code).toBe("LOCKED");
    expect(bench.authority.done).toEqual([]);
  });

  it("that only ends a transfer needs no signature", async () => {
    const { session, board, signer } = await open();
    board.phase = UPDATE_PHASE_RECEIVING;
    await session.abort({ signer });
    expect([signer.messages.length, sent(board, "challenge")]).toEqual([0, 0]);
  });

  it.each(COMMANDS)(
    "is repeated to the byte when its answer is lost, and done once: $kind",
    async (command) => {
      const bench = await open({ disturb: loseFirst("signedCommand") });
      inTrial(bench);
      await bench.session.execute(command, { signer: bench.signer });
      const copies = bench.board.requests.flatMap((request) =>
        request.signedCommand ? [request.signedCommand] : [],
      );
      expect(copies).toHaveLength(2);
      expect(copies[1]).toEqual(copies[0]);
      expect([bench.authority.done, bench.signer.messages.length]).toEqual([[command.kind], 1]);
    },
  );

  it.each(COMMANDS)("is signed anew when a reset came before it: $kind", async (command) => {
    const bench = await open({ disturb: resetOnce("signedCommand") as NonNullable<Trouble["disturb"]> });
    inTrial(bench);
    bench.board.reset = function (this: FakeBoard) {
      this.bootNumber++; // the trial goes on
    };
    await bench.session.execute(command, { signer: bench.signer });
    expect([bench.authority.done, bench.signer.messages.length]).toEqual([[command.kind], 2]);
    expect(bench.session.hello.bootNumber).toBe(2);
  });

  const visible = COMMANDS.filter(({ kind }) => kind !== "allowDowngrade");
  it.each(visible)(
    "is not signed again when a reset came behind it and the answer is lost: $kind",
    async (command) => {
      const bench = await open({ disturb: loseFirst("signedCommand"), after: resetOnce("signedCommand") });
      inTrial(bench);
      bench.board.reset = function (this: FakeBoard) {
        this.bootNumber++;
      };
      await bench.session.execute(command, { signer: bench.signer });
      expect([bench.authority.done, bench.signer.messages.length]).toEqual([[command.kind], 1]);
    },
  );

  it("is not signed for another board that stands in the first one's place by then", async () => {
    const { session, signer, authority } = await open({
      disturb: (request, { board, authority: peer }) => {
        if (!request.signedCommand) return undefined;
        peer.reset(board);
        peer.boardId = new Uint8Array(12).fill(8);
        return undefined;
      },
    });
    expect((await failure(session.execute({ kind: "unlock" }, { signer }))).code).toBe("PORT_LOST");
    expect([signer.messages.length, authority.done]).toEqual([1, []]);
  });

  it("gives a permission again that a reset has taken: nothing on the board shows it", async () => {
    const { session, signer, authority } = await open({
      disturb: loseFirst("signedCommand"),
      after: resetOnce("signedCommand"),
    });
    const digest = new Uint8Array(16).fill(5);
    await session.execute({ kind: "allowDowngrade", digest }, { signer });
    expect([authority.granted, signer.messages.length]).toEqual([digest, 2]);
  });

  it("is given up when a second nonce is void as well", async () => {
    const { session, signer, authority } = await open({
      disturb: (request, { board, authority: peer }) => {
        if (request.signedCommand) peer.reset(board);
        return undefined;
      },
    });
    expect((await failure(session.execute({ kind: "unlock" }, { signer }))).code).toBe("NONCE");
    expect([authority.done, signer.messages.length]).toEqual([[], 2]);
  });

  it("uses only a nonce that no late copy of its own challenge can void", async () => {
    const { session, signer, board } = await open({ disturb: loseFirst("challenge") });
    await session.execute({ kind: "unlock" }, { signer });
    expect(sent(board, "challenge")).toBe(3); // two copies of the first, one of the second
    expect(signer.messages[0]?.[36]).toBe(3);
  });

  it.each([
    ["KEY_UNKNOWN", new CountingSigner(STRANGER), "which signed the command", "operator's key"],
    ["KEY_ROLE", new CountingSigner(2), "role", "operator's"],
  ])("of the wrong key is refused in words about commands: %s", async (code, signer, cause, action) => {
    const { session, authority } = await open();
    const error = await failure(session.execute({ kind: "unlock" }, { signer }));
    expect([error.code, error.message, error.action]).toEqual([
      code,
      expect.stringContaining(cause),
      expect.stringContaining(action),
    ]);
    expect(authority.done).toEqual([]);
  });

  it("whose signature fails leaves the nonce to the one who has the key", async () => {
    const { session, authority } = await open();
    const nonce = await session.challenge();
    const command = encodeCommand({ kind: "unlock" });
    const forged = { command, nonce, keyId: keyId(OPERATOR), signature: new Uint8Array(64) };
    expect(await failure(session.sendSigned(forged))).toMatchObject({
      code: "SIGNATURE",
      message: "The signature does not hold over the command.",
    });
    const message = Buffer.concat([Buffer.from("EdgePlug command v1\0"), BOARD_ID, nonce, command]);
    await session.sendSigned({ ...forged, signature: await new CountingSigner().sign(message) });
    expect(authority.done).toEqual(["unlock"]);
  });

  it("can be signed elsewhere, by somebody who is shown what it is", async () => {
    const { session, authority } = await open();
    const shown: WantedSignature[] = [];
    const remote = {
      async signCommand(wanted: WantedSignature) {
        shown.push(wanted);
        return { keyId: keyId(OPERATOR), signature: await new CountingSigner().sign(wanted.message) };
      },
    };
    const command = { kind: "rollback", allowDowngrade: true } as const;
    await session.execute(command, { signer: remote });
    expect(authority.done).toEqual(["rollback"]);
    expect(shown).toMatchObject([{ boardId: BOARD_ID, command, encoded: encodeCommand(command) }]);
  });

  it("that comes from elsewhere and is none goes to no board", async () => {
    const { session, board } = await open();
    const nonce = await session.challenge();
    const command = edgeplug.Request.encode({ status: {} }).finish();
    const signed = { command, nonce, keyId: keyId(OPERATOR), signature: new Uint8Array(64) };
    expect((await failure(session.sendSigned(signed))).code).toBe("BAD_REQUEST");
    expect(sent(board, "signedCommand")).toBe(0);
  });
});
