/** What somebody sees who only watches the machine's outputs: every scan, whether one is missing, who made it. */
import { GapChecker, ObserverDecoder, type Observation } from "edgeplug/device";

const KEPT = 20_000;

export class OutputWatch {
  readonly gaps = new GapChecker();
  readonly #decoder = new ObserverDecoder();
  readonly #recent: Observation[] = [];
  readonly #waiting = new Set<{ test: (seen: Observation) => boolean; found: (seen: Observation) => void }>();

  push(bytes: Uint8Array): void {
    for (const seen of this.#decoder.push(bytes)) {
      this.gaps.add(seen);
      this.#recent.push(seen);
      if (this.#recent.length > KEPT) this.#recent.splice(0, KEPT / 2);
      for (const waiting of this.#waiting) {
        if (!waiting.test(seen)) continue;
        this.#waiting.delete(waiting);
        waiting.found(seen);
      }
    }
  }

  /** Ticks that passed without outputs to be seen, by the timer's stamps: a scan that was missed, or one lost from sight. */
  get missed(): number {
    return this.gaps.missed;
  }

  /** The last observation that has come in. */
  get latest(): Observation | undefined {
    return this.#recent.at(-1);
  }

  /** The next observation that fits. */
  next(test: (seen: Observation) => boolean): Promise<Observation> {
    return new Promise((found) => this.#waiting.add({ test, found }));
  }

  /** The observation of one scan since the last start, as soon as it has come in; undefined if it never did. */
  async at(scan: number): Promise<Observation | undefined> {
    if ((this.#recent.at(-1)?.scan ?? 0) <= scan) await this.next((seen) => seen.scan > scan);
    return this.#recent.findLast((seen) => seen.scan === scan);
  }
}
