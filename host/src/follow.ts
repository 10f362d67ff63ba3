/** Follows one board through resets, pulled cables and ports that come back under another name. */
import { setTimeout as delay } from "node:timers/promises";

import { linkSignals } from "./abort.js";
import { isSelector } from "./discovery/selector.js";
import { EdgePlugError, type ErrorName } from "./errors.js";
import { edgeplug } from "./generated/messages.js";
import type { BoardSession } from "./session/board-session.js";
import type { DeviceEvent, Hello, Status } from "./session/messages.js";

/** What a follower is told, in order. */
export type Followed =
  | { kind: "connected"; device: string; hello: Hello; status: Status }
  | {
      kind: "event";
      event: DeviceEvent;
      /** Of a trap, with `digests`: that of the agent's manifest, as slots have it. */
      digest?: Uint8Array | undefined;
    }
  /** The board was reset, and its own word of it got lost. */
  | { kind: "reset"; bootNumber: number }
  /** So many events didn't fit into the board's queue. */
  | { kind: "missed"; count: number }
  | { kind: "lost"; error: EdgePlugError }
  | {
      kind: "back";
      device: string;
      hello: Hello;
      status: Status;
      awayMs: number;
      /** It was reset in the meantime. */
      reset: boolean;
      /** Another board than before stands there now. */
      other: boolean;
    };

export interface FollowOptions {
  /** Opens a device by its name, as openDevice() does. */
  open: (device: string, signal: AbortSignal | undefined) => Promise<BoardSession>;
  signal?: AbortSignal | undefined;
  /** Ask the board which package a trap was of. Default: false. */
  digests?: boolean;
  /** Between two looks whether the board is still there, milliseconds. Default 2,000. */
  checkMs?: number;
  /** How long the first attempt to come back waits, milliseconds; each later one twice as long. Default 250. */
  firstRetryMs?: number;
  /** … but no longer than this. Default 4,000. */
  longestRetryMs?: number;
}

const { EVENT_KIND_BOOT, EVENT_KIND_TRAP } = edgeplug.EventKind;

const CHECK_MS = 2_000;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 4_000;
/** A board that answers no status for so long is away: an erase takes no longer. */
const SILENCE_MS = 3_000;

/** What passes by itself, or by somebody's hand at the cable. */
const PASSING: readonly ErrorName[] = [
  "PORT_NOT_FOUND",
  "PORT_PERMISSION", // udev gives it a moment after the port appears
  "PORT_BUSY",
  "PORT_LOST",
  "NO_BOARD",
  "TIMEOUT",
  "DEVICE_UNKNOWN",
  "GATEWAY_UNREACHABLE",
  "GATEWAY_STOPPING",
  "GATEWAY_LIMIT",
  "EMULATOR",
];

/**
 * Tells what happens on a board until the signal, and comes back to it as often as it is lost. Throws what the first
 * opening throws, and later what no waiting cures (PROTOCOL, GATEWAY_LOGIN …).
 */
export async function* followBoard(
  device: string,
  options: FollowOptions,
): AsyncGenerator<Followed, void, void> {
  const { signal } = options;
  let session = await options.open(device, signal);
  try {
    const path = new Path(device, session, options);
    let status = await session.status({ signal, timeoutMs: SILENCE_MS });
    yield { kind: "connected", device: session.device, hello: session.hello, status };
    while (!isAborted(signal)) {
      const error: EdgePlugError | undefined = yield* attend(session, status, options);
      if (error === undefined) return;
      await session.close();
      yield { kind: "lost", error };
      const since = performance.now();
      const before = session.hello;
      const back = await path.comeBack(signal);
      if (back === undefined) return;
      ({ session, status } = back);
      yield {
        kind: "back",
        ...comparison(before, session),
        status,
        awayMs: Math.round(performance.now() - since),
      };
    }
  } finally {
    await session.close(); // also if the reader leaves
  }
}

function comparison(
  before: Hello,
  { device, hello }: BoardSession,
): { device: string; hello: Hello; reset: boolean; other: boolean } {
  const other = Buffer.compare(before.boardId, hello.boardId) !== 0;
  return { device, hello, other, reset: !other && hello.bootNumber !== before.bootNumber };
}

async function statusOrClose(session: BoardSession, signal: AbortSignal | undefined): Promise<Status> {
  try {
    return await session.status({ signal, timeoutMs: SILENCE_MS });
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** One connection, until it breaks (then with the reason) or the signal ends it. */
async function* attend(
  session: BoardSession,
  status: Status,
  { signal, checkMs = CHECK_MS, digests = false }: FollowOptions,
): AsyncGenerator<Followed, EdgePlugError | undefined, void> {
  const { signal: ended, abort, unlink } = linkSignals([signal]);
  const inbox = new Inbox<Followed>();
  const listening = listen(session, inbox, ended, digests);
  const checking = check(session, status, inbox, { signal: ended, checkMs });
  try {
    return yield* inbox.items(ended);
  } finally {
    abort();
    unlink();
    await Promise.allSettled([listening, checking]);
  }
}

async function listen(
  session: BoardSession,
  inbox: Inbox<Followed>,
  signal: AbortSignal,
  digests: boolean,
): Promise<void> {
  const ofSwap = new Map<number, Uint8Array>();
  try {
    for await (const event of session.events(signal)) {
      if (digests && event.kind === EVENT_KIND_TRAP && !ofSwap.has(event.swapNumber))
        await learnDigests(session, signal, ofSwap);
      inbox.put({ kind: "event", event, digest: ofSwap.get(event.swapNumber) });
      // Which boot this is has to be known before the line is lost: later nobody could tell whether there was another.
      if (event.kind === EVENT_KIND_BOOT)
        void session.refresh({ signal, timeoutMs: SILENCE_MS }).catch(() => undefined);
    }
    if (!signal.aborted) inbox.end(new EdgePlugError("PORT_LOST", `${session.device} has been closed.`));
  } catch (error) {
    inbox.end(EdgePlugError.from(error));
  }
}

/** A slot keeps its swap number after a rollback too. What can't be learnt is no reason to lose an event. */
async function learnDigests(
  session: BoardSession,
  signal: AbortSignal,
  ofSwap: Map<number, Uint8Array>,
): Promise<void> {
  const slots = await session.slots({ signal, timeoutMs: SILENCE_MS }).catch(() => []);
  for (const { swapNumber, digest } of slots) if (digest.length > 0) ofSwap.set(swapNumber, digest);
}

interface CheckOptions {
  signal: AbortSignal;
  checkMs: number;
}

/** A line can be open with nobody at its other end, and events get lost: the board's counters tell. */
async function check(
  session: BoardSession,
  first: Status,
  inbox: Inbox<Followed>,
  { signal, checkMs }: CheckOptions,
): Promise<void> {
  let known = first;
  try {
    for (;;) {
      await delay(checkMs, undefined, { signal });
      const now = await session.status({ signal, timeoutMs: SILENCE_MS });
      const rebooted = now.bootNumber !== known.bootNumber;
      if (rebooted) await session.refresh({ signal, timeoutMs: SILENCE_MS });
      if (rebooted && !inbox.takeBoot()) inbox.put({ kind: "reset", bootNumber: now.bootNumber });
      const missed = now.counters.eventsLost - (rebooted ? 0 : known.counters.eventsLost);
      if (missed > 0) inbox.put({ kind: "missed", count: missed });
      known = now;
    }
  } catch (error) {
    if (!signal.aborted) inbox.end(EdgePlugError.from(error));
  }
}

/** Asked anew each time: it changes while others work. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** What has come in and not been told yet. */
class Inbox<T extends Followed> {
  private readonly kept: T[] = [];
  private error: EdgePlugError | undefined;
  private wake: () => void = () => undefined;
  private booted = false;

  put(item: T): void {
    if (item.kind === "event" && item.event.kind === EVENT_KIND_BOOT) this.booted = true;
    this.kept.push(item);
    this.wake();
  }

  /** Whether a boot was told since this was asked last. */
  takeBoot(): boolean {
    const { booted } = this;
    this.booted = false;
    return booted;
  }

  end(error: EdgePlugError): void {
    this.error ??= error;
    this.wake();
  }

  async *items(signal: AbortSignal): AsyncGenerator<T, EdgePlugError | undefined, void> {
    const poke = (): void => this.wake();
    signal.addEventListener("abort", poke);
    try {
      while (!signal.aborted) {
        const item = this.kept.shift();
        if (item !== undefined) yield item;
        else if (this.error !== undefined) return this.error;
        else await new Promise<void>((resolve) => (this.wake = resolve));
      }
      return undefined;
    } finally {
      signal.removeEventListener("abort", poke);
    }
  }
}

/** The way back to a board: by the name that the user gave, or by its identity where that name was a choice or is gone. */
class Path {
  private readonly byId: string;
  private readonly chosen: boolean;

  constructor(
    private readonly device: string,
    session: BoardSession,
    private readonly options: FollowOptions,
  ) {
    this.byId = `id:${Buffer.from(session.hello.boardId).toString("hex")}`;
    this.chosen = isSelector(device);
  }

  /** Tries until it works; undefined if the signal came first. */
  async comeBack(
    signal: AbortSignal | undefined,
  ): Promise<{ session: BoardSession; status: Status } | undefined> {
    const { firstRetryMs = FIRST_RETRY_MS, longestRetryMs = LONGEST_RETRY_MS } = this.options;
    for (let wait = firstRetryMs; ; wait = Math.min(2 * wait, longestRetryMs)) {
      await delay(wait, undefined, { signal }).catch(() => undefined);
      if (isAborted(signal)) return undefined;
      try {
        const session = await this.open(signal);
        return { session, status: await statusOrClose(session, signal) };
      } catch (error) {
        if (isAborted(signal)) return undefined;
        if (!PASSING.includes(EdgePlugError.from(error).code)) throw error;
      }
    }
  }

  private async open(signal: AbortSignal | undefined): Promise<BoardSession> {
    if (this.chosen) return this.options.open(this.byId, signal);
    try {
      return await this.options.open(this.device, signal);
    } catch (error) {
      // A replugged USB port may come back under another number.
      if (EdgePlugError.from(error).code !== "PORT_NOT_FOUND") throw error;
      return this.options.open(this.byId, signal);
    }
  }
}
