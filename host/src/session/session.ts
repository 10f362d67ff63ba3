/** A conversation with one board: who it is, what runs, and every request of the link as a method. */
import { EdgePlugError } from "../errors.js";
import type { Transport } from "../transports/transport.js";
import type {
  BoardCommand,
  BoardSession,
  CommandOptions,
  HistoryOptions,
  KeyRoleName,
  SessionPushOptions,
} from "./board-session.js";
import { Connection, interrupted, type LineCounters, type RequestOptions } from "./connection.js";
import { askChallenge, carryOut, sendSigned, type SignedCommand } from "./execute.js";
import {
  toCallReply,
  toHello,
  toHistory,
  toKeys,
  toSlotInfo,
  toSpent,
  toStatus,
  type CallReply,
  type DeviceEvent,
  type Hello,
  type HistoryEntry,
  type KeyInfo,
  type SlotInfo,
  type Status,
} from "./messages.js";
import { pushPackage, type Deliverable, type PushResult, type PushStep } from "./push.js";
import { saveRunning, type SavedPackage } from "./save.js";

export const PROTOCOL = 1;

export interface ConnectOptions {
  signal?: AbortSignal | undefined;
  /** How long to look for a board, milliseconds. Default 5,000: one that has just been reset needs a while. */
  timeoutMs?: number | undefined;
  /** Id of the first request, 1 or more. Default: random. For runs that have to repeat to the byte. */
  firstRequestId?: number | undefined;
}

export interface RollbackOptions extends CommandOptions {
  /** Also to a package below the board's security version. */
  allowDowngrade?: boolean | undefined;
}

const CONNECT_TIMEOUT_MS = 5_000;
const HELLO_ATTEMPT_MS = 300;
const SLOT_COUNT = 2;

export class DeviceSession implements BoardSession {
  private constructor(
    readonly connection: Connection,
    private current: Hello,
  ) {}

  /** Finds the board at the other end. Throws NO_BOARD, PROTOCOL, PORT_LOST or INTERRUPTED. */
  static async connect(transport: Transport, options: ConnectOptions = {}): Promise<DeviceSession> {
    const connection = new Connection(transport, options.firstRequestId);
    const timeoutMs = options.timeoutMs ?? CONNECT_TIMEOUT_MS;
    try {
      const { response } = await connection.request(
        { hello: {} },
        { timeoutMs, attemptMs: HELLO_ATTEMPT_MS, signal: options.signal },
      );
      const hello = toHello(response.hello ?? {});
      if (hello.protocol !== PROTOCOL) {
        throw new EdgePlugError(
          "PROTOCOL",
          `The board (runtime ${hello.runtimeVersion || "unknown"}) speaks protocol ${hello.protocol}, this tool ${PROTOCOL}.`,
        );
      }
      connection.setLimits(hello.maxFrame, hello.window);
      return new DeviceSession(connection, hello);
    } catch (error) {
      throw noBoard(error, connection, timeoutMs);
    }
  }

  /** What the board said of itself when the session began, or after its last reset. */
  get hello(): Hello {
    return this.current;
  }

  /** The port as it was opened. */
  get device(): string {
    return this.connection.transport.name;
  }

  get line(): LineCounters {
    return this.connection.counters;
  }

  now(): number {
    return this.connection.transport.clock.now();
  }

  /** Asks again who is there: after a reset the boot number differs. */
  async refresh(options: RequestOptions = {}): Promise<Hello> {
    const { response } = await this.connection.request(
      { hello: {} },
      { attemptMs: HELLO_ATTEMPT_MS, ...options },
    );
    this.current = toHello(response.hello ?? {});
    this.connection.setLimits(this.current.maxFrame, this.current.window);
    return this.current;
  }

  async status(options?: RequestOptions): Promise<Status> {
    const { response } = await this.connection.request({ status: {} }, options);
    const status = toStatus(response.status ?? {});
    if (status.locked !== this.current.locked) this.current = { ...this.current, locked: status.locked };
    return status;
  }

  async slot(slot: number, options?: RequestOptions): Promise<SlotInfo> {
    const { response } = await this.connection.request({ slot: { slot } }, options);
    return toSlotInfo(response.slot ?? {});
  }

  /** Slot A, then slot B. */
  async slots(options?: RequestOptions): Promise<SlotInfo[]> {
    const slots: SlotInfo[] = [];
    for (let slot = 0; slot < SLOT_COUNT; slot++) slots.push(await this.slot(slot, options));
    return slots;
  }

  /** The journal's entries, newest first. */
  async history(options: HistoryOptions = {}): Promise<HistoryEntry[]> {
    const limit = options.limit ?? Infinity;
    const entries: HistoryEntry[] = [];
    let before = 0;
    while (entries.length < limit) {
      const { response } = await this.connection.request({ history: { before } }, options);
      const page = toHistory(response.history ?? {}).filter(
        (entry) => before === 0 || entry.sequence < before,
      );
      if (page.length === 0) break;
      entries.push(...page);
      before = Math.min(...page.map((entry) => entry.sequence));
      if (before === 0) break;
    }
    return entries.slice(0, limit);
  }

  /** Digests of the packages that this board refuses for ever, newest first. */
  async spent(options?: RequestOptions): Promise<Uint8Array[]> {
    const { response } = await this.connection.request({ spent: {} }, options);
    return toSpent(response.spent ?? {});
  }

  /** Hands bytes to the active request agent. A lost answer makes the request be sent again. */
  async call(data: Uint8Array, options?: RequestOptions): Promise<CallReply> {
    const { response } = await this.connection.request({ call: { data } }, { attemptMs: 1_000, ...options });
    return toCallReply(response.call ?? {});
  }

  async listKeys(options?: RequestOptions): Promise<KeyInfo[]> {
    const { response } = await this.connection.request({ listKeys: {} }, options);
    return toKeys(response.keys ?? {});
  }

  async execute(command: BoardCommand, options: CommandOptions = {}): Promise<Status> {
    await carryOut(this, command, options);
    return this.status({ signal: options.signal, timeoutMs: options.timeoutMs });
  }

  /** A nonce for one command; the one before it is void from now on. */
  challenge(options?: RequestOptions): Promise<Uint8Array> {
    return askChallenge(this, options);
  }

  /**
   * Passes on a command that was signed elsewhere, and answers with the status afterwards. Repeats what got lost.
   * Throws NONCE only if the board has not carried it out: then it may be signed anew for another challenge.
   */
  async sendSigned(signed: SignedCommand, options: RequestOptions = {}): Promise<Status> {
    await sendSigned(this, signed, options);
    return this.status(options);
  }

  /** Goes back to the other slot's agent. */
  rollback(options: RollbackOptions = {}): Promise<Status> {
    return this.execute({ kind: "rollback", allowDowngrade: options.allowDowngrade ?? false }, options);
  }

  /** Ends a staging or a trial. Throws NO_SESSION if neither is under way. */
  abort(options?: CommandOptions): Promise<Status> {
    return this.execute({ kind: "abort" }, options);
  }

  confirm(options?: CommandOptions): Promise<Status> {
    return this.execute({ kind: "confirm" }, options);
  }

  /** Without a digest, the whole list is cleared. */
  clearSpent(digest?: Uint8Array, options?: CommandOptions): Promise<Status> {
    return this.execute({ kind: "clearSpent", ...(digest === undefined ? {} : { digest }) }, options);
  }

  addKey(role: KeyRoleName, publicKey: Uint8Array, options?: CommandOptions): Promise<Status> {
    return this.execute({ kind: "addKey", role, publicKey }, options);
  }

  /** From now on only signed packages and commands. */
  lock(options?: RequestOptions): Promise<Status> {
    return this.execute({ kind: "lock" }, options);
  }

  /** Raw bytes of a slot: payload, then record. */
  async readSlot(slot: number, offset: number, size: number, options?: RequestOptions): Promise<Uint8Array> {
    const bytes = new Uint8Array(size);
    const step = Math.max(1, this.hello.maxChunk);
    for (let at = 0; at < size; at += step) {
      const part = Math.min(step, size - at);
      const body = { readSlot: { slot, offset: offset + at, size: part } };
      const { response } = await this.connection.request(body, options);
      const data = response.readSlot?.data ?? new Uint8Array();
      if (data.length !== part || (response.readSlot?.offset ?? 0) !== offset + at) {
        throw new EdgePlugError(
          "PROTOCOL",
          `The board answered ${data.length} of ${part} bytes of slot ${slot}.`,
        );
      }
      bytes.set(data, at);
    }
    return bytes;
  }

  /** The running package, byte for byte as it was pushed. */
  save(options?: RequestOptions): Promise<SavedPackage> {
    return saveRunning(this, options);
  }

  /**
   * Puts a package on the board, makes it run and waits out its trial. Yields each step; returns only when the
   * new agent has stayed, else throws (ROLLED_BACK, REJECTED, TIMEOUT, what the board refused it for …).
   */
  push(pkg: Deliverable, options?: SessionPushOptions): AsyncGenerator<PushStep, PushResult, void> {
    return pushPackage(this, pkg, options);
  }

  events(signal?: AbortSignal): AsyncGenerator<DeviceEvent, void, void> {
    return this.connection.events(signal);
  }

  async close(): Promise<void> {
    await this.connection.close();
  }
}

/** Says what a silent or babbling port looks like. */
function noBoard(error: unknown, connection: Connection, timeoutMs: number): EdgePlugError {
  const known = EdgePlugError.from(error);
  if (known.code !== "TIMEOUT") return known;
  const { name, baud } = connection.transport;
  const { bytesReceived, framesReceived } = connection.counters;
  const seconds = (timeoutMs / 1000).toFixed(timeoutMs % 1000 === 0 ? 0 : 1);
  if (bytesReceived === 0) {
    return new EdgePlugError("NO_BOARD", `Nothing answers on ${name} within ${seconds} s.`, { cause: error });
  }
  if (framesReceived > 0) {
    return new EdgePlugError(
      "NO_BOARD",
      `The board on ${name} sends, but answers nothing within ${seconds} s.`,
      {
        cause: error,
        action: "Its receive line may be cut: check the cable, then its power.",
      },
    );
  }
  return new EdgePlugError(
    "NO_BOARD",
    `${name} sends bytes (${bytesReceived} in ${seconds} s), but nothing that an EdgePlug board would send at ${baud} baud.`,
    { cause: error, action: "Check --baud, and that this is the port of an EdgePlug board." },
  );
}

export { interrupted };
