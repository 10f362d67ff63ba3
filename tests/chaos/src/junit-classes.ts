/** A run for CI: a case for each class of corruption, with the time that its packages took. */
import type { JunitCase } from "@edgeplug/report/junit";

import type { CaseReport } from "./run.js";

interface ClassOfCases {
  seconds: number;
  readonly failures: string[];
  /** The first case that failed. */
  first?: number;
}

export class JunitClasses {
  readonly #classes = new Map<string, ClassOfCases>();
  #last = performance.now();

  /** `command`: that of the whole run. */
  constructor(private readonly command: string) {}

  add({ kind, number, violations }: CaseReport): void {
    const name = `${kind.where}: ${kind.name}`;
    const entry = this.#classes.get(name) ?? { seconds: 0, failures: [] };
    this.#classes.set(name, entry);
    const now = performance.now();
    entry.seconds += (now - this.#last) / 1000;
    this.#last = now;
    entry.failures.push(
      ...violations.map(({ law, what }) => `case ${number}: ${law.toUpperCase()}: ${what}`),
    );
    if (violations.length > 0) entry.first ??= number;
  }

  cases(): JunitCase[] {
    return [...this.#classes].map(([name, { seconds, failures, first }]) => ({
      name,
      seconds,
      failures,
      ...(first === undefined ? {} : { again: `${this.command} --case ${first}` }),
    }));
  }
}
