/** One cut: a board on the flash that it left, run to rest, asked about every law, booted again and updated once more. */
import { Flash, type FlashOperation } from "@edgeplug/sim";
import type { CutOutcome } from "@edgeplug/report/results";

import { choiceOf, SAFE } from "./choice.js";
import { insert, messageOf, type Bench, type Moment } from "./capture.js";
import { beginOf, type Driver, type Status } from "./driver.js";
import { BLANK, markAt, placesOf, reread, viewOf, type FlashView } from "./flash-view.js";
import { checkLaws, checkOutputs, checkSame, nameOf, runnerOf, standingOf, type Standing } from "./laws.js";
import { agentNamed } from "./packages.js";
import { hashOf } from "./point.js";
import { nextOf, type Scenario } from "./scenario.js";
import { NO_PERMISSIONS } from "./truth.js";
import { Watcher, type Law, type Report } from "./watch.js";
import { errorNameOf } from "./words.js";

/** What is kept between the points of a unit of work, so that nothing is examined twice. */
export interface Memory {
  /** Flashes that a cut left. */
  readonly points: Set<string>;
  /** Flashes at rest, exactly. */
  readonly rests: Set<string>;
  /** End states: flashes at rest, by sense; and those but for the journal. */
  readonly ends: Set<string>;
  readonly slots: Set<string>;
  readonly lawChecks: Map<Law, number>;
}

export function newMemory(): Memory {
  return { points: new Set(), rests: new Set(), ends: new Set(), slots: new Set(), lawChecks: new Map() };
}

/** An operation of a recovery, to be cut in turn. */
export interface RecoveryMoment {
  readonly operation: FlashOperation;
  readonly flash: Flash;
}

export interface Examined {
  readonly outcome: CutOutcome;
  readonly recovery: readonly RecoveryMoment[];
  /** After the recovery. */
  readonly rest: Flash | undefined;
}

export interface Subject {
  readonly scenario: Scenario;
  /** Before the first cut. */
  readonly moment: Moment;
  /** As the latest cut left it. */
  readonly flash: Flash;
  readonly view: FlashView;
  readonly id: string;
  /** Whether the operations of the recovery are wanted. */
  readonly keepsRecovery: boolean;
  /** Law 3 and 10 are probed at every end state, even one that was seen before. */
  readonly probesAlways?: boolean;
}

export function examine(bench: Bench, subject: Subject, memory: Memory, report: Report): Examined {
  const { board } = bench;
  const recovery: RecoveryMoment[] = [];
  const failed = { outcome: "violation" as const, recovery, rest: undefined };
  let violated = false;
  const tell: Report = (law, message) => {
    violated = true;
    report(law, message);
  };
  const { permissions } = subject.moment;
  const watcher = new Watcher(board.flash, bench.driver.watch, () => permissions, tell);
  insert(bench, subject.flash, hashOf(subject.id));
  watcher.reset(subject.view);
  board.flash.onOperation = (operation) => {
    if (subject.keepsRecovery) recovery.push({ operation, flash: board.flash.fork() });
    watcher.see(operation);
  };
  let standing: Standing;
  let tried: boolean;
  try {
    const status = comeToRest(bench.driver);
    tried = bench.driver.tried;
    standing = ask(bench.driver, status, subject);
  } catch (error) {
    tell("4", `the board does not come to rest: ${messageOf(error)}`);
    return failed;
  }
  board.flash.onOperation = undefined;
  const rest = board.flash.fork();
  const after = watcher.look();
  judge(subject, after, standing, memory, tell);
  try {
    checkRests(bench, subject, { flash: rest, view: after, standing }, memory, tell);
  } catch (error) {
    tell("6", `a further boot fails: ${messageOf(error)}`);
  }
  return violated ? { ...failed, rest } : { outcome: outcomeOf(subject, standing, tried), recovery, rest };
}

/** Power on, boot, and a trial to its end. */
export function comeToRest(driver: Driver): Status {
  driver.boot();
  return driver.settle();
}

function ask(driver: Driver, status: Status, { scenario, moment }: Subject): Standing {
  return standingOf(driver, status, scenario.keys === true || moment.truth.keys.size > 0);
}

function judge(subject: Subject, after: FlashView, standing: Standing, memory: Memory, report: Report): void {
  const { moment, scenario, view } = subject;
  checkLaws(
    {
      before: view,
      after,
      standing,
      truth: moment.truth,
      permissions: moment.permissions,
      maySpend: new Set(scenario.maySpend),
      keysMayChange: scenario.keys === true,
    },
    report,
  );
  for (const law of ["1", "2", "4", "5", "8", "10", "11"] as const) count(memory, law);
  if (moment.permissions.leave.has(17)) count(memory, "7");
}

function count({ lawChecks }: Memory, law: Law): void {
  lawChecks.set(law, (lawChecks.get(law) ?? 0) + 1);
}

function outcomeOf({ moment }: Subject, { runs }: Standing, tried: boolean): CutOutcome {
  if (runs === SAFE) return "safe-mode";
  if (runs === moment.truth.best) return "old";
  return tried ? "trial" : "new";
}

/** A flash at rest, and what its board said. */
interface Rest {
  readonly flash: Flash;
  readonly view: FlashView;
  readonly standing: Standing;
}

/** Laws 3, 6 and 10 at a flash at rest; nothing that was done before is done again. */
function checkRests(bench: Bench, subject: Subject, rest: Rest, memory: Memory, report: Report): void {
  const { flash } = rest;
  const { journal } = placesOf(flash.geometry);
  for (const law of ["3", "6"] as const) count(memory, law);
  // equal flashes are also of equal sense: a new end state has just been booted three times more
  if (isNew(memory.rests, flash.fingerprint(), subject)) checkFurtherBoots(bench, subject, rest, report);
  if (isNew(memory.ends, flash.fingerprint({ sense: true }), subject))
    checkNextUpdate(bench, subject, rest, report);
  if (isNew(memory.slots, flash.fingerprint({ sense: true, end: journal }), subject))
    checkDamagedJournal(bench, subject, rest, report);
}

function isNew(known: Set<string>, print: string, { probesAlways }: Subject): boolean {
  const before = known.size;
  known.add(print);
  return known.size > before || probesAlways === true;
}

/** Law 6. */
function checkFurtherBoots(bench: Bench, subject: Subject, rest: Rest, report: Report): void {
  const { board, driver } = bench;
  const { flash, standing, view } = rest;
  const { journal, journalHalf } = placesOf(flash.geometry);
  // at rest nobody else may come to run, but by a mark that wavers
  const isOpen = choiceOf(view).running.size > 1;
  let erases = 0;
  board.flash.onOperation = (operation) => {
    const { kind, address } = operation;
    if (address < journal && !isOpen && !completesWavering(view, operation, flash))
      report("6", `a further boot does ${kind === "erase" ? "an erase" : "a program"} in a slot`);
    if (kind === "erase") erases++;
  };
  if (isOpen) bootByChance(driver, view, report);
  else bootAlike(driver, subject, standing, report);
  board.flash.onOperation = undefined;
  // a header that wavers is repaired when it shows, in both halves
  const repairs = view.halves.some(({ headers }) => headers.perhaps > 0) ? 2 : 1;
  if (erases > (repairs * journalHalf) / flash.geometry.eraseSize)
    report("6", `three further boots erase ${erases} pages of the journal`);
}

/** A copy that wavers may read blank in one boot and torn in another; the mark is completed when it shows. */
function completesWavering(view: FlashView, operation: FlashOperation, { geometry }: Flash): boolean {
  const at = markAt(placesOf(geometry), operation);
  const copies = (at && view.slots[at.slot].marks[at.mark]?.copies) ?? [];
  return copies.some((may) => may !== BLANK && (may & BLANK) !== 0);
}

function bootAlike(driver: Driver, subject: Subject, standing: Standing, report: Report): void {
  for (let boot = 1; boot < 3; boot++) {
    driver.boot();
    checkOutputs(standing, driver.watch, boot, report);
  }
  driver.boot();
  checkSame(standing, ask(driver, driver.settle(), subject), 3, report);
}

/**
 * A TRIAL mark whose programming has hardly begun may read blank three times in one boot, and torn in the next: then the
 * trial that the host asked for goes on. No reader can tell; what comes of it is still bound by the page.
 */
function bootByChance(driver: Driver, view: FlashView, report: Report): void {
  const { final } = choiceOf(view);
  for (let boot = 1; boot <= 3; boot++) {
    const runs = runnerOf(comeToRest(driver));
    if (!final.has(runs)) report("6", `in boot ${boot} ${nameOf(runs)} runs`);
  }
}

/** Law 3, on the board as it runs: the very next update is staged and confirmed; what is spent is refused. */
function checkNextUpdate(bench: Bench, subject: Subject, rest: Rest, report: Report): void {
  const { board, driver } = bench;
  const tell: Report = (law, message) => {
    report(law, `in the next update: ${message}`);
  };
  const watcher = new Watcher(board.flash, driver.watch, () => NO_PERMISSIONS, tell);
  watcher.reset(reread(board.flash, rest.view));
  board.flash.onOperation = (operation) => {
    watcher.see(operation);
  };
  try {
    updateOnce(driver, subject, rest, report);
  } catch (error) {
    report("3", `the next update fails: ${messageOf(error)}`);
  }
  board.flash.onOperation = undefined;
}

function updateOnce(driver: Driver, { scenario, moment }: Subject, rest: Rest, report: Report): void {
  for (const digest of rest.standing.spent) {
    const spent = agentNamed(digest);
    if (spent === undefined) continue;
    const answer = errorNameOf(driver.ask(beginOf(spent.pkg)).error ?? 0);
    if (!REFUSALS.includes(answer)) report("5", `${spent.name} is spent, but Begin answers ${answer}`);
  }
  const next = nextOf(scenario);
  if (rest.view.slots.some(({ intact, swapNumber }) => intact === "yes" && swapNumber === LAST_SWAP_NUMBER)) {
    const answer = errorNameOf(driver.ask(beginOf(next.pkg)).error ?? 0);
    if (answer !== "SWAP_NUMBERS") report("11", `all swap numbers are used up, but Begin answers ${answer}`);
    return;
  }
  if (moment.truth.nonce > 0) {
    driver.challenge();
    if (driver.told <= moment.truth.nonce)
      report("11", `nonce ${driver.told} is told after ${moment.truth.nonce}`);
  }
  const { swapNumber, offset } = driver.begin(next.pkg);
  if (swapNumber <= moment.truth.swapNumber)
    report("11", `swap number ${swapNumber} comes after ${moment.truth.swapNumber}`);
  const status = driver.complete(next.pkg, offset);
  if (runnerOf(status) !== next.digest)
    report("3", `after the next update ${nameOf(runnerOf(status))} runs (${errorNameOf(status.lastError)})`);
  driver.boot();
  if (runnerOf(driver.settle()) !== next.digest)
    report("3", "the next update is confirmed, but does not run after a boot");
}

/** None follows it: from then on the board refuses, cleanly. */
const LAST_SWAP_NUMBER = 0xffff_ffff;

/** A package may be refused for its security version or release before the spent list is looked at. */
const REFUSALS = ["SPENT", "SECURITY_VERSION", "RELEASE"];

/** Law 10: with no header left the board counts as locked, says so, and runs on. */
function checkDamagedJournal(bench: Bench, subject: Subject, rest: Rest, report: Report): void {
  if (rest.view.slots.every(({ intact }) => intact === "no")) return;
  const { board, driver } = bench;
  insert(bench, rest.flash, hashOf(`${subject.id} damage`));
  const { journal, journalHalf } = placesOf(rest.flash.geometry);
  for (const half of [journal, journal + journalHalf])
    for (const copy of [0, 32]) board.flash.injectEcc(half + copy);
  driver.boot();
  const status = driver.settle();
  if (!status.locked || errorNameOf(status.journalError) !== "JOURNAL")
    report("10", "without a journal the board does not count as locked");
  const runs = runnerOf(status);
  if (runs !== rest.standing.runs && !choiceOf(viewOf(board.flash)).final.has(runs))
    report("10", `without a journal ${nameOf(runs)} runs instead of ${nameOf(rest.standing.runs)}`);
}
