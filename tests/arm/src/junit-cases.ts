/** The parts of a run for CI, each with the time that went by since the one before it. */
import type { JunitCase } from "@edgeplug/report/junit";

export class Cases {
  readonly all: JunitCase[] = [];
  #last = performance.now();

  /** `command`: board and seed of the run. */
  constructor(private readonly command: string) {}

  /** `again`: the options that run just this part. */
  add(name: string, failures: readonly string[], again: string): void {
    const now = performance.now();
    const seconds = (now - this.#last) / 1000;
    this.#last = now;
    this.all.push({ name, seconds, failures, again: `${this.command} ${again}` });
  }
}
