/** A progress bar for terminals, and its figures. */
import { LiveLine } from "./live-line.js";

const BAR_WIDTH = 24;

export interface Gauge {
  /** Where the work began: what was there before counts as done, not as speed. */
  start: number;
  total: number;
}

export class ProgressBar {
  private readonly line: LiveLine;
  private readonly began: number;

  constructor(
    stream: NodeJS.WriteStream,
    private readonly gauge: Gauge,
    private readonly now: () => number,
  ) {
    this.line = new LiveLine(stream, now);
    this.began = now();
  }

  update(done: number): void {
    const elapsed = this.now() - this.began;
    this.line.draw(() => progressLine(done, this.gauge, elapsed), done >= this.gauge.total);
  }

  /** Takes the bar off the screen, so that the next line starts clean. */
  clear(): void {
    this.line.clear();
  }
}

/** `█████░░░  62 %  8,192 of 13,312 bytes  10.9 kB/s  0:01 left` */
export function progressLine(done: number, gauge: Gauge, elapsedMs: number): string {
  const { start, total } = gauge;
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const filled = Math.round(share * BAR_WIDTH);
  const bar = "█".repeat(filled) + "░".repeat(BAR_WIDTH - filled);
  const percent = `${Math.floor(share * 100)} %`.padStart(5);
  const head = `${bar} ${percent}  ${count(done)} of ${count(total)} bytes`;
  const bytesPerMs = elapsedMs > 0 ? (done - start) / elapsedMs : 0;
  if (bytesPerMs <= 0) return head;
  const left = Math.ceil((total - done) / bytesPerMs / 1000);
  return `${head}  ${bytesPerMs.toFixed(1)} kB/s  ${minutes(left)} left`;
}

/** `0:07` */
export function minutes(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** `13,824` */
export function count(value: number): string {
  return value.toLocaleString("en-US");
}
