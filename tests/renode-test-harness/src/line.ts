import { Duplex } from "node:stream";

import { Random } from "@edgeplug/sim";

/** What a bad line does. Every probability is for one byte, 0 to 1; default 0. */
export interface LineNoise {
  /** Equal seeds and equal traffic give equal damage. Default 1. */
  readonly seed?: number;
  /** One or more bits of it are inverted. */
  readonly corrupt?: number;
  readonly drop?: number;
  readonly duplicate?: number;
  /** It is the first of a burst of `burstLength` random bytes. */
  readonly burst?: number;
  /** Default 16. */
  readonly burstLength?: number;
}

export interface NoiseCounters {
  bytes: number;
  corrupted: number;
  dropped: number;
  duplicated: number;
  bursts: number;
}

/** One direction of a bad line. */
export class NoiseFilter {
  readonly counters: NoiseCounters = { bytes: 0, corrupted: 0, dropped: 0, duplicated: 0, bursts: 0 };
  readonly #noise: Required<LineNoise>;
  readonly #random: Random;
  #burstLeft = 0;

  constructor(noise: LineNoise) {
    this.#noise = { seed: 1, corrupt: 0, drop: 0, duplicate: 0, burst: 0, burstLength: 16, ...noise };
    for (const name of ["corrupt", "drop", "duplicate", "burst"] as const) {
      const rate = this.#noise[name];
      if (!(rate >= 0 && rate <= 1)) throw new RangeError(`${name}: expected 0 to 1, got ${rate}`);
    }
    this.#random = new Random(this.#noise.seed);
  }

  pass(bytes: Uint8Array): Buffer {
    const out: number[] = [];
    for (const byte of bytes) this.#passByte(byte, out);
    return Buffer.from(out);
  }

  #passByte(byte: number, out: number[]): void {
    const { counters } = this;
    counters.bytes++;
    if (this.#happens("drop")) {
      counters.dropped++;
      return;
    }
    if (this.#happens("burst")) {
      counters.bursts++;
      this.#burstLeft = this.#noise.burstLength;
    }
    let seen = byte;
    if (this.#burstLeft > 0) {
      this.#burstLeft--;
      seen = this.#random.byte();
    } else if (this.#happens("corrupt")) {
      counters.corrupted++;
      seen = byte ^ (1 + this.#random.below(255));
    }
    out.push(seen);
    if (!this.#happens("duplicate")) return;
    counters.duplicated++;
    out.push(seen);
  }

  #happens(name: "corrupt" | "drop" | "duplicate" | "burst"): boolean {
    const rate = this.#noise[name];
    return rate > 0 && this.#random.next() < rate * 0x1_0000_0000;
  }
}

export interface NoisyLineOptions {
  readonly toBoard?: LineNoise;
  readonly fromBoard?: LineNoise;
}

/** A serial line with something bad between its ends: use it in place of `inner`. */
export class NoisyLine extends Duplex {
  readonly toBoard: NoiseFilter;
  readonly fromBoard: NoiseFilter;
  readonly #inner: Duplex;

  constructor(inner: Duplex, options: NoisyLineOptions) {
    super({ allowHalfOpen: false });
    this.toBoard = new NoiseFilter(options.toBoard ?? {});
    this.fromBoard = new NoiseFilter(options.fromBoard ?? {});
    this.#inner = inner;
    inner.on("data", this.#receive);
    inner.once("close", this.#innerClosed);
  }

  /** Leaves `inner` as it was, open. */
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#inner.off("data", this.#receive);
    this.#inner.off("close", this.#innerClosed);
    done(error);
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const damaged = this.toBoard.pass(bytes);
    if (damaged.length === 0) done();
    else this.#inner.write(damaged, done);
  }

  override _read(): void {
    // the inner line pushes
  }

  readonly #receive = (bytes: Buffer): void => {
    const damaged = this.fromBoard.pass(bytes);
    if (damaged.length > 0) this.push(damaged);
  };

  readonly #innerClosed = (): void => {
    this.destroy();
  };
}
