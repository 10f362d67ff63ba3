/**
 * Reads a flash by the hot-swap page, with an all-knowing eye: what a reader may make of each record, mark and journal
 * entry, and whether that is certain. It shares nothing with the firmware but the tables of places.
 */
import { crc32 } from "node:zlib";

import { boardMapOf, type Cells, type Flash, type Geometry } from "@edgeplug/sim";
import { agentOf, type Agent } from "./packages.js";
import { readHalf, type HalfView } from "./journal-view.js";
import * as layout from "./layout.js";

/** What a unit may read as. */
export const BLANK = 1;
export const VALID = 2;
export const TORN = 4;

export const MARK_NAMES = ["STAGED", "TRIAL 1", "TRIAL 2", "TRIAL 3", "CONFIRMED", "REJECTED"] as const;
export const STAGED = 0;
export const TRIAL = 1;
export const CONFIRMED = 4;
export const REJECTED = 5;
const MARKS = 6;
const UNIT = 8;
const REASONS = 18;

export interface MarkView {
  /** BLANK, VALID, TORN of each copy, one bit for each that is possible. */
  readonly copies: readonly [number, number];
  /** Of a valid copy, 0 if none. */
  readonly reason: number;
}

export interface SlotView {
  /** Whether the header's CRC holds. */
  readonly intact: "yes" | "maybe" | "no";
  readonly swapNumber: number;
  /** Undefined for a manifest that no scenario knows. */
  readonly agent: Agent | undefined;
  /** Whether the payload is the agent's. */
  readonly payload: "yes" | "maybe" | "no";
  readonly marks: readonly MarkView[];
}

export interface FlashView {
  readonly slots: readonly [SlotView, SlotView];
  readonly halves: readonly [HalfView, HalfView];
}

/** Where things lie. */
export interface Places {
  readonly geometry: Geometry;
  readonly slots: readonly [number, number];
  readonly journal: number;
  readonly journalHalf: number;
}

const places = new Map<string, Places>();

export function placesOf(geometry: Geometry): Places {
  let found = places.get(geometry.name);
  if (found === undefined) {
    const map = boardMapOf(geometry.name);
    found = { geometry, slots: map.slots, journal: map.journal, journalHalf: map.journalHalfSize };
    places.set(geometry.name, found);
  }
  return found;
}

export function viewOf(flash: Flash): FlashView {
  return new ViewKeeper(flash).look();
}

/** The view of a flash that differs from the one seen in `before` only where this operation worked. */
export function refresh(flash: Flash, before: FlashView, operation: { address: number }): FlashView {
  const keeper = new ViewKeeper(flash, before);
  keeper.touch(operation);
  return keeper.look();
}

function readSlot(flash: Flash, address: number): SlotView {
  const record = flash.look(address + layout.PAYLOAD_MAX, layout.RECORD_SIZE);
  const header = record.bytes.subarray(0, layout.HEADER_SIZE);
  const view = new DataView(header.buffer, header.byteOffset);
  const manifestLength = view.getUint16(layout.MANIFEST_LENGTH, true);
  const holds =
    view.getUint32(0, true) === layout.MAGIC &&
    manifestLength > 0 &&
    manifestLength <= layout.MANIFEST_MAX &&
    view.getUint32(layout.CRC, true) === crc32(header.subarray(0, layout.CRC));
  const wavers = record.unstable?.subarray(0, layout.HEADER_SIZE).some((mask) => mask !== 0) ?? false;
  const unreadable = isUnreadable(record, 0, layout.HEADER_SIZE, flash.geometry.granule);
  // a record that wavers may have been good before its page's erase was cut, or be good when read by luck
  const intact = unreadable ? "no" : wavers ? "maybe" : holds ? "yes" : "no";
  const swapNumber = view.getUint32(layout.SWAP_NUMBER, true);
  const manifest = header.subarray(layout.MANIFEST, layout.MANIFEST + Math.min(manifestLength, 304));
  const agent = intact === "no" ? undefined : agentOf(manifest);
  return {
    intact: intact === "maybe" && agent === undefined ? "no" : intact,
    swapNumber,
    agent,
    payload: agent === undefined ? "no" : readPayload(flash, address, agent),
    marks: Array.from({ length: MARKS }, (_, mark) =>
      readMark(record, flash.geometry.granule, mark, swapNumber),
    ),
  };
}

function readPayload(flash: Flash, address: number, { pkg }: Agent): "yes" | "maybe" | "no" {
  const { granule } = flash.geometry;
  const size = Math.ceil(pkg.payload.length / granule) * granule;
  const cells = flash.look(address, size);
  if (cells.unreadable?.some((unit) => unit !== 0)) return "no";
  const length = pkg.payload.length;
  if (!cells.unstable?.subarray(0, length).some((mask) => mask !== 0))
    return Buffer.compare(cells.bytes.subarray(0, length), pkg.payload) === 0 ? "yes" : "no";
  return mayRead(cells, 0, pkg.payload) ? "maybe" : "no";
}

/** Whether the bytes may come to read as `wanted`. */
export function mayRead({ bytes, unstable }: Cells, at: number, wanted: Uint8Array): boolean {
  return wanted.every((byte, i) => (((bytes[at + i] ?? 0) ^ byte) & ~(unstable?.[at + i] ?? 0)) === 0);
}

export function isUnreadable({ unreadable }: Cells, at: number, size: number, granule: number): boolean {
  return (
    unreadable
      ?.subarray(Math.floor(at / granule), Math.ceil((at + size) / granule))
      .some((one) => one !== 0) ?? false
  );
}

function readMark(record: Cells, granule: number, mark: number, swapNumber: number): MarkView {
  const at = layout.MARKS + mark * 2 * UNIT;
  const first = readUnit(record, at, granule, mark, swapNumber);
  const second = readUnit(record, at + UNIT, granule, mark, swapNumber);
  return { copies: [first.may, second.may], reason: first.reason || second.reason };
}

/** The unit that says a mark: number, reason, their complements, CRC-32 over that and the swap number. */
export function markUnit(mark: number, reason: number, swapNumber: number): Uint8Array {
  const unit = new DataView(new ArrayBuffer(UNIT));
  unit.setUint16(0, (mark + 1) | (reason << 8), true);
  unit.setUint16(2, ~unit.getUint16(0, true) & 0xffff, true);
  unit.setUint32(4, swapNumber, true);
  unit.setUint32(4, crc32(new Uint8Array(unit.buffer)), true);
  return new Uint8Array(unit.buffer);
}

function readUnit(
  record: Cells,
  at: number,
  granule: number,
  mark: number,
  swapNumber: number,
): { may: number; reason: number } {
  if (isUnreadable(record, at, UNIT, granule)) return { may: TORN, reason: 0 };
  const bytes = record.bytes.subarray(at, at + UNIT);
  const wavers = record.unstable?.subarray(at, at + UNIT).some((mask) => mask !== 0) ?? false;
  if (!wavers && bytes.every((byte) => byte === 0xff)) return { may: BLANK, reason: 0 };
  let may = wavers ? TORN : 0;
  if (wavers && mayRead(record, at, new Uint8Array(UNIT).fill(0xff))) may |= BLANK;
  const reasons = mark === REJECTED ? Array.from({ length: REASONS }, (_, reason) => reason) : [0];
  const reason = reasons.find((one) => mayRead(record, at, markUnit(mark, one, swapNumber)));
  if (reason !== undefined) may |= VALID;
  return { may: may === 0 ? TORN : may, reason: reason ?? 0 };
}

/** A copy of a mark. */
export interface MarkAddress {
  readonly slot: 0 | 1;
  readonly mark: number;
  readonly copy: 0 | 1;
}

/** The copy of a mark that an operation programs, if it does. */
export function markAt(
  { slots }: Places,
  { kind, address, size }: { kind: string; address: number; size: number },
): MarkAddress | undefined {
  const slot = slots.findIndex((start) => address >= start && address < start + layout.SLOT_SIZE);
  const offset = address - (slots[slot] ?? 0) - layout.PAYLOAD_MAX - layout.MARKS;
  if (slot < 0 || kind === "erase" || offset < 0 || size !== UNIT) return undefined;
  return {
    slot: slot as 0 | 1,
    mark: Math.floor(offset / (2 * UNIT)),
    copy: offset % (2 * UNIT) === 0 ? 0 : 1,
  };
}

/** What an operation is about, in words. */
export function areaOf(geometry: Geometry, address: number): string {
  const where = placesOf(geometry);
  for (const [index, start] of where.slots.entries()) {
    const offset = address - start;
    if (offset < 0 || offset >= layout.SLOT_SIZE) continue;
    const slot = index === 0 ? "slot A" : "slot B";
    if (offset < layout.PAYLOAD_MAX) return `${slot} payload`;
    return offset - layout.PAYLOAD_MAX < layout.MARKS ? `${slot} record` : `${slot} marks`;
  }
  const offset = address - where.journal;
  if (offset < 0 || offset >= 2 * where.journalHalf) return "elsewhere";
  return `journal half ${Math.floor(offset / where.journalHalf)}`;
}

/** The view of a flash of which a little may have changed anywhere. */
export function reread(flash: Flash, before: FlashView): FlashView {
  const { slots, journal, journalHalf } = placesOf(flash.geometry);
  const keeper = new ViewKeeper(flash, before);
  for (const address of [...slots, journal, journal + journalHalf]) keeper.touch({ address });
  return keeper.look();
}

/** Keeps up with a flash by what it is told, and reads only what has changed. */
export class ViewKeeper {
  private readonly stale: [boolean, boolean, boolean, boolean] = [false, false, false, false];

  constructor(
    private readonly flash: Flash,
    private view?: FlashView,
  ) {}

  /** This operation is about to happen: look before, not between. */
  touch({ address }: { address: number }): void {
    const { slots, journal, journalHalf } = placesOf(this.flash.geometry);
    const starts = [slots[0], slots[1], journal, journal + journalHalf];
    const part = starts.findLastIndex((start) => address >= start);
    if (part >= 0) this.stale[part] = true;
  }

  look(): FlashView {
    const { flash, stale, view } = this;
    if (view && !stale.includes(true)) return view;
    const where = placesOf(flash.geometry);
    const slot = (index: 0 | 1) =>
      view && !stale[index] ? view.slots[index] : readSlot(flash, where.slots[index]);
    const half = (index: 0 | 1) =>
      view && !stale[2 + index]
        ? view.halves[index]
        : readHalf(
            flash.look(where.journal + index * where.journalHalf, where.journalHalf),
            flash.geometry.granule,
            view?.halves[index],
          );
    this.view = { slots: [slot(0), slot(1)], halves: [half(0), half(1)] };
    stale.fill(false);
    return this.view;
  }
}
