/** A board's flash image, by what lies where. Read without the runtime's code: from the byte table alone. */
import { MEMORY_MAPS } from "@edgeplug/sim";
import { layoutOf, type FlashLayout } from "@edgeplug/test-support/flash";
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

export type SlotIndex = 0 | 1;
export const SLOT_NAMES = ["A", "B"] as const;

const JOURNAL_ENTRY = 32;

export class Chip {
  readonly layout: FlashLayout;
  /** Bytes that the chip programs at once, in the sense of the runtime: a mark is two of them. */
  readonly unit: number;
  /** Address of the image's first byte, as the firmware calls it. */
  readonly base: number;
  /** Nothing of the chip is used from here on. */
  readonly used: number;

  constructor(readonly map: "qemu" | "stm32l552") {
    const { flash } = MEMORY_MAPS[map];
    this.layout = layoutOf(map);
    this.unit = flash.programUnit;
    this.base = flash.base;
    const { journal, journalHalfSize, eraseSize } = this.layout;
    // the settings of the qemu board lie behind its journal
    this.used = journal + 2 * journalHalfSize + (map === "qemu" ? eraseSize : 0);
  }

  slotBytes(image: Uint8Array, slot: SlotIndex): Uint8Array {
    const start = this.layout.slots[slot];
    return image.subarray(start, start + RECORD_SLOT_SIZE);
  }

  /** Offset of a mark's first copy in the image. */
  markAddress(slot: SlotIndex, mark: "trial" | "confirmed"): number {
    const offset = mark === "trial" ? RECORD_MARK_TRIAL_OFFSET : RECORD_MARK_CONFIRMED_OFFSET;
    return this.layout.slots[slot] + RECORD_PAYLOAD_MAX + offset;
  }

  /** Where an offset of the image lies, in words. */
  areaOf(address: number): string {
    for (const slot of [0, 1] as const) {
      const offset = address - this.layout.slots[slot];
      if (offset < 0 || offset >= RECORD_SLOT_SIZE) continue;
      const record = offset - RECORD_PAYLOAD_MAX;
      const part = record < 0 ? "payload" : record < RECORD_MARK_STAGED_OFFSET ? "record" : "marks";
      return `slot ${SLOT_NAMES[slot]} ${part}`;
    }
    const half = Math.floor((address - this.layout.journal) / this.layout.journalHalfSize);
    return half === 0 || half === 1 ? `journal half ${half + 1}` : "elsewhere";
  }

  /** The record of a slot as far as it can be told without its marks' values: "blank", "torn", or its swap number. */
  recordOf(image: Uint8Array, slot: SlotIndex): "blank" | "torn" | number {
    const record = Buffer.from(this.slotBytes(image, slot).subarray(RECORD_PAYLOAD_MAX));
    if (isBlank(record.subarray(0, RECORD_MARK_STAGED_OFFSET))) return "blank";
    const holds =
      record.readUInt32LE(0) === RECORD_MAGIC &&
      record.readUInt32LE(RECORD_CRC_OFFSET) === crc32(record.subarray(0, RECORD_CRC_OFFSET));
    return holds ? record.readUInt32LE(RECORD_SWAP_NUMBER_OFFSET) : "torn";
  }

  /** What tells one end state of an update from another: both slots by pages, record and marks. */
  stateKey(image: Uint8Array, before: Uint8Array, after: Uint8Array): string {
    return ([0, 1] as const)
      .map((slot) => {
        const pages = this.#pagesOf(image, slot, before, after);
        return `${pages} ${this.recordOf(image, slot)} ${this.#marksOf(image, slot)}`;
      })
      .join(" | ");
  }

  /**
   * What one boot of a board at rest may add to the journal: whole entries into blank flash, at most `entries`. Gives what
   * is wrong with what it did, or undefined.
   */
  foreignChange(before: Uint8Array, after: Uint8Array, entries: number): string | undefined {
    const touched = new Set<number>();
    for (let offset = 0; offset < before.length; offset++) {
      if (before[offset] === after[offset]) continue;
      const where = `${this.areaOf(offset)}, 0x${offset.toString(16)}`;
      if (!this.areaOf(offset).startsWith("journal")) return `${where} changed`;
      if (before[offset] !== 0xff) return `${where} was not blank and changed`;
      touched.add(Math.floor(offset / JOURNAL_ENTRY));
    }
    return touched.size > entries ? `${touched.size} journal entries were added` : undefined;
  }

  /** One letter a copy of each mark: "." blank, "1" programmed somehow. */
  #marksOf(image: Uint8Array, slot: SlotIndex): string {
    const marks = this.slotBytes(image, slot).subarray(RECORD_PAYLOAD_MAX + RECORD_MARK_STAGED_OFFSET);
    let text = "";
    const end = RECORD_MARK_REJECTED_OFFSET + 2 * this.unit - RECORD_MARK_STAGED_OFFSET;
    for (let at = 0; at < end; at += this.unit)
      text += isBlank(marks.subarray(at, at + this.unit)) ? "." : "1";
    return text;
  }

  /** One letter a page of a slot: as before the update, as after it, blank, or something between. */
  #pagesOf(image: Uint8Array, slot: SlotIndex, before: Uint8Array, after: Uint8Array): string {
    const { eraseSize } = this.layout;
    let text = "";
    for (let from = 0; from < RECORD_PAYLOAD_MAX; from += eraseSize) {
      const page = (bytes: Uint8Array): Uint8Array =>
        this.slotBytes(bytes, slot).subarray(from, Math.min(from + eraseSize, RECORD_PAYLOAD_MAX));
      const here = page(image);
      if (Buffer.compare(here, page(before)) === 0) text += "b";
      else if (Buffer.compare(here, page(after)) === 0) text += "a";
      else text += isBlank(here) ? "." : "x";
    }
    return text;
  }
}

function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0xff);
}
