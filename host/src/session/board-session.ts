/** What a tool can ask of one board, wherever it is: on a port of this machine, or behind a gateway. */
import type { Signer } from "../signer/signer.js";
import type { LineCounters, RequestOptions } from "./connection.js";
import type { CallReply, DeviceEvent, Hello, HistoryEntry, KeyInfo, SlotInfo, Status } from "./messages.js";
import type { Deliverable, PushOptions, PushResult, PushStep } from "./push.js";
import type { SavedPackage } from "./save.js";

export type { Signer };

export type KeyRoleName = "publisher" | "operator";

/** Something that changes a board's state; a locked board takes it from an operator only. */
export type BoardCommand =
  | { kind: "confirm" }
  | { kind: "abort" }
  /** `allowDowngrade`: also to an agent below the board's security version. */
  | { kind: "rollback"; allowDowngrade: boolean }
  /** Without a digest (16 bytes), the whole list. */
  | { kind: "clearSpent"; digest?: Uint8Array }
  | { kind: "addKey"; role: KeyRoleName; publicKey: Uint8Array }
  | { kind: "removeKey"; keyId: Uint8Array }
  | { kind: "replaceKey"; keyId: Uint8Array; publicKey: Uint8Array }
  | { kind: "lock" }
  | { kind: "unlock" }
  /** `digest`: first 16 bytes of SHA-512 of the manifest that may be below release or security version. */
  | { kind: "allowDowngrade"; digest: Uint8Array };

/** A command that an operator's key can sign. */
export type SignableCommand = Exclude<BoardCommand, { kind: "lock" }>;

/** One signature that a locked board waits for. */
export interface WantedSignature {
  /** 12 bytes. */
  readonly boardId: Uint8Array;
  /** 8 bytes, good until the board's next challenge or reset. */
  readonly nonce: Uint8Array;
  readonly command: SignableCommand;
  /** `command` as the board gets it: SignedCommand.command. */
  readonly encoded: Uint8Array;
  /** What is signed: all of the above, as commandMessage() puts it together. */
  readonly message: Uint8Array;
}

export interface CommandSignature {
  /** 8 bytes: the operator's key that was used. */
  keyId: Uint8Array;
  /** 64 bytes. */
  signature: Uint8Array;
}

/**
 * Signs commands by a key that isn't known beforehand: somebody else's, who is shown what is to be signed. It may take
 * minutes; a board in a trial doesn't wait for it, nor does a command's nonce outlive a reset, so the same command may
 * be asked for a second time with a new nonce.
 */
export interface RemoteSigner {
  /** Throws SIGNER, PASSPHRASE, KEY_FILE, LOCKED (nobody signs); INTERRUPTED once the signal is aborted. */
  signCommand(wanted: WantedSignature, signal?: AbortSignal): Promise<CommandSignature>;
}

export type OperatorSigner = Signer | RemoteSigner;

export interface CommandOptions extends RequestOptions {
  /** An operator's key, used only if the board is locked. */
  signer?: OperatorSigner | undefined;
}

export interface SessionPushOptions extends PushOptions {
  /** An operator's key for what a locked board wants signed: a downgrade, the confirmation of a trial. */
  signer?: OperatorSigner | undefined;
}

export interface HistoryOptions extends RequestOptions {
  /** Stop after so many entries. Default: all that the journal still holds. */
  limit?: number | undefined;
}

export interface BoardSession {
  /** The device as the user named it. */
  readonly device: string;
  /** What the board said of itself when the session began, or after its last reset. */
  readonly hello: Hello;
  /** What went over the serial line, as far as this side knows. */
  readonly line: LineCounters;
  /** Milliseconds by the session's clock, for rates. */
  now(): number;
  refresh(options?: RequestOptions): Promise<Hello>;
  status(options?: RequestOptions): Promise<Status>;
  /** Slot A, then slot B. */
  slots(options?: RequestOptions): Promise<SlotInfo[]>;
  /** Newest first. */
  history(options?: HistoryOptions): Promise<HistoryEntry[]>;
  /** Digests of the packages that this board refuses, newest first. */
  spent(options?: RequestOptions): Promise<Uint8Array[]>;
  listKeys(options?: RequestOptions): Promise<KeyInfo[]>;
  call(data: Uint8Array, options?: RequestOptions): Promise<CallReply>;
  /** The running package, byte for byte as it was pushed. */
  save(options?: RequestOptions): Promise<SavedPackage>;
  /**
   * Carries a command out, signed if the board is locked, and answers with the status afterwards. Throws LOCKED if
   * it is locked and there is no signer.
   */
  execute(command: BoardCommand, options?: CommandOptions): Promise<Status>;
  /**
   * Puts a package on the board, makes it run and waits out its trial. Yields each step; returns only when the new
   * agent has stayed, else throws (ROLLED_BACK, REJECTED, TIMEOUT, what the board refused it for …).
   */
  push(pkg: Deliverable, options?: SessionPushOptions): AsyncGenerator<PushStep, PushResult, void>;
  /** Events as they come, until the signal; throws when the line is lost. */
  events(signal?: AbortSignal): AsyncGenerator<DeviceEvent, void, void>;
  close(): Promise<void>;
}
