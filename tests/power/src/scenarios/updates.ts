import { NEW, OLD, agent, failing } from "../packages.js";
import type { Scenario } from "../scenario.js";

const MIDDLE = agent("middle", 2);
const TRAPS = failing("traps-first", 2, "(unreachable)");

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
    prepare: (stage) => {
      stage.install(OLD);
    },
    run: (stage) => {
      stage.install(NEW);
    },
  },
  {
    name: "over-confirmed",
    about: "an update over a slot that holds a confirmed agent",
    ends: NEW,
    prepare: (stage) => {
      stage.install(OLD, MIDDLE);
    },
    run: (stage) => {
      stage.install(NEW);
    },
  },
  {
    name: "trap",
    about: "an update that traps in its trial",
    ends: OLD,
    prepare: (stage) => {
      stage.install(OLD);
    },
    run: (stage) => {
      stage.install(TRAPS);
    },
  },
];
