/** What a board says, in words and as JSON: the same from every command. */
import { errorId, errorInfo } from "../errors.js";
import { ERRORS } from "../generated/errors.js";
import { count } from "../numbers.js";
import {
  agentKindName,
  boardClassName,
  historyKindName,
  phaseName,
  reasonName,
  signatureName,
  slotStateName,
  type Hello,
  type HistoryEntry,
  type SlotInfo,
  type Status,
} from "./messages.js";

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

export function slotName(slot: number): string {
  return slot === 0 ? "A" : slot === 1 ? "B" : `${slot}`;
}

/** A label and its text. */
export type Line = [label: string, text: string];

export function helloLines(hello: Hello): Line[] {
  return [
    ["board", `${boardClassName(hello.boardClass)} ${hex(hello.boardId)}`],
    [
      "runtime",
      `${hello.runtimeVersion}, protocol ${hello.protocol}, ABI ${hello.abi}, boot ${hello.bootNumber}`,
    ],
    ["security", hello.locked ? "locked: takes signed packages only" : "open: takes unsigned packages too"],
    [
      "limits",
      `${count(hello.slotPayload)} bytes a slot, ${count(hello.maxMemory)} bytes of memory, ` +
        `${hello.inputs} inputs, ${hello.outputs} outputs, a scan each ${count(hello.tickUs)} µs`,
    ],
  ];
}

export function helloRecord(hello: Hello): object {
  return { ...hello, boardId: hex(hello.boardId), boardClass: boardClassName(hello.boardClass) };
}

export function slotText(info: SlotInfo): string {
  if (info.swapNumber === 0 && info.name === "") return slotStateName(info.state);
  const reason = info.reason === 0 ? "" : ` (${reasonName(info.reason)})`;
  const signature =
    info.signature === 0 ? "unsigned" : `signature ${signatureName(info.signature)}, key ${hex(info.keyId)}`;
  return (
    `${info.name} ${info.version}, release ${info.release}, swap ${info.swapNumber}, ` +
    `${count(info.payloadSize)} bytes, ${agentKindName(info.kind)} agent, ` +
    `${slotStateName(info.state)}${reason}, ${signature}`
  );
}

export function slotRecord(info: SlotInfo): object {
  return {
    ...info,
    state: slotStateName(info.state),
    kind: agentKindName(info.kind),
    signature: signatureName(info.signature),
    reason: reasonName(info.reason),
    keyId: hex(info.keyId),
    digest: hex(info.digest),
  };
}

export function agentLine(status: Status): Line {
  if (status.active === null)
    return ["agent", "none: the board is in safe mode, outputs at their fail-safe values"];
  return ["agent", `slot ${slotName(status.activeSlot)}: ${slotText(status.active)}`];
}

export function statusLines(status: Status): Line[] {
  const { counters } = status;
  const lines: Line[] = [agentLine(status), ["update", updateText(status)]];
  if (status.lastReason !== 0) {
    const text = status.lastMessage === "" ? "" : `: ${status.lastMessage}`;
    lines.push(["last end", `swap ${status.lastReasonSwap}, ${reasonName(status.lastReason)}${text}`]);
  }
  if (status.lastError !== 0) lines.push(["refused", errorText(status.lastError)]);
  if (status.journalError !== 0) {
    const what = status.journalError === ERRORS.JOURNAL.code ? "journal" : "flash";
    lines.push([what, errorText(status.journalError)]);
  }
  lines.push(
    [
      "scans",
      `${count(counters.scansRun)} run, ${count(counters.scansMissed)} missed since boot ${status.bootNumber}`,
    ],
    [
      "health",
      `${count(counters.traps)} traps, ${count(counters.guardHits)} guard hits, ${count(counters.requestsServed)} requests served`,
    ],
    ["swaps", `${count(counters.swaps)} since boot, ${count(counters.rollbacks)} rolled back`],
    [
      "link",
      `${count(counters.framesDropped)} bad frames, ${count(counters.receiveOverruns)} bytes overrun, ` +
        `${count(counters.eventsLost)} events lost`,
    ],
    ["flash", `${count(counters.flashErases)} erases, ${count(counters.flashPrograms)} programs since boot`],
    [
      "security",
      `${status.locked ? "locked" : "open"}, version ${status.securityVersion}, ${status.spent} packages on the spent list`,
    ],
  );
  return lines;
}

function updateText(status: Status): string {
  switch (phaseName(status.phase)) {
    case "receiving":
      return `receiving, ${count(status.nextOffset)} bytes so far`;
    case "trial":
      return `trial, ${count(status.trialScans)} of ${count(status.trialNeeded)} healthy`;
    case "shadow":
      return "shadow run beside the running agent";
    case "idle":
      return "none under way";
    default:
      return phaseName(status.phase);
  }
}

function errorText(code: number): string {
  return `${errorId(code)}, ${errorInfo(code)?.cause ?? "unknown to this version of the tool"}`;
}

export function statusRecord(status: Status): object {
  return {
    ...status,
    phase: phaseName(status.phase),
    lastReason: reasonName(status.lastReason),
    activeSlot: slotName(status.activeSlot),
    active: status.active === null ? null : slotRecord(status.active),
  };
}

export function historyLine(entry: HistoryEntry): Line {
  const about = entry.swapNumber === 0 ? "" : ` swap ${entry.swapNumber} in slot ${slotName(entry.slot)}`;
  const reason = entry.reason === 0 ? "" : `, ${reasonName(entry.reason)}`;
  const detail = entry.detail === 0 ? "" : ` [${entry.detail}]`;
  return [`${entry.sequence}`, `${historyKindName(entry.kind)}${about}${reason}${detail}`];
}

/** `slot` is null where the entry is about none. */
export function historyRecord(entry: HistoryEntry): object {
  return {
    ...entry,
    kind: historyKindName(entry.kind),
    reason: reasonName(entry.reason),
    slot: entry.slot > 1 ? null : slotName(entry.slot),
  };
}
