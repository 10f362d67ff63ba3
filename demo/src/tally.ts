/** What the story comes to, counted from what the board and the line reported. */
export interface Tally {
  swaps: { done: number; of: number };
  /** By the boards' own counters, over all boots. */
  scansRun: number;
  /** The larger of the boards' own count and the outside observer's. */
  scansMissed: number;
  requestsLost: number;
  refused: { done: number; of: number };
  rollbacks: { done: number; of: number };
  resumed: boolean;
}

export function emptyTally(): Tally {
  return {
    swaps: { done: 0, of: 0 },
    scansRun: 0,
    scansMissed: 0,
    requestsLost: 0,
    refused: { done: 0, of: 0 },
    rollbacks: { done: 0, of: 0 },
    resumed: false,
  };
}

/** The closing lines; scripts read them. */
export function tallyLines(tally: Tally): string[] {
  return [
    `swaps: ${tally.swaps.done} of ${tally.swaps.of}`,
    `scans run: ${tally.scansRun}`,
    `scans missed: ${tally.scansMissed}`,
    `requests lost: ${tally.requestsLost}`,
    `refused: ${tally.refused.done} of ${tally.refused.of}`,
    `rollbacks: ${tally.rollbacks.done} of ${tally.rollbacks.of}`,
    `resumed after power cut: ${tally.resumed ? "yes" : "no"}`,
  ];
}

/** Whether all of it holds. */
export function isGood(tally: Tally): boolean {
  const whole = [tally.swaps, tally.refused, tally.rollbacks].every(({ done, of }) => of > 0 && done === of);
  return whole && tally.scansRun > 0 && tally.scansMissed === 0 && tally.requestsLost === 0 && tally.resumed;
}
