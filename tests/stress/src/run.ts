/** The run: one swap after the other, requests and noise all the while, and what came of it. */
import { Random } from "@edgeplug/sim";
import type { Backend } from "@edgeplug/test-support/board";
import { until } from "@edgeplug/test-support/clock";
import { push } from "@edgeplug/test-support/push";
import { shadow } from "@edgeplug/test-support/shadow";
import { OPERATOR, PUBLISHER, publicKeyOf } from "@edgeplug/test-support/agents";
import type { OwnAgent } from "@edgeplug/test-support/own-agents";
import { EdgePlugError } from "edgeplug";
import { DeviceSession, eventKindName, type Status } from "edgeplug/device";

import {
  exampleAgents,
  ownAgents,
  partner,
  repeatedRequests,
  restAgents,
  schedule,
  type StressAgent,
} from "./agents.js";
import { startBench, type StressBench, type StressBenchOptions } from "./bench.js";
import { NoisyTransport } from "./line.js";
import { MemoryComparer, type Comparison, type MemoryImage } from "./memory.js";
import { RequestStream, Roster } from "./requests.js";
import { LAST_REQUEST, settle } from "./settle.js";
import { erasesByArea, type Wear } from "./wear.js";

/** What the slot records say: the same in each run, and in each lap. */
const TIMESTAMP = 1_700_000_000;
const FIRST_REQUEST_ID = 1_000_000;
/** At most, of those kept in words. */
const FAILURES_KEPT = 20;
/** So many swaps, and the last before a look at RAM, begin in the shadow of the agent that runs, if they are of one kind. */
const SHADOW_EVERY = 3;
/** Scans or requests of a shadow run. */
const SHADOW_LENGTH = { control: 25, request: 3 } as const;
const LOOKS_AT_ONCE = 4;
const MOST_LOOKS = 3 * LOOKS_AT_ONCE;
/** A board under QEMU gets far ahead of a host that is kept waiting. */
const PATIENCE = { timeoutMs: 600_000, silenceMs: 60_000 };

export interface StressOptions extends Partial<Omit<StressBenchOptions, "seed">> {
  board: Backend;
  swaps: number;
  /** Of order, requests and noise. */
  seed: number;
  /** In place of the examples. */
  examples?: readonly StressAgent[];
  /** Somebody's own, who take turns with the examples. */
  own?: readonly OwnAgent[];
  /** The publisher's key that those are signed by, if the board is to check it. */
  publisher?: Uint8Array | undefined;
  /** Called after each swap. */
  onSwap?: (swap: Swap, spoiltBytes: number) => void;
  /** Called before each swap; whatever it does to the board has to be noticed. */
  disturb?: (number: number, bench: StressBench) => void;
}

export interface Swap {
  number: number;
  agent: string;
  kind: "control" | "request";
  /** Scans from before the Begin until CONFIRMED. */
  scans: number;
  /** Board time at its end since the run began, milliseconds. */
  atMs: number;
  /** It came after a shadow run. */
  shadowed: boolean;
}

/** RAM at one rest, against the first rest. */
export interface Rest {
  readonly afterSwap: number;
  readonly stackHighWater: number;
  readonly comparison: Comparison;
}

export interface StressReport {
  readonly swaps: readonly Swap[];
  /** Swaps that did not end confirmed, in words. */
  readonly failures: readonly string[];
  readonly status: Status;
  readonly scansMissedByObserver: number;
  /** The observer's records that came in damaged or not at all. */
  readonly recordsLost: number;
  readonly scansObserved: number;
  readonly restarts: number;
  readonly requests: {
    sent: number;
    served: number;
    declined: number;
    lost: number;
    repeats: number;
    faults: readonly string[];
  };
  readonly rests: readonly Rest[];
  readonly listedCounters: readonly string[];
  readonly wear: Wear;
  readonly spoiltBytes: number;
  readonly boardMs: number;
}

export async function stress(options: StressOptions): Promise<StressReport> {
  const { board, ...rest } = options;
  // before there is a board whose time could pass meanwhile
  const agents = await agentsInTurn(options);
  const bench = await startBench(board, rest);
  try {
    const line = new NoisyTransport(await bench.open(), bench.board.clock, options.seed);
    const session = await DeviceSession.connect(line, {
      timeoutMs: 30_000,
      firstRequestId: FIRST_REQUEST_ID,
    });
    return await new Run(bench, line, session, options).run(agents);
  } finally {
    await bench.close();
  }
}

/** Whoever takes turns, but for the two at rest. */
export async function agentsInTurn({
  examples,
  own = [],
}: Pick<StressOptions, "examples" | "own">): Promise<StressAgent[]> {
  const agents = [...(examples ?? (await exampleAgents())), ...ownAgents(own)];
  return agents.length === 1 ? [...agents, partner()] : agents;
}

class Run {
  private readonly roster = new Roster();
  private readonly requests: RequestStream;
  private readonly comparer: MemoryComparer;
  private readonly swaps: Swap[] = [];
  private readonly failures: string[] = [];
  private readonly rests: Rest[] = [];
  private firstRest: MemoryImage | undefined;
  private readonly start: number;
  /** The one at rest while RAM is looked at. */
  private last = "";
  private confirmedAt: { swapNumber: number; scan: number } | undefined;

  constructor(
    private readonly bench: StressBench,
    private readonly line: NoisyTransport,
    private readonly session: DeviceSession,
    private readonly options: StressOptions,
  ) {
    const { clock } = bench.board;
    this.start = clock.now();
    this.comparer = new MemoryComparer(bench.symbols);
    const repeated = repeatedRequests(options.own ?? [], new Random(options.seed ^ 0xa9a1));
    this.requests = new RequestStream(
      session,
      clock,
      this.roster,
      new Random(options.seed ^ 0x5ed5),
      repeated,
    );
    session.connection.onEvent(({ kind, swapNumber, scan }) => {
      if (eventKindName(kind) === "confirmed") this.confirmedAt = { swapNumber, scan };
    });
  }

  async run(agents: readonly StressAgent[]): Promise<StressReport> {
    const { swaps, seed, own, publisher } = this.options;
    const rest = restAgents(own);
    const order = schedule(swaps, agents, rest, seed);
    this.last = rest[1].name;
    await this.session.addKey("publisher", publicKeyOf(PUBLISHER));
    if (publisher !== undefined) await this.session.addKey("publisher", publisher);
    await this.session.addKey("operator", publicKeyOf(OPERATOR));
    for (const [at, agent] of order.entries()) {
      this.options.disturb?.(at + 1, this.bench);
      if (agent === rest[0]) this.requests.fixed = LAST_REQUEST;
      await this.swap(at + 1, agent);
      if (agent === rest[1]) await this.lookAtMemory(at + 1);
    }
    await this.requests.stop();
    return this.report();
  }

  private async swap(number: number, agent: StressAgent): Promise<void> {
    const { clock, watch } = this.bench.board;
    const from = watch.seen.at(-1)?.scan ?? 0;
    const shadowed = this.isShadowed(number, agent);
    try {
      const { active } = await push(
        this.session,
        agent.pkg,
        { allowDowngrade: true, timestamp: TIMESTAMP, trialRequests: [], ...PATIENCE },
        async (step) => {
          if (step.step === "begin") this.swapNumber = step.swapNumber;
          if (step.step === "staged" && shadowed) await this.shadow(agent);
          if (step.step === "staged") this.expect(agent);
          if (step.step === "activated") this.roster.runs(step.swapNumber);
          if (step.step === "confirmed") this.confirmed = step.scan;
        },
      );
      const event = this.confirmedAt;
      const end = event?.swapNumber === active.swapNumber ? event.scan : this.confirmed;
      const swap: Swap = {
        number,
        agent: agent.name,
        kind: agent.pkg.manifest.kind,
        scans: end - from,
        atMs: clock.now() - this.start,
        shadowed,
      };
      this.swaps.push(swap);
      this.running = agent;
      this.options.onSwap?.(swap, this.line.spoilt);
    } catch (thrown) {
      await this.failed(number, agent, EdgePlugError.from(thrown));
    }
  }

  private swapNumber = 0;
  private confirmed = 0;
  private running: StressAgent | undefined;

  /** What a shadow run leaves in RAM is alike before each look at it, as whoever ran then is. */
  private isShadowed(number: number, { name, pkg }: StressAgent): boolean {
    if (this.running?.pkg.manifest.kind !== pkg.manifest.kind) return false;
    return number % SHADOW_EVERY === 0 || name === this.last;
  }

  /** Different agents differ, and may; but the board says so, and nothing else changes. */
  private async shadow({ pkg }: StressAgent): Promise<void> {
    const scans = SHADOW_LENGTH[pkg.manifest.kind];
    const { state, compared } = await shadow(this.session, this.bench.board.clock, { scans, allowed: scans });
    if (state !== "agreed" || compared !== scans)
      throw new EdgePlugError("SHADOW", `its shadow run ended as ${state} after ${compared} of ${scans}`);
  }

  private expect({ answer, pkg }: StressAgent): void {
    this.roster.coming(this.swapNumber, answer, pkg.manifest.limits.ioBuffer);
  }

  private async failed(number: number, agent: StressAgent, error: EdgePlugError): Promise<void> {
    if (error.code === "INTERNAL" || error.code === "PORT_LOST") throw error;
    this.running = undefined;
    if (this.failures.length < FAILURES_KEPT)
      this.failures.push(`swap ${number} to ${agent.name}: ${error.message}`);
    this.roster.runs((await this.session.status()).active?.swapNumber ?? 0);
  }

  /** The agent at rest is idle; requests and noise stand still for so long. */
  private async lookAtMemory(afterSwap: number): Promise<void> {
    await this.requests.pause();
    this.rests.push({ afterSwap, ...(await this.compareMemory()) });
    this.line.noisy = true;
    this.requests.fixed = undefined;
    this.requests.resume();
  }

  /**
   * A board under QEMU may be caught in the midst of a turn of its main loop, or of a scrub: what differs at each look,
   * and after the same last words once more, counts.
   */
  private async compareMemory(): Promise<Pick<Rest, "stackHighWater" | "comparison">> {
    for (let looks = 1; ; looks++) {
      if (looks % LOOKS_AT_ONCE === 1) await settle(this.line, this.bench.board.clock);
      const image = await this.bench.memory();
      this.firstRest ??= image;
      const comparison = this.comparer.compare(this.firstRest, image);
      if (comparison.differences.length === 0 || looks === MOST_LOOKS)
        return { stackHighWater: image.stackHighWater, comparison };
      await this.bench.board.clock.pass(1);
    }
  }

  private async report(): Promise<StressReport> {
    const { board } = this.bench;
    const { requests, session, line } = this;
    const status = await session.status();
    const boardMs = board.clock.now() - this.start;
    // the observer's line may lag behind
    await until(board.clock, "the last scan", () => (board.watch.seen.at(-1)?.scan ?? 0) >= status.scan);
    const { sent, served, declined, lost, faults } = requests;
    return {
      swaps: this.swaps,
      failures: this.failures,
      status,
      scansMissedByObserver: board.watch.gaps.missed,
      recordsLost: board.watch.missed - board.watch.gaps.missed,
      scansObserved: board.watch.gaps.scans,
      restarts: board.watch.gaps.restarts,
      requests: { sent, served, declined, lost, faults, repeats: session.line.repeats },
      rests: this.rests,
      listedCounters: this.comparer.listed,
      wear: erasesByArea(await this.bench.erases(), board.layout),
      spoiltBytes: line.spoilt,
      boardMs,
    };
  }
}
