/** Signed commands on a locked board: nonces, keys that go or are replaced, the lock that opens, and replays. */
import { keyId } from "edgeplug";
import { OPERATOR, PUBLISHER, publicKeyOf, STRANGER } from "@edgeplug/test-support/agents";
import { KeyRole } from "../driver.js";
import { failing, NEW, OLD } from "../packages.js";
import type { Scenario, Stage } from "../scenario.js";

const { KEY_ROLE_PUBLISHER, KEY_ROLE_OPERATOR } = KeyRole;
const TRAPS = failing("traps-first", 2, "(unreachable)");
const TRAPS_LATER = failing("traps-later", 3, "(unreachable)");
/** A second operator's, and one that is to come. */
const SECOND = STRANGER;
const COMING = Uint8Array.from({ length: 32 }, (_, at) => 255 - at);

const idOf = (secret: Uint8Array): Uint8Array => keyId(publicKeyOf(secret));

/** A locked board on which OLD is confirmed; `operators`: secret keys. */
function locked(stage: Stage, ...operators: readonly Uint8Array[]): void {
  const { driver } = stage;
  stage.install(OLD);
  driver.do({ addKey: { role: KEY_ROLE_PUBLISHER, publicKey: publicKeyOf(PUBLISHER) } });
  for (const key of operators)
    driver.do({ addKey: { role: KEY_ROLE_OPERATOR, publicKey: publicKeyOf(key) } });
  driver.do({ lock: {} });
}

export const AUTHORITY: readonly Scenario[] = [
  {
    name: "challenge",
    about: "nonces are asked for, before a boot and after it",
    ends: OLD,
    prepare: (stage) => {
      locked(stage, OPERATOR);
    },
    run: (stage) => {
      stage.driver.challenge();
      stage.driver.challenge();
      stage.powerCycle();
      stage.driver.challenge();
    },
  },
  {
    name: "challenge-wrap",
    about: "a nonce is asked for when the journal's half is full",
    ends: OLD,
    prepare: (stage) => {
      locked(stage, OPERATOR);
      stage.driver.challenge();
      stage.fillJournal(4);
    },
    run: (stage) => {
      stage.driver.challenge();
    },
  },
  {
    name: "remove",
    about: "the one of two operators is removed by the other, who then can't be",
    ends: OLD,
    keys: true,
    prepare: (stage) => {
      locked(stage, OPERATOR, SECOND);
    },
    run: (stage) => {
      const { driver } = stage;
      const command = driver.signed({ removeKey: { keyId: idOf(SECOND) } });
      stage.permitDrop(SECOND);
      driver.do(command);
      driver.ask(driver.signed({ removeKey: { keyId: idOf(OPERATOR) } }));
    },
  },
  {
    name: "replace",
    about: "an operator's key is replaced, and who comes after it adds a key",
    ends: OLD,
    keys: true,
    prepare: (stage) => {
      locked(stage, OPERATOR);
    },
    run: (stage) => {
      const { driver } = stage;
      const command = driver.signed({
        replaceKey: { keyId: idOf(OPERATOR), publicKey: publicKeyOf(COMING) },
      });
      stage.permitDrop(OPERATOR, COMING);
      driver.do(command);
      const added = { role: KEY_ROLE_PUBLISHER, publicKey: publicKeyOf(SECOND) };
      driver.do(driver.signed({ addKey: added }, COMING));
    },
  },
  {
    name: "unlock",
    about: "the board is unlocked, then updated",
    ends: NEW,
    keys: true,
    prepare: (stage) => {
      locked(stage, OPERATOR);
    },
    run: (stage) => {
      const command = stage.driver.signed({ unlock: {} });
      stage.permitUnlocking();
      stage.driver.do(command);
      stage.install(NEW);
    },
  },
  {
    name: "replay",
    about: "a command that cleared the spent list comes again when another package has failed",
    ends: OLD,
    prepare: (stage) => {
      locked(stage, OPERATOR);
      stage.install(TRAPS);
    },
    run: (stage) => {
      const { driver } = stage;
      const command = driver.signed({ clearSpent: {} });
      stage.permitClearing();
      driver.do(command);
      stage.permitClearing(false);
      stage.install(TRAPS_LATER);
      driver.do(command);
      stage.powerCycle();
    },
  },
];
