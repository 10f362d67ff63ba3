/** The serial line with noise in it, in both directions, which can be switched off for a while. */
import type { BoardClock } from "@edgeplug/test-support/clock";
import type { EdgePlugError } from "edgeplug";
import type { Transport } from "edgeplug/device";
import { NoiseFilter, type LineNoise } from "renode-test-harness";

/** For each byte: seldom enough that swaps get on, often enough that each meets some. */
const RATES: LineNoise = { corrupt: 1e-4, drop: 2e-5, duplicate: 2e-5, burst: 5e-6, burstLength: 16 };
const BURST_LENGTH = 16;

export class NoisyTransport implements Transport {
  readonly name: string;
  readonly baud: number;
  readonly closed: Promise<EdgePlugError | undefined>;
  noisy = true;
  readonly #toBoard: NoiseFilter;
  readonly #fromBoard: NoiseFilter;
  readonly #listeners = new Set<(bytes: Uint8Array) => void>();

  constructor(
    private readonly inner: Transport,
    /** What the session's time-outs go by. */
    readonly clock: BoardClock,
    seed: number,
  ) {
    this.name = inner.name;
    this.baud = inner.baud;
    this.closed = inner.closed;
    this.#toBoard = new NoiseFilter({ ...RATES, seed: seed ^ 0x70b0 });
    this.#fromBoard = new NoiseFilter({ ...RATES, seed: seed ^ 0xf0b0 });
    inner.onData((bytes) => {
      const heard = this.noisy ? this.#fromBoard.pass(bytes) : bytes;
      if (heard.length > 0) for (const listener of [...this.#listeners]) listener(heard);
    });
  }

  /** Adds a listener; all hear everything. The function that comes back removes it. */
  listen(listener: (bytes: Uint8Array) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.listen(listener);
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.inner.write(this.noisy ? this.#toBoard.pass(bytes) : bytes);
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  /** Bytes changed, lost or sent twice so far, both ways. */
  get spoilt(): number {
    return [this.#toBoard, this.#fromBoard]
      .map(({ counters }) => counters)
      .reduce(
        (sum, { corrupted, dropped, duplicated, bursts }) =>
          sum + corrupted + dropped + duplicated + bursts * BURST_LENGTH,
        0,
      );
  }
}
