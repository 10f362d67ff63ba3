/** The agents that dev has put on the board: what of them runs, and what is known of those that ran before. */
import { mappedPackage, type MappedPackage } from "../agent/rejection.js";
import { AgentSourceMap } from "../agent/source-map.js";
import { edgeplug } from "../generated/messages.js";
import type { AgentPackage } from "../package.js";
import type { Delivery } from "./builds.js";
import type { BuiltModule } from "./compiler.js";
import type { Running, Swap } from "./events.js";

interface DeliveredAgent {
  package: AgentPackage;
  mapped: MappedPackage | undefined;
  stateId: number;
  /** It has passed its trial. */
  stayed: boolean;
}

const { EventKind } = edgeplug;

/** So many swaps back a trap can still be told by its line. */
const MAPS_KEPT = 8;
/** Told by the steps of the push itself. */
const OWN_STEPS: readonly number[] = [
  EventKind.EVENT_KIND_STAGING_FAILED,
  EventKind.EVENT_KIND_ACTIVATED,
  EventKind.EVENT_KIND_CONFIRMED,
  EventKind.EVENT_KIND_ROLLED_BACK,
];

export class DeliveredAgents {
  /** By swap number, the newest last. */
  private readonly agents = new Map<number, DeliveredAgent>();
  /** What runs, or is on its way. */
  private present: { identity: string; swapNumber: number | undefined } | undefined;

  /** Whether the board would not see a difference. If so the newer map is kept: a comment moves lines, and nothing else. */
  isPresent({ identity, built }: Delivery): boolean {
    if (identity !== this.present?.identity) return false;
    const { swapNumber } = this.present;
    const agent = swapNumber === undefined ? undefined : this.agents.get(swapNumber);
    if (agent !== undefined) agent.mapped = mappedOf(built, agent.package);
    return true;
  }

  begin({ identity }: Delivery): void {
    this.present = { identity, swapNumber: undefined };
  }

  /** Nothing of ours is on its way any more. */
  forgetPresent(): void {
    this.present = undefined;
  }

  /** What the board says that it runs. */
  runs(active: Running): void {
    const swapNumber = this.present?.swapNumber;
    if (swapNumber !== undefined && swapNumber !== active?.swapNumber) this.present = undefined;
  }

  /** `isLatest`: no later build is on its way. `before`: what ran until then. */
  activated(
    { swapNumber, scan, handedOver }: { swapNumber: number; scan: number; handedOver: number },
    {
      built,
      pkg,
      isLatest,
      before,
    }: { built: BuiltModule; pkg: AgentPackage; isLatest: boolean; before: Running },
  ): Swap {
    const { stateId } = built.config;
    const noState = handedOver > 0 ? "" : this.whyNoState(stateId, before);
    this.agents.set(swapNumber, { package: pkg, mapped: mappedOf(built, pkg), stateId, stayed: false });
    for (const old of this.agents.keys()) if (this.agents.size > MAPS_KEPT) this.agents.delete(old);
    if (isLatest && this.present !== undefined) this.present.swapNumber = swapNumber;
    return { swapNumber, scan, handedOver, noState };
  }

  private whyNoState(stateId: number, before: Running): string {
    if (before === null) return "no agent ran before";
    if (stateId === 0) return "agent.json has no stateId";
    const known = before === undefined ? undefined : this.agents.get(before.swapNumber);
    if (known === undefined) return "the agent before it has another stateId, or none";
    return known.stateId === stateId
      ? "save() gave nothing"
      : known.stateId === 0
        ? "the agent before it had no stateId"
        : `the agent before it had stateId ${known.stateId}, this one has ${stateId}`;
  }

  stayed(swapNumber: number): void {
    const agent = this.agents.get(swapNumber);
    if (agent !== undefined) agent.stayed = true;
  }

  /** The package with its map; undefined if it is another's, too long ago, or has no map. */
  mapped(swapNumber: number): MappedPackage | undefined {
    return this.agents.get(swapNumber)?.mapped;
  }

  /** Whether the push tells this event. A trap in a trial is what the push fails with. `pushing`: the swap under way. */
  isTold(kind: number, swapNumber: number, pushing: number | undefined): boolean {
    if (swapNumber !== 0 && pushing === swapNumber)
      return OWN_STEPS.includes(kind) || kind === EventKind.EVENT_KIND_TRAP;
    const agent = this.agents.get(swapNumber);
    if (agent === undefined) return false;
    if (kind === EventKind.EVENT_KIND_ROLLED_BACK || kind === EventKind.EVENT_KIND_TRAP) return !agent.stayed;
    return OWN_STEPS.includes(kind);
  }
}

export function mappedOf(built: BuiltModule, pkg: AgentPackage): MappedPackage | undefined {
  const map = AgentSourceMap.of(built.mapJson, pkg.payload);
  return map === undefined ? undefined : mappedPackage(pkg, map);
}
