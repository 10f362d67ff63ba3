/**
 * Which agent runs after a boot, as the hot-swap page says it, and in its order: two tables. One gives what a pair of
 * units says of a mark, the other what the board does with what it found. Nothing here is taken from the firmware's code.
 */

// ---- a pair of copies ---------------------------------------------------------------------------------------------

/** Three readings of one copy. unreadable: an ECC error; unstable: different from reading to reading. */
export type CopyState = "blank" | "valid" | "torn" | "unreadable" | "unstable";
export const COPY_STATES: readonly CopyState[] = ["blank", "valid", "torn", "unreadable", "unstable"];

export type MarkName = "STAGED" | "TRIAL" | "CONFIRMED" | "REJECTED";

/** What the journal says of a mark; it outweighs what can be read. */
export type Knowledge = "nothing" | "holds" | "absent";

export interface PairOutcome {
  /** Whether the mark counts, before and after boot has settled it. */
  readonly holds: boolean;
  /** Both copies, once boot has completed what it can. */
  readonly after: readonly [CopyState, CopyState];
  /** What the journal says once boot has settled the mark. */
  readonly known: Knowledge;
}

/** "Torn: STAGED and CONFIRMED count as absent, TRIAL as an attempt used, REJECTED as rejected." */
const TORN_COUNTS: Readonly<Record<MarkName, boolean>> = {
  STAGED: false,
  CONFIRMED: false,
  TRIAL: true,
  REJECTED: true,
};

export function pairOutcome(
  mark: MarkName,
  first: CopyState,
  second: CopyState,
  known: Knowledge = "nothing",
): PairOutcome {
  const pair = [first, second] as const;
  // "Reading can fail; every reader has an outcome for that"; "a bit that reads differently twice"
  const torn = pair.some((copy) => copy !== "blank" && copy !== "valid");
  // "either valid copy counts"
  const read = pair.includes("valid") || (torn && TORN_COUNTS[mark]);
  const holds = known === "holds" || (known === "nothing" && read);
  // "Boot programs a second copy that reads blank in three readings"
  const completed = (copy: CopyState): CopyState => (holds && copy === "blank" ? "valid" : copy);
  // "if it is torn [...] the fact goes to the journal before anything relies on it"
  const noted = torn ? (holds ? "holds" : "absent") : known;
  return { holds, after: [completed(first), completed(second)], known: noted };
}

// ---- a slot and the choice ----------------------------------------------------------------------------------------

export type ResetCause = "power-on" | "requested" | "watchdog" | "fault";
export const RESET_CAUSES: readonly ResetCause[] = ["power-on", "requested", "watchdog", "fault"];

/** "so many healthy scans between": resets that are too many. */
export const TOO_MANY_RESETS = 3;

/** A slot whose header does not hold (bad CRC, blank, unreadable) has no marks. */
export interface Slot {
  readonly recordHolds: boolean;
  readonly payloadHolds: boolean;
  readonly confirmed: boolean;
  readonly rejected: boolean;
  /** TRIAL marks that count. */
  readonly attempts: number;
  /** That the manifest allows. */
  readonly attemptsAllowed: number;
  readonly swapNumber: number;
}

export interface Found {
  readonly slots: readonly [Slot, Slot];
  readonly cause: ResetCause;
  /** Resets of the confirmed agent with this swap number, without enough healthy scans between. */
  readonly resets: { readonly count: number; readonly swapNumber: number };
}

export type Rejection = "watchdog" | "fault" | "attempts" | "resets";

export interface Choice {
  readonly rejects: readonly [Rejection | undefined, Rejection | undefined];
  /** Slot that makes another attempt. */
  readonly attempt: number | undefined;
  /** Confirmed slot that runs, or is fallen back to while the attempt runs. */
  readonly confirmed: number | undefined;
  /** Safe mode although an intact confirmed agent is there: it has just reset the board three times. */
  readonly kept: boolean;
  readonly resets: { readonly count: number; readonly swapNumber: number };
}

/** "Bootable = record CRC and payload SHA-512 hold, and not REJECTED." */
function isBootable(slot: Slot): boolean {
  return slot.recordHolds && slot.payloadHolds && !slot.rejected;
}

/** A trial that has begun and not ended, whatever has become of its payload. */
function isInTrial(slot: Slot): boolean {
  return slot.recordHolds && slot.attempts > 0 && !slot.confirmed && !slot.rejected;
}

/** "the higher swap number (a tie goes to A)"; undefined for none. */
function highest(slots: readonly [Slot, Slot], candidates: readonly number[]): number | undefined {
  const number = (slot: number): number => slots[slot === 0 ? 0 : 1].swapNumber;
  return [...candidates].sort((a, b) => number(b) - number(a) || a - b)[0];
}

export function chooseBoot({ slots, cause, resets }: Found): Choice {
  const rejects: [Rejection | undefined, Rejection | undefined] = [undefined, undefined];
  const both = [0, 1] as const;
  const lost = cause === "watchdog" || cause === "fault";

  // "3. The bootable CONFIRMED slot with the higher swap number"
  const confirmed = both.filter((slot) => isBootable(slots[slot]) && slots[slot].confirmed);
  const best = highest(slots, confirmed);

  // swap numbers rise with each update: what is older than the best confirmed one has had its trial, whatever has
  // become of its CONFIRMED
  const isOver = (slot: 0 | 1): boolean =>
    best !== undefined && slots[slot].swapNumber < slots[best === 0 ? 0 : 1].swapNumber;
  const trials = both.filter((slot) => isInTrial(slots[slot]) && !isOver(slot));

  // 1. "Was the reset the watchdog's, or a fault's, during a trial? Then REJECTED is programmed first" (the reason
  //    that the host can read tells the two apart)
  if (lost) for (const slot of trials) rejects[slot] = cause;

  // 2. "A bootable slot with TRIAL, no CONFIRMED and attempts left (after a power-on or a requested reset)"
  const hasAttempts = (slot: 0 | 1): boolean => slots[slot].attempts < slots[slot].attemptsAllowed;
  if (!lost) for (const slot of trials) if (!hasAttempts(slot)) rejects[slot] = "attempts";
  const attempt = highest(
    slots,
    lost ? [] : trials.filter((slot) => isBootable(slots[slot]) && hasAttempts(slot)),
  );

  // 4. "Safe mode"
  if (best === undefined) return { rejects, attempt, confirmed: undefined, kept: false, resets };

  // "A confirmed agent after which the watchdog resets the board three times": those of a trial are not its
  const { swapNumber } = slots[best === 0 ? 0 : 1];
  const before = resets.swapNumber === swapNumber ? resets.count : 0;
  // "the board stays in safe mode for this power cycle": the next one begins without
  const tooManyBefore = before >= TOO_MANY_RESETS;
  let count = before + (lost && trials.length === 0 && !tooManyBefore ? 1 : 0);
  if (tooManyBefore && cause === "power-on") count = 0;
  if (count < TOO_MANY_RESETS)
    return { rejects, attempt, confirmed: best, kept: false, resets: { count, swapNumber } };

  // "gets REJECTED(resets) and the other confirmed slot runs; if there is none it is kept"
  const other = confirmed.find((slot) => slot !== best);
  if (other === undefined)
    return { rejects, attempt, confirmed: undefined, kept: true, resets: { count, swapNumber } };
  rejects[best === 0 ? 0 : 1] = "resets";
  const heir = { count: 0, swapNumber: slots[other].swapNumber };
  return { rejects, attempt, confirmed: other, kept: false, resets: heir };
}
