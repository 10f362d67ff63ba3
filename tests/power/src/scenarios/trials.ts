/** Trials that go wrong, each in its own way, and hand-over. */
import { DEEDS } from "@edgeplug/test-support/agents";
import { agent, failing, NEW, OLD, TRIAL_SCANS } from "../packages.js";
import { Reason } from "../driver.js";
import type { Agent } from "../packages.js";
import type { Scenario } from "../scenario.js";

const STATE = `(memory 1)
  (func (export "io_buffer") (result i32) (i32.const 0))
  (func (export "save") (result i32) (i32.store (i32.const 0) (i32.const 7)) (i32.const 4))`;
const RESTORES = `${STATE} (func (export "restore") (param i32))`;
const TRAPS_IN_RESTORE = `${STATE} (func (export "restore") (param i32) (unreachable))`;
const WITH_STATE = { stateId: 5, limits: { memory: 64, ioBuffer: 16 } };

const TRAPS = failing("traps", 3, DEEDS.trap);
const HANGS = failing("hangs", 3, DEEDS.loop);
const RUNS_WILD = failing("runs-wild", 3, "(call $output (i32.const 0) (f32.const 1e6)) (return)", {
  guards: { min: [-10], max: [10] },
  trial: { maxGuardHits: 1 },
});
const WAITS = agent("waits", 3, {
  verdict: "unconfirmed",
  trial: { confirmByHost: true, deadlineScans: 20 },
});
const WRONG = agent("wrong", 3, {
  verdict: "bad",
  vectors: [{ scans: 1, outputs: [1] }],
});
const HANDS = agent("hands", 1, { ...WITH_STATE, extra: RESTORES });
const TAKES = agent("takes", 3, { ...WITH_STATE, extra: RESTORES });
const DROPS = agent("drops", 3, { ...WITH_STATE, extra: TRAPS_IN_RESTORE, verdict: "bad" });

function ending(name: string, about: string, bad: Agent, first = OLD): Scenario {
  return {
    name,
    about,
    ends: first,
    prepare: (stage) => {
      stage.install(first);
    },
    run: (stage) => {
      stage.install(bad);
    },
  };
}

export const TRIALS: readonly Scenario[] = [
  ending("trap", "an update that traps in its trial", TRAPS),
  ending("hang", "an update that hangs in its trial and runs out of fuel", HANGS),
  ending("guard", "an update whose outputs run into their guards in its trial", RUNS_WILD),
  ending("deadline", "an update that waits for a confirmation that never comes", WAITS),
  ending("vectors", "an update whose test vectors fail", WRONG),
  ending("handover-fails", "an update that traps as it takes over the old agent's state", DROPS, HANDS),
  {
    name: "missed-scan",
    about: "an update in whose trial a scan is missed",
    ends: OLD,
    maySpend: [NEW],
    prepare: (stage) => {
      stage.install(OLD);
    },
    run: ({ driver }) => {
      driver.stage(NEW.pkg);
      driver.do({ activate: {} });
      driver.board.skipScans(1);
      driver.board.run(4);
      driver.settle();
    },
  },
  {
    name: "watchdog",
    about: "a main loop that hangs in a trial, until the watchdog resets the board",
    ends: OLD,
    maySpend: [NEW],
    prepare: (stage) => {
      stage.install(OLD);
    },
    run: (stage) => {
      stage.driver.stage(NEW.pkg);
      stage.driver.do({ activate: {} });
      stage.loseMainLoop();
    },
  },
  {
    name: "attempts",
    about: "a trial that power cuts use up",
    ends: OLD,
    prepare: (stage) => {
      stage.install(OLD);
    },
    run: (stage) => {
      stage.driver.stage(NEW.pkg);
      stage.driver.do({ activate: {} });
      for (let attempt = 1; attempt <= 3; attempt++) stage.powerCycle();
    },
  },
  {
    name: "abort-trial",
    about: "a trial that the host aborts",
    ends: OLD,
    prepare: (stage) => {
      stage.install(OLD);
    },
    run: ({ driver }) => {
      driver.stage(NEW.pkg);
      driver.do({ activate: {} });
      driver.do({ abort: {} });
    },
  },
  {
    name: "host-confirms",
    about: "a trial that the host confirms",
    ends: WAITS,
    prepare: (stage) => {
      stage.install(OLD);
    },
    run: ({ driver }) => {
      driver.stage(WAITS.pkg);
      driver.do({ activate: {} });
      driver.board.run(TRIAL_SCANS + 2);
      driver.do({ confirm: {} });
      driver.settle();
    },
  },
  {
    name: "handover",
    about: "an update that takes over the old agent's state",
    ends: TAKES,
    prepare: (stage) => {
      stage.install(HANDS);
    },
    run: (stage) => {
      stage.install(TAKES);
    },
  },
  {
    name: "resets",
    about: "three watchdog resets of a confirmed agent, the other slot confirmed",
    ends: OLD,
    prepare: (stage) => {
      stage.install(OLD, NEW);
    },
    run: (stage) => {
      stage.permitLeave(Reason.REASON_RESETS);
      for (let reset = 1; reset <= 3; reset++) stage.loseMainLoop();
    },
  },
  {
    name: "resets-alone",
    about: "three watchdog resets of the only confirmed agent, and a power cycle",
    ends: OLD,
    prepare: (stage) => {
      stage.install(OLD);
    },
    run: (stage) => {
      for (let reset = 1; reset <= 3; reset++) stage.loseMainLoop();
      stage.powerCycle();
    },
  },
];
