/**
 * How often logins may fail: a token bucket for each address and one for all, in bounded memory.
 *
 * Only failures are counted and only failures are refused: credentials are checked first, which costs microseconds, and who has
 * the right ones gets in however many others fail from behind the same address. A limit that came first would protect secrets
 * that can be guessed; ours have 256 random bits.
 */
import { isIPv6 } from "node:net";

export interface RateLimitOptions {
  /** Failures of one address that are answered as such, at once. Default 10. */
  burst?: number;
  /** Seconds until an address may fail once more. Default 6. */
  secondsPerFailure?: number;
  /** The same for all addresses together. Defaults 500, and 100 a second. */
  overallBurst?: number;
  overallPerSecond?: number;
  /** Addresses that are remembered. Default 4,096. */
  addresses?: number;
  /** A clock that never goes back, milliseconds. */
  monotonicMs?: () => number;
}

/** Filled up to `burst`, one a failure. */
class Bucket {
  private level: number;
  private filledAt: number;

  constructor(
    private readonly burst: number,
    private readonly perMs: number,
    now: number,
  ) {
    this.level = burst;
    this.filledAt = now;
  }

  /** 0 if there was one to take, else milliseconds until there is. */
  take(now: number): number {
    this.level = Math.min(this.burst, this.level + (now - this.filledAt) * this.perMs);
    this.filledAt = now;
    if (this.level < 1) return (1 - this.level) / this.perMs;
    this.level--;
    return 0;
  }
}

export class RateLimit {
  private readonly burst: number;
  private readonly perMs: number;
  private readonly size: number;
  private readonly now: () => number;
  private readonly overall: Bucket;
  /** In the order of their last failure. */
  private readonly buckets = new Map<string, Bucket>();

  constructor(options: RateLimitOptions = {}) {
    const { burst = 10, secondsPerFailure = 6, overallBurst = 500, overallPerSecond = 100 } = options;
    this.burst = burst;
    this.perMs = 1 / (secondsPerFailure * 1_000);
    this.size = options.addresses ?? 4_096;
    this.now = options.monotonicMs ?? ((): number => performance.now());
    this.overall = new Bucket(overallBurst, overallPerSecond / 1_000, this.now());
  }

  /** Counts a failure. Gives the seconds to wait, 0 if it is within the limits. */
  fail(address: string): number {
    const now = this.now();
    const wait = Math.max(this.bucketOf(network(address), now).take(now), this.overall.take(now));
    return Math.ceil(wait / 1_000);
  }

  get remembered(): number {
    return this.buckets.size;
  }

  /**
   * With more addresses than are remembered, the one that failed longest ago is forgotten: it has mostly filled up again, and the
   * overall bucket holds whoever has so many.
   */
  private bucketOf(key: string, now: number): Bucket {
    const bucket = this.buckets.get(key) ?? new Bucket(this.burst, this.perMs, now);
    this.buckets.delete(key);
    this.buckets.set(key, bucket);
    if (this.buckets.size > this.size) {
      const [oldest] = this.buckets.keys();
      if (oldest !== undefined) this.buckets.delete(oldest);
    }
    return bucket;
  }
}

/** Who has one IPv6 address has its whole /64. */
export function network(address: string): string {
  if (!isIPv6(address)) return address;
  if (/^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(address)) return address.slice("::ffff:".length);
  const [head = "", tail] = address.split("%")[0]?.split("::") ?? [];
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const groups = [...before, ...new Array<string>(Math.max(0, zeros)).fill("0"), ...after];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`;
}
