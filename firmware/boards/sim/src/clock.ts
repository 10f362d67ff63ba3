/** What the passing of time sets off. */
export interface ClockEvents {
  /** The scan interrupt. */
  scan(): void;
  /** The watchdog's period is over. May throw. */
  watchdog(): void;
}

/** All of a clock's state, for snapshots. */
export interface ClockState {
  nanos: number;
  scanPeriod: number;
  nextScan: number;
  masked: number;
  pending: boolean;
  scansToSkip: number;
  scansLost: boolean;
  /** When the scan interrupt that runs, or ran last, was due. */
  scanDue: number;
  watchdogPeriod: number;
  watchdogDeadline: number;
}

const IDLE: Omit<ClockState, "nanos"> = {
  scanPeriod: Infinity,
  nextScan: Infinity,
  masked: 0,
  pending: false,
  scansToSkip: 0,
  scansLost: false,
  scanDue: 0,
  watchdogPeriod: Infinity,
  watchdogDeadline: Infinity,
};

/**
 * Virtual time in integer nanoseconds (exact for 104 days). It passes only by pass(); the scan interrupt and the
 * watchdog fall at their exact moments, also while a flash operation is under way.
 */
export class Clock {
  #state: ClockState = { nanos: 0, ...IDLE };
  readonly #events: ClockEvents;
  #inScan = false;

  constructor(events: ClockEvents) {
    this.#events = events;
  }

  get nanos(): number {
    return this.#state.nanos;
  }

  get micros(): number {
    return Math.floor(this.#state.nanos / 1000);
  }

  get scanDue(): number {
    return this.#state.scanDue;
  }

  get nextScan(): number {
    return this.#state.nextScan;
  }

  get inScan(): boolean {
    return this.#inScan;
  }

  /** Lets `nanos` go by. Within a scan nothing passes: a scan's own time is part of how slow the main loop is. */
  pass(nanos: number): void {
    if (this.#inScan) return;
    const state = this.#state;
    const end = state.nanos + Math.round(nanos);
    for (;;) {
      const next = Math.min(state.nextScan, state.watchdogDeadline);
      if (next > end) break;
      state.nanos = Math.max(state.nanos, next);
      if (state.watchdogDeadline <= state.nextScan) {
        state.watchdogDeadline = Infinity;
        this.#events.watchdog();
      } else {
        state.scanDue = state.nextScan;
        state.nextScan += state.scanPeriod;
        this.#interrupt();
      }
    }
    state.nanos = end;
  }

  startScans(periodNanos: number): void {
    this.#state.scanPeriod = periodNanos;
    this.#state.nextScan = this.#state.nanos + periodNanos;
  }

  /** Masks the interrupt; pass what it gives to unmask(). */
  mask(): number {
    return this.#state.masked++;
  }

  /** A scan that fell due meanwhile runs now; of several only one, as on a CPU with one pending bit. */
  unmask(before: number): void {
    this.#state.masked = before;
    if (before > 0 || !this.#state.pending) return;
    this.#state.pending = false;
    this.#interrupt();
  }

  startWatchdog(periodNanos: number): void {
    this.#state.watchdogPeriod = periodNanos;
    this.kick();
  }

  kick(): void {
    if (this.#state.watchdogPeriod !== Infinity)
      this.#state.watchdogDeadline = this.#state.nanos + this.#state.watchdogPeriod;
  }

  /** The next `count` scan interrupts don't happen. */
  skipScans(count: number): void {
    this.#state.scansToSkip = count;
  }

  /** While true no scan interrupt happens at all. */
  loseScans(lost: boolean): void {
    this.#state.scansLost = lost;
  }

  /** Interrupts and watchdog are off again, as after any reset; time goes on. */
  reset(): void {
    this.#inScan = false;
    this.#state = { ...IDLE, nanos: this.#state.nanos };
  }

  save(): ClockState {
    return { ...this.#state };
  }

  restore(state: ClockState): void {
    this.#state = { ...state };
    this.#inScan = false;
  }

  #interrupt(): void {
    const state = this.#state;
    if (state.scansLost) return;
    if (state.scansToSkip > 0) {
      state.scansToSkip--;
      return;
    }
    if (state.masked > 0) {
      state.pending = true;
      return;
    }
    this.#inScan = true;
    try {
      this.#events.scan();
    } finally {
      this.#inScan = false;
    }
  }
}
