/** Seeded pseudo-random numbers (mulberry32), so that a failing run can be repeated. */
export class TestRandom {
  constructor(private state: number) {}

  /** 0 … limit − 1 */
  below(limit: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * limit);
  }

  chance(probability: number): boolean {
    return this.below(1_000_000) < probability * 1_000_000;
  }

  bytes(size: number, limit = 256): Uint8Array {
    return Uint8Array.from({ length: size }, () => this.below(limit));
  }
}

/** A seed from the environment (EDGEPLUG_TEST_SEED) or of the moment, printed so that it can be used again. */
export function printedSeed(what: string): number {
  const seed = Number(process.env["EDGEPLUG_TEST_SEED"] ?? Date.now() % 1_000_000_007);
  console.log(`${what}: EDGEPLUG_TEST_SEED=${seed}`);
  return seed;
}
