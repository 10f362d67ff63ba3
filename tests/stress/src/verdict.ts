/** What a run has to hold, and what it says when it does not. */
import type { Backend } from "@edgeplug/test-support/board";

import type { Rest, StressReport } from "./run.js";

/**
 * How deep the stack may get once every agent has run, bytes; 0: no deeper than until then. On qemu interrupts fall where they
 * fall, and sooner or later upon the deepest moment of the main loop: 3,224 bytes in a thousand swaps, and one more exception
 * frame with the FPU's registers and its alignment word (108 bytes, Armv7-M B1.5.7). A frame that each swap leaked would be past
 * that within a few swaps. On renode the same holds of the image for silicon.
 */
export const DEEPEST_STACK: Readonly<Record<Backend, number>> = { sim: 0, qemu: 3_332, renode: 3_332 };

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

/** One thing that a run has to hold. */
export interface Check {
  readonly name: string;
  /** What did not hold, in words. */
  readonly violations: readonly string[];
}

export function checks(report: StressReport, backend: Backend, wanted: number): Check[] {
  const { swaps, requests, rests, status } = report;
  const { counters } = status;
  const warm = rests[WARM];
  const kinds = new Set(swaps.map(({ kind }) => kind));
  const leaks = warm === undefined ? [] : rests.flatMap((rest) => leaksAt(rest, warm, backend));
  return [
    {
      name: "every swap ends with the new agent confirmed",
      violations: [
        ...report.failures,
        ...unless(swaps.length === wanted, `${swaps.length} of ${wanted} swaps were confirmed`),
        ...unless(counters.swaps === swaps.length, `the board counts ${counters.swaps} swaps`),
        ...unless(counters.rollbacks === 0, `the board counts ${counters.rollbacks} rollbacks`),
      ],
    },
    {
      name: "some agents first run in the shadow of another one",
      violations: unless(
        swaps.some(({ shadowed }) => shadowed),
        "no agent ran in the shadow of another one",
      ),
    },
    {
      name: "no scan is missed",
      violations: [
        ...unless(counters.scansMissed === 0, `${counters.scansMissed} scans missed by the board's count`),
        ...unless(
          counters.ticksElapsed === counters.scansRun,
          "the board ran fewer scans than ticks went by",
        ),
        ...unless(
          report.scansMissedByObserver === 0,
          `${report.scansMissedByObserver} scans missed by the observer's`,
        ),
        ...unless(report.recordsLost === 0, `${report.recordsLost} records of the observer lost`),
        ...unless(
          report.scansObserved >= counters.scansRun,
          "the observer saw fewer scans than the board ran",
        ),
      ],
    },
    {
      name: "the board never starts anew",
      violations: unless(report.restarts === 0, `the board started anew ${report.restarts} times`),
    },
    {
      name: "no request is lost, and each answer is the right one",
      violations: [
        ...unless(requests.lost === 0, `${requests.lost} of ${requests.sent} requests lost`),
        ...unless(
          requests.served > 0 && (requests.declined > 0 || !kinds.has("control")),
          "no requests came to agents of both kinds",
        ),
        ...requests.faults,
      ],
    },
    {
      name: "RAM and stack are as they were (Law 9)",
      violations: [...unless(rests.length > WARM + 1, "RAM was not compared"), ...leaks],
    },
  ];
}

function unless(holds: boolean, what: string): string[] {
  return holds ? [] : [what];
}

/** Everything that went wrong, in words; empty if every check held. */
export function violations(report: StressReport, backend: Backend, wanted: number): string[] {
  return checks(report, backend, wanted).flatMap((check) => check.violations);
}
