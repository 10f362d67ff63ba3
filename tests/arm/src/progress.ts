/** Progress on stderr: one line that rewrites itself on a terminal, else a line every few seconds. */
const QUIET_MS = 5_000;

export class Progress {
  #last = 0;
  #open = false;

  update(text: string): void {
    const { stderr } = process;
    if (stderr.isTTY) {
      stderr.write(`\r${text}\x1b[K`);
      this.#open = true;
    } else if (Date.now() - this.#last >= QUIET_MS) {
      this.#last = Date.now();
      stderr.write(`${text}\n`);
    }
  }

  /** Ends a line that rewrites itself. */
  done(): void {
    if (this.#open) process.stderr.write("\n");
    this.#open = false;
    this.#last = 0;
  }
}
