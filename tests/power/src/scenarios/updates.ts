/** Updates that go well, over every kind of slot. */
import { agent, failing, NEW, OLD } from "../packages.js";
import type { Scenario, Stage } from "../scenario.js";

const MIDDLE = agent("middle", 2);
const TRAPS = failing("traps-first", 2, "(unreachable)");
/** Installed last, so that the agent that rots is the older one, which no boot looks at. */
const AGAIN = agent("again", 4);
const LONG = agent("long", 2, { size: 2_600 });

const installOld = (stage: Stage) => {
  stage.install(OLD);
};
const installNew = (stage: Stage) => {
  stage.install(NEW);
};

export const UPDATES: readonly Scenario[] = [
  {
    name: "first",
    about: "the first agent of a blank board, from its very first boot on",
    ends: NEW,
    run: ({ driver }) => {
      driver.boot();
      driver.update(NEW.pkg);
    },
  },
  {
    name: "update",
    about: "an update, the other slot blank",
    ends: NEW,
    prepare: installOld,
    run: installNew,
  },
  {
    name: "over-confirmed",
    about: "an update over a slot that holds a confirmed agent",
    ends: NEW,
    prepare: (stage) => {
      stage.install(OLD, MIDDLE);
    },
    run: installNew,
  },
  {
    name: "over-rejected",
    about: "an update over a slot whose agent was rejected",
    ends: NEW,
    prepare: (stage) => {
      stage.install(OLD, TRAPS);
    },
    run: installNew,
  },
  {
    name: "over-spent",
    about: "a spent package is refused, then another one is staged over it",
    ends: NEW,
    prepare: (stage) => {
      stage.install(OLD, TRAPS);
    },
    run: (stage) => {
      stage.refused(TRAPS, "SPENT");
      stage.install(NEW);
    },
  },
  {
    name: "over-half",
    about: "an update over a slot that was left half-received",
    ends: NEW,
    prepare: ({ driver }) => {
      driver.update(OLD.pkg);
      driver.send(LONG.pkg, driver.begin(LONG.pkg).offset, 2_200);
      driver.do({ abort: {} });
    },
    run: installNew,
  },
  {
    name: "over-staged",
    about: "an update over a slot whose agent was staged and never activated",
    ends: NEW,
    prepare: ({ driver }) => {
      driver.update(OLD.pkg);
      driver.stage(MIDDLE.pkg);
      driver.do({ abort: {} });
    },
    run: installNew,
  },
  {
    name: "over-rotten",
    about: "an update over a slot whose confirmed agent has rotted",
    ends: NEW,
    prepare: (stage) => {
      stage.install(OLD, MIDDLE, AGAIN);
      stage.rot(1);
      stage.powerCycle();
    },
    run: installNew,
  },
];
