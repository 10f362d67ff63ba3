/** The firmware's boot choice by itself (firmware/boards/sim/boot_choice.c), on a flash that is composed byte by byte. */
import { readFileSync } from "node:fs";

import { wasm, type WasmMemory } from "@edgeplug/sim";
import { makePackage } from "@edgeplug/test-support/agents";
import { crc32, type AgentPackage } from "edgeplug";
import { edgeplug } from "edgeplug/messages";
import {
  RECORD_CRC_OFFSET,
  RECORD_FORMAT,
  RECORD_FORMAT_OFFSET,
  RECORD_HEADER_SIZE,
  RECORD_MAGIC,
  RECORD_MAGIC_OFFSET,
  RECORD_MANIFEST_LENGTH_OFFSET,
  RECORD_MANIFEST_OFFSET,
  RECORD_MARK_SIZE,
  RECORD_MARK_STAGED_OFFSET,
  RECORD_PAYLOAD_CRC_OFFSET,
  RECORD_PAYLOAD_MAX,
  RECORD_PAYLOAD_SIZE_OFFSET,
  RECORD_SIZE,
  RECORD_SLOT_SIZE,
  RECORD_SWAP_NUMBER_OFFSET,
} from "edgeplug/record-layout";

import {
  RESET_CAUSES,
  type Choice,
  type CopyState,
  type Found,
  type MarkName,
  type Rejection,
  type ResetCause,
  type Slot,
} from "./boot-table.js";

/** Places of a record's marks, in their order. */
export const MARKS: readonly MarkName[] = ["STAGED", "TRIAL", "TRIAL", "TRIAL", "CONFIRMED", "REJECTED"];
export const REJECTED = 5;

export type HeaderState = "whole" | "bad" | "absent" | "unreadable";
export const HEADER_STATES: readonly HeaderState[] = ["whole", "bad", "absent", "unreadable"];

/** A slot as it lies in flash. */
export interface SlotImage {
  readonly header: HeaderState;
  readonly payloadGood: boolean;
  /** Both copies of each mark, in the order of MARKS. */
  readonly marks: readonly (readonly [CopyState, CopyState])[];
  readonly swapNumber: number;
  /** That the manifest asks for; 0: its default. */
  readonly attempts: number;
  /** edgeplug.Reason in a valid REJECTED. */
  readonly reason: number;
}

/** What can be read of a slot's marks; bits by place. */
export interface MarksRead {
  readonly set: number;
  readonly touched: number;
  readonly unsettled: number;
  readonly reason: number;
}

/** What a boot did. */
export interface Booted {
  /** What the readers told the choice. */
  readonly found: Found;
  readonly runs: number | undefined;
  readonly asAttempt: boolean;
  readonly kept: boolean;
  readonly journalDamaged: boolean;
  readonly marks: readonly [MarksRead, MarksRead];
}

interface ChoiceExports {
  readonly memory: WasmMemory;
  choice_flash(): number;
  choice_faults(): number;
  choice_result(): number;
  choice_mount(): void;
  choice_note_resets(count: number, swapNumber: number): number;
  choice_note_facts(slot: number, swapNumber: number, set: number, absent: number, reason: number): number;
  choice_marks(slot: number, swapNumber: number, settle: number): void;
  choice_boot(cause: number): void;
  choice_choose(
    a: number,
    aSwap: number,
    b: number,
    bSwap: number,
    cause: number,
    resets: number,
    about: number,
  ): number;
  choice_resets_swap(): number;
}

const JOURNAL = 2 * RECORD_SLOT_SIZE;
const FLASH_SIZE = JOURNAL + 2048;
const UNIT = 8;
const SIM_DIST = new URL("../../../firmware/boards/sim/dist/", import.meta.url);
export const BOOT_CHOICE_WASM = new URL("boot-choice.wasm", SIM_DIST);

const { Reason } = edgeplug;
const REJECTIONS: ReadonlyMap<number, Rejection> = new Map([
  [Reason.REASON_WATCHDOG, "watchdog"],
  [Reason.REASON_FAULT, "fault"],
  [Reason.REASON_ATTEMPTS, "attempts"],
  [Reason.REASON_RESETS, "resets"],
]);

/** The name of a rejection that is the boot choice's own. */
export function rejectionOf(reason: number): Rejection | undefined {
  if (reason === 0) return undefined;
  const name = REJECTIONS.get(reason);
  if (name === undefined) throw new Error(`the boot choice gave reason ${reason}`);
  return name;
}

const packages = new Map<number, AgentPackage>();

function packageOf(attempts: number): AgentPackage {
  let pkg = packages.get(attempts);
  if (pkg === undefined) {
    pkg = makePackage(
      Uint8Array.from({ length: 40 }, (_, at) => at),
      { trial: { attempts }, key: null },
    );
    packages.set(attempts, pkg);
  }
  return pkg;
}

/** One copy of the mark at `place`: it names itself, its reason and, by its CRC, the record that it belongs to. */
export function markUnit(place: number, reason: number, swapNumber: number): Uint8Array {
  const unit = new Uint8Array(UNIT);
  const view = new DataView(unit.buffer);
  const said = (place + 1) | (reason << 8);
  view.setUint32(0, (said | (~said << 16)) >>> 0, true);
  view.setUint32(4, swapNumber, true);
  view.setUint32(4, crc32(unit), true);
  return unit;
}

/** A mark that a cut has left half-programmed. */
const TORN_UNIT = Uint8Array.of(0x01, 0xff, 0x37, 0xff, 0x12, 0x34, 0x56, 0x78);

function headerBytes({ header, swapNumber, attempts }: SlotImage): Uint8Array {
  const bytes = new Uint8Array(RECORD_HEADER_SIZE);
  if (header === "absent") return bytes.fill(0xff);
  const { manifestBytes, payload } = packageOf(attempts);
  const view = new DataView(bytes.buffer);
  view.setUint32(RECORD_MAGIC_OFFSET, RECORD_MAGIC, true);
  view.setUint16(RECORD_FORMAT_OFFSET, RECORD_FORMAT, true);
  view.setUint16(RECORD_MANIFEST_LENGTH_OFFSET, manifestBytes.length, true);
  view.setUint32(RECORD_SWAP_NUMBER_OFFSET, swapNumber, true);
  view.setUint32(RECORD_PAYLOAD_SIZE_OFFSET, payload.length, true);
  view.setUint32(RECORD_PAYLOAD_CRC_OFFSET, crc32(payload), true);
  bytes.set(manifestBytes, RECORD_MANIFEST_OFFSET);
  const crc = crc32(bytes.subarray(0, RECORD_CRC_OFFSET));
  view.setUint32(RECORD_CRC_OFFSET, header === "bad" ? crc ^ 1 : crc, true);
  return bytes;
}

/** A slot for choose(): see boot_choice.c. */
function slotCode(slot: Slot): number {
  const flags = [slot.recordHolds, slot.payloadHolds, slot.confirmed, slot.rejected];
  const bits = flags.reduce((code, flag, bit) => code | (Number(flag) << bit), 0);
  return bits | (slot.attempts << 4) | (slot.attemptsAllowed << 8);
}

const slotOrNone = (slot: number): number | undefined => (slot < 2 ? slot : undefined);

export class BootChoice {
  readonly #exports: ChoiceExports;
  readonly #flash: Uint8Array;
  readonly #faults: Uint8Array;
  readonly #formatted: Uint8Array;
  readonly #headers = new Map<string, Uint8Array>();

  private constructor(exports: ChoiceExports) {
    this.#exports = exports;
    this.#flash = new Uint8Array(exports.memory.buffer, exports.choice_flash(), FLASH_SIZE);
    this.#faults = new Uint8Array(exports.memory.buffer, exports.choice_faults(), FLASH_SIZE / UNIT);
    this.#flash.fill(0xff);
    exports.choice_mount();
    this.#formatted = this.#flash.slice(JOURNAL);
  }

  static async load(image = BOOT_CHOICE_WASM): Promise<BootChoice> {
    const module = await wasm.compile(readFileSync(image));
    // the shape of the exports is settled by boot_choice.c
    return new BootChoice(new wasm.Instance(module, {}).exports as unknown as ChoiceExports);
  }

  /** The choice by itself. */
  choose({ slots: [a, b], cause, resets }: Found): Choice {
    const answer = this.#exports.choice_choose(
      slotCode(a),
      a.swapNumber,
      slotCode(b),
      b.swapNumber,
      RESET_CAUSES.indexOf(cause),
      resets.count,
      resets.swapNumber,
    );
    return {
      rejects: [rejectionOf(answer & 0xff), rejectionOf((answer >> 8) & 0xff)],
      attempt: slotOrNone((answer >> 16) & 3),
      confirmed: slotOrNone((answer >> 18) & 3),
      kept: ((answer >> 20) & 1) !== 0,
      resets: { count: answer >>> 24, swapNumber: this.#exports.choice_resets_swap() >>> 0 },
    };
  }

  /** A new journal, blank slots, nothing broken. */
  format(): void {
    this.#flash.fill(0xff, 0, JOURNAL);
    this.#flash.set(this.#formatted, JOURNAL);
    this.#faults.fill(0);
  }

  /** Reads the journal as a boot does. */
  mount(): void {
    this.#exports.choice_mount();
  }

  /** No half of the journal can be read any more. */
  loseJournal(): void {
    this.#faults.fill(1, JOURNAL / UNIT);
  }

  noteResets(count: number, swapNumber: number): void {
    this.#exports.choice_note_resets(count, swapNumber);
  }

  /** The journal knows of marks of the record `swapNumber`; bits by place. */
  noteFacts(slot: number, swapNumber: number, set: number, absent: number, reason = 0): void {
    this.#exports.choice_note_facts(slot, swapNumber, set, absent, reason);
  }

  /** Puts a slot's record and payload there; nothing else of the slot is looked at. */
  putSlot(slot: number, image: SlotImage): void {
    const start = slot * RECORD_SLOT_SIZE;
    const record = start + RECORD_PAYLOAD_MAX;
    const { payload } = packageOf(image.attempts);
    this.#faults.fill(0, record / UNIT, (record + RECORD_SIZE) / UNIT);
    this.#flash.set(payload, start);
    if (!image.payloadGood) this.#flash[start + 17] = (payload[17] ?? 0) ^ 1;
    this.#flash.set(this.#header(image), record);
    if (image.header === "unreadable") this.#faults[record / UNIT + 3] = 1;
    image.marks.forEach((copies, place) => {
      copies.forEach((copy, index) => {
        this.putCopy(slot, place, index, copy, image);
      });
    });
  }

  /** Puts one copy of the mark at `place` into a state. */
  putCopy(
    slot: number,
    place: number,
    copy: number,
    state: CopyState,
    { swapNumber, reason }: Pick<SlotImage, "swapNumber" | "reason">,
  ): void {
    const at = copyAddress(slot, place, copy);
    const valid = (): Uint8Array => markUnit(place, place === REJECTED ? reason : 0, swapNumber);
    this.#faults[at / UNIT] = state === "unreadable" ? 1 : state === "unstable" ? 2 : 0;
    if (state === "blank") this.#flash.fill(0xff, at, at + UNIT);
    else this.#flash.set(state === "torn" ? TORN_UNIT : valid(), at);
  }

  /** Whether a copy lies there blank, or holds just what it should. */
  copyIs(slot: number, place: number, copy: number, unit: Uint8Array | "blank"): boolean {
    const at = copyAddress(slot, place, copy);
    const bytes = this.#flash.subarray(at, at + UNIT);
    return bytes.every((byte, index) => byte === (unit === "blank" ? 0xff : unit[index]));
  }

  /** Reads a slot's marks; with `settle` does first what a boot does about them. */
  readMarks(slot: number, swapNumber: number, settle: boolean): MarksRead {
    this.#exports.choice_marks(slot, swapNumber, Number(settle));
    return this.#marksAt(this.#words(), 20 + 4 * slot);
  }

  boot(cause: ResetCause): Booted {
    this.#exports.choice_boot(RESET_CAUSES.indexOf(cause));
    const words = this.#words();
    const word = (at: number): number => words[at] ?? 0;
    const slot = (at: number): Slot => ({
      recordHolds: word(at) !== 0,
      payloadHolds: word(at + 1) !== 0,
      confirmed: word(at + 2) !== 0,
      rejected: word(at + 3) !== 0,
      attempts: word(at + 4),
      attemptsAllowed: word(at + 5),
      swapNumber: word(at + 6),
    });
    return {
      found: { slots: [slot(0), slot(7)], cause, resets: { swapNumber: word(14), count: word(15) } },
      runs: slotOrNone(word(16)),
      asAttempt: word(17) !== 0,
      kept: word(18) !== 0,
      journalDamaged: word(19) !== 0,
      marks: [this.#marksAt(words, 20), this.#marksAt(words, 24)],
    };
  }

  #words(): Uint32Array {
    return new Uint32Array(this.#exports.memory.buffer, this.#exports.choice_result(), 28);
  }

  #marksAt(words: Uint32Array, at: number): MarksRead {
    const word = (offset: number): number => words[at + offset] ?? 0;
    return { set: word(0), touched: word(1), unsettled: word(2), reason: word(3) };
  }

  #header(image: SlotImage): Uint8Array {
    const key = `${image.header} ${image.swapNumber} ${image.attempts}`;
    let bytes = this.#headers.get(key);
    if (bytes === undefined) {
      bytes = headerBytes(image);
      this.#headers.set(key, bytes);
    }
    return bytes;
  }
}

function copyAddress(slot: number, place: number, copy: number): number {
  const record = slot * RECORD_SLOT_SIZE + RECORD_PAYLOAD_MAX;
  return record + RECORD_MARK_STAGED_OFFSET + place * RECORD_MARK_SIZE + copy * UNIT;
}
