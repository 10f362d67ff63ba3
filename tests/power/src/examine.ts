/** One cut: a board on the flash that it left, run to rest, asked about every law, booted again and updated once more. */
import { Flash, type FlashOperation } from "@edgeplug/sim";
import type { Status } from "edgeplug/device";
import type { CutOutcome } from "@edgeplug/report/results";

import { choiceOf, SAFE } from "./choice.js";
import { insert, messageOf, type Bench, type Moment } from "./capture.js";
import { beginOf, UpdatePhase, type Driver } from "./driver.js";
import { placesOf, refresh, viewOf, type FlashView } from "./flash-view.js";
import { checkLaws, checkSame, nameOf, standingOf, type Standing } from "./laws.js";
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
  /** End states: flashes at rest, by sense. */
  readonly ends: Set<string>;
  readonly lawChecks: Map<Law, number>;
}

export function newMemory(): Memory {
  return { points: new Set(), rests: new Set(), ends: new Set(), lawChecks: new Map() };
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
    bench.driver.boot();
    const status = bench.driver.status();
    tried = status.phase === UpdatePhase.UPDATE_PHASE_TRIAL;
    standing = ask(bench.driver, tried ? bench.driver.settle() : status, subject);
  } catch (error) {
    tell("4", `the board does not come to rest: ${messageOf(error)}`);
    return failed;
  }
  board.flash.onOperation = undefined;
  const rest = board.flash.fork();
  const after = viewOf(rest);
  judge(subject, after, standing, memory, tell);
  try {
    checkRests(bench, subject, rest, standing, memory, tell);
  } catch (error) {
    tell("6", `a further boot fails: ${messageOf(error)}`);
  }
  return violated ? { ...failed, rest } : { outcome: outcomeOf(subject, standing, tried), recovery, rest };
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

/** Laws 3, 6 and 10 at a flash at rest; nothing that was done before is done again. */
function checkRests(
  bench: Bench,
  subject: Subject,
  rest: Flash,
  standing: Standing,
  memory: Memory,
  report: Report,
): void {
  const exact = rest.fingerprint();
  const isKnown = memory.rests.has(exact);
  memory.rests.add(exact);
  count(memory, "6");
  if (!isKnown) checkFurtherBoots(bench, subject, rest, standing, report);
  const sense = rest.fingerprint({ sense: true });
  count(memory, "3");
  if (memory.ends.has(sense) && subject.probesAlways !== true) return;
  memory.ends.add(sense);
  checkDamagedJournal(bench, subject, rest, standing, report);
  checkNextUpdate(bench, subject, rest, standing, report);
}

/** Law 6. */
function checkFurtherBoots(
  bench: Bench,
  subject: Subject,
  rest: Flash,
  first: Standing,
  report: Report,
): void {
  const { board, driver } = bench;
  let compactions = 0;
  board.flash.onOperation = ({ kind, address }) => {
    if (address < journalOf(board.flash)) report("6", `a further boot does a ${kind} in a slot`);
    if (kind === "erase") compactions++;
  };
  for (let boot = 1; boot <= 3; boot++) {
    driver.boot();
    checkSame(first, ask(driver, driver.settle(), subject), boot, report);
  }
  board.flash.onOperation = undefined;
  const pages = journalPages(rest);
  if (compactions > pages) report("6", `three further boots erase ${compactions} pages of the journal`);
}

/** Law 3: the very next update is staged and confirmed; what is spent is refused. */
function checkNextUpdate(
  bench: Bench,
  subject: Subject,
  rest: Flash,
  standing: Standing,
  report: Report,
): void {
  const { board, driver } = bench;
  const { scenario, moment } = subject;
  insert(bench, rest, hashOf(`${subject.id} next`));
  const tell: Report = (law, message) => {
    report(law, `in the next update: ${message}`);
  };
  try {
    driver.boot();
    driver.settle();
    for (const digest of standing.spent) {
      const spent = agentNamed(digest);
      if (spent === undefined) continue;
      const answer = errorNameOf(driver.ask(beginOf(spent.pkg)).error ?? 0);
      if (!REFUSALS.includes(answer)) report("5", `${spent.name} is spent, but Begin answers ${answer}`);
    }
    const watcher = new Watcher(board.flash, driver.watch, () => NO_PERMISSIONS, tell);
    watcher.reset(viewOf(board.flash));
    board.flash.onOperation = (operation) => {
      watcher.see(operation);
    };
    const next = nextOf(scenario);
    const { swapNumber } = driver.begin(next.pkg);
    if (swapNumber <= moment.truth.swapNumber)
      report("11", `swap number ${swapNumber} comes after ${moment.truth.swapNumber}`);
    const { active, lastError } = driver.update(next.pkg);
    const runs = active === null ? SAFE : Buffer.from(active.digest).toString("hex");
    if (runs !== next.digest) report("3", `after the next update ${nameOf(runs)} runs (error ${lastError})`);
    board.flash.onOperation = undefined;
    driver.boot();
    const again = driver.settle().active;
    if (again === null || Buffer.from(again.digest).toString("hex") !== next.digest)
      report("3", "the next update is confirmed, but does not run after a boot");
  } catch (error) {
    report("3", `the next update fails: ${messageOf(error)}`);
  }
  board.flash.onOperation = undefined;
}

/** A package may be refused for its security version or release before the spent list is looked at. */
const REFUSALS = ["SPENT", "SECURITY_VERSION", "RELEASE"];

/** Law 10: with no header left the board counts as locked, says so, and runs on. */
function checkDamagedJournal(
  bench: Bench,
  subject: Subject,
  rest: Flash,
  standing: Standing,
  report: Report,
): void {
  if (viewOf(rest).slots.every(({ intact }) => intact === "no")) return;
  const { board, driver } = bench;
  insert(bench, rest, hashOf(`${subject.id} damage`));
  const start = journalOf(board.flash);
  const half = journalPages(rest) * board.geometry.eraseSize;
  for (const address of [start, start + 32, start + half, start + half + 32]) board.flash.injectEcc(address);
  driver.boot();
  const status = driver.settle();
  if (!status.locked || errorNameOf(status.journalError) !== "JOURNAL")
    report("10", "without a journal the board does not count as locked");
  const runs = status.active === null ? SAFE : Buffer.from(status.active.digest).toString("hex");
  const choice = choiceOf(refreshAll(board.flash));
  if (!choice.final.has(runs) && runs !== standing.runs)
    report("10", `without a journal ${nameOf(runs)} runs instead of ${nameOf(standing.runs)}`);
}

function refreshAll(flash: Flash): FlashView {
  return refresh(flash, undefined, flash.geometry.base, flash.geometry.size);
}

function journalOf(flash: Flash): number {
  return placesOf(flash.geometry).journal;
}

/** Pages of a half. */
function journalPages(flash: Flash): number {
  return placesOf(flash.geometry).journalHalf / flash.geometry.eraseSize;
}
