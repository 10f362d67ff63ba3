/** Flash that rots while nobody writes it: with power and without, in slots and in the journal. */
import { EdgePlugError } from "edgeplug";
import { slotStateName } from "edgeplug/device";

import { account, hearScrub, settle, unlessItWavers, WAVERING, whatCaught, type Account } from "./account.js";
import type { RotKind } from "./bench.js";
import type { ChaosKind, Outcome, Runner, Trial } from "./case.js";
import { forcePush } from "./force.js";
import { journalArea, markArea, payloadArea, recordArea, rotIn, type Area } from "./rot.js";
import { loadBeforeScrub, type Resident, type Scene } from "./scenes.js";

const ANY = ["one", "two", "rejected", "locked"] as const;
const AT_BOOT = ["boot: payload hash", "boot: record CRC", "boot: torn mark"] as const;
const NO_ROLLBACK = ["PAYLOAD_CRC", "PAYLOAD_DIGEST", "NO_FALLBACK", "ECC"] as const;

type AreaOf = (trial: Trial, resident: Resident) => Area;

const PAYLOAD: AreaOf = (trial, { slot, parcel }) => payloadArea(trial, slot, parcel.pkg.payload.length);
const RECORD: AreaOf = (trial, { slot }) => recordArea(trial, slot);
const MARKS: AreaOf = (trial, { slot }) => markArea(trial, slot);

/** Even variants are about the agent that runs, odd ones about the one that would be fallen back to. */
function target(trial: Trial, scene: Scene): Resident {
  return (trial.variant & 1) === 1 ? (scene.fallback ?? scene.old) : scene.old;
}

/** Power off, rot, power on: what the board then says. */
export async function rotWithoutPower(
  trial: Trial,
  areas: readonly Area[],
  kinds?: readonly RotKind[],
): Promise<Account> {
  await trial.bench.powerOff();
  for (const area of areas) await rotIn(trial, area, kinds);
  await trial.bench.powerOn();
  const { session, line } = await trial.connect();
  await settle(session);
  const after = await account(trial, session);
  await line.close();
  return after;
}

export async function accountNow(trial: Trial): Promise<Account> {
  const { session, line } = await trial.connect();
  const now = await account(trial, session);
  await line.close();
  return now;
}

function withoutPower(name: string, areaOf: AreaOf): ChaosKind {
  return {
    name: `${name}, without power`,
    where: "at rest",
    catchers: [...AT_BOOT, ...WAVERING, ...NO_ROLLBACK, "harmless"],
    variants: 2,
    run: async (trial) => {
      const scene = await trial.stage(...ANY);
      const resident = target(trial, scene);
      const before = await accountNow(trial);
      const after = await rotWithoutPower(trial, [areaOf(trial, resident)]);
      const caughtBy = whatCaught(before, after, resident.slot);
      if (resident !== scene.old) return rollBack(trial, scene, caughtBy);
      const instead: Runner = scene.fallback === undefined ? "safe mode" : "fallback";
      const outcome = { caughtBy, mayRun: runsAfter(trial, after, caughtBy, instead) };
      return unlessItWavers(trial, after, "old", instead, outcome);
    },
  };
}

/** After rot in the slot of the agent that ran. */
function runsAfter({ scene, unstable }: Trial, after: Account, caughtBy: string, instead: Runner): Runner[] {
  if (caughtBy === "harmless") return ["old"];
  if (caughtBy !== "boot: torn mark") return [instead];
  // a blank mark that wavers may be torn now and have been blank at boot
  if (unstable) return ["old", instead];
  // a torn REJECTED rejects; a torn CONFIRMED begins the trial once more, with the same agent
  const isRejected = slotStateName(after.slots[scene.old.slot]?.state ?? 0) === "rejected";
  return [isRejected ? instead : "old"];
}

/** Nobody looked at the slot so far: an operator who wants its agent back makes the board look. */
async function rollBack(trial: Trial, scene: Scene, seen: string): Promise<Outcome> {
  if (scene.locked || seen !== "harmless") return { caughtBy: seen, mayRun: ["old"] };
  const { session, line } = await trial.connect();
  try {
    await session.rollback();
    return { caughtBy: "harmless", mayRun: ["fallback"] };
  } catch (error) {
    const { code, message } = EdgePlugError.from(error);
    trial.tell(`the rollback: ${code}, ${message}`);
    return { caughtBy: code, mayRun: ["old"] };
  } finally {
    await line.close();
  }
}

function whileRunning(name: string, areaOf: AreaOf): ChaosKind {
  return {
    name: `${name}, while it runs`,
    where: "at rest",
    catchers: ["scrub", "harmless"],
    variants: 2,
    run: async (trial) => {
      const scene = trial.choose(...ANY);
      const resident = target(trial, scene);
      const untilOver = await loadBeforeScrub(trial.bench, scene, resident.slot);
      const { session, line } = await trial.connect();
      const heard = hearScrub(session);
      const area = areaOf(trial, resident);
      await rotIn(trial, area);
      await trial.bench.run(untilOver);
      await line.close();
      const isActive = resident === scene.old;
      // what lies there for good has to be found; a slot that isn't active and has lost its record counts as empty
      const mustBeFound =
        !trial.unstable && (area.what === "payload" || (area.what === "record" && isActive));
      const unheard = mustBeFound ? "nothing: it rotted unnoticed" : "harmless";
      const caughtBy = heard() ? "scrub" : unheard;
      const movedOn = isActive && caughtBy === "scrub" && scene.fallback !== undefined;
      return { caughtBy, mayRun: [movedOn ? "fallback" : "old"], damagedSlot: resident.slot };
    },
  };
}

/** Keys, lock and security version are no board's to lose. */
function lostAuthority(before: Account, after: Account): string | undefined {
  if (after.keys !== before.keys) return `keys ${before.keys} became ${after.keys}`;
  if (after.status.locked !== before.status.locked) return "the lock changed";
  return after.status.securityVersion < before.status.securityVersion
    ? "the security version fell"
    : undefined;
}

function journalKind(which: "used" | "spare", when: "without power" | "while it runs"): ChaosKind {
  return {
    name: `${which} half of the journal, ${when}`,
    where: "at rest",
    catchers: ["boot: journal half rewritten", "boot: entry CRC", "harmless"],
    variants: 1,
    run: async (trial) => {
      await trial.stage(...ANY);
      const before = await accountNow(trial);
      const area = journalArea(trial, before.image, which);
      const running = when === "while it runs";
      let swapNumber: number | undefined;
      if (running) {
        await rotIn(trial, area);
        const { session, line } = await trial.connect();
        ({ swapNumber } = await forcePush(session, trial.parcel.pkg));
        await line.close();
      }
      const after = await rotWithoutPower(trial, running ? [] : [area]);
      const lost = lostAuthority(before, after);
      const caughtBy = lost === undefined ? whatCaught(before, after, undefined) : `nothing: ${lost}`;
      return { caughtBy, mayRun: [running ? "new" : "old"], swapNumber };
    },
  };
}

/** By design: without an intact agent the outputs are at their fail-safe values, and an update is still taken. */
const BOTH_SLOTS: ChaosKind = {
  name: "both slots at once, without power",
  where: "at rest",
  catchers: ["boot: payload hash", "boot: record CRC"],
  variants: 1,
  run: async (trial) => {
    const scene = await trial.stage("two", "locked");
    const before = await accountNow(trial);
    const areaOf = trial.pick([PAYLOAD, RECORD]);
    const areas = [scene.old, scene.fallback].flatMap((resident) =>
      resident === undefined
        ? []
        : [{ ...areaOf(trial, resident), ...(areaOf === PAYLOAD ? payloadOnly(trial, resident) : {}) }],
    );
    // bits that read right now and then would leave one of them fit to run
    const after = await rotWithoutPower(trial, areas, ["flip"]);
    return { caughtBy: whatCaught(before, after, scene.old.slot), mayRun: ["safe mode"] };
  },
};

function payloadOnly(trial: Trial, { slot, parcel }: Resident): Pick<Area, "start" | "end"> {
  const start = trial.bench.layout.slots[slot];
  return { start, end: start + parcel.pkg.payload.length };
}

/** By design: keys that nobody can read any more let nobody in, and the agent runs on. */
const BOTH_HALVES: ChaosKind = {
  name: "both halves of the journal, without power",
  where: "at rest",
  catchers: ["JOURNAL"],
  variants: 1,
  run: async (trial) => {
    await trial.stage(...ANY);
    const before = await accountNow(trial);
    const { journal, journalHalfSize } = trial.bench.layout;
    await trial.bench.powerOff();
    trial.tell("both halves of the journal overwritten by random bits");
    const masks = trial.random.bytes(2 * journalHalfSize).map((mask) => mask || 1);
    await trial.bench.rot(journal, masks, "flip");
    await trial.bench.powerOn();
    const after = await accountNow(trial);
    const caughtBy = after.status.locked ? whatCaught(before, after, undefined) : "nothing: it is open";
    return { caughtBy, mayRun: ["old"], refuses: "JOURNAL" };
  },
};

export const AT_REST: readonly ChaosKind[] = [
  withoutPower("payload", PAYLOAD),
  whileRunning("payload", PAYLOAD),
  withoutPower("record", RECORD),
  whileRunning("record", RECORD),
  withoutPower("marks", MARKS),
  whileRunning("marks", MARKS),
  journalKind("used", "without power"),
  journalKind("used", "while it runs"),
  journalKind("spare", "without power"),
  journalKind("spare", "while it runs"),
  BOTH_SLOTS,
  BOTH_HALVES,
];
