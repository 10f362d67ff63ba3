/** The board's answers as plain, complete objects: every field present, 64-bit counters as numbers. */
import type { edgeplug } from "../generated/messages.js";
import { edgeplug as messages } from "../generated/messages.js";
import { printable } from "../printable.js";

type Complete<T, Optional extends keyof T = never> = {
  [K in Exclude<keyof T, "$unknowns" | Optional>]-?: NonNullable<T[K]>;
} & { [K in Optional]: NonNullable<T[K]> | null };

export type Hello = Complete<edgeplug.HelloReply.$Properties>;
export type SlotInfo = Complete<edgeplug.SlotInfo.$Properties>;
export type Counters = Complete<edgeplug.Counters.$Properties>;
export type BeginReply = Complete<edgeplug.BeginReply.$Properties>;
export type CallReply = Complete<edgeplug.CallReply.$Properties>;
export type HistoryEntry = Complete<edgeplug.HistoryEntry.$Properties>;
export type KeyInfo = Complete<edgeplug.KeyInfo.$Properties>;
export type DeviceEvent = Complete<edgeplug.Event.$Properties>;
export type ShadowChannel = Complete<edgeplug.ShadowChannel.$Properties>;
export type ShadowDifference = Complete<edgeplug.ShadowDifference.$Properties>;
export type ShadowReport = Omit<Complete<edgeplug.ShadowReport.$Properties>, "channels" | "first"> & {
  channels: ShadowChannel[];
  first: ShadowDifference[];
};

/** `active` is null in safe mode. */
export type Status = Omit<Complete<edgeplug.Status.$Properties>, "active" | "counters"> & {
  active: SlotInfo | null;
  counters: Counters;
};

interface Codec {
  toObject(message: never, options: object): Record<string, unknown>;
}

const NUMBERS = { defaults: true, longs: Number, arrays: true };

function plain(codec: Codec, message: unknown): Record<string, unknown> {
  return tame(codec.toObject(message as never, NUMBERS)) as Record<string, unknown>;
}

/** Names, versions and logs are whatever a board or its agent says. */
function tame(value: unknown): unknown {
  if (typeof value === "string") return printable(value);
  if (Array.isArray(value)) return value.map(tame);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, tame(field)]));
}

export function toHello(message: unknown): Hello {
  return plain(messages.HelloReply, message) as unknown as Hello;
}

export function toSlotInfo(message: unknown): SlotInfo {
  return plain(messages.SlotInfo, message) as unknown as SlotInfo;
}

export function toStatus(message: unknown): Status {
  const status = plain(messages.Status, message);
  status["counters"] ??= plain(messages.Counters, messages.Counters.create({}));
  if (status["safeMode"] === true) status["active"] = null;
  return status as unknown as Status;
}

export function toBeginReply(message: unknown): BeginReply {
  return plain(messages.BeginReply, message) as unknown as BeginReply;
}

export function toCallReply(message: unknown): CallReply {
  return plain(messages.CallReply, message) as unknown as CallReply;
}

export function toHistory(message: unknown): HistoryEntry[] {
  return plain(messages.History, message)["entries"] as HistoryEntry[];
}

export function toKeys(message: unknown): KeyInfo[] {
  return plain(messages.KeyList, message)["keys"] as KeyInfo[];
}

export function toSpent(message: unknown): Uint8Array[] {
  return plain(messages.SpentList, message)["digests"] as Uint8Array[];
}

export function toEvent(message: unknown): DeviceEvent {
  return plain(messages.Event, message) as unknown as DeviceEvent;
}

export function toShadowReport(message: unknown): ShadowReport {
  return plain(messages.ShadowReport, message) as unknown as ShadowReport;
}

/** `SLOT_STATE_CONFIRMED` → `confirmed`: an enum's value for people and JSON. */
function lowerNames(values: Record<string, string | number>, prefix: string): (value: number) => string {
  return (value) => {
    const name = values[value];
    return typeof name === "string"
      ? name.slice(prefix.length).toLowerCase().replaceAll("_", " ")
      : `unknown (${value})`;
  };
}

export const phaseName = lowerNames(messages.UpdatePhase, "UPDATE_PHASE_");
export const slotStateName = lowerNames(messages.SlotState, "SLOT_STATE_");
export const reasonName = lowerNames(messages.Reason, "REASON_");
export const shadowStateName = lowerNames(messages.ShadowState, "SHADOW_STATE_");
export const signatureName = lowerNames(messages.Signature, "SIGNATURE_");
export const agentKindName = lowerNames(messages.AgentKind, "AGENT_KIND_");
export const historyKindName = lowerNames(messages.HistoryKind, "HISTORY_KIND_");
export const keyRoleName = lowerNames(messages.KeyRole, "KEY_ROLE_");
export const eventKindName = lowerNames(messages.EventKind, "EVENT_KIND_");

const BOARD_CLASSES = ["any", "sim", "qemu", "stm32l552"];

export function boardClassName(value: number): string {
  return BOARD_CLASSES[value] ?? `unknown (${value})`;
}
