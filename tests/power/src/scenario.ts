/** A scenario: what a board goes through, once, while every flash operation is looked at. */
import type { GeometryName } from "@edgeplug/sim";

import type { Driver } from "./driver.js";
import { NEXT, type Agent } from "./packages.js";
import { NO_PERMISSIONS, type Permissions } from "./truth.js";

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
  /** It is about keys or the lock. */
  readonly keys?: boolean;
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

  permitClearing(): void {
    this.permissions = { ...this.permissions, clearing: true };
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

export function nextOf({ next }: Scenario): Agent {
  return next ?? NEXT;
}
