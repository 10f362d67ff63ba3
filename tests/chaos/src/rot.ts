/** Where in a flash rot may be wanted, and how it looks. */
import {
  RECORD_HEADER_SIZE,
  RECORD_MARK_SIZE,
  RECORD_PAYLOAD_MAX,
  RECORD_SIZE,
} from "edgeplug/record-layout";
import type { FlashImage } from "@edgeplug/test-support/flash";

import type { RotKind } from "./bench.js";
import type { Trial } from "./case.js";

/** Bytes `start` to `end` of the image, and what they are. */
export interface Area {
  readonly what: string;
  readonly start: number;
  readonly end: number;
  /** It rots from its start to its end, not in a part of it. */
  readonly whole?: boolean;
}

const ENTRY_SIZE = 32;
const ENTRY_KEY = 17;
const ENTRY_HEADER = 16;
const MARKS = RECORD_SIZE - RECORD_HEADER_SIZE;
const UNIT = 8;
const RECORD = "record";

type Slot = 0 | 1;

/** The payload's own bytes, seldom what lies behind it. */
export function payloadArea(trial: Trial, slot: Slot, size: number): Area {
  const start = trial.bench.layout.slots[slot];
  if (trial.chance(0.1))
    return { what: "room behind the payload", start: start + size, end: start + RECORD_PAYLOAD_MAX };
  return { what: "payload", start, end: start + size };
}

export function recordArea(trial: Trial, slot: Slot): Area {
  const start = trial.bench.layout.slots[slot] + RECORD_PAYLOAD_MAX;
  return { what: RECORD, start, end: start + RECORD_HEADER_SIZE };
}

/** A part of one copy of a mark, or both copies as a whole. */
export function markArea(trial: Trial, slot: Slot): Area {
  const mark = trial.random.below(MARKS / RECORD_MARK_SIZE);
  const start =
    trial.bench.layout.slots[slot] + RECORD_PAYLOAD_MAX + RECORD_HEADER_SIZE + mark * RECORD_MARK_SIZE;
  const copy = trial.random.below(3);
  if (copy === 2) return { what: `mark ${mark}`, start, end: start + RECORD_MARK_SIZE, whole: true };
  return { what: `copy ${copy} of mark ${mark}`, start: start + copy * UNIT, end: start + (copy + 1) * UNIT };
}

/** A part of one half of the journal: used is the one that the board writes to. */
export function journalArea(trial: Trial, image: FlashImage, which: "used" | "spare"): Area {
  const { journal, journalHalfSize } = image.layout;
  const newer = generation(image, 1) > generation(image, 0) ? 1 : 0;
  const half = which === "used" ? newer : 1 - newer;
  const base = journal + half * journalHalfSize;
  const entries = Array.from({ length: journalHalfSize / ENTRY_SIZE }, (_, index) => ({
    start: base + index * ENTRY_SIZE,
    end: base + (index + 1) * ENTRY_SIZE,
    kind: image.bytes[base + index * ENTRY_SIZE] ?? 0xff,
  }));
  const groups = {
    header: entries.slice(0, 2),
    key: entries.filter(({ kind }) => kind === ENTRY_KEY),
    log: entries.slice(2).filter(({ kind }) => kind < ENTRY_HEADER || (kind > ENTRY_KEY && kind < 0xff)),
    last: entries
      .slice(2)
      .filter(({ kind }) => kind !== 0xff)
      .slice(-1),
    blank: entries.filter(({ kind }) => kind === 0xff).slice(0, 4),
  };
  const present = Object.entries(groups).filter(([, list]) => list.length > 0);
  const [name, list] = trial.pick(present);
  const { start, end } = trial.pick(list);
  return { what: `${name} entry of the ${which} half`, start, end };
}

/** Number of a half, from its header; 0 if it has none. */
export function generation(image: FlashImage, half: 0 | 1): number {
  const { journal, journalHalfSize } = image.layout;
  const at = journal + half * journalHalfSize;
  const view = new DataView(image.bytes.buffer, image.bytes.byteOffset + at, 2 * ENTRY_SIZE);
  const read = (copy: number): number =>
    view.getUint8(copy * ENTRY_SIZE) === ENTRY_HEADER ? view.getUint32(copy * ENTRY_SIZE + 8, true) : 0;
  return Math.max(read(0), read(1));
}

/** Rot in the area: a bit, a byte, or a stretch of bytes. Without `kinds`: whatever this flash knows, mostly flips. */
export async function rotIn(trial: Trial, area: Area, kinds?: readonly RotKind[]): Promise<void> {
  const { random, bench } = trial;
  const kind: RotKind =
    kinds === undefined && trial.chance(0.6) ? "flip" : trial.pick(kinds ?? bench.rotKinds);
  const wanted = trial.pick([1, 1, 1, 2, 8, 32]);
  const length = Math.min(area.end - area.start, area.whole === true ? Infinity : wanted);
  const start = trial.between(area.start, area.end - length);
  const oneBit = length === 1 && trial.chance(0.7);
  trial.tell(
    `${kind} ${oneBit ? "of a bit" : `of ${length} bytes`} at 0x${start.toString(16)}: ${area.what}`,
  );
  const masks = Uint8Array.from({ length }, () => (oneBit ? 1 << random.below(8) : 1 + random.below(255)));
  if (kind === "unstable") {
    trial.unstable = true;
    trial.recordWavers = area.what === RECORD;
  }
  await bench.rot(start, masks, kind);
}
