/**
 * Carrying commands out, exactly once each whatever the line does. A plain request whose answer got lost may have done
 * its work already; a signed one is safe to repeat while its nonce holds, but not after a reset. In both cases the
 * board itself is asked how it stands.
 */
import { EdgePlugError } from "../errors.js";
import { edgeplug } from "../generated/messages.js";
import { keyId } from "../signing.js";
import type {
  BoardCommand,
  CommandOptions,
  CommandSignature,
  KeyRoleName,
  OperatorSigner,
  SignableCommand,
} from "./board-session.js";
import {
  commandRequest,
  decodeCommand,
  encodeCommand,
  isSignable,
  NONCE_SIZE,
  signCommand,
} from "./commands.js";
import type { RequestOptions } from "./connection.js";
import { keyRoleName, type Hello, type KeyInfo, type Status } from "./messages.js";
import { requireSameBoard } from "./mismatch.js";
import type { DeviceSession } from "./session.js";

/** A command with its signature, as it goes to the board. */
export interface SignedCommand extends CommandSignature {
  /** As encodeCommand() made it. */
  command: Uint8Array;
  /** 8 bytes, of the board's last challenge. */
  nonce: Uint8Array;
}

/** What signing needs of a session, be it on a line or over a gateway. */
export interface CommandTarget {
  readonly hello: Hello;
  challenge(options?: RequestOptions): Promise<Uint8Array>;
  sendSigned(signed: SignedCommand, options?: RequestOptions): Promise<Status>;
}

/** A key's place is a flash write, a rollback copies a slot: the board answers when that is done. */
const COMMAND_ATTEMPT_MS = 1_500;
/** A nonce that a reset made void is replaced once. */
const SIGNATURES_AT_MOST = 2;
const CHALLENGES_AT_MOST = 4;
const { UpdatePhase, SlotState } = edgeplug;

/** As BoardSession.execute(), without the status afterwards. */
export async function carryOut(
  session: DeviceSession,
  command: BoardCommand,
  options: CommandOptions = {},
): Promise<void> {
  const { signer, ...request } = options;
  const signs = signer !== undefined && isSignable(command);
  const { boardId } = session.hello;
  // A staging may be aborted by anybody, a trial only by an operator: the board knows which of them it has.
  if (!signs || !session.hello.locked || command.kind === "abort") {
    try {
      return await sendPlain(session, command, request);
    } catch (error) {
      if (!signs || EdgePlugError.from(error).code !== "LOCKED") throw error;
      requireSameBoard(boardId, await session.refresh(request));
    }
  }
  await executeSigned(session, command, signer, request);
}

/**
 * Asks for a challenge, has the command signed and sends it; once more if the nonce became void before the board did
 * it. Throws what signer and board throw.
 */
export async function executeSigned(
  target: CommandTarget,
  command: SignableCommand,
  signer: OperatorSigner,
  options: RequestOptions = {},
): Promise<Status> {
  const { boardId } = target.hello;
  for (let count = 1; ; count++) {
    const nonce = await target.challenge(options);
    requireSameBoard(boardId, target.hello); // it may have been asked anew since
    const signed = await signCommand(signer, boardId, nonce, command, options.signal);
    try {
      return await target.sendSigned({ command: encodeCommand(command), nonce, ...signed }, options);
    } catch (error) {
      if (EdgePlugError.from(error).code !== "NONCE" || count >= SIGNATURES_AT_MOST) throw error;
    }
  }
}

async function sendPlain(
  session: DeviceSession,
  command: BoardCommand,
  options: RequestOptions,
): Promise<void> {
  const before = await look(session, command, options);
  const { response, attempts } = await session.connection.ask(commandRequest(command), {
    attemptMs: COMMAND_ATTEMPT_MS,
    ...options,
  });
  if (response.error === 0) return;
  // Of a request that was repeated the first copy may have done the work, and the second found none left.
  if (attempts > 1 && isDone(command, before, await look(session, command, options))) return;
  throw explain(EdgePlugError.fromBoard(response.error, response.detail, response.message), command);
}

/** A nonce for one command. */
export async function askChallenge(
  session: DeviceSession,
  options: RequestOptions = {},
): Promise<Uint8Array> {
  for (let count = 1; ; count++) {
    const { response, attempts } = await session.connection.request({ challenge: {} }, options);
    // The copies of a repeated request each make a nonce and void the one before, and they may still be under way.
    if (attempts > 1 && count < CHALLENGES_AT_MOST) continue;
    const nonce = Uint8Array.from(response.challenge?.nonce ?? []);
    if (nonce.length === NONCE_SIZE) return nonce;
    throw new EdgePlugError("PROTOCOL", `The board's nonce has ${nonce.length} bytes, not ${NONCE_SIZE}.`);
  }
}

/**
 * Sends a signed command. Throws NONCE only if the board has not carried it out, so that it may be signed anew, and
 * BAD_REQUEST if it is no command at all.
 */
export async function sendSigned(
  session: DeviceSession,
  signed: SignedCommand,
  options: RequestOptions = {},
): Promise<void> {
  const command = decodeCommand(signed.command);
  const before = await look(session, command, options);
  const { response, attempts } = await session.connection.ask(
    { signedCommand: { ...signed } },
    { attemptMs: COMMAND_ATTEMPT_MS, ...options },
  );
  if (response.error === 0) return;
  const error = EdgePlugError.fromBoard(response.error, response.detail, response.message);
  if (error.code === "NONCE") {
    await session.refresh(options);
    // A reset between two copies leaves open what became of the first.
    if (attempts > 1 && isDone(command, before, await look(session, command, options))) return;
    throw error;
  }
  if (error.code !== "KEY_UNKNOWN") throw explain(error, command, signed.keyId);
  const keys = await session.listKeys(options);
  throw explain(error, command, hasKey(keys, signed.keyId) ? undefined : signed.keyId);
}

/** As much of the board's state as shows what a command did. */
interface Sight {
  status: Status;
  keys: KeyInfo[];
  spent: Uint8Array[];
}

async function look(session: DeviceSession, command: BoardCommand, options: RequestOptions): Promise<Sight> {
  const { kind } = command;
  const aboutKeys = kind === "addKey" || kind === "removeKey" || kind === "replaceKey";
  return {
    status: await session.status(options),
    keys: aboutKeys ? await session.listKeys(options) : [],
    spent: kind === "clearSpent" ? await session.spent(options) : [],
  };
}

/** Whether the command has been carried out between two looks at the board. */
function isDone(command: BoardCommand, before: Sight, now: Sight): boolean {
  switch (command.kind) {
    case "confirm":
      return inTrial(before) && !inTrial(now) && sameAgent(before, now) && isConfirmed(now);
    case "abort":
      return !isIdle(before) && isIdle(now);
    case "rollback":
      return !sameAgent(before, now);
    case "clearSpent":
      return isCleared(command.digest, now.spent) && !isCleared(command.digest, before.spent);
    case "addKey": {
      const added = (sight: Sight): boolean => hasKey(sight.keys, keyId(command.publicKey), command.role);
      return added(now) && !added(before);
    }
    case "removeKey":
      return hasKey(before.keys, command.keyId) && !hasKey(now.keys, command.keyId);
    case "replaceKey": {
      const { keyId: old, publicKey } = command;
      return hasKey(before.keys, old) && !hasKey(now.keys, old) && hasKey(now.keys, keyId(publicKey));
    }
    case "lock":
      return !before.status.locked && now.status.locked;
    case "unlock":
      return before.status.locked && !now.status.locked;
    case "allowDowngrade":
      return false; // nothing shows it, and giving it twice does no harm
  }
}

function inTrial({ status }: Sight): boolean {
  return status.phase === UpdatePhase.UPDATE_PHASE_TRIAL;
}

function isIdle({ status }: Sight): boolean {
  return status.phase === UpdatePhase.UPDATE_PHASE_IDLE;
}

function isConfirmed({ status }: Sight): boolean {
  return status.active?.state === SlotState.SLOT_STATE_CONFIRMED;
}

function sameAgent(before: Sight, now: Sight): boolean {
  return before.status.active?.swapNumber === now.status.active?.swapNumber;
}

function isCleared(digest: Uint8Array | undefined, spent: readonly Uint8Array[]): boolean {
  return digest === undefined ? spent.length === 0 : !spent.some((one) => Buffer.compare(one, digest) === 0);
}

function hasKey(keys: readonly KeyInfo[], id: Uint8Array, role?: KeyRoleName): boolean {
  return keys.some(
    (key) => Buffer.compare(key.keyId, id) === 0 && (role === undefined || keyRoleName(key.role) === role),
  );
}

/** The list's words are about packages; here they have to be about commands. */
function explain(error: EdgePlugError, command: BoardCommand, signer?: Uint8Array): EdgePlugError {
  const { detail } = error;
  if (error.code === "SIGNATURE") {
    return new EdgePlugError("SIGNATURE", "The signature does not hold over the command.", {
      detail,
      action:
        "Check that the private key belongs to the public one, and that the signer signs the bytes as they are.",
    });
  }
  if (error.code === "KEY_UNKNOWN" && signer !== undefined) {
    return new EdgePlugError(
      "KEY_UNKNOWN",
      `The board has no key ${hex(signer)}, which signed the command.`,
      {
        detail,
        action: "Sign with an operator's key that `edgeplug board keys list` shows.",
      },
    );
  }
  if (error.code === "KEY_UNKNOWN" && "keyId" in command) {
    return new EdgePlugError("KEY_UNKNOWN", `The board has no key ${hex(command.keyId)}.`, {
      detail,
      action: "See which it has: `edgeplug board keys list`.",
    });
  }
  return error;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
