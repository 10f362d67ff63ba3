/** Numbers of the link and the record in words. */
import { errorInfo } from "edgeplug/errors";
import { edgeplug } from "edgeplug/messages";

export function errorNameOf(code: number): string {
  return errorInfo(code)?.name ?? `error ${code}`;
}

export function reasonOf(reason: number): string {
  return nameOf(edgeplug.Reason, reason, "REASON_");
}

export function kindOf(kind: number): string {
  const further = ["header", "key", "state", "progress", "facts"];
  return further[kind - 16] ?? nameOf(edgeplug.HistoryKind, kind, "HISTORY_KIND_");
}

export function slotName(slot: number): string {
  return slot === 0 ? "slot A" : "slot B";
}

export function hex(value: number): string {
  return `0x${(value >>> 0).toString(16).padStart(8, "0")}`;
}

function nameOf(names: object, value: number, prefix: string): string {
  const found = Object.entries(names).find(([, number]) => number === value)?.[0];
  return found === undefined ? String(value) : found.slice(prefix.length).toLowerCase().replaceAll("_", " ");
}
