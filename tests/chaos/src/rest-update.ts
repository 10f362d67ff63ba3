/** Flash that rots in the middle of an update: under a package that comes in, waits, or is on trial. */
import { EdgePlugError } from "edgeplug";
import type { PushOptions, PushStep } from "edgeplug/device";
import { pushUntil } from "@edgeplug/test-support/push";

import { settle, unlessItWavers, WAVERING, whatCaught } from "./account.js";
import type { ChaosKind, Outcome, Runner, Trial } from "./case.js";
import { accountNow, rotWithoutPower } from "./rest.js";
import { journalArea, markArea, payloadArea, recordArea, rotIn, type Area } from "./rot.js";
import type { Link } from "./scenes.js";
import { pushOptions } from "./transit.js";

type Push = Awaited<ReturnType<typeof pushUntil>>;
type Place = (trial: Trial, slot: 0 | 1) => Promise<Area>;

const ANY = ["one", "two", "rejected", "locked"] as const;

const PLACES: readonly Place[] = [
  (trial, slot) => Promise.resolve(payloadArea(trial, slot, trial.parcel.pkg.payload.length)),
  (trial, slot) => Promise.resolve(recordArea(trial, slot)),
  (trial, slot) => Promise.resolve(markArea(trial, slot)),
  async (trial) => journalArea(trial, await trial.bench.image(), "used"),
];

const REFUSALS = ["PAYLOAD_CRC", "PAYLOAD_DIGEST", "READ_BACK", "FLASH", "ECC"] as const;
const AT_BOOT = [
  ...[
    "boot: payload hash",
    "boot: record CRC",
    "boot: torn mark",
    "boot: journal half rewritten",
    "boot: entry CRC",
    ...WAVERING,
  ],
] as const;

/** The slot that the update writes to. */
function targetSlot(trial: Trial): 0 | 1 {
  return trial.scene.old.slot === 0 ? 1 : 0;
}

function place(trial: Trial): Promise<Area> {
  const at = PLACES[trial.variant % PLACES.length];
  if (at === undefined) throw new RangeError("no such place");
  return at(trial, targetSlot(trial));
}

async function startPush(
  trial: Trial,
  stop: PushStep["step"],
  options: PushOptions = {},
): Promise<Link & Push> {
  const link = await trial.connect();
  const pushed = await pushUntil(link.session, trial.parcel.pkg, ({ step }) => step === stop, {
    ...pushOptions(trial.parcel.pkg),
    ...options,
  });
  return { ...link, ...pushed };
}

/** Lets the push go on to its end; what the board refused it with, or undefined. */
async function finish(
  trial: Trial,
  { rest }: Push,
): Promise<{ refused: string | undefined; sentTwice: boolean }> {
  try {
    for (;;) {
      const { done, value } = await rest.next();
      if (done === true)
        return { refused: undefined, sentTwice: value.payloadBytesSent > trial.parcel.pkg.payload.length };
    }
  } catch (error) {
    if (!(error instanceof EdgePlugError)) throw error;
    trial.tell(`the push: ${error.code}, ${error.message}`);
    return { refused: error.code, sentTwice: false };
  }
}

const WHILE_RECEIVED: ChaosKind = {
  name: "a package that is coming in",
  where: "at rest",
  catchers: [...REFUSALS, ...AT_BOOT, "retry", "harmless"],
  variants: PLACES.length,
  run: async (trial) => {
    await trial.stage(...ANY);
    trial.parcel = trial.workshop.severalChunks(trial.random.below(16));
    const push = await startPush(trial, "sending");
    await rotIn(trial, await place(trial));
    const { refused, sentTwice } = await finish(trial, push);
    await push.line.close();
    const outcome = { swapNumber: swapNumberOf(trial) };
    if (refused !== undefined) return { ...outcome, caughtBy: refused, mayRun: ["old"] };
    if (sentTwice) return { ...outcome, caughtBy: "retry", mayRun: ["new"] };
    return lookAgain(trial, outcome);
  },
};

/** It was confirmed, from the copy in RAM: the next boot reads the slot. */
async function lookAgain(trial: Trial, outcome: Pick<Outcome, "swapNumber">): Promise<Outcome> {
  const slot = trial.variant % PLACES.length === 3 ? undefined : targetSlot(trial);
  const before = await accountNow(trial);
  if (before.status.active?.swapNumber === trial.scene.old.swapNumber)
    return { ...outcome, caughtBy: "nothing: a push succeeded and its agent does not run", mayRun: [] };
  const after = await rotWithoutPower(trial, []);
  const caughtBy = whatCaught(before, after, slot);
  if (slot === undefined || (caughtBy === "harmless" && !trial.recordWavers))
    return { ...outcome, caughtBy, mayRun: ["new"] };
  const mayRun: Runner[] = caughtBy === "boot: torn mark" ? ["new", "old"] : ["old"];
  return unlessItWavers(trial, after, "new", "old", { ...outcome, caughtBy, mayRun });
}

function swapNumberOf({ scene }: Trial): number {
  // a board that rejected one package has used up its number
  return scene.old.swapNumber + (scene.name === "rejected" ? 2 : 1);
}

function stagedKind(when: "while it runs" | "without power"): ChaosKind {
  return {
    name: `a staged package, ${when}`,
    where: "at rest",
    catchers: [...REFUSALS, ...AT_BOOT, "harmless"],
    variants: PLACES.length,
    run: async (trial) => {
      await trial.stage(...ANY);
      const push = await startPush(trial, "staged");
      const area = await place(trial);
      if (when === "without power") {
        const before = await accountNow(trial);
        await push.line.close();
        const after = await rotWithoutPower(trial, [area]);
        await push.rest.return(undefined as never);
        const slot = trial.variant % PLACES.length === 3 ? undefined : targetSlot(trial);
        const caughtBy = whatCaught(before, after, slot);
        // a torn TRIAL counts as an attempt that was made: the next one begins, with a package that was verified
        if (caughtBy === "boot: torn mark")
          return { caughtBy, mayRun: ["new", "old"], swapNumber: swapNumberOf(trial) };
        return { caughtBy, mayRun: ["old"] };
      }
      await rotIn(trial, area);
      const { refused } = await finish(trial, push);
      await push.line.close();
      const outcome = { swapNumber: swapNumberOf(trial) };
      if (refused !== undefined) return { ...outcome, caughtBy: refused, mayRun: ["old"] };
      return lookAgain(trial, outcome);
    },
  };
}

function trialKind(when: "while it runs" | "without power"): ChaosKind {
  return {
    name: `a package on trial, ${when}`,
    where: "at rest",
    catchers: [...REFUSALS, ...AT_BOOT, "boot: rejected, invalid", "harmless"],
    variants: PLACES.length,
    run: async (trial) => {
      await trial.stage("one", "two", "rejected"); // where a host may confirm it in the end
      trial.parcel = trial.workshop.complete(trial.number);
      const push = await startPush(trial, "activated", { confirm: false });
      const area = await place(trial);
      const outcome = { swapNumber: swapNumberOf(trial) };
      if (when === "without power") {
        await push.line.close();
        const before = await accountNow(trial);
        const after = await rotWithoutPower(trial, [area]);
        await push.rest.return(undefined as never);
        const slot = trial.variant % PLACES.length === 3 ? undefined : targetSlot(trial);
        const caughtBy = whatCaught(before, after, slot);
        const took = after.status.active?.swapNumber === outcome.swapNumber;
        const lost = caughtBy === "boot: record CRC" || caughtBy === "boot: payload hash";
        const mayRun: Runner[] = [took && !lost ? "new" : "old"];
        return unlessItWavers(trial, after, "new", "old", { ...outcome, caughtBy, mayRun });
      }
      await rotIn(trial, area);
      const { phase, active } = await settle(push.session);
      trial.tell(`the trial ended in phase ${phase}, swap ${active?.swapNumber ?? 0} runs`);
      await push.line.close();
      await push.rest.return(undefined as never);
      return lookAgain(trial, outcome);
    },
  };
}

export const AT_REST_IN_AN_UPDATE: readonly ChaosKind[] = [
  WHILE_RECEIVED,
  stagedKind("while it runs"),
  stagedKind("without power"),
  trialKind("while it runs"),
  trialKind("without power"),
];
