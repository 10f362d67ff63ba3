/** How much of what a board has said is kept, at least. */
const KEPT_BYTES = 1 << 16;
const FIRST_BYTES = 1 << 10;

/** What a board has said on its line, and up to where somebody has read it. Readers of the stream don't matter to it. */
export class Transcript {
  #buffer = Buffer.alloc(FIRST_BYTES);
  /** Bytes in the buffer, and bytes that were dropped before them. */
  #size = 0;
  #dropped = 0;
  /** From the board's first byte on: where the next search begins. */
  #read = 0;
  /** No line of the pattern searched last ends before this byte. */
  #searched: { readonly pattern: string | RegExp; readonly to: number } | undefined;

  push(bytes: Buffer): void {
    const added = bytes.subarray(-KEPT_BYTES);
    this.#makeRoom(added.length, bytes.length - added.length);
    this.#size += added.copy(this.#buffer, this.#size);
  }

  /** The end of it. */
  get text(): string {
    return this.#whole.toString("utf8");
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
    const bytes = this.#whole;
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

  get #whole(): Buffer {
    return this.#buffer.subarray(0, this.#size);
  }

  /** The buffer grows to twice what is kept; then the older half goes. `left` bytes were not even put in. */
  #makeRoom(size: number, left: number): void {
    if (this.#size + size > 2 * KEPT_BYTES || left > 0) {
      const kept = left > 0 ? 0 : Math.min(this.#size, KEPT_BYTES);
      this.#buffer.copyWithin(0, this.#size - kept, this.#size);
      this.#dropped += this.#size - kept + left;
      this.#size = kept;
    }
    let room = this.#buffer.length;
    while (this.#size + size > room) room *= 2;
    if (room === this.#buffer.length) return;
    const larger = Buffer.alloc(room);
    this.#buffer.copy(larger, 0, 0, this.#size);
    this.#buffer = larger;
  }
}

/** Whatever was searched with it before: a pattern with the flags g or y remembers. */
function matches(pattern: RegExp, line: string): boolean {
  pattern.lastIndex = 0;
  return pattern.test(line);
}
