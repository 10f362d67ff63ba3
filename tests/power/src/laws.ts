/** The laws of the hot-swap page, as far as one board at rest after a cut can be asked about them. */
import { choiceOf, notesOf, readingsOf, SAFE, type Choice } from "./choice.js";
import { SlotState, type Driver, type Status, type Watch } from "./driver.js";
import { BLANK, MARK_NAMES, VALID, type FlashView, type SlotView } from "./flash-view.js";
import { isTwin, journalFacts, KIND, type HalfView } from "./journal-view.js";
import { agentNamed, type Agent } from "./packages.js";
import { digestOf, lastCounters, spends, type Permissions, type Truth } from "./truth.js";
import type { Law, Report } from "./watch.js";
import { errorNameOf, slotName } from "./words.js";

export const LAWS: Readonly<Record<Law, string>> = {
  "1": "the slot that would be fallen back to is never touched by an update that is not confirmed",
  "2": "after any cut the board runs an agent that was confirmed, or the new one whose verification was complete",
  "3": "after any cut the very next update can be staged and succeeds",
  "4": "every torn value has a defined outcome and is completed before it is relied on",
  "5": "a package that failed stays spent, and is never tried again by itself",
  "6": "three more boots change nothing more",
  "7": "a confirmed agent that rots at rest is found, and the other slot takes over",
  "8": "only scans that ran confirm a trial",
  "10": "lock and keys survive, and a journal that does not fails closed",
  "11": "swap numbers, counters, nonces and the security version never go back",
};

/** All that is asked of a board at rest. */
export interface Standing {
  readonly status: Status;
  readonly spent: readonly string[];
  readonly keys: readonly { role: number; id: string }[];
  /** Digest of the agent that the board says it runs, or SAFE. */
  readonly runs: string;
  /** Swap numbers seen in scans since the boot. */
  readonly seen: ReadonlyMap<number, number>;
  readonly outputs: readonly number[];
  /** Swap number of the latest scan. */
  readonly swapNumber: number;
}

export function standingOf(driver: Driver, status: Status, asksKeys: boolean): Standing {
  return {
    status,
    spent: status.spent > 0 ? driver.spent() : [],
    keys: asksKeys ? driver.keys() : [],
    runs: runnerOf(status),
    seen: new Map(driver.watch.seen),
    outputs: driver.watch.outputs,
    swapNumber: driver.watch.swapNumber,
  };
}

/** Digest of the agent that a board says it runs, or SAFE. */
export function runnerOf({ active }: Status): string {
  return active?.digest ?? SAFE;
}

/** What a recovery is judged by. */
export interface Case {
  /** Flash as the cut left it. */
  readonly before: FlashView;
  /** Flash at rest. */
  readonly after: FlashView;
  readonly standing: Standing;
  readonly truth: Truth;
  readonly permissions: Permissions;
  /** Agents that do well by themselves, but that the scenario makes fail. */
  readonly maySpend: ReadonlySet<Agent>;
  /** The scenario is about keys or the lock. */
  readonly keysMayChange: boolean;
}

export function nameOf(digest: string): string {
  return digest === SAFE ? SAFE : (agentNamed(digest)?.name ?? `package ${digest}`);
}

function namesOf(digests: Iterable<string>): string {
  return [...digests].map(nameOf).join(" or ") || "nothing";
}

export function checkLaws(one: Case, report: Report): void {
  const choice = choiceOf(one.before);
  checkRunning(one, choice, report);
  checkRot(one, report);
  checkAttempts(one, report);
  checkSettled(one.after, report);
  checkSpent(one, report);
  checkLock(one, report);
  checkNumbers(one, report);
}

/** Law 2. */
function checkRunning({ standing, before, after, truth }: Case, choice: Choice, report: Report): void {
  const { runs, status } = standing;
  if (!choice.final.has(runs)) report("2", `${nameOf(runs)} runs; it should be ${namesOf(choice.final)}`);
  if (runs === SAFE && truth.best !== undefined && !choice.final.has(SAFE))
    report("2", `nothing runs, though ${nameOf(truth.best)} was confirmed`);
  if (runs !== SAFE && status.active?.state !== SlotState.SLOT_STATE_CONFIRMED)
    report("2", `${nameOf(runs)} runs, but it is not confirmed`);
  checkSeen(standing, before, after, choice, report);
}

/** Law 2, as the outputs show it. */
function checkSeen(
  standing: Standing,
  before: FlashView,
  after: FlashView,
  choice: Choice,
  report: Report,
): void {
  for (const swapNumber of standing.seen.keys()) {
    if (swapNumber === 0) continue;
    const slot = [...before.slots, ...after.slots].find(
      (one) => one.intact !== "no" && one.swapNumber === swapNumber,
    );
    const digest = slot?.agent?.digest ?? "of an unknown record";
    if (!choice.running.has(digest)) report("2", `${nameOf(digest)} was seen running`);
  }
  const { runs, status, swapNumber, outputs } = standing;
  if (swapNumber !== (status.active?.swapNumber ?? 0))
    report("2", `swap ${swapNumber} makes the outputs, the board says ${status.active?.swapNumber ?? 0}`);
  const wanted = runs === SAFE ? 0 : agentNamed(runs)?.value;
  if (outputs[0] !== wanted) report("2", `output 0 is ${outputs[0]}, ${nameOf(runs)} makes ${wanted}`);
}

/** Law 7: a confirmed agent whose payload has rotted does not run, and its slot says so once another one does. */
function checkRot({ standing, before, after }: Case, report: Report): void {
  before.slots.forEach((slot, index) => {
    const readings = readingsOf(slot, index, journalFacts(before.halves));
    if (slot.payload !== "no" || !readings.every((one) => one?.confirmed === true && !one.rejected)) return;
    const { active } = standing.status;
    const name = slot.agent?.name ?? "an agent";
    if (active?.swapNumber === slot.swapNumber) report("7", `${name} runs, though it has rotted`);
    const later = after.slots[index];
    if (active === undefined || later === undefined || active.swapNumber > slot.swapNumber) return;
    const ends = readingsOf(later, index, journalFacts(after.halves));
    if (!ends.every((one) => one?.rejected === true)) report("7", `${name} has rotted, and is not rejected`);
  });
}

/** Law 5: a candidate that runs has used up an attempt for it, and never more than its manifest allows. */
function checkAttempts({ standing, before, after }: Case, report: Report): void {
  before.slots.forEach((slot, index) => {
    if (slot.intact !== "yes" || !standing.seen.has(slot.swapNumber)) return;
    const start = readingsOf(slot, index, journalFacts(before.halves));
    if (start.some((one) => one === undefined || one.confirmed)) return;
    const least = Math.min(...start.map((one) => one?.attempts ?? 0));
    const later = after.slots[index];
    if (later?.swapNumber !== slot.swapNumber) return;
    const ends = readingsOf(later, index, journalFacts(after.halves)).map((one) => one?.attempts ?? 0);
    if (Math.max(...ends) <= least)
      report("5", `${slot.agent?.name ?? "a candidate"} ran without an attempt being marked`);
  });
}

/** Law 4, of a flash at rest: what holds is held by both copies or by the journal, what was torn is noted. */
export function checkSettled(view: FlashView, report: Report): void {
  const facts = journalFacts(view.halves);
  view.slots.forEach((slot, index) => {
    if (slot.intact !== "yes") return;
    const notes = notesOf(index, slot.swapNumber, facts);
    slot.marks.forEach((_, mark) => {
      const bit = 1 << mark;
      if (((notes.set | notes.absent | notes.maySet | notes.mayAbsent) & bit) !== 0) return;
      const what = unsettled(slot, mark);
      if (what !== undefined) report("4", `${MARK_NAMES[mark] ?? ""} of ${slotName(index)} ${what}`);
    });
  });
  checkJournal(view, report);
}

/** What is wrong with a mark that the journal knows nothing of. */
function unsettled({ marks }: SlotView, mark: number): string | undefined {
  const [first, second] = marks[mark]?.copies ?? [BLANK, BLANK];
  const oneHolds = first === VALID || second === VALID;
  const other = first === VALID ? second : first;
  if (oneHolds) return (other & VALID) !== 0 ? undefined : "holds by one copy only";
  if ((first & BLANK) !== 0 && (second & BLANK) !== 0) return undefined;
  return ((first | second) & VALID) !== 0
    ? "holds by a copy that wavers"
    : "is torn, and that is noted nowhere";
}

/** An entry whose bits waver must not be the last word about anything but boots, which each boot says anew. */
function checkJournal(view: FlashView, report: Report): void {
  const { half, possible } = journalFacts(view.halves);
  if (half === undefined) {
    if (view.halves.some(({ entries }) => entries.length > 0))
      report("4", "it is open which journal half counts");
    return;
  }
  const wavering = possible.find(
    (entry) =>
      half.entries.includes(entry) &&
      entry.state === "maybe" &&
      entry.kind !== KIND.boot &&
      !half.entries.some((other) => other.state === "valid" && isTwin(entry, other)),
  );
  if (wavering !== undefined)
    report("4", `journal entry ${wavering.index} wavers, and is not written once more`);
}

/** Law 5. */
function checkSpent({ standing, after, truth, maySpend, permissions }: Case, report: Report): void {
  const listed = new Set(standing.spent);
  for (const digest of truth.spent)
    if (!listed.has(digest)) report("5", `${nameOf(digest)} failed, but is not spent any more`);
  for (const digest of listed)
    if (!truth.spent.has(digest) && !mayBeSpent(agentNamed(digest), maySpend))
      report("5", `${nameOf(digest)} is spent, though nothing was wrong with it`);
  if (permissions.clearing) return;
  const { known } = journalFacts(after.halves);
  after.slots.forEach((slot, index) => {
    const rejected = readingsOf(slot, index, { known, possible: known, half: undefined });
    if (slot.agent?.verdict !== "bad" || !rejected.every((one) => one?.rejected === true)) return;
    const entry = known.findLast((one) => one.kind === KIND.rejected && one.swapNumber === slot.swapNumber);
    if ((entry === undefined || spends(entry)) && !listed.has(entry ? digestOf(entry) : slot.agent.digest))
      report("5", `${slot.agent.name} is rejected, but not spent`);
  });
}

function mayBeSpent(agent: Agent | undefined, maySpend: ReadonlySet<Agent>): boolean {
  return agent !== undefined && (agent.verdict === "bad" || maySpend.has(agent));
}

/** Law 10, as long as the journal lives. */
function checkLock(one: Case, report: Report): void {
  const { standing, truth, keysMayChange, after } = one;
  const { status, keys } = standing;
  if (status.journalError !== 0)
    report("10", `the journal counts as damaged (${errorNameOf(status.journalError)})`);
  if (truth.locked && !status.locked) report("10", "the board was locked and is open");
  if (truth.opened && status.locked) report("10", "the board was unlocked and is locked again");
  if (!truth.locked && status.locked && !keysMayChange) report("10", "the board was open and is locked");
  if (truth.keys.size === 0 && !keysMayChange) return;
  if (keys.some(({ role }) => role === 0)) report("10", "a key can't be read");
  if (keys.length < truth.keys.size) report("10", `${keys.length} of ${truth.keys.size} keys are left`);
  const { half } = journalFacts(after.halves);
  if (half !== undefined) checkKeys(one, half, report);
}

/** Law 10: no key is lost, none that was taken away comes back, and one that is replaced is so once and for all. */
function checkKeys({ truth, permissions }: Case, { keys }: HalfView, report: Report): void {
  const has = (key: string) => keys.some((one) => one.key === key);
  for (const [key, role] of truth.keys)
    if (!keys.some((one) => one.key === key && one.role === role))
      report("10", `key ${key.slice(0, 8)}… is lost or has another role`);
  for (const key of truth.gone) if (has(key)) report("10", `key ${key.slice(0, 8)}… was removed and is back`);
  for (const [old, by] of permissions.drops)
    if (by !== undefined && has(old) === has(by))
      report(
        "10",
        `key ${old.slice(0, 8)}… and the one that replaces it are ${has(by) ? "both" : "neither"} there`,
      );
}

/** Law 11, with the board's security version, which is a counter too. */
function checkNumbers({ standing, truth, after }: Case, report: Report): void {
  const { status } = standing;
  if (status.securityVersion < truth.floor)
    report("11", `the security version fell from ${truth.floor} to ${status.securityVersion}`);
  const highest = Math.max(
    truth.floor,
    ...after.slots.map((slot, index) =>
      readingsOf(slot, index, journalFacts(after.halves)).some((one) => one?.confirmed)
        ? (slot.agent?.pkg.manifest.securityVersion ?? 0)
        : 0,
    ),
  );
  if (status.securityVersion > highest)
    report(
      "11",
      `the security version is ${status.securityVersion}, but nothing above ${highest} was confirmed`,
    );
  const counters = lastCounters(journalFacts(after.halves));
  if (counters !== undefined && counters.nonce < truth.nonce)
    report("11", `the counter of nonces fell from ${truth.nonce} to ${counters.nonce}`);
  if (status.bootNumber <= truth.bootNumber)
    report("11", `boot ${status.bootNumber} comes after boot ${truth.bootNumber}`);
}

/** Law 6, as the outputs of a further boot show it. */
export function checkOutputs(first: Standing, { seen }: Watch, boot: number, report: Report): void {
  const others = [...seen.keys()].filter((swap) => swap !== first.swapNumber && swap !== 0);
  if (others.length > 0 || !seen.has(first.swapNumber))
    report("6", `in boot ${boot} swap ${others.join(", ") || 0} runs instead of ${first.swapNumber}`);
}

/** Law 6: what further boots may not change. */
export function checkSame(first: Standing, later: Standing, boot: number, report: Report): void {
  const differs = (what: string, a: unknown, b: unknown) => {
    if (a !== b) report("6", `boot ${boot} changed ${what} from ${String(a)} to ${String(b)}`);
  };
  const [was, is] = [first.status, later.status];
  differs("who runs", nameOf(first.runs), nameOf(later.runs));
  differs("its state", was.active?.state, is.active?.state);
  differs("who makes the outputs", first.swapNumber, later.swapNumber);
  differs("the spent list", namesOf(first.spent), namesOf(later.spent));
  differs("the keys", JSON.stringify(first.keys), JSON.stringify(later.keys));
  differs("the lock", was.locked, is.locked);
  differs("the security version", was.securityVersion, is.securityVersion);
  differs("the boot number by other than one a boot", was.bootNumber + boot, is.bootNumber);
}
