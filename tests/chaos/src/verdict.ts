/** After a case: does the right agent run, byte for byte, was nobody disturbed, and does the next update succeed. */
import { EdgePlugError } from "edgeplug";
import type { Status } from "edgeplug/device";
import { edgeplug } from "edgeplug/messages";
import {
  RECORD_KEY_ID_OFFSET,
  RECORD_KEY_ID_SIZE,
  RECORD_MANIFEST_LENGTH_OFFSET,
  RECORD_MANIFEST_OFFSET,
  RECORD_PAYLOAD_MAX,
  RECORD_SIGNATURE_OFFSET,
  RECORD_SIGNATURE_SIZE,
} from "edgeplug/record-layout";
import { until } from "@edgeplug/test-support/clock";
import { failureOf, push } from "@edgeplug/test-support/push";

import { same } from "./bytes.js";
import type { ChaosKind, Outcome, Runner, Trial } from "./case.js";
import { NOBODY } from "./eyes.js";
import type { Parcel } from "./parcels.js";
import { noisy, pushOptions } from "./transit.js";

export interface Violation {
  readonly law: "slipped" | "crash" | "lock-out" | "disturbed";
  readonly what: string;
}

export interface Verdict {
  readonly violations: readonly Violation[];
  /** Whether a push over a line that corrupts bytes was tried after it; it succeeded if there is no lock-out. */
  readonly retried: boolean;
}

/** Every n-th case is followed by a push over a bad line, and by one more power cycle. */
const RETRY_EVERY = 8;
const POWER_CYCLE_EVERY = 4;
/** Scans for the eyes to see after what the board has told. */
const LOOK_SCANS = 3;

export async function judge(trial: Trial, kind: ChaosKind, outcome: Outcome): Promise<Verdict> {
  const violations: Violation[] = [];
  const add = (law: Violation["law"], what: string | undefined): void => {
    if (what !== undefined) violations.push({ law, what });
  };
  trial.tell(`caught by: ${outcome.caughtBy}`);
  if (trial.parcel.value === undefined && outcome.swapNumber !== undefined)
    trial.strangers.add(outcome.swapNumber);
  if (!kind.catchers.includes(outcome.caughtBy)) add("slipped", `not to be caught by ${outcome.caughtBy}`);
  const runs = await checkRunner(trial, outcome, add);
  checkEyes(trial, outcome, add);
  const retried = trial.number % RETRY_EVERY === 5 && outcome.refuses === undefined;
  const parcel = runs === "new" ? trial.workshop.next(trial.number) : trial.parcel;
  add("lock-out", await nextUpdate(trial, outcome, parcel, retried));
  checkEyes(trial, outcome, add, parcel);
  for (const crash of trial.bench.crashes) add("crash", crash);
  return {
    violations: violations.filter(
      ({ what }, at) => violations.findIndex((other) => other.what === what) === at,
    ),
    retried,
  };
}

type Add = (law: Violation["law"], what: string | undefined) => void;

/** Who runs, by the board's word and by the outputs, and whether its slot holds what was pushed. */
async function checkRunner(trial: Trial, outcome: Outcome, add: Add): Promise<Runner | undefined> {
  const { session, line } = await trial.connect();
  const status = await endSession(session.status.bind(session), () => session.abort());
  await look(trial, status);
  await line.close();
  add("disturbed", missed(status));
  const runs = runnerOf(trial, status, outcome);
  if (runs === undefined || !outcome.mayRun.includes(runs)) {
    add(
      "slipped",
      `${runs ?? `swap ${trial.bench.eyes.last?.swapNumber}`} runs, not ${outcome.mayRun.join(" or ")}`,
    );
    return runs;
  }
  trial.tell(`runs: ${runs}`);
  const slot = status.activeSlot === 0 ? 0 : 1;
  const parcel = parcelOf(trial, runs);
  if (parcel === undefined || outcome.damagedSlot === slot) return runs;
  add("slipped", await difference(trial, slot, parcel));
  return runs;
}

/** What the eyes see may come later than what the board says. */
function look({ bench }: Trial, { scan }: Status): Promise<true> {
  return until(
    bench.clock,
    "a look at the outputs",
    () => (bench.eyes.last?.scan ?? 0) >= scan + LOOK_SCANS && true,
  );
}

/** A session that is still open belongs to a host that has gone: whoever comes next ends it. */
async function endSession(status: () => Promise<Status>, abort: () => Promise<unknown>): Promise<Status> {
  const first = await status();
  if (first.phase === edgeplug.UpdatePhase.UPDATE_PHASE_IDLE) return first;
  await abort();
  return status();
}

/** By what the machine sees; undefined for one who should not be there. */
function runnerOf({ bench, scene, parcel }: Trial, status: Status, outcome: Outcome): Runner | undefined {
  const { last } = bench.eyes;
  if (last === undefined) return undefined;
  if (last.swapNumber === NOBODY) return status.safeMode ? "safe mode" : undefined;
  const value = last.outputs[0];
  const is = (swapNumber: number | undefined, of: Parcel): boolean =>
    last.swapNumber === swapNumber && (of.value === undefined || value === of.value);
  if (is(scene.old.swapNumber, scene.old.parcel)) return "old";
  if (scene.fallback && is(scene.fallback.swapNumber, scene.fallback.parcel)) return "fallback";
  return is(outcome.swapNumber, parcel) ? "new" : undefined;
}

function parcelOf({ scene, parcel }: Trial, runs: Runner): Parcel | undefined {
  if (runs === "new") return parcel;
  return runs === "old" ? scene.old.parcel : runs === "fallback" ? scene.fallback?.parcel : undefined;
}

function missed({ counters }: Status): string | undefined {
  return counters.scansMissed === 0 ? undefined : `${counters.scansMissed} scans missed by the board's count`;
}

/** Where slot and package differ, if they do. */
async function difference(trial: Trial, slot: 0 | 1, { pkg }: Parcel): Promise<string | undefined> {
  const bytes = (await trial.bench.image()).slot(slot);
  const record = bytes.subarray(RECORD_PAYLOAD_MAX);
  const part = (offset: number, size: number): Uint8Array => record.subarray(offset, offset + size);
  const length = new DataView(record.buffer, record.byteOffset).getUint16(
    RECORD_MANIFEST_LENGTH_OFFSET,
    true,
  );
  const padded = (field: Uint8Array, size: number): Uint8Array =>
    field.length === 0 ? new Uint8Array(size) : field;
  const checks: [string, Uint8Array, Uint8Array][] = [
    ["payload", bytes.subarray(0, pkg.payload.length), pkg.payload],
    ["manifest", part(RECORD_MANIFEST_OFFSET, length), pkg.manifestBytes],
    ["key id", part(RECORD_KEY_ID_OFFSET, RECORD_KEY_ID_SIZE), padded(pkg.keyId, RECORD_KEY_ID_SIZE)],
    [
      "signature",
      part(RECORD_SIGNATURE_OFFSET, RECORD_SIGNATURE_SIZE),
      padded(pkg.signature, RECORD_SIGNATURE_SIZE),
    ],
  ];
  const wrong = checks.find(([, found, wanted]) => !same(found, wanted));
  return wrong && `the ${wrong[0]} of what runs is not what was pushed`;
}

/** No scan missing, no agent seen that has no right to be. */
function checkEyes(trial: Trial, outcome: Outcome, add: Add, pushed?: Parcel): void {
  const { scene, bench, parcel, strangers } = trial;
  for (const { what, swapNumber } of bench.eyes.verdict())
    if (swapNumber === undefined || !strangers.has(swapNumber)) add("disturbed", what);
  const allowed = new Set([scene.old.parcel.value]);
  if (scene.fallback) allowed.add(scene.fallback.parcel.value);
  if (outcome.swapNumber !== undefined) allowed.add(parcel.value);
  if (pushed) allowed.add(pushed.value);
  for (const [swapNumber, value] of bench.eyes.agents)
    if (!allowed.has(value) && !strangers.has(swapNumber))
      add("slipped", `swap ${swapNumber} wrote ${value}: it should never have run`);
}

/** The next update succeeds, at once; where bits read differently each time, at the latest the one after it. */
async function nextUpdate(
  trial: Trial,
  outcome: Outcome,
  parcel: Parcel,
  badLine: boolean,
): Promise<string | undefined> {
  if (outcome.refuses !== undefined) return refuses(trial, outcome);
  const failed = await pushes(trial, parcel, badLine);
  if (failed === undefined || !trial.unstable) return failed;
  trial.tell(`${failed}; once more`);
  const { session, line } = await trial.connect();
  await endSession(session.status.bind(session), () => session.abort());
  await line.close();
  return pushes(trial, parcel, false);
}

/** The very next update succeeds, and what it brought is there; what went wrong if not. */
async function pushes(trial: Trial, parcel: Parcel, badLine: boolean): Promise<string | undefined> {
  const line = badLine ? noisy(trial, { corrupt: trial.rate }) : {};
  try {
    const link = await trial.connect(line);
    const { slot, swapNumber } = await push(link.session, parcel.pkg, pushOptions(parcel.pkg));
    if (parcel.value === undefined) trial.strangers.add(swapNumber);
    await link.line.close();
    trial.tell(`a clean push${badLine ? " over a bad line" : ""}: swap ${swapNumber} in slot ${slot}`);
    const wrong =
      (await difference(trial, slot === 0 ? 0 : 1, parcel)) ?? (await runsNow(trial, parcel, swapNumber));
    if (wrong !== undefined || trial.number % POWER_CYCLE_EVERY !== 2) return wrong;
    await trial.bench.powerOff();
    await trial.bench.powerOn();
    return await runsNow(trial, parcel, swapNumber);
  } catch (error) {
    const { code, message } = EdgePlugError.from(error);
    return `the next push failed: ${code}, ${message}`;
  }
}

async function runsNow(trial: Trial, parcel: Parcel, swapNumber: number): Promise<string | undefined> {
  const { session, line } = await trial.connect();
  const status = await session.status();
  await look(trial, status);
  await line.close();
  const { last } = trial.bench.eyes;
  const right =
    last?.swapNumber === swapNumber && (parcel.value === undefined || last.outputs[0] === parcel.value);
  return right ? missed(status) : `swap ${last?.swapNumber} runs after the next push`;
}

/** A board that by design takes no update any more has to say so. */
async function refuses(trial: Trial, { refuses: code }: Outcome): Promise<string | undefined> {
  const { session, line } = await trial.connect();
  const error = await failureOf(push(session, trial.parcel.pkg, pushOptions(trial.parcel.pkg)));
  await line.close();
  return error.code === code ? undefined : `the next push was answered ${error.code}, not ${code}`;
}
