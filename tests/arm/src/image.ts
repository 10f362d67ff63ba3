/** A qemu board's flash image, by what lies where. Read without the runtime's code: from the byte table alone. */
import { MEMORY_MAPS } from "@edgeplug/sim";
import { layoutOf } from "@edgeplug/test-support/flash";
import { crc32 } from "edgeplug";
import {
  RECORD_CRC_OFFSET,
  RECORD_MAGIC,
  RECORD_MARK_CONFIRMED_OFFSET,
  RECORD_MARK_REJECTED_OFFSET,
  RECORD_MARK_STAGED_OFFSET,
  RECORD_MARK_TRIAL_OFFSET,
  RECORD_PAYLOAD_MAX,
  RECORD_SLOT_SIZE,
  RECORD_SWAP_NUMBER_OFFSET,
} from "edgeplug/record-layout";

export const LAYOUT = layoutOf("qemu");
/** The settings of the board lie behind the journal; nothing of the chip is used behind them. */
export const USED = MEMORY_MAPS.qemu.boardId + LAYOUT.eraseSize;
/** Bytes that the chip programs at once, in the sense of the runtime: a mark is two of them. */
export const UNIT = MEMORY_MAPS.qemu.flash.programUnit;
const JOURNAL_ENTRY = 32;

export type SlotIndex = 0 | 1;
export const SLOT_NAMES = ["A", "B"] as const;

export function slotBytes(image: Uint8Array, slot: SlotIndex): Uint8Array {
  const start = LAYOUT.slots[slot];
  return image.subarray(start, start + RECORD_SLOT_SIZE);
}

/** Offset of a mark's first copy in the image. */
export function markAddress(slot: SlotIndex, mark: "trial" | "confirmed"): number {
  const offset = mark === "trial" ? RECORD_MARK_TRIAL_OFFSET : RECORD_MARK_CONFIRMED_OFFSET;
  return LAYOUT.slots[slot] + RECORD_PAYLOAD_MAX + offset;
}

/** Where an address lies, in words. */
export function areaOf(address: number): string {
  for (const slot of [0, 1] as const) {
    const offset = address - LAYOUT.slots[slot];
    if (offset < 0 || offset >= RECORD_SLOT_SIZE) continue;
    const record = offset - RECORD_PAYLOAD_MAX;
    const part = record < 0 ? "payload" : record < RECORD_MARK_STAGED_OFFSET ? "record" : "marks";
    return `slot ${SLOT_NAMES[slot]} ${part}`;
  }
  const half = Math.floor((address - LAYOUT.journal) / LAYOUT.journalHalfSize);
  return half === 0 || half === 1 ? `journal half ${half + 1}` : "elsewhere";
}

function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0xff);
}

/** The record of a slot as far as it can be told without its marks' values: "blank", "torn", or its swap number. */
export function recordOf(image: Uint8Array, slot: SlotIndex): "blank" | "torn" | number {
  const record = Buffer.from(slotBytes(image, slot).subarray(RECORD_PAYLOAD_MAX));
  if (isBlank(record.subarray(0, RECORD_MARK_STAGED_OFFSET))) return "blank";
  const holds =
    record.readUInt32LE(0) === RECORD_MAGIC &&
    record.readUInt32LE(RECORD_CRC_OFFSET) === crc32(record.subarray(0, RECORD_CRC_OFFSET));
  return holds ? record.readUInt32LE(RECORD_SWAP_NUMBER_OFFSET) : "torn";
}

/** One letter a copy of each mark: "." blank, "1" programmed somehow. */
function marksOf(image: Uint8Array, slot: SlotIndex): string {
  const marks = slotBytes(image, slot).subarray(RECORD_PAYLOAD_MAX + RECORD_MARK_STAGED_OFFSET);
  let text = "";
  const end = RECORD_MARK_REJECTED_OFFSET + 2 * UNIT - RECORD_MARK_STAGED_OFFSET;
  for (let at = 0; at < end; at += UNIT) text += isBlank(marks.subarray(at, at + UNIT)) ? "." : "1";
  return text;
}

/** One letter a page of a slot: as before the update, as after it, blank, or something between. */
function pagesOf(image: Uint8Array, slot: SlotIndex, before: Uint8Array, after: Uint8Array): string {
  let text = "";
  for (let from = 0; from < RECORD_PAYLOAD_MAX; from += LAYOUT.eraseSize) {
    const page = (bytes: Uint8Array): Uint8Array =>
      slotBytes(bytes, slot).subarray(from, Math.min(from + LAYOUT.eraseSize, RECORD_PAYLOAD_MAX));
    const here = page(image);
    if (Buffer.compare(here, page(before)) === 0) text += "b";
    else if (Buffer.compare(here, page(after)) === 0) text += "a";
    else text += isBlank(here) ? "." : "x";
  }
  return text;
}

/** What tells one end state of an update from another: both slots by pages, record and marks. */
export function stateKey(image: Uint8Array, before: Uint8Array, after: Uint8Array): string {
  return ([0, 1] as const)
    .map((slot) => `${pagesOf(image, slot, before, after)} ${recordOf(image, slot)} ${marksOf(image, slot)}`)
    .join(" | ");
}

/**
 * What one boot of a board at rest may add to the journal: whole entries into blank flash, at most `entries`. Gives what
 * is wrong with what it did, or undefined.
 */
export function foreignChange(before: Uint8Array, after: Uint8Array, entries: number): string | undefined {
  const touched = new Set<number>();
  for (let offset = 0; offset < before.length; offset++) {
    if (before[offset] === after[offset]) continue;
    const where = `${areaOf(offset)}, 0x${offset.toString(16)}`;
    if (!areaOf(offset).startsWith("journal")) return `${where} changed`;
    if (before[offset] !== 0xff) return `${where} was not blank and changed`;
    touched.add(Math.floor(offset / JOURNAL_ENTRY));
  }
  return touched.size > entries ? `${touched.size} journal entries were added` : undefined;
}
