/**
 * Failed logins in the audit log, so that an attacker can't fill the disk with them: the first ones singly, then one line per
 * address and minute with a count, and one line for all further addresses.
 */
import { EdgePlugError } from "../errors.js";
import type { AuditInput } from "./audit.js";

export interface FailedLoginsOptions {
  append: (entry: AuditInput) => void;
  /** Lines of their own in a minute, of one address and in all. Defaults 3 and 15. */
  singly?: number;
  singlyInAll?: number;
  /** Addresses with a count of their own in a minute. Default 16. */
  addresses?: number;
  windowMs?: number;
  monotonicMs?: () => number;
}

const MINUTE_MS = 60_000;

export class FailedLogins {
  private readonly options: Required<FailedLoginsOptions>;
  private windowEnd = 0;
  private singles = 0;
  private readonly seen = new Map<string, { singly: number; more: number }>();
  private others = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(options: FailedLoginsOptions) {
    this.options = {
      singly: 3,
      singlyInAll: 15,
      addresses: 16,
      windowMs: MINUTE_MS,
      monotonicMs: () => performance.now(),
      ...options,
    };
  }

  /** `why` is one of a few texts of ours, never what the caller sent. */
  note(address: string, why: string): void {
    if (this.options.monotonicMs() >= this.windowEnd) this.newWindow();
    const { singly, singlyInAll, addresses } = this.options;
    let counts = this.seen.get(address);
    if (counts === undefined) {
      if (this.seen.size >= addresses) {
        this.others++;
        return;
      }
      counts = { singly: 0, more: 0 };
      this.seen.set(address, counts);
    }
    if (counts.singly < singly && this.singles < singlyInAll) {
      counts.singly++;
      this.singles++;
      if (this.append(address, why)) return;
    }
    counts.more++;
  }

  /** Writes down what was only counted so far. What can't be written stays counted. */
  flush(): void {
    for (const [address, counts] of this.seen) {
      if (counts.more > 0 && this.append(address, `${counts.more} more within a minute`)) counts.more = 0;
    }
    if (this.others > 0 && this.append(undefined, `${this.others} from further addresses within a minute`))
      this.others = 0;
  }

  close(): void {
    clearTimeout(this.timer);
    this.flush();
  }

  private newWindow(): void {
    this.flush();
    for (const [address, { more }] of this.seen) if (more === 0) this.seen.delete(address);
    for (const counts of this.seen.values()) counts.singly = 0;
    this.singles = 0;
    this.windowEnd = this.options.monotonicMs() + this.options.windowMs;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), this.options.windowMs).unref();
  }

  private append(address: string | undefined, detail: string): boolean {
    try {
      this.options.append({
        who: "unknown",
        ...(address === undefined ? {} : { address }),
        what: "login",
        detail,
        outcome: "GATEWAY_LOGIN",
      });
      return true;
    } catch (error) {
      if (error instanceof EdgePlugError) return false; // a full disk; the caller is refused all the same
      throw error;
    }
  }
}
