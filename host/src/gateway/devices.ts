/**
 * The gateway's boards. Ports come and go (configured ones are tried for ever, found ones as long as they are found);
 * a board is known by the id that it tells, on whatever port, and is remembered when it is gone.
 */
import { EdgePlugError } from "../errors.js";
import { edgeplug } from "../generated/messages.js";
import type { DeviceEvent } from "../session/messages.js";
import type { DeviceSession } from "../session/session.js";
import { BoundedQueue } from "./bounded-queue.js";
import { boardIdText, GatewayBoard, type BoardMemory, type DeviceView, type Load } from "./gateway-board.js";
import { pause } from "../pause.js";
import { PortLink } from "./port-link.js";

type WatchedEvent = edgeplug.gateway.v1.WatchedEvent.$Properties;

export interface DevicesOptions {
  /** Ports to serve for ever. `sim:` may be there more than once: each is a board of its own. */
  ports: readonly string[];
  /** Finds ports that come and go; asked each second. Default: none. */
  findPorts?: (() => Promise<readonly string[]>) | undefined;
  /** Opens a port and finds the board there. */
  open: (port: string, signal: AbortSignal) => Promise<DeviceSession>;
  /** Boards known from earlier. */
  remembered?: readonly BoardMemory[] | undefined;
  /** Told when a board has come, gone, or has other facts to remember. */
  remember?: ((board: BoardMemory) => void) | undefined;
  /** How busy a board is. */
  load?: ((id: string) => Load) | undefined;
  /** What happens, for the log. */
  report?: ((event: DeviceReport) => void) | undefined;
  /** Between two looks at a board that is silent by itself, milliseconds. Default 5,000. */
  heartbeatMs?: number | undefined;
  /** Between two looks for ports, milliseconds. Default 1,000. */
  searchMs?: number | undefined;
  /** Between attempts to open a port at most, milliseconds. Default 10,000. */
  longestPauseMs?: number | undefined;
}

export type DeviceReport =
  | { event: "connected"; device: string; port: string }
  | { event: "disconnected"; device: string; port: string; error: EdgePlugError }
  | { event: "rival"; device: string; ports: readonly string[] }
  | { event: "no-board"; port: string; error: EdgePlugError };

const HEARTBEAT_MS = 5_000;
/** A board that checks a signature answers nothing for a second or two, and the machine may be busy. */
const HEARTBEAT_TIMEOUT_MS = 10_000;
const SEARCH_MS = 1_000;
/** Events that a reader may be behind. */
const EVENTS_KEPT = 256;
const NO_LOAD: Load = { busy: false, queued: 0 };
const { EventKind } = edgeplug;
/** Events after which the board's status is another. */
const CHANGES: ReadonlySet<number> = new Set([
  EventKind.EVENT_KIND_BOOT,
  EventKind.EVENT_KIND_ACTIVATED,
  EventKind.EVENT_KIND_CONFIRMED,
  EventKind.EVENT_KIND_ROLLED_BACK,
]);

interface Watcher {
  device: string;
  queue: BoundedQueue<WatchedEvent>;
}

export class Devices {
  private readonly boards = new Map<string, GatewayBoard>();
  private readonly fixed: PortLink[];
  private readonly found = new Map<string, PortLink>();
  private readonly watchers = new Set<Watcher>();
  private readonly arrivals = new Set<() => void>();
  private readonly stopping = new AbortController();
  private readonly searching: Promise<void>;

  constructor(private readonly options: DevicesOptions) {
    for (const memory of options.remembered ?? []) {
      this.boards.set(memory.id, new GatewayBoard({ ...memory }));
    }
    this.fixed = options.ports.map((port) => this.link(port));
    this.searching = options.findPorts === undefined ? Promise.resolve() : this.search(options.findPorts);
  }

  /** Boards that are there. */
  get present(): number {
    return [...this.boards.values()].filter((board) => board.isPresent).length;
  }

  /** How many boards are in which state. */
  counts(): { ready: number; busy: number; absent: number } {
    const all = [...this.boards.values()];
    const busy = all.filter((board) => board.isPresent && this.options.load?.(board.id).busy === true).length;
    return { ready: this.present - busy, busy, absent: all.length - this.present };
  }

  /** By id. */
  list(includeAbsent: boolean): DeviceView[] {
    return [...this.boards.values()]
      .filter((board) => includeAbsent || board.isPresent)
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .map((board) => this.view(board));
  }

  view(board: GatewayBoard): DeviceView {
    return board.view(this.options.load?.(board.id) ?? NO_LOAD);
  }

  /** Throws DEVICE_UNKNOWN, or DEVICE_AMBIGUOUS with those that match. Absent boards are found too. */
  find(name: string): GatewayBoard {
    const all = [...this.boards.values()];
    const onPort = all.filter((board) => board.isPresent && board.port === name);
    const exact = onPort[0] ?? this.boards.get(name.toLowerCase());
    if (exact !== undefined) return exact;
    const matches = all.filter((board) => board.id.startsWith(name.toLowerCase()));
    const [first, ...others] = matches;
    if (first === undefined) throw this.unknown(name);
    if (others.length === 0) return first;
    const list = matches.map((board) => `${board.id} (${board.isPresent ? board.port : "absent"})`);
    throw new EdgePlugError("DEVICE_AMBIGUOUS", `${list.length} boards match ${name}: ${list.join(", ")}.`);
  }

  /** The board of exactly this id, if it was ever here. */
  get(id: string): GatewayBoard | undefined {
    return this.boards.get(id);
  }

  /** The line to a board as soon as it is there. Throws DEVICE_UNKNOWN after `patienceMs`, or the signal's reason. */
  async waitFor(id: string, patienceMs: number, signal: AbortSignal): Promise<DeviceSession> {
    const end = performance.now() + patienceMs;
    for (;;) {
      signal.throwIfAborted();
      const session = this.boards.get(id)?.usable;
      if (session !== undefined) return session;
      const left = end - performance.now();
      if (left <= 0) throw this.boards.get(id)?.unusable ?? this.unknown(id);
      await new Promise<void>((resolve) => {
        const arrived = new AbortController();
        const wake = (): void => arrived.abort();
        this.arrivals.add(wake);
        signal.addEventListener("abort", wake);
        void pause(left, arrived.signal).then(() => {
          this.arrivals.delete(wake);
          signal.removeEventListener("abort", wake);
          resolve();
        });
      });
    }
  }

  /** Events of one board, or of all if `device` is empty, from now on until the signal. */
  async *watch(device: string, signal: AbortSignal): AsyncGenerator<WatchedEvent, void, void> {
    const watcher = { device, queue: new BoundedQueue<WatchedEvent>(EVENTS_KEPT) };
    this.watchers.add(watcher);
    try {
      for await (const next of watcher.queue.read(signal)) {
        yield "item" in next ? next.item : { timeMs: Date.now(), device, missed: next.missed };
      }
    } finally {
      this.watchers.delete(watcher);
    }
  }

  /** Hands an event to who watches that board. */
  tell(event: WatchedEvent): void {
    for (const { device, queue } of this.watchers) {
      if (device === "" || device === event.device) queue.push(event);
    }
  }

  /** How many watch. */
  get watching(): number {
    return this.watchers.size;
  }

  /** Looks at a board's status now, so that what is told of it is true. */
  async look(board: GatewayBoard): Promise<void> {
    const session = board.usable;
    if (session === undefined) return;
    try {
      board.saw(await session.status({ timeoutMs: HEARTBEAT_TIMEOUT_MS }));
      this.options.remember?.(board.remembered);
    } catch {
      // the heartbeat or the line itself tells
    }
  }

  /** Ends streams of events, closes all ports; resolves when they are free. */
  async stop(): Promise<void> {
    this.stopping.abort();
    for (const { queue } of this.watchers) queue.end();
    await this.searching;
    await Promise.all([...this.fixed, ...this.found.values()].map((link) => link.stop()));
  }

  // ---- ports -------------------------------------------------------------------------------------

  private link(port: string): PortLink {
    return new PortLink(port, {
      open: this.options.open,
      attach: (name, session, signal) => this.attach(name, session, signal),
      problem: (name, error) => this.problem(name, error),
      longestPauseMs: this.options.longestPauseMs,
    });
  }

  private async search(findPorts: () => Promise<readonly string[]>): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      try {
        await this.follow(new Set(await findPorts()));
      } catch (error) {
        this.problem("auto", EdgePlugError.from(error));
      }
      await pause(this.options.searchMs ?? SEARCH_MS, signal);
    }
  }

  /** Links the ports that are new, gives up those that are gone. */
  private async follow(ports: ReadonlySet<string>): Promise<void> {
    const configured = new Set(this.options.ports);
    for (const [port, link] of this.found) {
      if (ports.has(port)) continue;
      this.found.delete(port);
      await link.stop();
    }
    for (const port of ports) {
      if (!configured.has(port) && !this.found.has(port)) this.found.set(port, this.link(port));
    }
  }

  private problem(port: string, error: EdgePlugError): void {
    // A board that has gone was told with its id already.
    if ([...this.boards.values()].some((board) => board.remembered.problem === error.message)) return;
    this.options.report?.({ event: "no-board", port, error });
  }

  // ---- boards ------------------------------------------------------------------------------------

  /** A board is at a port; resolves with the reason when it is gone. */
  private async attach(port: string, session: DeviceSession, signal: AbortSignal): Promise<EdgePlugError> {
    const id = boardIdText(session.hello.boardId);
    const board = this.boards.get(id) ?? GatewayBoard.of(port, session.hello);
    this.boards.set(id, board);
    if (board.isPresent) {
      board.rivals.set(port, session);
      this.options.report?.({ event: "rival", device: id, ports: [board.port, ...board.rivals.keys()] });
    } else {
      await this.enter(board, port, session);
    }
    const off = session.connection.onEvent((event) => this.happened(id, session, event));
    const why = await this.untilGone(id, session, signal);
    off();
    if (board.rivals.get(port) === session) board.rivals.delete(port);
    else this.leave(board, port, why);
    this.wakeWaiting();
    return why;
  }

  private async enter(board: GatewayBoard, port: string, session: DeviceSession): Promise<void> {
    board.connected(port, session);
    await this.look(board);
    this.options.remember?.(board.remembered);
    this.options.report?.({ event: "connected", device: board.id, port });
    this.tell({ device: board.id, timeMs: Date.now(), connected: this.view(board) });
    this.wakeWaiting();
  }

  private wakeWaiting(): void {
    for (const arrived of [...this.arrivals]) arrived();
  }

  private leave(board: GatewayBoard, port: string, why: EdgePlugError): void {
    board.disconnected(why);
    this.options.remember?.(board.remembered);
    if (!this.stopping.signal.aborted) {
      this.options.report?.({ event: "disconnected", device: board.id, port, error: why });
    }
    this.tell({ device: board.id, timeMs: Date.now(), disconnected: this.view(board) });
    // Of two that told the same id, the one that is left is the board.
    const [rival] = board.rivals;
    if (rival === undefined) return;
    board.rivals.delete(rival[0]);
    void this.enter(board, rival[0], rival[1]);
  }

  /** Resolves with the reason when the line is lost, the board is silent or another one answers. */
  private async untilGone(id: string, session: DeviceSession, signal: AbortSignal): Promise<EdgePlugError> {
    const gone = new AbortController();
    const stop = (): void => gone.abort(signal.reason);
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    const off = session.connection.onLost((reason) => gone.abort(reason));
    while (!gone.signal.aborted) {
      await pause(this.options.heartbeatMs ?? HEARTBEAT_MS, gone.signal);
      if (gone.signal.aborted) break;
      const why = await this.heartbeat(id, session);
      if (why !== undefined) gone.abort(why);
    }
    off();
    signal.removeEventListener("abort", stop);
    return EdgePlugError.from(gone.signal.reason);
  }

  private async heartbeat(id: string, session: DeviceSession): Promise<EdgePlugError | undefined> {
    const board = this.boards.get(id);
    // A push, or a command, notices by itself when the board falls silent, and has the line for itself.
    if (this.options.load?.(id).busy === true || board?.isAtWork === true) return undefined;
    const { connection } = session;
    const begun = connection.transport.clock.now();
    try {
      const hello = await session.refresh({ timeoutMs: HEARTBEAT_TIMEOUT_MS });
      const now = boardIdText(hello.boardId);
      if (now !== id) return new EdgePlugError("PORT_LOST", `Another board, ${now}, is on its port now.`);
      if (board !== undefined) await this.look(board);
      return undefined;
    } catch (error) {
      const why = EdgePlugError.from(error);
      // Whoever says something else meanwhile is there.
      return why.code === "TIMEOUT" && connection.lastHeard > begun ? undefined : why;
    }
  }

  private happened(id: string, session: DeviceSession, event: DeviceEvent): void {
    this.tell({ device: id, timeMs: Date.now(), event });
    const board = this.boards.get(id);
    if (board?.usable !== session || !CHANGES.has(event.kind)) return;
    void this.look(board);
  }

  private unknown(name: string): EdgePlugError {
    const ids = this.list(false).map((device) => device.id);
    const there = ids.length === 0 ? "no board is connected" : `connected are ${ids.slice(0, 8).join(", ")}`;
    const more = ids.length > 8 ? ` and ${ids.length - 8} more` : "";
    return new EdgePlugError("DEVICE_UNKNOWN", `No board is called ${name}; ${there}${more}.`);
  }
}
