/** Commands to boards as callers send them: plain for an open board, signed for a locked one, or just by the call's name. */
import { EdgePlugError } from "../errors.js";
import { edgeplug } from "../generated/messages.js";
import type { BoardCommand } from "../session/board-session.js";
import { decodeCommand, NONCE_SIZE } from "../session/commands.js";
import type { SignedCommand } from "../session/execute.js";
import { KEY_ID_SIZE, PUBLIC_KEY_SIZE, SIGNATURE_SIZE } from "../signing.js";
import { atMost, bytesField, invalid } from "./validate.js";
import type { Received } from "./wire.js";

export type CommandKind = Exclude<BoardCommand["kind"], "allowDowngrade">;
export type CommandRequest = Received<edgeplug.gateway.v1.CommandRequest.$Properties>;

export interface AskedCommand {
  command: BoardCommand;
  /** The operator's signature, if there is one. */
  signed: SignedCommand | undefined;
}

/** A Request with the longest command has 48 bytes. */
const LONGEST_COMMAND = 128;
const DIGEST_SIZE = 16;

/** Throws GATEWAY_REQUEST: a field is wrong, or the command is another than the call's. */
export function readCommand(request: CommandRequest, kind: CommandKind): AskedCommand {
  const { command, signedCommand } = request;
  if (command && signedCommand) {
    throw invalid("command", "is there twice, plain and signed");
  }
  if (signedCommand) {
    const signed = {
      command: atMost(signedCommand.command, "signed_command.command", LONGEST_COMMAND),
      nonce: bytesField(signedCommand.nonce, "signed_command.nonce", NONCE_SIZE),
      keyId: bytesField(signedCommand.keyId, "signed_command.key_id", KEY_ID_SIZE),
      signature: bytesField(signedCommand.signature, "signed_command.signature", SIGNATURE_SIZE),
    };
    return {
      command: ofKind(
        decoded(() => decodeCommand(signed.command)),
        kind,
      ),
      signed,
    };
  }
  if (!command)
    return {
      command: ofKind(
        decoded(() => decodeCommand(plainOf(kind))),
        kind,
      ),
      signed: undefined,
    };
  if (command.id !== 0) throw invalid("command.id", "is not 0: the gateway numbers requests itself");
  return {
    command: ofKind(
      decoded(() => decodeCommand(command)),
      kind,
    ),
    signed: undefined,
  };
}

/** The call's own command with default fields. */
function plainOf(kind: CommandKind): edgeplug.Request.$Properties {
  return { [kind]: {} };
}

function decoded(decode: () => BoardCommand): BoardCommand {
  try {
    return decode();
  } catch (error) {
    throw new EdgePlugError("GATEWAY_REQUEST", EdgePlugError.from(error).message, { cause: error });
  }
}

function ofKind(command: BoardCommand, kind: CommandKind): BoardCommand {
  if (command.kind !== kind) throw invalid("command", `is ${command.kind}, and the call is ${kind}`);
  if ("keyId" in command) bytesField(command.keyId, "command.key_id", KEY_ID_SIZE);
  if ("publicKey" in command) bytesField(command.publicKey, "command.public_key", PUBLIC_KEY_SIZE);
  if (command.kind === "clearSpent" && command.digest !== undefined) {
    bytesField(command.digest, "command.digest", DIGEST_SIZE);
  }
  return command;
}
