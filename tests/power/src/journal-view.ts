/** Reads one half of the journal, and what both together say for certain or perhaps. */
import { crc32 } from "node:zlib";

import type { Cells } from "@edgeplug/sim";

export const JOURNAL_ENTRY = 32;
const HEADERS = 2;
const MOST_ENTRIES = 256;

export const KIND = {
  boot: 1,
  begin: 2,
  confirmed: 5,
  rejected: 6,
  spentCleared: 10,
  keyRemoved: 12,
  keyReplaced: 13,
  unlocked: 14,
  header: 16,
  key: 17,
  state: 18,
  progress: 19,
  facts: 20,
} as const;

export interface Entry {
  readonly index: number;
  /** "valid": reads so for ever; "maybe": bits of it waver; "torn": never reads valid. */
  readonly state: "valid" | "maybe" | "torn";
  readonly kind: number;
  readonly slot: number;
  readonly reason: number;
  readonly extra: number;
  readonly sequence: number;
  readonly swapNumber: number;
  readonly data: Uint8Array;
}

export interface HalfView {
  readonly cells: Cells;
  readonly entries: readonly Entry[];
  /** Copies of the header that read valid for ever, and those that may. */
  readonly headers: { readonly sure: number; readonly perhaps: number };
  readonly generation: number;
  readonly locked: boolean;
  /** Public keys in hex, by role; empty string: a part is missing. */
  readonly keys: readonly { readonly role: number; readonly key: string }[];
  /** The log went on behind what the half began with. */
  readonly used: boolean;
  /** Generation of the other half that this one says it outlived. */
  readonly outlived: number;
}

/** `before`: the half as it was read when only a few entries were different. */
export function readHalf(cells: Cells, granule: number, before?: HalfView): HalfView {
  const entries: Entry[] = [];
  const count = Math.min(cells.bytes.length / JOURNAL_ENTRY, MOST_ENTRIES);
  const words = wordsOf(cells.bytes);
  const knownWords = before && wordsOf(before.cells.bytes);
  let at = 0;
  for (let index = 0; index < count; index++) {
    const isSound = !isOdd(cells, index, granule);
    if (isSound && isBlank(words, index)) continue;
    while ((before?.entries[at]?.index ?? Infinity) < index) at++;
    const same = before?.entries[at];
    const isKnown =
      isSound &&
      same?.index === index &&
      knownWords !== undefined &&
      isSame(words, knownWords, index) &&
      !isOdd(before?.cells ?? cells, index, granule);
    const entry = isKnown ? same : readEntry(cells, index, granule);
    if (entry !== undefined) entries.push(entry);
  }
  return { cells, entries, ...headOf(entries) };
}

/** Something about the entry's cells is not as it should be. */
function isOdd({ unstable, unreadable }: Cells, index: number, granule: number): boolean {
  const start = index * JOURNAL_ENTRY;
  const end = start + JOURNAL_ENTRY;
  if (unstable) for (let i = start; i < end; i++) if (unstable[i] !== 0) return true;
  if (unreadable) for (let i = start / granule; i < end / granule; i++) if (unreadable[i] !== 0) return true;
  return false;
}

const WORDS = JOURNAL_ENTRY / 4;

function wordsOf({ buffer, byteOffset, length }: Uint8Array): Int32Array {
  return new Int32Array(buffer, byteOffset, length / 4);
}

function isBlank(words: Int32Array, index: number): boolean {
  for (let i = index * WORDS; i < (index + 1) * WORDS; i++) if (words[i] !== -1) return false;
  return true;
}

function isSame(a: Int32Array, b: Int32Array, index: number): boolean {
  for (let i = index * WORDS; i < (index + 1) * WORDS; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** What header, keys and log say about the half as a whole. */
function headOf(entries: readonly Entry[]): Omit<HalfView, "cells" | "entries"> {
  const headers = entries.filter(({ index }) => index < HEADERS);
  const header =
    headers.find(({ state }) => state === "valid") ?? headers.find(({ state }) => state === "maybe");
  const snapshotEnd = header === undefined ? Infinity : Buffer.from(header.data).readUInt32LE(0);
  return {
    used: entries.some(({ index, state }) => index >= snapshotEnd && state === "valid"),
    headers: {
      sure: headers.filter(({ state }) => state === "valid").length,
      perhaps: headers.filter(({ state }) => state === "maybe").length,
    },
    generation: header?.swapNumber ?? 0,
    locked: header !== undefined && header.reason !== 0,
    keys: readKeys(entries, header?.slot ?? 0),
    outlived:
      entries.find(({ index, kind, state }) => index >= HEADERS && kind === KIND.header && state === "valid")
        ?.swapNumber ?? 0,
  };
}

function readKeys(log: readonly Entry[], count: number): { role: number; key: string }[] {
  return Array.from({ length: count }, (_, key) => {
    const parts = [0, 1].map((part) =>
      log.find(
        ({ index, kind, state }) =>
          index === HEADERS + 2 * key + part && kind === KIND.key && state !== "torn",
      ),
    );
    const [first, second] = parts;
    if (first === undefined || second === undefined) return { role: 0, key: "" };
    return { role: first.reason, key: Buffer.concat([first.data, second.data]).toString("hex") };
  });
}

/** Undefined for a blank one. One that may read blank, and may not, counts as torn or as maybe. */
function readEntry(cells: Cells, index: number, granule: number): Entry | undefined {
  const at = index * JOURNAL_ENTRY;
  const bytes = cells.bytes.subarray(at, at + JOURNAL_ENTRY);
  const mask = cells.unstable?.subarray(at, at + JOURNAL_ENTRY);
  const wavers = mask?.some((bits) => bits !== 0) ?? false;
  const unreadable =
    cells.unreadable?.subarray(at / granule, (at + JOURNAL_ENTRY) / granule).some((one) => one !== 0) ??
    false;
  if (!wavers && !unreadable && bytes.every((byte) => byte === 0xff)) return undefined;
  const valid = unreadable
    ? undefined
    : wavers && mask
      ? resolve(bytes, mask)
      : holds(bytes)
        ? bytes
        : undefined;
  const said = valid ?? bytes;
  const view = new DataView(said.buffer, said.byteOffset);
  return {
    index,
    state: valid === undefined ? "torn" : wavers ? "maybe" : "valid",
    kind: said[0] ?? 0,
    slot: said[1] ?? 0,
    reason: said[2] ?? 0,
    extra: said[3] ?? 0,
    sequence: view.getUint32(4, true),
    swapNumber: view.getUint32(8, true),
    data: said.slice(12, 28),
  };
}

function holds(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return view.getUint32(28, true) === crc32(bytes.subarray(0, 28));
}

/** What the entry reads as if its wavering bits fall into place: with few of them, every way is tried. */
function resolve(bytes: Uint8Array, mask: Uint8Array): Uint8Array | undefined {
  const bits: [number, number][] = [];
  mask.forEach((byte, i) => {
    for (let bit = 1; bit < 256; bit <<= 1) if ((byte & bit) !== 0) bits.push([i, bit]);
  });
  // more than these never read alike three times over with any likelihood worth the name
  if (bits.length > 10) return undefined;
  const tried = bytes.slice();
  for (let way = 0; way < 1 << bits.length; way++) {
    bits.forEach(([i, bit], at) => {
      tried[i] = ((tried[i] ?? 0) & ~bit) | ((way >> at) & 1 ? bit : 0);
    });
    if (holds(tried)) return tried;
  }
  return undefined;
}

// ---- both halves --------------------------------------------------------------------------------------

/** What the journal says, read by an all-knowing eye. */
export interface JournalFacts {
  /** Entries that count for certain, oldest first. */
  readonly known: readonly Entry[];
  /** Entries that may count, those included. */
  readonly possible: readonly Entry[];
  /** Undefined if it is open which half counts. */
  readonly half: HalfView | undefined;
}

const factsCache = new WeakMap<HalfView, WeakMap<HalfView, JournalFacts>>();

export function journalFacts(halves: readonly [HalfView, HalfView]): JournalFacts {
  let inner = factsCache.get(halves[0]);
  if (inner === undefined) factsCache.set(halves[0], (inner = new WeakMap()));
  let facts = inner.get(halves[1]);
  if (facts === undefined) inner.set(halves[1], (facts = makeFacts(halves)));
  return facts;
}

function makeFacts(halves: readonly [HalfView, HalfView]): JournalFacts {
  const half = currentHalf(halves);
  const counted = (from: HalfView) => {
    const live = countedEntries(from);
    return { known: live.filter(({ state }) => state === "valid"), possible: live };
  };
  if (half !== undefined) return { ...counted(half), half };
  const both = halves.filter(({ headers }) => headers.sure + headers.perhaps > 0).map(counted);
  const possible = both.flatMap((one) => one.possible);
  const known = (both[0]?.known ?? []).filter((entry) =>
    both.every((one) => one.known.some((other) => sameFact(entry, other))),
  );
  return { known, possible, half: undefined };
}

function sameFact(a: Entry, b: Entry): boolean {
  return (
    a.kind === b.kind &&
    a.slot === b.slot &&
    a.swapNumber === b.swapNumber &&
    Buffer.compare(a.data, b.data) === 0
  );
}

/** The half that counts, if there is no doubt about it. */
function currentHalf([a, b]: readonly [HalfView, HalfView]): HalfView | undefined {
  const whole = ({ headers, keys, used }: HalfView) =>
    (headers.sure === 2 || (headers.sure === 1 && used)) && keys.every(({ key }) => key !== "");
  const isNone = ({ headers }: HalfView) => headers.sure + headers.perhaps === 0;
  // whatever the other one reads as, it is no newer
  const counts = (one: HalfView, other: HalfView) =>
    whole(one) &&
    other.outlived !== one.generation &&
    (isNone(other) || one.outlived === other.generation || ((one.generation - other.generation) | 0) > 0);
  if (counts(a, b)) return a;
  return counts(b, a) ? b : undefined;
}

/** The same entry, written once more. */
export function isTwin(a: Entry, b: Entry): boolean {
  return a.sequence === b.sequence && sameFact(a, b);
}

/** Entries of the log that no later one has taken the number of. One that may be dead stays, as "maybe". */
function countedEntries({ entries }: HalfView): Entry[] {
  const counted: Entry[] = [];
  const log = entries.filter(({ index, state }) => index >= HEADERS && state !== "torn");
  log.forEach((entry, at) => {
    if (entry.kind === KIND.key) return;
    let fate: "counts" | "open" | "dead" = "counts";
    for (let later = at + 1; later < at + 8 && fate !== "dead"; later++) {
      const other = log[later];
      if (other === undefined) break;
      // a number that is not newer has been taken over
      if (((other.sequence - entry.sequence) | 0) > 0) continue;
      if (other.state === "valid") fate = "dead";
      else if (!isTwin(entry, other)) fate = "open";
    }
    if (fate !== "dead") counted.push(fate === "open" ? { ...entry, state: "maybe" } : entry);
  });
  return counted;
}
