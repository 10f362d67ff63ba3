/** What lies in a board's flash, region by region. */
import { MEMORY_MAPS } from "@edgeplug/sim";

const SLOT_SIZE = 14_336;

export type RegionName = "slot A" | "slot B" | "journal" | "elsewhere";

export interface FlashLayout {
  /** Bytes of an erase. */
  readonly eraseSize: number;
  /** From the start of the image. */
  readonly slots: readonly [number, number];
  readonly journal: number;
  readonly journalHalfSize: number;
}

export function layoutOf(map: "qemu" | "stm32l552"): FlashLayout {
  const { flash, slots, journal } = MEMORY_MAPS[map];
  return {
    eraseSize: flash.eraseSize,
    slots: [slots.a - flash.base, slots.b - flash.base],
    journal: journal.base - flash.base,
    journalHalfSize: journal.pagesPerHalf * flash.eraseSize,
  };
}

/** A copy of all of a board's flash. */
export class FlashImage {
  constructor(
    readonly bytes: Uint8Array,
    readonly layout: FlashLayout,
  ) {}

  slot(slot: number): Uint8Array {
    const start = this.layout.slots[slot === 0 ? 0 : 1];
    return this.bytes.subarray(start, start + SLOT_SIZE);
  }

  regionOf(offset: number): RegionName {
    const { slots, journal, journalHalfSize } = this.layout;
    if (offset >= slots[0] && offset < slots[0] + SLOT_SIZE) return "slot A";
    if (offset >= slots[1] && offset < slots[1] + SLOT_SIZE) return "slot B";
    return offset >= journal && offset < journal + 2 * journalHalfSize ? "journal" : "elsewhere";
  }

  /** The regions in which a later image differs, each with its first differing byte: empty if all bytes are equal. */
  changes(later: FlashImage): Partial<Record<RegionName, string>> {
    const changed: Partial<Record<RegionName, string>> = {};
    if (later.bytes.length !== this.bytes.length) throw new Error("images of different sizes");
    if (Buffer.compare(this.bytes, later.bytes) === 0) return changed;
    for (let offset = 0; offset < this.bytes.length; offset++) {
      if (this.bytes[offset] === later.bytes[offset]) continue;
      changed[this.regionOf(offset)] ??= `at 0x${offset.toString(16)}`;
    }
    return changed;
  }
}
