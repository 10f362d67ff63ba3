/** Journal, rot, resumed transfers, full slots and the last swap number. */
import { crc32 } from "node:zlib";

import { Reason } from "../driver.js";
import { markUnit, placesOf } from "../flash-view.js";
import { CRC, MARKS, PAYLOAD_MAX, RECORD_SIZE, SWAP_NUMBER } from "../layout.js";
import { agent, NEW, OLD } from "../packages.js";
import type { Scenario, Stage } from "../scenario.js";

const LONG = agent("long-new", 3, { size: 4_600 });
const FULL = agent("full", 3, { size: 13_824 });

const installOld = (stage: Stage) => {
  stage.install(OLD);
};

/** Gives the agent in slot A another swap number, as if it had come late in the board's life. */
function renumber({ driver }: Stage, swapNumber: number): void {
  const { flash } = driver.board;
  const at = placesOf(flash.geometry).slots[0] + PAYLOAD_MAX;
  const record = flash.peek(at, RECORD_SIZE);
  const view = new DataView(record.buffer);
  view.setUint32(SWAP_NUMBER, swapNumber, true);
  view.setUint32(CRC, crc32(record.subarray(0, CRC)), true);
  for (const mark of [0, 1, 4])
    for (const copy of [0, 8]) record.set(markUnit(mark, 0, swapNumber), MARKS + 16 * mark + copy);
  flash.poke(at, record);
  driver.boot();
}

export const THE_REST: readonly Scenario[] = [
  {
    name: "wrap",
    about: "an update during which the journal's half is full",
    ends: NEW,
    prepare: (stage) => {
      stage.install(OLD);
      stage.fillJournal(7);
    },
    run: (stage) => {
      stage.install(NEW);
    },
  },
  {
    name: "wrap-boots",
    about: "power cycles, one of which finds the journal's half full",
    ends: NEW,
    prepare: (stage) => {
      stage.install(OLD, NEW);
      stage.fillJournal(6);
    },
    run: (stage) => {
      for (let boot = 1; boot <= 4; boot++) stage.powerCycle();
    },
  },
  {
    name: "resume",
    about: "a transfer that a power cut ends, resumed",
    ends: NEW,
    prepare: installOld,
    run: ({ driver }) => {
      driver.send(NEW.pkg, driver.begin(NEW.pkg).offset, 64);
      driver.boot();
      driver.update(NEW.pkg);
    },
  },
  {
    name: "pull",
    about: "a transfer of several pages whose cable is pulled for half a minute, resumed",
    ends: LONG,
    singleOnly: true,
    prepare: installOld,
    run: ({ driver }) => {
      driver.send(LONG.pkg, driver.begin(LONG.pkg).offset, 4_300);
      driver.board.run(31_000);
      const { offset } = driver.begin(LONG.pkg);
      if (offset === 0) throw new Error("nothing of the transfer was kept");
      driver.complete(LONG.pkg, offset);
    },
  },
  {
    name: "rot",
    about: "a boot that finds the active agent rotten",
    ends: OLD,
    proves: "7",
    prepare: (stage) => {
      stage.install(OLD, NEW);
      stage.rot(1);
    },
    run: (stage) => {
      stage.permitLeave(Reason.REASON_ROTTEN);
      stage.powerCycle();
    },
  },
  {
    name: "rot-record",
    about: "a boot that cannot read the active agent's record",
    ends: OLD,
    proves: "7",
    prepare: (stage) => {
      stage.install(OLD, NEW);
      stage.breakRecord(1);
    },
    run: (stage) => {
      stage.permitLeave(Reason.REASON_ROTTEN);
      stage.powerCycle();
    },
  },
  {
    name: "scrub",
    about: "a look at the slots at rest that finds the active agent rotten",
    ends: OLD,
    proves: "7",
    prepare: (stage) => {
      stage.install(OLD, NEW);
      stage.rot(1);
    },
    run: (stage) => {
      stage.permitLeave(Reason.REASON_ROTTEN);
      stage.driver.board.run(21_000);
    },
  },
  {
    name: "last-number",
    about: "the update that gets the last swap number",
    ends: NEW,
    prepare: (stage) => {
      stage.install(OLD);
      renumber(stage, 0xffff_fffe);
    },
    run: (stage) => {
      stage.install(NEW);
    },
  },
  {
    name: "full",
    about: "an update that fills its slot",
    ends: FULL,
    singleOnly: true,
    prepare: installOld,
    run: (stage) => {
      stage.install(FULL);
    },
  },
];
