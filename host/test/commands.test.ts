import { describe, expect, it } from "vitest";

import { edgeplug } from "../src/generated/messages.js";
import type { SignableCommand } from "../src/session/board-session.js";
import {
  commandMessage,
  commandRequest,
  commandText,
  decodeCommand,
  encodeCommand,
} from "../src/session/commands.js";
import { NEWCOMER } from "./support/fake-authority.js";

const digest = Uint8Array.from({ length: 16 }, (_, at) => at);
const keyId = new Uint8Array(8).fill(3);

/** Each command with its bytes, written down from the protobuf encoding by hand. */
const COMMANDS: [SignableCommand, string][] = [
  [{ kind: "confirm" }, "3a00"],
  [{ kind: "abort" }, "4a00"],
  [{ kind: "rollback", allowDowngrade: false }, "4200"],
  [{ kind: "rollback", allowDowngrade: true }, "42020801"],
  [{ kind: "clearSpent" }, "7200"],
  [{ kind: "clearSpent", digest }, `72120a10${hex(digest)}`],
  [{ kind: "addKey", role: "publisher", publicKey: NEWCOMER }, `7a2408011220${hex(NEWCOMER)}`],
  [{ kind: "addKey", role: "operator", publicKey: NEWCOMER }, `7a2408021220${hex(NEWCOMER)}`],
  [{ kind: "removeKey", keyId }, `aa010a0a08${hex(keyId)}`],
  [{ kind: "replaceKey", keyId, publicKey: NEWCOMER }, `b2012c0a08${hex(keyId)}1220${hex(NEWCOMER)}`],
  [{ kind: "unlock" }, "ba0100"],
  [{ kind: "allowDowngrade", digest }, `c201120a10${hex(digest)}`],
];

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

describe("a command as bytes", () => {
  it.each(COMMANDS)(
    "is always the same ones, and means the same when they are read: %j",
    (command, bytes) => {
      expect(hex(encodeCommand(command))).toBe(bytes);
      expect(decodeCommand(Buffer.from(bytes, "hex"))).toEqual(command);
      expect(decodeCommand(commandRequest(command))).toEqual(command);
      expect(commandText(command)).toMatch(/^[a-z]/);
    },
  );

  it.each([
    ["a request that is no command", edgeplug.Request.encode({ status: {} }).finish()],
    ["nothing", new Uint8Array()],
    ["lock, which is never signed", edgeplug.Request.encode({ lock: {} }).finish()],
    ["a command with a request's id", edgeplug.Request.encode({ id: 1, confirm: {} }).finish()],
    ["two commands", Buffer.from("3a004200", "hex")],
    ["a command and an unknown field", Buffer.from("3a00fa0100", "hex")],
    ["a default value that is written out", Buffer.from("42020800", "hex")],
    ["a key without a role", Buffer.from(`7a221220${hex(NEWCOMER)}`, "hex")],
    ["half a command", Buffer.from("420208", "hex")],
    ["noise", Buffer.from("ffffffffffffffff", "hex")],
  ])("is not signed unless it can be told in full: %s", (_what, bytes) => {
    expect(() => decodeCommand(bytes)).toThrow(expect.objectContaining({ code: "BAD_REQUEST" }));
  });

  it("is signed with its purpose, the board and the nonce before it", () => {
    const message = commandMessage(new Uint8Array(12).fill(1), new Uint8Array(8).fill(2), {
      kind: "confirm",
    });
    const purpose = Buffer.from("EdgePlug command v1\0").toString("hex");
    expect(hex(message)).toBe(`${purpose}${"01".repeat(12)}${"02".repeat(8)}3a00`);
    expect(purpose).toHaveLength(40);
  });

  it("is not signed for a board id or nonce of another size", () => {
    expect(() => commandMessage(new Uint8Array(11), new Uint8Array(8), { kind: "confirm" })).toThrow(
      "12 bytes",
    );
    expect(() => commandMessage(new Uint8Array(12), new Uint8Array(9), { kind: "confirm" })).toThrow(
      "8 bytes",
    );
  });
});
