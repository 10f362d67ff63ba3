/** Somebody who only sees the machine's outputs: every scan, whether one is missing, and who made it. */
import { GapChecker, ObserverDecoder, type Observation } from "edgeplug/device";

import { until, type BoardClock } from "./clock.js";

/** Enough for the longest that a test looks back. */
const KEPT = 200_000;

export class OutputWatch {
  readonly gaps = new GapChecker();
  /** Everything seen since the last start of the board, the oldest first. */
  seen: Observation[] = [];
  #decoder = new ObserverDecoder();

  constructor(private readonly clock: BoardClock) {}

  /** Returns the board's milliseconds that went by meanwhile, by its own stamps. */
  push(bytes: Uint8Array): number {
    let passedUs = 0;
    for (const observation of this.#decoder.push(bytes)) {
      const last = this.seen.at(-1);
      const restarted = last === undefined || observation.scan <= last.scan;
      if (restarted || this.seen.length > KEPT) this.seen = [];
      passedUs += restarted ? observation.timeUs : (observation.timeUs - last.timeUs) >>> 0;
      this.gaps.add(observation);
      this.seen.push(observation);
    }
    return passedUs / 1000;
  }

  /** The power has gone, in the middle of a record perhaps. */
  powerGone(): void {
    this.#decoder = new ObserverDecoder();
    this.seen = [];
  }

  /** What the timer's stamps say is missing, and what got lost on the way. None of either may be. */
  get missed(): number {
    const gaps = this.gaps.gaps.reduce((sum, gap) => sum + gap.missed + gap.unseen, 0);
    return gaps + this.gaps.spoilt + this.#decoder.spoilt;
  }

  /** The first observation from now on that fits. */
  next(what: string, test: (seen: Observation) => boolean, limit?: number): Promise<Observation> {
    let from = this.seen;
    let at = from.length;
    return until(
      this.clock,
      what,
      () => {
        if (from !== this.seen) [from, at] = [this.seen, 0];
        for (; at < from.length; at++) {
          const seen = from[at];
          if (seen !== undefined && test(seen)) return seen;
        }
        return undefined;
      },
      limit,
    );
  }

  /** The observation of one scan since the board's last start, as soon as it has come in. */
  async at(scan: number): Promise<Observation> {
    await until(this.clock, `scan ${scan} is over`, () => (this.seen.at(-1)?.scan ?? -1) >= scan);
    const found = this.seen.findLast((seen) => seen.scan === scan);
    if (found === undefined) throw new Error(`scan ${scan} was not seen`);
    return found;
  }
}
