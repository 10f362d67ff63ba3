/** What operators do: rollback, clear, keys, lock, downgrade; and security versions. */
import { OPERATOR, PUBLISHER, publicKeyOf } from "@edgeplug/test-support/agents";
import { KeyRole, Reason } from "../driver.js";
import { agent, failing, NEW, OLD } from "../packages.js";
import type { Scenario, Stage } from "../scenario.js";

const TRAPS = failing("traps-first", 2, "(unreachable)");
const SECURE = agent("secure", 5, { securityVersion: 3 });
const NEXT_SECURE = agent("next-secure", 9, { securityVersion: 3 });
const LOWER = agent("lower", 2);

const addKey = ({ driver }: Stage, role: number, secret: Uint8Array) => {
  driver.do({ addKey: { role, publicKey: publicKeyOf(secret) } });
};
const addKeys = (stage: Stage) => {
  addKey(stage, KeyRole.KEY_ROLE_PUBLISHER, PUBLISHER);
  addKey(stage, KeyRole.KEY_ROLE_OPERATOR, OPERATOR);
};

export const OPERATOR_ACTS: readonly Scenario[] = [
  {
    name: "rollback",
    about: "a rollback to the other confirmed agent",
    ends: OLD,
    prepare: (stage) => {
      stage.install(OLD, NEW);
    },
    run: (stage) => {
      stage.permitLeave(Reason.REASON_OPERATOR);
      stage.driver.do({ rollback: {} });
    },
  },
  {
    name: "rollback-trial",
    about: "a rollback during a trial",
    ends: OLD,
    prepare: (stage) => {
      stage.install(OLD);
    },
    run: ({ driver }) => {
      driver.stage(NEW.pkg);
      driver.do({ activate: {} });
      driver.do({ rollback: {} });
    },
  },
  {
    name: "clear",
    about: "the spent list is cleared",
    ends: OLD,
    prepare: (stage) => {
      stage.install(OLD, TRAPS);
    },
    run: (stage) => {
      stage.permitClearing();
      stage.driver.do({ clearSpent: {} });
      if (stage.driver.spent().length > 0) throw new Error("the spent list is not empty");
    },
  },
  {
    name: "keys",
    about: "a publisher's and an operator's key are added, then a signed update is verified",
    ends: NEW,
    keys: true,
    prepare: (stage) => {
      stage.install(OLD);
    },
    run: (stage) => {
      addKeys(stage);
      stage.install(NEW);
    },
  },
  {
    name: "lock",
    about: "the board is locked, then updated",
    ends: NEW,
    keys: true,
    prepare: (stage) => {
      stage.install(OLD);
      addKeys(stage);
    },
    run: (stage) => {
      stage.driver.do({ lock: {} });
      stage.install(NEW);
    },
  },
  {
    name: "security",
    about: "an update that raises the security version",
    ends: SECURE,
    next: NEXT_SECURE,
    prepare: (stage) => {
      stage.install(OLD);
    },
    run: (stage) => {
      stage.install(SECURE);
      stage.refused(LOWER, "SECURITY_VERSION");
    },
  },
  {
    name: "security-rollback",
    about: "a rollback below the security version, with permission",
    ends: OLD,
    next: NEXT_SECURE,
    prepare: (stage) => {
      stage.install(OLD, SECURE);
    },
    run: (stage) => {
      stage.permitLeave(Reason.REASON_OPERATOR);
      stage.driver.do({ rollback: { allowDowngrade: true } });
    },
  },
  {
    name: "downgrade",
    about: "an update to a lower release, with permission",
    ends: LOWER,
    prepare: (stage) => {
      stage.install(OLD, NEW);
    },
    run: (stage) => {
      stage.refused(LOWER, "RELEASE");
      stage.driver.update(LOWER.pkg, { allowDowngrade: true });
    },
  },
];
