import type { Clock } from "../../src/clock.js";

/** Time that jumps to the next timer whenever nothing else is left to do. */
export class VirtualClock implements Clock {
  private time = 0;
  private pumping = false;
  private readonly timers: { at: number; order: number; callback: () => void }[] = [];
  private order = 0;

  now(): number {
    return this.time;
  }

  after(milliseconds: number, callback: () => void): () => void {
    const timer = { at: this.time + Math.max(0, milliseconds), order: this.order++, callback };
    this.timers.push(timer);
    this.timers.sort((a, b) => a.at - b.at || a.order - b.order);
    this.pump();
    return () => {
      const at = this.timers.indexOf(timer);
      if (at >= 0) this.timers.splice(at, 1);
    };
  }

  private pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    setImmediate(() => {
      this.pumping = false;
      const timer = this.timers.shift();
      if (timer === undefined) return;
      this.time = Math.max(this.time, timer.at);
      timer.callback();
      if (this.timers.length > 0) this.pump();
    });
  }
}
