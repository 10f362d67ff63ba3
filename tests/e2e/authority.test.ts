// Signed commands and their nonces, on a board that is locked.
import { crc32 } from "node:zlib";

import { TEAR_SHAPES, type Flash, type FlashOperation } from "@edgeplug/sim";
import { historyKindName } from "edgeplug/device";
import { expect, it } from "vitest";

import { OPERATOR, PUBLISHER, publicKeyOf, signed, STRANGER } from "@edgeplug/test-support/agents";
import { encodeCommand, signedCommand, type Command } from "@edgeplug/test-support/authority";
import type { TestBoard } from "@edgeplug/test-support/board";
import { begin, failureOf, push, standing } from "@edgeplug/test-support/push";
import { onBoard, onEachBoard, startTestBoard } from "./fixture.js";
import {
  addOperator,
  ask,
  authorise,
  boardWithKeys,
  byOperator,
  challenge,
  digestOf,
  flipped,
  hex,
  idOf,
  isLocked,
  next,
  OPERATES,
  powerCycle,
  PUBLISHES,
  rolesOf,
  untouched,
  type Code,
  type SignedCommand,
} from "./locked-board.js";

/** Bytes of a journal entry, and the kinds of those that say where its counters stand: BOOT and STATE. */
const ENTRY = 32;
const STATES = [1, 18];

/** Every plain request that a locked board leaves to its operators. */
const STATE_CHANGING: [string, Command][] = [
  ["confirm", { confirm: {} }],
  ["rollback", { rollback: { allowDowngrade: true } }],
  ["clear spent", { clearSpent: {} }],
  ["add key", addOperator(STRANGER)],
  ["remove key", { removeKey: { keyId: idOf(OPERATOR) } }],
  ["replace key", { replaceKey: { keyId: idOf(OPERATOR), publicKey: publicKeyOf(STRANGER) } }],
  ["lock", { lock: {} }],
  ["unlock", { unlock: {} }],
  ["allow downgrade", { allowDowngrade: { digest: digestOf(next) } }],
];

const UNLOCK = encodeCommand({ unlock: {} });
const bytesOf = (...bytes: readonly (number | Uint8Array)[]): Uint8Array =>
  Uint8Array.from(bytes.flatMap((part) => (typeof part === "number" ? [part] : [...part])));

/** What may not be signed, however good the signature is. */
const NO_COMMANDS: [string, Uint8Array][] = [
  ["nothing", new Uint8Array()],
  ["noise", Uint8Array.from({ length: 40 }, (_, at) => (at * 89 + 31) & 0xff)],
  ["hello", encodeCommand({ hello: {} })],
  ["status", encodeCommand({ status: {} })],
  ["begin", encodeCommand({ begin: { timestamp: 1 } })],
  ["activate", encodeCommand({ activate: {} })],
  ["lock", encodeCommand({ lock: {} })],
  ["challenge", encodeCommand({ challenge: {} })],
  ["a signed command", encodeCommand({ signedCommand: { command: UNLOCK.slice() } }).slice(0, 64)],
  ["an id in front", bytesOf(0x08, 0x01, UNLOCK)],
  ["an id behind", bytesOf(UNLOCK, 0x08, 0x01)],
  ["a zero behind", bytesOf(UNLOCK, 0)],
  ["a field of no meaning behind", bytesOf(UNLOCK, 0xfa, 0x07, 0)],
  ["a second command behind", bytesOf(UNLOCK, encodeCommand({ rollback: {} }))],
  ["half a command", UNLOCK.slice(0, 2)],
];

onEachBoard((backend) => {
  it("each plain request that changes state is LOCKED on a locked board, and changes not one byte", async () => {
    const { board, session } = await boardWithKeys(backend);
    await push(session, next);
    for (const [what, command] of STATE_CHANGING) {
      await untouched(board, () => ask(session, command), "LOCKED").catch((cause: unknown) => {
        throw new Error(what, { cause });
      });
    }
    expect(await standing(session)).toMatchObject({ runs: "agent 2#2 confirmed" });
  });

  it("an operator's signed command does what the plain one does on an open board", async () => {
    const { session } = await boardWithKeys(backend);
    await push(session, next);
    expect(await byOperator(session, { rollback: {} })).toBe("OK");
    expect(await standing(session)).toMatchObject({ runs: "agent 1#1 confirmed", last: "operator#2" });
    expect(await byOperator(session, addOperator(STRANGER))).toBe("OK");
    expect(await byOperator(session, { removeKey: { keyId: idOf(OPERATOR) } })).toBe("OK");
    expect(await rolesOf(session)).toEqual({
      [hex(idOf(PUBLISHER))]: PUBLISHES,
      [hex(idOf(STRANGER))]: OPERATES,
    });
    const [newest, before] = await session.history();
    expect([newest, before].map((entry) => historyKindName(entry?.kind ?? 0))).toEqual([
      expect.stringMatching(/key.*removed/),
      expect.stringMatching(/key.*added/),
    ]);
  });

  it("a replayed command does nothing twice and gets its first answer", async () => {
    const { board, session } = await boardWithKeys(backend);
    const command = { signedCommand: await authorise(session, addOperator(STRANGER)) };
    expect(await ask(session, command)).toBe("OK");
    await untouched(board, () => ask(session, command), "OK");
    // a command that failed is not tried again either
    const last = { signedCommand: await authorise(session, { removeKey: { keyId: idOf(PUBLISHER) } }) };
    expect(await ask(session, last)).toBe("LAST_KEY");
    await untouched(board, () => ask(session, last), "LAST_KEY");
    // and one that was superseded is nothing but void
    await untouched(board, () => ask(session, command), "NONCE");
  });

  it("another command under a nonce that is used up is refused", async () => {
    const { board, session } = await boardWithKeys(backend);
    const nonce = await challenge(session);
    const occasion = { boardId: session.hello.boardId, nonce };
    expect(await ask(session, { signedCommand: signedCommand(occasion, addOperator(STRANGER)) })).toBe("OK");
    const second = { signedCommand: signedCommand(occasion, { unlock: {} }) };
    await untouched(board, () => ask(session, second), "NONCE");
    expect(await isLocked(session)).toBe(true);
  });

  it("a command signed for another board is refused", async () => {
    const { board, session } = await boardWithKeys(backend);
    const nonce = await challenge(session);
    const boardId = flipped(session.hello.boardId, 17);
    const command = { signedCommand: signedCommand({ boardId, nonce }, { unlock: {} }) };
    await untouched(board, () => ask(session, command), "SIGNATURE");
    expect(await isLocked(session)).toBe(true);
  });

  it("a nonce is void after a reset and after the next challenge, and good once in between", async () => {
    const { board, session } = await boardWithKeys(backend);
    const first = { signedCommand: await authorise(session, { unlock: {} }) };
    const second = { signedCommand: await authorise(session, { unlock: {} }) };
    await untouched(board, () => ask(session, first), "NONCE");
    const again = await powerCycle(board);
    await untouched(board, () => ask(again, second), "NONCE");
    const third = { signedCommand: await authorise(again, { unlock: {} }) };
    await untouched(board, () => ask(again, second), "NONCE");
    expect(await ask(again, third)).toBe("OK");
    expect(await isLocked(again)).toBe(false);
  });

  it("no nonce is told twice, over challenges, resets and power cycles", async () => {
    const { board, session } = await boardWithKeys(backend);
    const told = new Set<string>();
    let now = session;
    let count = 0;
    for (let boot = 0; boot < 4; boot++) {
      for (let i = 0; i < 5; i++, count++) told.add(hex(await challenge(now)));
      if (boot % 2 === 0) await board.reset();
      now = boot % 2 === 0 ? await board.connect() : await powerCycle(board);
    }
    expect(told.size).toBe(count);
  });

  it("a publisher's key signs no command, a stranger's neither, and an operator's no package", async () => {
    for (const lock of [false, true]) {
      const { board, session } = await boardWithKeys(backend, { lock });
      const nonce = await challenge(session);
      const occasion = { boardId: session.hello.boardId, nonce };
      const by = (key: Uint8Array): Command => ({
        signedCommand: signedCommand(occasion, addOperator(STRANGER), key),
      });
      await untouched(board, () => ask(session, by(PUBLISHER)), "KEY_ROLE");
      await untouched(board, () => ask(session, by(STRANGER)), "KEY_UNKNOWN");
      const refused = async (): Promise<Code> =>
        (await failureOf(begin(session, signed(next, OPERATOR)))).code;
      await untouched(board, refused, "KEY_ROLE");
      // none of this has used up the nonce
      expect(await ask(session, by(OPERATOR))).toBe("OK");
    }
  });

  it("a bit flipped in command, nonce, key id or signature: refused, nothing changed, and the nonce stays good", async () => {
    const { board, session } = await boardWithKeys(backend);
    const good = await authorise(session, addOperator(STRANGER));
    const before = await board.flash();
    const fields: [keyof SignedCommand & string, Code, readonly number[]][] = [
      ["command", "SIGNATURE", [0, 13, 100, 200]],
      ["nonce", "NONCE", [0, 31, 32, 63]],
      ["keyId", "KEY_UNKNOWN", [0, 63]],
      ["signature", "SIGNATURE", [0, 255, 256, 511]],
    ];
    for (const [field, code, bits] of fields) {
      for (const bit of bits) {
        const bad = { ...good, [field]: flipped(good[field] as Uint8Array, bit) };
        expect([field, bit, await ask(session, { signedCommand: bad })]).toEqual([field, bit, code]);
      }
    }
    expect(before.changes(await board.flash())).toEqual({});
    expect(await ask(session, { signedCommand: good })).toBe("OK");
  });

  it("what is no single command is BAD_REQUEST however well it is signed, and changes nothing", async () => {
    const { board, session } = await boardWithKeys(backend);
    await challenge(session); // journals the nonce, so that nothing has to change below
    for (const [what, bytes] of NO_COMMANDS) {
      await untouched(board, () => byOperator(session, bytes), "BAD_REQUEST").catch((cause: unknown) => {
        throw new Error(what, { cause });
      });
    }
    expect(await isLocked(session)).toBe(true);
  });

  it("a board with a damaged journal gives no nonce, and takes no command", async () => {
    const { board, session } = await boardWithKeys(backend);
    const held = { signedCommand: await authorise(session, { unlock: {} }) };
    await board.powerOff();
    const { journal, journalHalfSize } = board.layout;
    await board.writeFlash(journal, new Uint8Array(2 * journalHalfSize).fill(0x5a));
    await board.powerOn();
    const again = await board.connect();
    await untouched(board, () => ask(again, { challenge: {} }), "JOURNAL");
    await untouched(board, () => ask(again, held), "NONCE");
    await untouched(board, () => ask(again, { unlock: {} }), "LOCKED");
  });

  it("nonces at the end of their range: the last one is good, then the board says so and still takes packages", async () => {
    const { board, session } = await boardWithKeys(backend);
    await challenge(session);
    await board.powerOff();
    await setJournaledNonce(board, 0xffff_fffe);
    await board.powerOn();
    const last = await board.connect();
    const held = { signedCommand: await authorise(last, { unlock: {} }) };
    expect(hex(held.signedCommand.nonce as Uint8Array)).toBe("ffffffff01000000");
    const again = await powerCycle(board);
    await untouched(board, () => ask(again, { challenge: {} }), "NONCES");
    await untouched(board, () => ask(again, held), "NONCE");
    expect((await push(again, next)).active.version).toBe("2");
  });
});

onBoard("sim", () => {
  it("no nonce is told twice, wherever and however the power is cut while the board journals one", async () => {
    const board = await startTestBoard("sim");
    const session = await board.connect();
    const { sim } = board;
    if (sim === undefined) throw new Error("no simulation");
    const moments: { flash: Flash; operation: FlashOperation }[] = [];
    sim.flash.onOperation = (operation) => moments.push({ operation, flash: sim.flash.fork() });
    const nonce = hex(await challenge(session));
    sim.flash.onOperation = undefined;
    expect(moments.length).toBeGreaterThan(0);
    const whole = sim.flash.fork();
    const left = moments.flatMap(({ flash, operation }) =>
      [...TEAR_SHAPES].map((shape) => {
        const torn = flash.fork();
        torn.tear(operation, shape);
        return torn;
      }),
    );
    for (const flash of [...moments.map((one) => one.flash), ...left, whole]) {
      await board.powerOff();
      sim.flash.restore(flash);
      await board.powerOn();
      const again = await board.connect();
      const told = [hex(await challenge(again)), hex(await challenge(again))];
      // a cut before the nonce was durable: it was not told either
      if (flash === whole) expect(told).not.toContain(nonce);
      expect(new Set(told).size).toBe(2);
      const third = hex(await challenge(await powerCycle(board)));
      expect(told).not.toContain(third);
    }
  });
});

/** Writes the journal's newest state entry anew, with this counter of nonces. */
async function setJournaledNonce(board: TestBoard, nonce: number): Promise<void> {
  const { bytes } = await board.flash();
  const { journal, journalHalfSize } = board.layout;
  const entries = Array.from({ length: (2 * journalHalfSize) / ENTRY }, (_, index) => {
    const offset = journal + index * ENTRY;
    return { offset, entry: Buffer.from(bytes.slice(offset, offset + ENTRY)) };
  });
  const newest = entries
    .filter(
      ({ entry }) =>
        STATES.includes(entry[0] ?? 0) && crc32(entry.subarray(0, 28)) === entry.readUInt32LE(28),
    )
    .reduce((a, b) => (a.entry.readUInt32LE(4) > b.entry.readUInt32LE(4) ? a : b));
  newest.entry.writeUInt32LE(nonce, 20);
  newest.entry.writeUInt32LE(crc32(newest.entry.subarray(0, 28)), 28);
  await board.writeFlash(newest.offset, newest.entry);
}
