/** A progress bar for terminals: one line that is drawn over. */

const BAR_WIDTH = 24;
const REDRAW_MS = 80;

export interface Gauge {
  /** Where the work began: what was there before counts as done, not as speed. */
  start: number;
  total: number;
}

export class ProgressBar {
  private shown = false;
  private lastDraw = -Infinity;
  private readonly began: number;

  constructor(
    private readonly stream: NodeJS.WriteStream,
    private readonly gauge: Gauge,
    private readonly now: () => number,
  ) {
    this.began = now();
  }

  update(done: number): void {
    const time = this.now();
    if (done < this.gauge.total && time - this.lastDraw < REDRAW_MS) return;
    this.lastDraw = time;
    const line = progressLine(done, this.gauge, time - this.began);
    this.stream.write(`\r${line.slice(0, Math.max(20, (this.stream.columns ?? 80) - 1))}\x1b[K`);
    this.shown = true;
  }

  /** Takes the bar off the screen, so that the next line starts clean. */
  clear(): void {
    if (this.shown) this.stream.write("\r\x1b[K");
    this.shown = false;
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

function minutes(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** `13,824` */
export function count(value: number): string {
  return value.toLocaleString("en-US");
}
