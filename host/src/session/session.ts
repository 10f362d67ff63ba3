/** A conversation with one board: who it is, what runs, and every request of the link as a method. */
import { EdgePlugError } from "../errors.js";
import { edgeplug } from "../generated/messages.js";
import type { Transport } from "../transports/transport.js";
import { Connection, interrupted, type LineCounters, type RequestOptions } from "./connection.js";
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
import { pushPackage, type Deliverable, type PushOptions, type PushResult, type PushStep } from "./push.js";
import { saveRunning, type SavedPackage } from "./save.js";

export const PROTOCOL = 1;

export interface ConnectOptions {
  signal?: AbortSignal | undefined;
  /** How long to look for a board, milliseconds. Default 5,000: one that has just been reset needs a while. */
  timeoutMs?: number | undefined;
  /** Id of the first request, 1 or more. Default: random. For runs that have to repeat to the byte. */
  firstRequestId?: number | undefined;
}

export interface RollbackOptions extends RequestOptions {
  /** Also to a package below the board's security version. */
  allowDowngrade?: boolean | undefined;
}

export interface HistoryOptions extends RequestOptions {
  /** Stop after so many entries. Default: all that the journal still holds. */
  limit?: number | undefined;
}

const CONNECT_TIMEOUT_MS = 5_000;
const HELLO_ATTEMPT_MS = 300;
/** The board checks and copies a slot before it switches. */
const SWITCH_ATTEMPT_MS = 1_500;
const SLOT_COUNT = 2;

export class DeviceSession {
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

  get line(): LineCounters {
    return this.connection.counters;
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
    return toStatus(response.status ?? {});
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

  /** Without a digest, the whole list is cleared. */
  async clearSpent(digest: Uint8Array = new Uint8Array(), options?: RequestOptions): Promise<void> {
    await this.connection.request({ clearSpent: { digest } }, options);
  }

  /** Hands bytes to the active request agent. A lost answer makes the request be sent again. */
  async call(data: Uint8Array, options?: RequestOptions): Promise<CallReply> {
    const { response } = await this.connection.request({ call: { data } }, { attemptMs: 1_000, ...options });
    return toCallReply(response.call ?? {});
  }

  /** Goes back to the other slot's agent; resolves with the status once it runs. */
  async rollback(options: RollbackOptions = {}): Promise<Status> {
    const before = await this.status(options);
    const body = { rollback: { allowDowngrade: options.allowDowngrade ?? false } };
    const { response, attempts } = await this.connection.ask(body, {
      attemptMs: SWITCH_ATTEMPT_MS,
      ...options,
    });
    const after = await this.status(options);
    // Of a request that was repeated the first copy may have done the work, and the second found none left.
    const left = after.active?.swapNumber !== before.active?.swapNumber;
    if (response.error !== 0 && !(attempts > 1 && left)) {
      throw EdgePlugError.fromBoard(response.error, response.detail, response.message);
    }
    return after;
  }

  /** Ends a staging or a trial. Throws NO_SESSION if neither is under way. */
  async abort(options?: RequestOptions): Promise<void> {
    const { response, attempts } = await this.connection.ask(
      { abort: {} },
      { attemptMs: SWITCH_ATTEMPT_MS, ...options },
    );
    const error = EdgePlugError.fromBoard(response.error, response.detail, response.message);
    if (response.error !== 0 && !(attempts > 1 && error.code === "NO_SESSION")) throw error;
  }

  async confirm(options?: RequestOptions): Promise<void> {
    await this.connection.request({ confirm: {} }, { attemptMs: SWITCH_ATTEMPT_MS, ...options });
  }

  async addKey(
    role: "publisher" | "operator",
    publicKey: Uint8Array,
    options?: RequestOptions,
  ): Promise<void> {
    const roles = edgeplug.KeyRole;
    const number = role === "publisher" ? roles.KEY_ROLE_PUBLISHER : roles.KEY_ROLE_OPERATOR;
    await this.connection.request(
      { addKey: { role: number, publicKey } },
      { attemptMs: SWITCH_ATTEMPT_MS, ...options },
    );
  }

  async listKeys(options?: RequestOptions): Promise<KeyInfo[]> {
    const { response } = await this.connection.request({ listKeys: {} }, options);
    return toKeys(response.keys ?? {});
  }

  /** From now on only signed packages and commands. */
  async lock(options?: RequestOptions): Promise<void> {
    await this.connection.request({ lock: {} }, { attemptMs: SWITCH_ATTEMPT_MS, ...options });
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
  push(pkg: Deliverable, options?: PushOptions): AsyncGenerator<PushStep, PushResult, void> {
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
