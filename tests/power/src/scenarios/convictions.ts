/** What some deliberately broken engine gets away with in all other scenarios; see oracle.ts. */
import { Reason } from "../driver.js";
import { placesOf } from "../flash-view.js";
import { agent, failing, NEW, OLD } from "../packages.js";
import type { Scenario, Stage } from "../scenario.js";

const TRAPS = failing("traps-first", 2, "(unreachable)");
const SECURE_TRAPS = failing("secure-traps", 6, "(unreachable)", { securityVersion: 3 });
const MIDDLE = agent("middle", 2);

/** The value that MIDDLE puts out changes its sign: it still is a module, and runs. */
function rotValue({ driver }: Stage): void {
  const { flash } = driver.board;
  const constant = Buffer.from(MIDDLE.pkg.payload).indexOf(Buffer.from([0x43, 0, 0, 0, 0x40]));
  flash.flip(placesOf(flash.geometry).slots[1] + constant + 4, 0x80);
}

export const CONVICTIONS: readonly Scenario[] = [
  {
    name: "damaged",
    about: "an update whose bytes arrive damaged",
    ends: OLD,
    prepare: (stage) => {
      stage.install(OLD);
    },
    run: ({ driver }) => {
      const payload = NEW.pkg.payload.map((byte, at) => (at === 20 ? byte ^ 1 : byte));
      driver.finish({ ...NEW.pkg, payload }, driver.begin(NEW.pkg).offset);
      driver.settle();
    },
  },
  {
    name: "wrap-spent",
    about: "an update during which the journal's half is full, while a package is spent",
    ends: NEW,
    prepare: (stage) => {
      stage.install(OLD, TRAPS);
      stage.fillJournal(7);
    },
    run: (stage) => {
      stage.install(NEW);
    },
  },
  {
    name: "security-trap",
    about: "an update that would raise the security version, and traps in its trial",
    ends: OLD,
    prepare: (stage) => {
      stage.install(OLD);
    },
    run: (stage) => {
      stage.install(SECURE_TRAPS);
    },
  },
  {
    name: "rot-value",
    about: "a boot that finds the active agent rotten, but still a module",
    ends: OLD,
    prepare: (stage) => {
      stage.install(OLD, MIDDLE);
      rotValue(stage);
    },
    run: (stage) => {
      stage.permitLeave(Reason.REASON_ROTTEN);
      stage.powerCycle();
    },
  },
];
