/** How much of what a board has said is kept. */
const KEPT_BYTES = 1 << 18;

/** What a board has said on its line, and up to where somebody has read it. Readers of the stream don't matter to it. */
export class Transcript {
  #chunks: Buffer[] = [];
  /** Bytes in #chunks, and bytes that were dropped before them. */
  #size = 0;
  #dropped = 0;
  /** From the board's first byte on: where the next search begins. */
  #read = 0;
  /** No line of the pattern searched last ends before this byte. */
  #searched: { readonly pattern: string | RegExp; readonly to: number } | undefined;

  push(bytes: Buffer): void {
    this.#chunks.push(bytes);
    this.#size += bytes.length;
    for (
      let first = this.#chunks[0];
      first && this.#size - first.length >= KEPT_BYTES;
      first = this.#chunks[0]
    ) {
      this.#chunks.shift();
      this.#size -= first.length;
      this.#dropped += first.length;
    }
  }

  /** The end of it. */
  get text(): string {
    return this.#whole().toString("utf8");
  }

  /** The last lines, for messages. */
  tail(lines = 10): string {
    return this.text.slice(-4000).trimEnd().split(/\r?\n/).slice(-lines).join("\n");
  }

  /** What was said so far is not looked at any more. */
  skip(): void {
    this.#read = this.#dropped + this.#size;
  }

  /** The first whole line since the last one taken that is `pattern` or matches it. Passes over those before it. */
  take(pattern: string | RegExp): string | undefined {
    const end = this.#dropped + this.#size;
    if (this.#searched?.pattern === pattern && this.#searched.to === end) return undefined;
    const bytes = this.#whole();
    let start = Math.max(0, this.#read - this.#dropped);
    for (let stop = bytes.indexOf(10, start); stop >= 0; stop = bytes.indexOf(10, start)) {
      const line = bytes.toString("utf8", start, stop).replace(/\r$/, "");
      start = stop + 1;
      if (typeof pattern === "string" ? line !== pattern : !matches(pattern, line)) continue;
      this.#read = this.#dropped + start;
      return line;
    }
    this.#searched = { pattern, to: end };
    return undefined;
  }

  #whole(): Buffer {
    const [first = Buffer.alloc(0), ...more] = this.#chunks;
    const whole = more.length === 0 ? first : Buffer.concat(this.#chunks);
    this.#chunks = [whole];
    return whole;
  }
}

/** Whatever was searched with it before: a pattern with the flags g or y remembers. */
function matches(pattern: RegExp, line: string): boolean {
  pattern.lastIndex = 0;
  return pattern.test(line);
}
