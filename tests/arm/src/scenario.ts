/** The updates whose flash operations are cut: what the board holds before, and what is pushed. */
import { controlAgent, makePackage, padded } from "@edgeplug/test-support/agents";
import { push } from "@edgeplug/test-support/push";
import type { TestBoard } from "@edgeplug/test-support/board";
import type { AgentPackage } from "edgeplug";

import type { SlotIndex } from "./chip.js";

/** Scans that each trial here takes. */
export const HEALTHY_SCANS = 40;
/** The host's word for the time of a push: the same in every run. */
export const TIMESTAMP = 1_700_000_000;

export interface Scenario {
  readonly name: string;
  readonly about: string;
  /** Pushed before, each confirmed; the last one is the old agent. */
  readonly before: readonly AgentPackage[];
  /** The update that is cut. */
  readonly update: AgentPackage;
  /** Pushed where an end state is asked whether it can still be updated. */
  readonly next: AgentPackage;
}

/** An agent that tells its release on output 0. */
export function agentOf(release: number, size = 0): AgentPackage {
  const module = controlAgent({ value: release });
  return makePackage(size > 0 ? padded(module, size) : module, {
    version: String(release),
    release,
    trial: { healthyScans: HEALTHY_SCANS },
  });
}

const FULL_SLOT = 13_824;

/** The old agent's slot and the one that the update goes to. */
export function slotsOf(scenario: Scenario): { old: SlotIndex; target: SlotIndex } {
  return scenario.before.length % 2 === 1 ? { old: 0, target: 1 } : { old: 1, target: 0 };
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: "update",
    about: "a full slot over an older confirmed agent of a full slot",
    before: [agentOf(1, FULL_SLOT), agentOf(2)],
    update: agentOf(3, FULL_SLOT),
    next: agentOf(4),
  },
  {
    name: "small update",
    about: "an agent of 168 bytes into a blank slot",
    before: [agentOf(1)],
    update: agentOf(2),
    next: agentOf(3),
  },
];

/** Brings a board with blank flash to where the scenario begins. */
export async function prepare(board: TestBoard, scenario: Scenario): Promise<void> {
  const session = await board.connect();
  for (const pkg of scenario.before) await push(session, pkg, { timestamp: TIMESTAMP });
  await session.close();
}
