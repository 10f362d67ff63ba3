/** A run's report as the file for `npm run report`, and as the lines that people read. */
import type { JunitCase } from "@edgeplug/report/junit";
import type { StressResult } from "@edgeplug/report/results";
import type { Backend } from "@edgeplug/test-support/board";

import type { StressReport } from "./run.js";
import { WARM, type Check } from "./verdict.js";

export interface RunInfo {
  board: Backend;
  swaps: number;
  seed: number;
  /** When it began. */
  when: Date;
  /** Wall time. */
  seconds: number;
  checks: readonly Check[];
  /** The command that does the same again. */
  command: string;
}

/** The value below which `share` of the others lie. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

export function toResult(report: StressReport, info: RunInfo): StressResult {
  const scans = report.swaps.map((swap) => swap.scans);
  const [warm, last] = [report.rests[WARM], report.rests.at(-1)];
  return {
    suite: "stress",
    board: info.board,
    when: info.when.toISOString(),
    command: info.command,
    seed: info.seed,
    seconds: info.seconds,
    passed: info.checks.every(({ violations }) => violations.length === 0),
    swaps: report.swaps,
    swapsWanted: info.swaps,
    scansRun: report.status.counters.scansRun,
    scansMissedByBoard: report.status.counters.scansMissed,
    scansMissedByObserver: report.scansMissedByObserver,
    requests: report.requests.sent,
    requestsLost: report.requests.lost,
    swapScans: { p50: percentile(scans, 0.5), p95: percentile(scans, 0.95), max: percentile(scans, 1) },
    wear: report.wear,
    memory: {
      comparedBytes: last?.comparison.comparedBytes ?? 0,
      differences: last?.comparison.differences ?? [],
      listedCounters: report.listedCounters,
      stackHighWaterBytes: [warm?.stackHighWater ?? 0, last?.stackHighWater ?? 0],
    },
    bytesCorrupted: report.spoiltBytes,
  };
}

/** A case for each check. They are all of one run, whose time stands with the first. */
export function junitCases({ checks, seconds }: Pick<RunInfo, "checks" | "seconds">): JunitCase[] {
  return checks.map(({ name, violations }, at) => ({
    name,
    seconds: at === 0 ? seconds : 0,
    failures: violations,
  }));
}

export function summary(result: StressResult, report: StressReport): string[] {
  const { swapScans, memory, wear } = result;
  const { served, declined, repeats } = report.requests;
  const afterSwap = report.rests.map((rest) => rest.afterSwap);
  return [
    `swaps confirmed: ${result.swaps.length} of ${result.swapsWanted}, in ${swapScans.p50} scans (half of them), ${swapScans.p95} (95 %), ${swapScans.max} (all)`,
    `shadow runs before them: ${report.swaps.filter(({ shadowed }) => shadowed).length}`,
    `scans run: ${result.scansRun}, missed by the board's count: ${result.scansMissedByBoard}, by the observer's: ${result.scansMissedByObserver}`,
    `requests: ${result.requests} (${served} served, ${declined} declined for want of a handler), lost: ${result.requestsLost}`,
    `noise: ${result.bytesCorrupted} bytes spoilt, ${repeats} requests of the link sent again`,
    `RAM: ${memory.differences.length} of ${memory.comparedBytes} bytes differ between swap ${afterSwap[0]} and swap ${afterSwap.at(-1)}, listed counters aside (looked at ${afterSwap.length} times)`,
    `stack's high-water mark: ${memory.stackHighWaterBytes[0]} bytes after swap ${afterSwap[WARM]}, ${memory.stackHighWaterBytes[1]} after swap ${afterSwap.at(-1)}`,
    ...Object.entries(wear).map(
      ([area, { erases, mostWornPage }]) =>
        `erases of ${area}: ${erases}, of its most worn page: ${mostWornPage}`,
    ),
  ];
}
