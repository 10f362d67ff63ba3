/**
 * What `edgeplug dev` does: follows a board, watches an agent's sources, and puts each save on the board as soon as it is
 * compiled and checked. Three things go on beside each other, each of them only once at a time: watching, building,
 * pushing. The latest save counts: what it overtakes is dropped, before it is pushed or, if the board has not swapped
 * yet, in the middle of it.
 */
import { linkSignals, type Linked } from "../abort.js";
import type { Followed } from "../follow.js";
import { edgeplug } from "../generated/messages.js";
import type { BoardSession } from "../session/board-session.js";
import type { Signer } from "../signer/signer.js";
import { Builds, type BuildsOptions } from "./builds.js";
import { DeliveredAgents } from "./delivered-agents.js";
import { Deliveries } from "./deliveries.js";
import type { DevEvent } from "./events.js";
import { FollowedBoard } from "./followed-board.js";

export interface DevelopmentOptions extends BuildsOptions {
  device: string;
  open: (device: string, signal: AbortSignal | undefined) => Promise<BoardSession>;
  /** A publisher's key. */
  signer?: Signer | undefined;
  signal: AbortSignal;
}

const { EventKind } = edgeplug;

/** Another agent may run after these. */
const CHANGES: readonly number[] = [
  EventKind.EVENT_KIND_BOOT,
  EventKind.EVENT_KIND_ACTIVATED,
  EventKind.EVENT_KIND_ROLLED_BACK,
];

/** Until the signal. Throws what the first opening of the board throws, and PORT_LOST if another board comes in its place. */
export async function* develop(options: DevelopmentOptions): AsyncGenerator<DevEvent, void, void> {
  const development = new Development(options);
  yield* development.run();
}

class Development {
  private readonly events: DevEvent[] = [];
  private wake: () => void = () => undefined;
  private failure: { error: unknown } | undefined;
  private over = false;
  /** The user's signal, or the end for another reason. */
  private readonly stop: Linked;
  /** Outlives it until the last push has ended. */
  private readonly following = new AbortController();
  private readonly agents = new DeliveredAgents();
  private readonly board: FollowedBoard;
  private readonly builds: Builds;
  private readonly deliveries: Deliveries;

  constructor(private readonly options: DevelopmentOptions) {
    const { agents } = this;
    const { device, open, signer } = options;
    this.stop = linkSignals([options.signal]);
    const tell = (event: DevEvent): void => this.tell(event);
    const guard = (task: Promise<void>): Promise<void> => this.guarded(task);
    const board = new FollowedBoard(
      { device, open, signs: signer !== undefined },
      {
        connected: (name, hello, status) => this.tell({ kind: "board", device: name, hello, status }),
        followed: (followed) => this.tellFollowed(followed),
        runs: (running) => agents.runs(running),
      },
    );
    const deliveries = new Deliveries({ board, agents, signer, stop: this.stop.signal }, { tell, guard });
    this.builds = new Builds(options, {
      ...{ tell, guard },
      built: (delivery) => deliveries.deliver(delivery),
      refused: (error) => this.tell({ kind: "refused", error, running: board.running }),
    });
    this.board = board;
    this.deliveries = deliveries;
  }

  async *run(): AsyncGenerator<DevEvent, void, void> {
    const { stop, following } = this;
    const leave = (): void => void this.guarded(this.leave());
    if (stop.signal.aborted) leave();
    else stop.signal.addEventListener("abort", leave, { once: true });
    const tasks = [
      this.guarded(this.board.follow(following.signal)),
      this.guarded(this.builds.watch(stop.signal)),
    ];
    try {
      for (;;) {
        const event = this.events.shift();
        if (event !== undefined) yield event;
        else if (this.failure !== undefined) throw this.failure.error;
        else if (this.over) return;
        else await new Promise<void>((resolve) => (this.wake = resolve));
      }
    } finally {
      stop.signal.removeEventListener("abort", leave);
      stop.abort();
      stop.unlink();
      const aborted = this.deliveries.abort();
      following.abort();
      await Promise.allSettled([...tasks, aborted]);
    }
  }

  /** What fails here ends all of it. */
  private async guarded(task: Promise<void>): Promise<void> {
    try {
      await task;
    } catch (error) {
      this.failure ??= { error };
      this.wake();
    }
  }

  private async leave(): Promise<void> {
    const { board, options } = this;
    await this.deliveries.leave();
    const device = board.session?.device ?? options.device;
    const status = await board.status();
    this.tell({ kind: "ended", device, status });
    this.over = true;
    this.wake();
  }

  private tell(event: DevEvent): void {
    this.events.push(event);
    this.wake();
  }

  private tellFollowed(followed: Followed): void {
    const { board, agents } = this;
    if (followed.kind !== "event") {
      if (followed.kind === "reset") void board.lookWhatRuns();
      return this.tell({ kind: "followed", followed });
    }
    const { kind, swapNumber, detail } = followed.event;
    if (kind === EventKind.EVENT_KIND_PHASE || agents.isTold(kind, swapNumber, this.deliveries.swapNumber))
      return;
    if (CHANGES.includes(kind)) void board.lookWhatRuns();
    const mapped = kind === EventKind.EVENT_KIND_TRAP ? agents.mapped(swapNumber) : undefined;
    const place = mapped?.locate(detail);
    const known = mapped !== undefined && place !== undefined;
    this.tell({
      kind: "followed",
      followed,
      ...(known ? { source: { place, inWords: mapped.inWords } } : {}),
    });
  }
}
