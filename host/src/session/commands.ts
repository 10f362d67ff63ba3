/**
 * Commands as bytes: the requests that they are, what an operator signs, and back again. Whoever signs and whoever
 * passes a signature on must agree to the byte, so nothing else builds either.
 */
import { EdgePlugError } from "../errors.js";
import { edgeplug } from "../generated/messages.js";
import { keyId } from "../signing.js";
import type {
  BoardCommand,
  CommandSignature,
  KeyRoleName,
  OperatorSigner,
  SignableCommand,
} from "./board-session.js";
import type { RequestBody } from "./connection.js";

export const BOARD_ID_SIZE = 12;
export const NONCE_SIZE = 8;
const DOMAIN = Buffer.from("EdgePlug command v1\0", "latin1");
const { KEY_ROLE_PUBLISHER, KEY_ROLE_OPERATOR } = edgeplug.KeyRole;

/** The plain request that an open board takes. */
export function commandRequest(command: BoardCommand): RequestBody {
  switch (command.kind) {
    case "confirm":
      return { confirm: {} };
    case "abort":
      return { abort: {} };
    case "rollback":
      return { rollback: command.allowDowngrade ? { allowDowngrade: true } : {} };
    case "clearSpent":
      return { clearSpent: command.digest === undefined ? {} : { digest: command.digest } };
    case "addKey":
      return { addKey: { role: roleNumber(command.role), publicKey: command.publicKey } };
    case "removeKey":
      return { removeKey: { keyId: command.keyId } };
    case "replaceKey":
      return { replaceKey: { keyId: command.keyId, publicKey: command.publicKey } };
    case "lock":
      return { lock: {} };
    case "unlock":
      return { unlock: {} };
    case "allowDowngrade":
      return { allowDowngrade: { digest: command.digest } };
  }
}

function roleNumber(role: KeyRoleName): edgeplug.KeyRole {
  return role === "publisher" ? KEY_ROLE_PUBLISHER : KEY_ROLE_OPERATOR;
}

/** Whether a command can be signed: locking can't, for only an open board locks. */
export function isSignable(command: BoardCommand): command is SignableCommand {
  return command.kind !== "lock";
}

/** `SignedCommand.command`: a Request without id, its fields in order, those with default values left out. */
export function encodeCommand(command: SignableCommand): Uint8Array {
  return edgeplug.Request.encode(commandRequest(command)).finish();
}

/**
 * What a Request, as an object or as `SignedCommand.command`, asks for. Throws BAD_REQUEST if it is none of the
 * commands, and for bytes also if they are not to the byte what encodeCommand() makes: who signs them must be
 * able to say in full what they mean.
 */
export function decodeCommand(request: Uint8Array): SignableCommand;
export function decodeCommand(request: edgeplug.Request.$Properties): BoardCommand;
export function decodeCommand(request: Uint8Array | edgeplug.Request.$Properties): BoardCommand {
  if (!(request instanceof Uint8Array)) return commandOf(request);
  let command: BoardCommand;
  try {
    command = commandOf(edgeplug.Request.decode(request));
  } catch (error) {
    throw error instanceof EdgePlugError ? error : noCommand("it can't be decoded", error);
  }
  if (!isSignable(command)) throw noCommand("locking is never signed");
  if (Buffer.compare(encodeCommand(command), request) !== 0) throw noCommand("it has more than a command");
  return command;
}

function commandOf(request: edgeplug.Request.$Properties): BoardCommand {
  if (request.confirm) return { kind: "confirm" };
  if (request.abort) return { kind: "abort" };
  if (request.rollback) return { kind: "rollback", allowDowngrade: request.rollback.allowDowngrade ?? false };
  if (request.clearSpent) return clearSpentOf(request.clearSpent);
  if (request.addKey) return addKeyOf(request.addKey);
  if (request.removeKey) return { kind: "removeKey", keyId: bytesOf(request.removeKey.keyId) };
  if (request.replaceKey) {
    const { keyId, publicKey } = request.replaceKey;
    return { kind: "replaceKey", keyId: bytesOf(keyId), publicKey: bytesOf(publicKey) };
  }
  if (request.lock) return { kind: "lock" };
  if (request.unlock) return { kind: "unlock" };
  if (request.allowDowngrade) {
    return { kind: "allowDowngrade", digest: bytesOf(request.allowDowngrade.digest) };
  }
  throw noCommand("it is another request");
}

function clearSpentOf({ digest }: edgeplug.ClearSpent.$Properties): BoardCommand {
  const all = digest === undefined || digest === null || digest.length === 0;
  return all ? { kind: "clearSpent" } : { kind: "clearSpent", digest: bytesOf(digest) };
}

function addKeyOf({ role, publicKey }: edgeplug.AddKey.$Properties): BoardCommand {
  if (role !== KEY_ROLE_PUBLISHER && role !== KEY_ROLE_OPERATOR) throw noCommand("it names no role");
  const name = role === KEY_ROLE_PUBLISHER ? "publisher" : "operator";
  return { kind: "addKey", role: name, publicKey: bytesOf(publicKey) };
}

function bytesOf(bytes: Uint8Array | null | undefined): Uint8Array {
  return Uint8Array.from(bytes ?? []);
}

function noCommand(why: string, cause?: unknown): EdgePlugError {
  return new EdgePlugError("BAD_REQUEST", `This is no command to a board: ${why}.`, { cause });
}

/** The bytes that an operator's key signs. `command` as a BoardCommand, or as encodeCommand() made it. */
export function commandMessage(
  boardId: Uint8Array,
  nonce: Uint8Array,
  command: SignableCommand | Uint8Array,
): Uint8Array {
  if (boardId.length !== BOARD_ID_SIZE)
    throw new TypeError(`expected a board id of ${BOARD_ID_SIZE} bytes, got ${boardId.length}`);
  if (nonce.length !== NONCE_SIZE)
    throw new TypeError(`expected a nonce of ${NONCE_SIZE} bytes, got ${nonce.length}`);
  const bytes = command instanceof Uint8Array ? command : encodeCommand(command);
  return Uint8Array.from(Buffer.concat([DOMAIN, boardId, nonce, bytes]));
}

/** Has a command signed by whoever can. Throws what the signer throws. */
export async function signCommand(
  signer: OperatorSigner,
  boardId: Uint8Array,
  nonce: Uint8Array,
  command: SignableCommand,
  signal?: AbortSignal,
): Promise<CommandSignature> {
  const message = commandMessage(boardId, nonce, command);
  if ("sign" in signer) return { keyId: signer.keyId, signature: await signer.sign(message, signal) };
  return signer.signCommand({ boardId, nonce, command, encoded: encodeCommand(command), message }, signal);
}

/** A command in words, for a question before it is signed and for a log. */
export function commandText(command: BoardCommand): string {
  switch (command.kind) {
    case "confirm":
      return "confirm the agent in its trial";
    case "abort":
      return "abort the update or trial";
    case "rollback":
      return `roll back to the other slot's agent${command.allowDowngrade ? ", also below the security version" : ""}`;
    case "clearSpent":
      return command.digest === undefined
        ? "take all packages off the spent list"
        : `take package ${hex(command.digest)} off the spent list`;
    case "addKey":
      return `add ${command.role} key ${idText(command.publicKey)}`;
    case "removeKey":
      return `remove key ${hex(command.keyId)}`;
    case "replaceKey":
      return `replace key ${hex(command.keyId)} by ${idText(command.publicKey)}`;
    case "lock":
      return "lock the board";
    case "unlock":
      return "unlock the board";
    case "allowDowngrade":
      return `allow package ${hex(command.digest)} although it is older`;
  }
}

function idText(publicKey: Uint8Array): string {
  return publicKey.length === 32 ? hex(keyId(publicKey)) : "of wrong size";
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
