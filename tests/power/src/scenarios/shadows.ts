/** Updates that first run in the shadow of the agent that is there. */
import { agent, OLD } from "../packages.js";
import type { Scenario, Stage } from "../scenario.js";

/** Makes the same output as OLD. */
const ALIKE = agent("alike", OLD.value, { release: 4 });
/** Does well by itself, but differs from OLD. */
const STRANGE = agent("strange", 4);

const SCANS = 12;

const installOld = (stage: Stage) => {
  stage.install(OLD);
};

export const SHADOWS: readonly Scenario[] = [
  {
    name: "shadow-agree-then-activate",
    about: "an update that runs in the shadow first, and agrees",
    ends: ALIKE,
    prepare: installOld,
    run: (stage) => {
      stage.driver.stage(ALIKE.pkg);
      if (!stage.driver.shadow(SCANS)) throw new Error("it differs in the shadow");
      stage.driver.do({ activate: {} });
      stage.driver.board.run(ALIKE.pkg.manifest.trial.healthyScans + 2);
      stage.driver.settle();
    },
  },
  {
    name: "shadow-reject",
    about: "an update that differs in the shadow, and is activated all the same",
    ends: OLD,
    maySpend: [STRANGE],
    spends: [STRANGE],
    prepare: installOld,
    run: (stage) => {
      stage.driver.stage(STRANGE.pkg);
      stage.driver.shadow(SCANS);
      stage.driver.ask({ activate: {} });
      stage.driver.board.run(STRANGE.pkg.manifest.trial.healthyScans + 2);
      stage.driver.settle();
    },
  },
];
