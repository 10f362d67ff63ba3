/** The board that dev works on: the way to it, which comes and goes, and what runs on it. */
import { linkSignals } from "../abort.js";
import { EdgePlugError } from "../errors.js";
import { followBoard, type Followed } from "../follow.js";
import { pause } from "../pause.js";
import type { BoardSession } from "../session/board-session.js";
import type { Hello, Status } from "../session/messages.js";
import type { Running } from "./events.js";

export interface FollowedBoardOptions {
  device: string;
  open: (device: string, signal: AbortSignal | undefined) => Promise<BoardSession>;
  /** Whether packages are signed, as a locked board wants them. */
  signs: boolean;
}

export interface FollowedBoardListener {
  /** For the first time. */
  connected(device: string, hello: Hello, status: Status): void;
  followed(followed: Followed): void;
  /** Each time that it was asked. */
  runs(running: Running): void;
}

/** How long a way that is known to be gone is waited for, before it is tried all the same. */
const AWAY_MS = 10_000;
const STATUS_MS = 2_000;

export class FollowedBoard {
  /** The way to it; undefined while there is none. */
  session: BoardSession | undefined;
  /** Why the board that was there is not; undefined before it was there for the first time. */
  away: EdgePlugError | undefined;
  running: Running;
  private readonly waiting = new Set<() => void>();
  private boardId: Uint8Array | undefined;

  constructor(
    private readonly options: FollowedBoardOptions,
    private readonly listener: FollowedBoardListener,
  ) {}

  /**
   * Until the signal. Throws what the first opening throws, UNSIGNED for a locked board without a key, and PORT_LOST if
   * another board comes in its place.
   */
  async follow(signal: AbortSignal): Promise<void> {
    let opened: BoardSession | undefined;
    const open = async (name: string, until: AbortSignal | undefined): Promise<BoardSession> =>
      (opened = await this.options.open(name, until));
    for await (const followed of followBoard(this.options.device, { open, signal })) {
      if (followed.kind === "connected" || followed.kind === "back")
        this.connected(opened, followed.hello, followed.status);
      else if (followed.kind === "lost") {
        this.session = undefined;
        this.running = undefined;
        this.away = followed.error;
      }
      if (followed.kind === "connected")
        this.listener.connected(followed.device, followed.hello, followed.status);
      else this.listener.followed(followed);
    }
  }

  private connected(session: BoardSession | undefined, hello: Hello, status: Status): void {
    if (this.boardId === undefined && hello.locked && !this.options.signs) {
      throw new EdgePlugError("UNSIGNED", "The board is locked: it takes signed packages only.", {
        action: "Pass --key FILE, a private key of a publisher that the board knows.",
      });
    }
    this.boardId ??= hello.boardId;
    if (Buffer.compare(this.boardId, hello.boardId) !== 0) {
      throw new EdgePlugError("PORT_LOST", "Another board is there now; nothing was pushed to it.", {
        action: "Connect the board that was meant, or begin anew with this one.",
      });
    }
    this.session = session;
    this.away = undefined;
    this.runs(status);
    for (const listener of [...this.waiting]) listener();
  }

  private runs({ active }: Status): void {
    this.running = active;
    this.listener.runs(active);
  }

  /** Its state; undefined if it can't be asked. */
  async status(): Promise<Status | undefined> {
    return this.session && askStatus(this.session);
  }

  /** After something that may have changed what runs. */
  async lookWhatRuns(): Promise<void> {
    const status = await this.status();
    if (status !== undefined) this.runs(status);
  }

  /** The way to it, once there is one; undefined if the signal came first. `not`: that one is known to be gone. */
  async reach(signal: AbortSignal, not?: BoardSession): Promise<BoardSession | undefined> {
    const present = (): BoardSession | undefined => (this.session === not ? undefined : this.session);
    const until = not === undefined ? Infinity : performance.now() + AWAY_MS;
    for (;;) {
      const session = present() ?? (performance.now() >= until ? this.session : undefined);
      if (session !== undefined || signal.aborted) return session;
      const woken = linkSignals([signal]);
      const listener = (): void => woken.abort();
      this.waiting.add(listener);
      await pause(Math.min(AWAY_MS, Math.max(0, until - performance.now())), woken.signal);
      this.waiting.delete(listener);
      woken.unlink();
    }
  }
}

/** A board's state; undefined if it can't be asked. */
export function askStatus(session: BoardSession, signal?: AbortSignal): Promise<Status | undefined> {
  return session.status({ signal, timeoutMs: STATUS_MS }).catch(() => undefined);
}
