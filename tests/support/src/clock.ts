/**
 * The board's own time as the session's clock. Nothing here looks at the wall: a test that waits, waits for so much of
 * the board's time, however fast or slowly the machine that emulates it gets along.
 */
import type { SimBoard } from "@edgeplug/sim";
import type { Clock } from "edgeplug/device";

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock that somebody advances. */
export class BoardClock implements Clock {
  readonly #timers = new Set<Timer>();
  #milliseconds = 0;

  now(): number {
    return this.#milliseconds;
  }

  after(milliseconds: number, callback: () => void): () => void {
    const timer = { at: this.#milliseconds + Math.max(0, milliseconds), callback };
    this.#timers.add(timer);
    this.wanted();
    return () => this.#timers.delete(timer);
  }

  /** Lets so much of the board's time go by. */
  pass(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.after(milliseconds, resolve));
  }

  advance(to: number): void {
    this.#milliseconds = Math.max(this.#milliseconds, to);
    for (const timer of [...this.#timers].sort((a, b) => a.at - b.at)) {
      if (timer.at > this.#milliseconds || !this.#timers.delete(timer)) continue;
      timer.callback();
    }
  }

  protected get nextTimer(): number | undefined {
    let next: number | undefined;
    for (const { at } of this.#timers) if (next === undefined || at < next) next = at;
    return next;
  }

  /** Somebody waits from now on. */
  protected wanted(): void {
    // time passes by itself where an emulator runs
  }
}

/** The most virtual time between two turns of this process's event loop. */
const SLICE_MS = 5;

/** Lets a simulated board run just as long as somebody waits; it stands still while this process thinks. */
export class SimClock extends BoardClock {
  #pumping = false;

  constructor(
    private readonly sim: SimBoard,
    /** What the board's simulation throws, power cuts that a test planned included. */
    private readonly fell: (error: unknown) => void,
  ) {
    super();
  }

  protected override wanted(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    const next = this.nextTimer;
    if (next === undefined) {
      this.#pumping = false;
      return;
    }
    const time = Math.min(SLICE_MS, Math.max(0.001, next - this.sim.milliseconds));
    runUntilAnswered(this.sim, time, this.fell);
    this.advance(this.sim.milliseconds);
    setImmediate(() => this.#turn());
  }
}

/**
 * Lets up to `time` ms of the simulation's go by. Ends early when the board has sent something: whoever waits may want to
 * answer at once. `fell` hears what the simulation throws.
 */
export function runUntilAnswered(sim: SimBoard, time: number, fell: (error: unknown) => void): void {
  if (!sim.powered) {
    sim.clock.pass(time * 1e6);
    return;
  }
  const deliver = sim.onSerial;
  let answered = false;
  sim.onSerial = (bytes) => {
    answered = true;
    deliver?.(bytes);
  };
  try {
    sim.runUntil(() => answered, time);
  } catch (error) {
    fell(error);
  } finally {
    sim.onSerial = deliver;
  }
}

/** Waits until `test` gives something, at most for `limit` ms of the board's time. */
export async function until<T>(
  clock: BoardClock,
  what: string,
  test: () => T | undefined | false | Promise<T | undefined | false>,
  limit = 60_000,
): Promise<T> {
  const end = clock.now() + limit;
  for (;;) {
    const found = await test();
    if (found !== undefined && found !== false) return found;
    if (clock.now() >= end) throw new Error(`${what}: not within ${limit} ms of the board's time`);
    await clock.pass(1);
  }
}
