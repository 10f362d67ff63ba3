/** One line of a terminal that is drawn over. */

const REDRAW_MS = 80;
const NARROWEST = 20;
const USUAL_COLUMNS = 80;

export class LiveLine {
  private shown = false;
  private lastDraw = -Infinity;

  constructor(
    private readonly stream: NodeJS.WriteStream,
    private readonly now: () => number,
  ) {}

  /** Calls `text`, with the columns that there are, only when it is time to draw; `last` is always drawn. */
  draw(text: (columns: number) => string, last = false): void {
    const time = this.now();
    if (!last && time - this.lastDraw < REDRAW_MS) return;
    this.lastDraw = time;
    const columns = Math.max(NARROWEST, (this.stream.columns ?? USUAL_COLUMNS) - 1);
    this.stream.write(`\r${text(columns).slice(0, columns)}\x1b[K`);
    this.shown = true;
  }

  /** Takes it off the screen, so that the next line starts clean. */
  clear(): void {
    if (this.shown) this.stream.write("\r\x1b[K");
    this.shown = false;
  }
}
