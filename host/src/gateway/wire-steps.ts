/** The steps of a push as the gateway's events, there and back. */
import type { edgeplug } from "../generated/messages.js";
import type { PushResult, PushStep } from "../session/push.js";
import { toShadowReport, toSlotInfo } from "../session/messages.js";
import { fromErrorDetail, toErrorDetail } from "./wire-errors.js";

type DeployEvent = edgeplug.gateway.v1.DeployEvent.$Properties;
type DeployResult = edgeplug.gateway.v1.DeployResult.$Properties;

/** What happened, without deployment, sequence and time. */
export type EventBody = Omit<DeployEvent, "deployment" | "sequence" | "timeMs" | "$unknowns">;

/** A step's fields have the names of the message's; `step` itself is no field of any and is left out as it is encoded. */
export function eventOfStep(step: PushStep): EventBody {
  switch (step.step) {
    case "queued":
      return { queued: step };
    case "begin":
      return { begun: step };
    case "sending":
      return { sending: step };
    case "interrupted":
      return { interrupted: toErrorDetail(step.error) };
    case "verifying":
      return { verifying: {} };
    case "staged":
      return { staged: {} };
    case "shadow":
      return { shadow: step };
    case "activated":
      return { activated: step };
    case "trial":
      return { trial: step };
    case "confirmed":
      return { confirmed: step };
  }
}

/** Undefined for what is no step of a push: a signature that is wanted, the end. */
export function stepOfEvent(event: DeployEvent): PushStep | undefined {
  const { queued, begun, sending, activated, trial, confirmed } = event;
  if (queued) return { step: "queued", position: queued.position ?? 0, behind: queued.behind ?? "" };
  if (begun) {
    const { offset, size, resumed, slot, swapNumber } = begun;
    return {
      step: "begin",
      offset: offset ?? 0,
      size: size ?? 0,
      resumed: resumed ?? false,
      slot: slot ?? 0,
      swapNumber: swapNumber ?? 0,
    };
  }
  if (sending) {
    const { acknowledged, size, sent, chunkSize, page, pages } = sending;
    return {
      step: "sending",
      acknowledged: acknowledged ?? 0,
      size: size ?? 0,
      sent: sent ?? 0,
      chunkSize: chunkSize ?? 0,
      page: page ?? 0,
      pages: pages ?? 0,
    };
  }
  if (event.interrupted) return { step: "interrupted", error: fromErrorDetail(event.interrupted) };
  if (event.verifying) return { step: "verifying" };
  if (event.staged) return { step: "staged" };
  if (event.shadow) return { step: "shadow", ...toShadowReport(event.shadow) };
  if (activated) {
    const { swapNumber, scan, handedOver } = activated;
    return { step: "activated", swapNumber: swapNumber ?? 0, scan: scan ?? 0, handedOver: handedOver ?? 0 };
  }
  if (trial) return { step: "trial", scans: trial.scans ?? 0, needed: trial.needed ?? 0 };
  if (confirmed) {
    return { step: "confirmed", swapNumber: confirmed.swapNumber ?? 0, scan: confirmed.scan ?? 0 };
  }
  return undefined;
}

export function toDeployResult(result: PushResult): DeployResult {
  const { shadow, ...rest } = result;
  return shadow === undefined ? rest : { ...rest, shadow };
}

export function fromDeployResult(result: DeployResult): PushResult {
  return {
    swapNumber: result.swapNumber ?? 0,
    slot: result.slot ?? 0,
    active: toSlotInfo(result.active ?? {}),
    offset: result.offset ?? 0,
    resumed: result.resumed ?? false,
    payloadBytesSent: result.payloadBytesSent ?? 0,
    restarts: result.restarts ?? 0,
    shadow: result.shadow ? toShadowReport(result.shadow) : undefined,
    transferMs: result.transferMs ?? 0,
    stagedMs: result.stagedMs ?? 0,
    totalMs: result.totalMs ?? 0,
  };
}
