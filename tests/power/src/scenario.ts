/** A scenario: what a board goes through, once, while every flash operation is looked at. */
import type { GeometryName } from "@edgeplug/sim";

import { publicKeyOf } from "@edgeplug/test-support/agents";
import { beginOf, type Driver } from "./driver.js";
import { placesOf, viewOf } from "./flash-view.js";
import { JOURNAL_ENTRY, journalFacts } from "./journal-view.js";
import { PAYLOAD_MAX } from "./layout.js";
import { NEXT, type Agent } from "./packages.js";
import { NO_PERMISSIONS, type Permissions } from "./truth.js";
import type { Law } from "./watch.js";
import { errorNameOf } from "./words.js";

export interface Scenario {
  /** Short, for ids. */
  readonly name: string;
  /** What happens, in a sentence. */
  readonly about: string;
  /** Full slots get single cuts only. */
  readonly singleOnly?: boolean;
  /** Who runs in the end; "safe mode" if nobody. */
  readonly ends: Agent | "safe mode";
  /** Agents that the scenario makes fail though they do well by themselves. */
  readonly maySpend?: readonly Agent[];
  /** Spent in the end, whatever their own trial would have come to. */
  readonly spends?: readonly Agent[];
  /** It is about keys or the lock. */
  readonly keys?: boolean;
  /** The law that is broken if somebody else runs in the end. Default "2". */
  readonly proves?: Law;
  /** Staged after each recovery to see that nobody is locked out. Default NEXT. */
  readonly next?: Agent;
  /** How the board came to where the scenario begins; not looked at. */
  prepare?(stage: Stage): void;
  run(stage: Stage): void;
}

/** What scenarios act on. */
export class Stage {
  permissions: Permissions = NO_PERMISSIONS;

  constructor(
    readonly driver: Driver,
    readonly geometry: GeometryName,
  ) {}

  /** Brings agents to this board one after the other, trials included. */
  install(...agents: readonly Agent[]): void {
    for (const { pkg } of agents) this.driver.update(pkg);
  }

  /** From now on a confirmed agent may be rejected for this reason. */
  permitLeave(reason: number): void {
    this.permissions = { ...this.permissions, leave: new Set([...this.permissions.leave, reason]) };
  }

  permitClearing(clearing = true): void {
    this.permissions = { ...this.permissions, clearing };
  }

  /** From now on this key (secret) may go, or be replaced by another one. */
  permitDrop(key: Uint8Array, by?: Uint8Array): void {
    const drops = new Map(this.permissions.drops).set(publicHex(key), by && publicHex(by));
    this.permissions = { ...this.permissions, drops };
  }

  permitUnlocking(): void {
    this.permissions = { ...this.permissions, unlocking: true };
  }

  /** The board refuses this package. */
  refused({ name, pkg }: Agent, error: string): void {
    const answer = errorNameOf(this.driver.ask(beginOf(pkg)).error ?? 0);
    if (answer !== error) throw new Error(`Begin of ${name} answers ${answer} instead of ${error}`);
  }

  /** A bit of the payload in `slot` flips. Only to prepare a scenario: nothing else hears of it. */
  rot(slot: 0 | 1): void {
    const { flash } = this.driver.board;
    flash.flip(placesOf(flash.geometry).slots[slot] + 20, 4);
  }

  /** The unit that begins the record in `slot` can't be read any more. Only to prepare a scenario. */
  breakRecord(slot: 0 | 1): void {
    const { flash } = this.driver.board;
    flash.injectEcc(placesOf(flash.geometry).slots[slot] + PAYLOAD_MAX);
  }

  /** Boots until the journal's half in use has room for just `left` more entries. */
  fillJournal(left: number): void {
    const { flash } = this.driver.board;
    const capacity = Math.min(placesOf(flash.geometry).journalHalf / JOURNAL_ENTRY, 256);
    for (;;) {
      const last = journalFacts(viewOf(flash).halves).half?.entries.at(-1)?.index ?? 0;
      if (last + 1 + left >= capacity) return;
      this.driver.boot();
    }
  }

  powerCycle(): void {
    this.driver.boot();
  }

  /** The main loop hangs until the watchdog resets the board; then it boots. */
  loseMainLoop(): void {
    const { board } = this.driver;
    const { boots } = board;
    board.stallMainLoop(10_000);
    if (!board.runUntil(() => board.boots > boots, 1_000)) throw new Error("the watchdog did not come");
    board.step();
  }
}

function publicHex(secret: Uint8Array): string {
  return Buffer.from(publicKeyOf(secret)).toString("hex");
}

export function nextOf({ next }: Scenario): Agent {
  return next ?? NEXT;
}
