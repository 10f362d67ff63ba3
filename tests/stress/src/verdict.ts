/** What a run has to hold, and what it says when it does not. */
import type { Backend } from "@edgeplug/test-support/board";

import type { Rest, StressReport } from "./run.js";

/**
 * How deep the stack may get once every agent has run, bytes; 0: no deeper than until then. On qemu interrupts fall where they
 * fall, and sooner or later upon the deepest moment of the main loop: 3,224 bytes in a thousand swaps, and one more exception
 * frame with the FPU's registers and its alignment word (108 bytes, Armv7-M B1.5.7). A frame that each swap leaked would be past
 * that within a few swaps.
 */
export const DEEPEST_STACK: Readonly<Record<Backend, number>> = { sim: 0, qemu: 3_332 };

/** Until the second rest every agent has run. */
export const WARM = 1;

/** Law 9 at one rest. */
export function leaksAt(rest: Rest, warm: Rest, backend: Backend): string[] {
  const found = rest.comparison.differences.map(
    (difference) => `after swap ${rest.afterSwap}: ${difference}`,
  );
  const risen = rest.stackHighWater - warm.stackHighWater;
  if (risen > 0 && rest.stackHighWater > DEEPEST_STACK[backend])
    found.push(
      `after swap ${rest.afterSwap}: the stack went ${risen} bytes deeper than until swap ${warm.afterSwap}`,
    );
  return found;
}

/** Everything that went wrong, in words; empty if every check held. */
export function violations(report: StressReport, backend: Backend, wanted: number): string[] {
  const { counters } = report.status;
  const found: string[] = [...report.failures];
  const check = (holds: boolean, what: string): void => {
    if (!holds) found.push(what);
  };
  check(report.swaps.length === wanted, `${report.swaps.length} of ${wanted} swaps were confirmed`);
  check(counters.swaps === report.swaps.length, `the board counts ${counters.swaps} swaps`);
  check(counters.rollbacks === 0, `the board counts ${counters.rollbacks} rollbacks`);
  check(counters.scansMissed === 0, `${counters.scansMissed} scans missed by the board's count`);
  check(counters.ticksElapsed === counters.scansRun, "the board ran fewer scans than ticks went by");
  check(report.scansMissedByObserver === 0, `${report.scansMissedByObserver} scans missed by the observer's`);
  check(report.recordsLost === 0, `${report.recordsLost} records of the observer lost`);
  check(report.scansObserved >= counters.scansRun, "the observer saw fewer scans than the board ran");
  check(report.restarts === 0, `the board started anew ${report.restarts} times`);
  check(report.requests.lost === 0, `${report.requests.lost} of ${report.requests.sent} requests lost`);
  check(
    report.requests.served > 0 && report.requests.declined > 0,
    "no requests came to agents of both kinds",
  );
  found.push(...report.requests.faults);
  const warm = report.rests[WARM];
  check(report.rests.length > WARM + 1, "RAM was not compared");
  if (warm !== undefined) found.push(...report.rests.flatMap((rest) => leaksAt(rest, warm, backend)));
  return found;
}
