/** Progress on stderr: one line that rewrites itself on a terminal, else a line every few seconds. */
const QUIET_MS = 5_000;

export class Progress {
  #told = performance.now();

  update(text: string): void {
    const { stderr } = process;
    if (stderr.isTTY) stderr.write(`\r\x1b[K${text.slice(0, stderr.columns - 1)}`);
    else if (performance.now() - this.#told >= QUIET_MS) {
      this.#told = performance.now();
      stderr.write(`${text}\n`);
    }
  }

  /** Takes the line away. */
  done(): void {
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  }
}
