/**
 * The part of a scripted board that asks for authority: keys, lock, nonces. It checks real signatures over the bytes that
 * link.md names, put together here by hand, and writes down what it carried out.
 */
import type { ResponseProperties } from "../../src/frames.js";
import { ERRORS } from "../../src/generated/errors.js";
import { edgeplug } from "../../src/generated/messages.js";
import type { Signer } from "../../src/session/board-session.js";
import { keyId, publicKeyOf, sign, verifySignature } from "../../src/signing.js";
import type { FakeBoard } from "./fake-board.js";

const { KEY_ROLE_OPERATOR, KEY_ROLE_PUBLISHER } = edgeplug.KeyRole;
const { UPDATE_PHASE_IDLE, UPDATE_PHASE_TRIAL } = edgeplug.UpdatePhase;
const { SLOT_STATE_CONFIRMED } = edgeplug.SlotState;
export const BOARD_ID = new Uint8Array(12).fill(7);

const secret = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
export const OPERATOR = publicKeyOf(secret(1));
export const PUBLISHER = publicKeyOf(secret(2));
export const NEWCOMER = publicKeyOf(secret(3));

/** The operator's signer, which counts what it signed. */
export class CountingSigner implements Signer {
  readonly publicKey: Uint8Array;
  readonly keyId: Uint8Array;
  readonly messages: Uint8Array[] = [];

  constructor(private readonly fill = 1) {
    this.publicKey = publicKeyOf(secret(fill));
    this.keyId = keyId(this.publicKey);
  }

  async sign(message: Uint8Array): Promise<Uint8Array> {
    this.messages.push(message);
    return sign(message, secret(this.fill));
  }
}

type Answer = ResponseProperties | undefined;
const refuse = (name: keyof typeof ERRORS): ResponseProperties => ({ error: ERRORS[name].code });
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

export class FakeAuthority {
  locked = true;
  keys = [
    { role: KEY_ROLE_OPERATOR, publicKey: OPERATOR },
    { role: KEY_ROLE_PUBLISHER, publicKey: PUBLISHER },
  ];
  spent: Uint8Array[] = [new Uint8Array(16).fill(9)];
  granted: Uint8Array | undefined;
  /** Bodies of the commands that were carried out, in order. */
  readonly done: string[] = [];
  private boots = 1;
  private asked = 0;
  /** Another one: another board has been put in its place. */
  boardId = BOARD_ID;
  private answered: { command: string; answer: ResponseProperties } | undefined;

  /** A reset: nonces and permissions are gone, what was carried out stays. */
  reset(board: FakeBoard): void {
    board.reset();
    this.boots++;
    this.asked = 0;
    this.granted = undefined;
  }

  /** Answers what is about authority; undefined leaves a request to the rest of the board. */
  answer(request: edgeplug.Request, board: FakeBoard): Answer {
    if (request.hello) {
      const { hello = {} } = board.answer(request);
      return { hello: { ...hello, locked: this.locked, boardId: this.boardId } };
    }
    if (request.status) return { status: { ...board.answer(request).status, locked: this.locked } };
    if (request.listKeys)
      return { keys: { keys: this.keys.map((key) => ({ role: key.role, keyId: keyId(key.publicKey) })) } };
    if (request.spent) return { spent: { digests: this.spent } };
    if (request.challenge) {
      this.asked++;
      this.answered = undefined;
      return { challenge: { nonce: this.nonce() } };
    }
    if (request.signedCommand) return this.signed(request.signedCommand, board);
    if (request.begin?.allowDowngrade === true && this.locked && this.granted === undefined)
      return refuse("LOCKED");
    return this.plain(request, board);
  }

  private nonce(): Uint8Array {
    const nonce = Buffer.alloc(8);
    nonce.writeUInt32LE(this.boots, 0);
    nonce.writeUInt32LE(this.asked, 4);
    return nonce;
  }

  private plain(request: edgeplug.Request, board: FakeBoard): Answer {
    const command = Object.keys(request).find((name) => COMMANDS.includes(name));
    if (command === undefined) return undefined;
    const free = command === "abort" && board.phase !== UPDATE_PHASE_TRIAL;
    return this.locked && !free ? refuse("LOCKED") : this.carryOut(request, board);
  }

  private signed(signed: edgeplug.SignedCommand.$Properties, board: FakeBoard): ResponseProperties {
    const { nonce, keyId: id, signature } = signed;
    const command = signed.command ?? new Uint8Array();
    if (this.asked === 0 || !same(nonce ?? new Uint8Array(), this.nonce())) return refuse("NONCE");
    const text = Buffer.from(command).toString("hex");
    if (this.answered !== undefined)
      return this.answered.command === text ? this.answered.answer : refuse("NONCE");
    const key = this.keys.find(({ publicKey }) => same(keyId(publicKey), id ?? new Uint8Array()));
    if (key === undefined) return refuse("KEY_UNKNOWN");
    if (key.role !== KEY_ROLE_OPERATOR) return refuse("KEY_ROLE");
    const message = Buffer.concat([Buffer.from("EdgePlug command v1\0"), BOARD_ID, this.nonce(), command]);
    if (!verifySignature(signature ?? new Uint8Array(), message, key.publicKey)) return refuse("SIGNATURE");
    const answer = this.carryOut(edgeplug.Request.decode(command), board);
    this.answered = { command: text, answer };
    return answer;
  }

  private carryOut(request: edgeplug.Request.$Properties, board: FakeBoard): ResponseProperties {
    this.done.push(Object.keys(request).find((name) => COMMANDS.includes(name)) ?? "none");
    const { keys } = this;
    if (request.confirm) {
      if (board.phase !== UPDATE_PHASE_TRIAL) return refuse("NOT_IN_TRIAL");
      board.phase = UPDATE_PHASE_IDLE;
      board.active.state = SLOT_STATE_CONFIRMED;
    } else if (request.abort) {
      if (board.phase === UPDATE_PHASE_IDLE) return refuse("NO_SESSION");
      board.phase = UPDATE_PHASE_IDLE;
    } else if (request.rollback) {
      if (board.active.swapNumber === 5) return refuse("NO_FALLBACK");
      board.active.swapNumber = 5;
    } else if (request.addKey) {
      keys.push({ role: request.addKey.role ?? 0, publicKey: request.addKey.publicKey ?? new Uint8Array() });
    } else if (request.removeKey ?? request.replaceKey) {
      const id = (request.removeKey ?? request.replaceKey)?.keyId ?? new Uint8Array();
      const old = keys.find(({ publicKey }) => same(keyId(publicKey), id));
      if (old === undefined) return refuse("KEY_UNKNOWN");
      if (request.replaceKey) old.publicKey = request.replaceKey.publicKey ?? new Uint8Array();
      else this.keys = keys.filter((key) => key !== old);
    } else if (request.clearSpent) {
      this.spent = [];
    } else if (request.lock) {
      this.locked = true;
    } else if (request.unlock) {
      this.locked = false;
    } else if (request.allowDowngrade) {
      this.granted = request.allowDowngrade.digest ?? undefined;
    }
    return {};
  }
}

const COMMANDS = [
  "confirm",
  "rollback",
  "abort",
  "clearSpent",
  "addKey",
  "removeKey",
  "replaceKey",
  "lock",
  "unlock",
  "allowDowngrade",
];
