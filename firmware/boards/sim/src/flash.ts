import { createHash } from "node:crypto";

import type { Geometry } from "./geometry.js";
import { Random } from "./random.js";

/** The firmware did what the flash forbids. `code` is stable. */
export class FlashViolation extends Error {
  readonly code = "FLASH_VIOLATION";
  override readonly name = "FlashViolation";
}

/** The power went away at a planned flash operation. */
export class PowerCut extends Error {
  readonly code = "POWER_CUT";
  override readonly name = "PowerCut";
}

export type FlashOperationKind = "erase" | "program";

/** One erase or program, in the order in which they were begun. */
export interface FlashOperation {
  /** Counts from 1, over all boots. */
  readonly number: number;
  readonly kind: FlashOperationKind;
  readonly address: number;
  readonly size: number;
  /** What was to be programmed; empty for an erase. */
  readonly data: Uint8Array;
}

/**
 * What a cut operation leaves behind. half: the first half done. random: each bit done or not. unstable: like
 * random, and the bits not done read differently each time. ecc: units that can't be read.
 */
export type TearShape = "half" | "random" | "unstable" | "ecc";
export const TEAR_SHAPES: readonly TearShape[] = ["half", "random", "unstable", "ecc"];

export type CutMoment = "before" | "torn" | "after";

export interface Cut {
  /** The n-th operation from now on; 1 is the next. */
  readonly operation: number;
  readonly moment: CutMoment;
  /** Of a torn one; default "random". */
  readonly shape?: TearShape;
}

export interface FlashOptions {
  /** Seed of all that is random: tears and unstable bits. Default 1. */
  readonly seed?: number;
  /** "throw" ends the run with a FlashViolation; "error" answers like silicon, with EP_ERR_FLASH. Default "throw". */
  readonly onViolation?: "throw" | "error";
  /** How many operations the log keeps; the oldest go first. Default 10,000. */
  readonly logLimit?: number;
}

/** What flash calls answer to the firmware. */
export const FLASH_OK = 0;
export const FLASH_ECC = 1;
export const FLASH_FAILED = 2;

const PROGRAMMED = 1; // programmed since the last erase
const TORN = 2; // the last operation on it did not end
const ECC = 4; // can't be read

interface Page {
  readonly bytes: Uint8Array;
  /** The same bytes. */
  readonly words: Int32Array;
  /** PROGRAMMED, TORN, ECC for each granule. */
  readonly state: Uint8Array;
  /** Bits that are drawn anew at each read; absent if none. */
  unstable: Uint8Array | undefined;
  /** Whether any granule may be ECC. */
  ecc: boolean;
  /** What fingerprint() made of it, exact and by sense; gone when the page is written to. */
  prints: (Uint8Array | undefined)[];
}

/** What lies in some cells, as an all-knowing observer sees it. */
export interface Cells {
  /** Unstable bits as they happen to lie. */
  readonly bytes: Uint8Array;
  /** Bits that read differently each time; undefined if none do. */
  readonly unstable: Uint8Array | undefined;
  /** One byte for each granule, not 0 if it can't be read; undefined if all can. */
  readonly unreadable: Uint8Array | undefined;
}

/** Lets `micros` pass while the flash is busy. May throw: a reset or a power cut then tears the operation. */
export type PassTime = (micros: number) => void;

/**
 * NOR flash that refuses what silicon refuses. Pages are shared between forks until one of them writes, so a
 * fork costs next to nothing.
 */
export class Flash {
  readonly geometry: Geometry;
  /** What the firmware did wrong, with `onViolation: "error"`. */
  readonly violations: FlashViolation[] = [];
  /** Called before an operation begins: fork here to see what a cut at it would leave (see tear()). */
  onOperation: ((operation: FlashOperation, flash: Flash) => void) | undefined;

  readonly #random: Random;
  readonly #onViolation: "throw" | "error";
  readonly #logLimit: number;
  #pages: Page[];
  /** Not 0: no other flash has this page. Most forks are never written to, and have none. */
  #owned: Uint8Array | undefined;
  /** Shared with forks until one of them erases. */
  #wear: { readonly counts: Uint32Array; shared: boolean };
  #log: FlashOperation[] = [];
  #operations = 0;
  #cut: { at: number; moment: CutMoment; shape: TearShape } | undefined;
  #failures = 0;
  #busy = false;

  /** `from`: for fork(). */
  constructor(geometry: Geometry, options: FlashOptions = {}, from?: Flash) {
    this.geometry = geometry;
    this.#random = new Random(options.seed ?? 1);
    this.#onViolation = options.onViolation ?? "throw";
    this.#logLimit = options.logLimit ?? 10_000;
    const count = geometry.size / geometry.eraseSize;
    this.#pages = from === undefined ? new Array<Page>(count).fill(this.#blankPage()) : from.#pages;
    this.#wear = from === undefined ? { counts: new Uint32Array(count), shared: false } : from.#wear;
    if (from !== undefined) this.restore(from);
  }

  // ---- what the firmware calls ------------------------------------------------------------------

  /** Reads into `to`; answers FLASH_OK, FLASH_ECC or FLASH_FAILED. */
  read(address: number, to: Uint8Array): number {
    return this.readInto(address, to, 0, to.length);
  }

  /** Reads `size` bytes to `at` in `memory`; `words` is the same memory, if the caller has it at hand. */
  readInto(address: number, memory: Uint8Array, at: number, size: number, words?: Int32Array): number {
    if (this.#busy) return this.#refuse(`read of ${hex(address)} while the flash is busy`);
    if (!this.#inside(address, size)) return this.#refuse(`read of ${hex(address)}+${size} outside`);
    if (this.#readPlain(address, memory, at, size, words)) return FLASH_OK;
    let result = FLASH_OK;
    this.#eachPart(address, size, (page, offset, part, done) => {
      const to = memory.subarray(at + done, at + done + part);
      to.set(page.bytes.subarray(offset, offset + part));
      if (page.unstable) this.#drawUnstable(page, offset, to);
      if (page.ecc && this.#anyState(page, offset, part, ECC)) result = FLASH_ECC;
    });
    return result;
  }

  /** By far the most reads are short and of sound cells of one page; boards spend most of their time here. */
  #readPlain(address: number, memory: Uint8Array, at: number, size: number, words?: Int32Array): boolean {
    const { base, eraseSize } = this.geometry;
    const offset = (address - base) % eraseSize;
    const page = this.#pages[(address - base - offset) / eraseSize];
    if (!page || page.ecc || page.unstable || offset + size > eraseSize) return false;
    const { bytes } = page;
    if (size > 128) memory.set(bytes.subarray(offset, offset + size), at);
    else if (words !== undefined && ((offset | at | size) & 3) === 0) {
      const from = page.words;
      for (let i = offset >> 2, to = at >> 2, end = (offset + size) >> 2; i < end; i++)
        words[to++] = from[i] ?? 0;
    } else for (let i = 0; i < size; i++) memory[at + i] = bytes[offset + i] ?? 0;
    return true;
  }

  /** Erases the page at `address`; `pass` lets the time of it go by, with the flash busy. */
  erase(address: number, pass: PassTime): number {
    const { eraseSize, eraseMicros } = this.geometry;
    if (this.#busy) return this.#refuse(`erase of ${hex(address)} while the flash is busy`);
    if (!this.#inside(address, eraseSize)) return this.#refuse(`erase of ${hex(address)} outside`);
    if ((address - this.geometry.base) % eraseSize !== 0)
      return this.#refuse(`erase of ${hex(address)}, no page starts there`);
    return this.#operate("erase", address, new Uint8Array(0), eraseMicros, pass);
  }

  /** Programs `data`; `pass` as in erase(). */
  program(address: number, data: Uint8Array, pass: PassTime): number {
    const { base, programUnit, programMax } = this.geometry;
    const what = `program of ${data.length} bytes at ${hex(address)}`;
    if (this.#busy) return this.#refuse(`${what} while the flash is busy`);
    if (!this.#inside(address, data.length)) return this.#refuse(`${what} outside`);
    if (data.length === 0 || address % programUnit !== 0 || data.length % programUnit !== 0)
      return this.#refuse(`${what}: not aligned to ${programUnit} bytes`);
    const start = (address - base) % programMax;
    if (start + data.length > programMax) return this.#refuse(`${what} crosses a multiple of ${programMax}`);
    const verdict = this.#programmable(address, data);
    if (verdict === "twice") return this.#refuse(`${what}: already programmed since the last erase`);
    if (verdict === "torn") return FLASH_FAILED;
    return this.#operate("program", address, data.slice(), this.geometry.programMicros(data.length), pass);
  }

  // ---- what the test does -----------------------------------------------------------------------

  /** Operations begun so far, over all boots. */
  get operations(): number {
    return this.#operations;
  }

  /** Erases of each page. */
  get wear(): Uint32Array {
    return this.#wear.counts;
  }

  get log(): readonly FlashOperation[] {
    return this.#log;
  }

  get busy(): boolean {
    return this.#busy;
  }

  /** Plans a power cut; undefined takes it back. */
  planCut(cut: Cut | undefined): void {
    if (cut && (!Number.isInteger(cut.operation) || cut.operation < 1))
      throw new RangeError(`cut at operation ${cut.operation}: expected 1 or more`);
    this.#cut = cut && {
      at: this.#operations + cut.operation,
      moment: cut.moment,
      shape: cut.shape ?? "random",
    };
  }

  /** The next `count` operations answer EP_ERR_FLASH and change nothing. */
  failNext(count: number): void {
    this.#failures = count;
  }

  /** Makes the unit at `address` unreadable until its page is erased. */
  injectEcc(address: number): void {
    const { page, offset } = this.#writable(address);
    const unit = offset - (offset % this.geometry.programUnit);
    this.#setState(page, unit, this.geometry.programUnit, ECC);
  }

  /** Inverts the bits of `mask` in the byte at `address`: rot. */
  flip(address: number, mask: number): void {
    const { page, offset } = this.#writable(address);
    page.bytes[offset] = (page.bytes[offset] ?? 0) ^ mask;
    this.#setState(page, offset, 1, PROGRAMMED);
  }

  /** Makes the bits of `mask` in the byte at `address` read at random. */
  destabilize(address: number, mask: number): void {
    const { page, offset } = this.#writable(address);
    page.unstable ??= new Uint8Array(page.bytes.length);
    page.unstable[offset] = (page.unstable[offset] ?? 0) | mask;
  }

  /** The stored bytes, unstable ones as they happen to lie. Not a read: nothing is drawn, nothing fails. */
  peek(address: number, size: number): Uint8Array {
    if (!this.#inside(address, size)) throw new RangeError(`${hex(address)}+${size} lies outside the flash`);
    const out = new Uint8Array(size);
    this.#eachPart(address, size, (page, offset, part, done) => {
      out.set(page.bytes.subarray(offset, offset + part), done);
    });
    return out;
  }

  /** The cells with all that is wrong with them. Not a read. `address` and `size` are multiples of the granule. */
  look(address: number, size: number): Cells {
    const { granule } = this.geometry;
    const bytes = this.peek(address, size);
    let unstable: Uint8Array | undefined;
    let unreadable: Uint8Array | undefined;
    this.#eachPart(address, size, (page, offset, part, done) => {
      if (page.unstable) {
        unstable ??= new Uint8Array(size);
        unstable.set(page.unstable.subarray(offset, offset + part), done);
      }
      if (!page.ecc || !this.#anyState(page, offset, part, ECC)) return;
      unreadable ??= new Uint8Array(size / granule);
      for (let i = 0; i < part / granule; i++)
        unreadable[done / granule + i] = (page.state[offset / granule + i] ?? 0) & ECC;
    });
    return { bytes, unstable, unreadable };
  }

  /** Puts bytes there as a programmer with a clip would: erased first, no rule applies. */
  poke(address: number, data: Uint8Array): void {
    if (!this.#inside(address, data.length)) throw new RangeError(`${hex(address)} lies outside the flash`);
    for (let done = 0; done < data.length;) {
      const { page, offset } = this.#writable(address + done);
      const size = Math.min(data.length - done, page.bytes.length - offset);
      const part = data.subarray(done, done + size);
      page.bytes.set(part, offset);
      page.unstable?.fill(0, offset, offset + size);
      this.#restate(page, offset, size);
      done += size;
    }
  }

  /** The whole flash. */
  image(): Uint8Array {
    return this.peek(this.geometry.base, this.geometry.size);
  }

  /** Leaves what `operation`, begun on this state, leaves when the power goes in the middle of it. */
  tear(operation: Pick<FlashOperation, "kind" | "address" | "data">, shape: TearShape): void {
    if (operation.kind === "erase") this.#tearErase(operation.address, shape);
    else this.#tearProgram(operation.address, operation.data, shape);
  }

  /** Does `operation` at once and completely, as if it had ended just before a cut. */
  complete(operation: Pick<FlashOperation, "kind" | "address" | "data">): void {
    if (operation.kind === "erase") this.#applyErase(operation.address);
    else this.#applyProgram(operation.address, operation.data);
  }

  /** An independent flash in the same state: pages, wear, counters and random state; no plans, no hook. */
  fork(): Flash {
    return new Flash(this.geometry, { onViolation: this.#onViolation, logLimit: this.#logLimit }, this);
  }

  /** Takes over the state of `from`, which stays as it is. */
  restore(from: Flash): void {
    if (from.geometry.name !== this.geometry.name) throw new TypeError("flash of another geometry");
    from.#owned?.fill(0);
    this.#pages = from.#pages.slice();
    this.#owned?.fill(0);
    from.#wear.shared = true;
    this.#wear = from.#wear;
    this.#random.state = from.#random.state;
    this.#operations = from.#operations;
    this.#log = from.#log.length === 0 ? [] : [...from.#log];
    if (this.violations.length + from.violations.length > 0)
      this.violations.splice(0, Infinity, ...from.violations);
    this.#cut = undefined;
    this.#failures = 0;
    this.#busy = false;
  }

  /** Draws of tears and unstable bits start anew from `seed`. */
  reseed(seed: number): void {
    this.#random.state = seed;
  }

  /**
   * Equal for equal contents, states and unstable bits. With `sense`: torn, unstable and unreadable cells count as what
   * they are, whatever they hold. Of the pages before address `end`.
   */
  fingerprint({ sense = false, end = Infinity } = {}): string {
    const hash = createHash("sha256");
    const blank = this.#blankPage();
    const { base, eraseSize } = this.geometry;
    for (const [index, page] of this.#pages.entries()) {
      if (page === blank || base + index * eraseSize >= end) continue;
      const print = this.#print(page, sense);
      if (print.length > 0) hash.update(Uint32Array.of(index)).update(print);
    }
    return hash.digest("hex").slice(0, 32);
  }

  /** Empty for a blank page. */
  #print(page: Page, sense: boolean): Uint8Array {
    const place = sense ? 1 : 0;
    let print = page.prints[place];
    if (print) return print;
    if (isBlank(page)) return (page.prints[place] = new Uint8Array(0));
    const { bytes, state, unstable } = sense ? this.#senseOf(page) : page;
    const hash = createHash("sha256").update(bytes).update(state);
    if (unstable?.some((mask) => mask !== 0)) hash.update(unstable);
    print = hash.digest();
    page.prints[place] = print;
    return print;
  }

  /** Without what torn cells hold: only that they are torn, and whether they read blank. */
  #senseOf(page: Page): Pick<Page, "bytes" | "state" | "unstable"> {
    const { granule } = this.geometry;
    const wavers = page.unstable?.some((mask) => mask !== 0) ?? false;
    if (!wavers && !page.state.some((state) => (state & (TORN | ECC)) !== 0)) return page;
    const bytes = page.bytes.slice();
    const state = page.state.slice();
    for (let i = 0; i < state.length; i++) {
      let unstable = 0;
      if (page.unstable)
        for (let k = i * granule; k < (i + 1) * granule; k++) unstable |= page.unstable[k] ?? 0;
      if (((state[i] ?? 0) & (TORN | ECC)) === 0 && unstable === 0) continue;
      let blank = 0xff;
      for (let k = i * granule; k < (i + 1) * granule; k++) blank &= bytes[k] ?? 0;
      state[i] = (state[i] ?? 0) | 8 | (blank === 0xff ? 16 : 0) | (unstable === 0 ? 0 : 32);
      bytes.fill(0, i * granule, (i + 1) * granule);
    }
    return { bytes, state, unstable: undefined };
  }

  /** What a file has to keep besides the image; see file.ts. */
  exportStates(): { index: number; state: Uint8Array; unstable: Uint8Array | undefined }[] {
    return this.#pages.flatMap((page, index) =>
      page.state.some((state) => state !== 0) || page.unstable
        ? [{ index, state: page.state.slice(), unstable: page.unstable?.slice() }]
        : [],
    );
  }

  importState(index: number, state: Uint8Array, unstable: Uint8Array | undefined): void {
    const { page } = this.#writable(this.geometry.base + index * this.geometry.eraseSize);
    if (state.length !== page.state.length) throw new TypeError(`page ${index}: state of another geometry`);
    page.state.set(state);
    page.unstable = unstable;
    page.ecc = state.some((one) => (one & ECC) !== 0);
  }

  // ---- inside -----------------------------------------------------------------------------------

  #operate(
    kind: FlashOperationKind,
    address: number,
    data: Uint8Array,
    micros: number,
    pass: PassTime,
  ): number {
    const size = kind === "erase" ? this.geometry.eraseSize : data.length;
    const operation: FlashOperation = { number: this.#operations + 1, kind, address, size, data };
    this.onOperation?.(operation, this);
    this.#operations++;
    const cut = this.#cut?.at === operation.number ? this.#cut : undefined;
    if (cut) this.#cut = undefined;
    if (cut?.moment === "before") throw new PowerCut(`before ${describe(operation)}`);
    this.#remember(operation);
    if (this.#failures > 0) {
      this.#failures--;
      return FLASH_FAILED;
    }
    this.#passBusy(operation, micros, pass, cut?.moment === "torn" ? cut.shape : undefined);
    this.complete(operation);
    if (cut?.moment === "after") throw new PowerCut(`after ${describe(operation)}`);
    return FLASH_OK;
  }

  /** The time of an operation. Whatever ends it early (a planned cut, a watchdog reset) tears it. */
  #passBusy(operation: FlashOperation, micros: number, pass: PassTime, shape: TearShape | undefined): void {
    this.#busy = true;
    try {
      pass(shape ? micros / 2 : micros);
    } catch (error) {
      this.tear(operation, TEAR_SHAPES[this.#random.below(TEAR_SHAPES.length)] ?? "random");
      throw error;
    } finally {
      this.#busy = false;
    }
    if (!shape) return;
    this.tear(operation, shape);
    throw new PowerCut(`in the middle of ${describe(operation)} (${shape})`);
  }

  #remember(operation: FlashOperation): void {
    if (this.#logLimit === 0) return;
    this.#log.push(operation);
    if (this.#log.length > this.#logLimit) this.#log.splice(0, this.#log.length - this.#logLimit);
  }

  #applyErase(address: number): void {
    const { page } = this.#writable(address);
    page.bytes.fill(0xff);
    page.state.fill(0);
    page.unstable = undefined;
    page.ecc = false;
    this.#addWear(address);
  }

  #applyProgram(address: number, data: Uint8Array): void {
    const { page, offset } = this.#writable(address);
    const { bytes, unstable } = page;
    for (let i = 0; i < data.length; i++) {
      const wanted = data[i] ?? 0;
      bytes[offset + i] = (bytes[offset + i] ?? 0) & wanted;
      // a bit programmed to 0 is firm again; one left at 1 keeps what an earlier tear made of it
      if (unstable) unstable[offset + i] = (unstable[offset + i] ?? 0) & wanted;
    }
    this.#markProgrammed(page, offset, data, PROGRAMMED);
  }

  #tearErase(address: number, shape: TearShape): void {
    const { page } = this.#writable(address);
    const { bytes } = page;
    const size = bytes.length;
    if (shape === "half") {
      bytes.fill(0xff, 0, size / 2);
      page.state.fill(0, 0, page.state.length / 2);
    } else {
      for (let i = 0; i < size; i++) {
        const before = bytes[i] ?? 0;
        const after = before | this.#random.byte();
        bytes[i] = after;
        if (shape === "unstable") {
          page.unstable ??= new Uint8Array(size);
          page.unstable[i] = ~before & this.#random.byte() & 0xff;
        }
      }
    }
    for (let i = 0; i < page.state.length; i++) page.state[i] = (page.state[i] ?? 0) | TORN;
    this.#addWear(address);
    if (shape !== "ecc") return;
    const { programUnit } = this.geometry;
    for (let unit = 0; unit < size; unit += programUnit)
      if (this.#random.below(2) === 1) this.#setState(page, unit, programUnit, ECC);
  }

  #tearProgram(address: number, data: Uint8Array, shape: TearShape): void {
    const { page, offset } = this.#writable(address);
    const half = data.length / 2;
    for (const [i, wanted] of data.entries()) {
      const before = page.bytes[offset + i] ?? 0;
      const kept = shape === "half" ? (i < half ? 0 : 0xff) : this.#random.byte();
      page.bytes[offset + i] = before & (wanted | kept);
      if (shape === "unstable") {
        page.unstable ??= new Uint8Array(page.bytes.length);
        page.unstable[offset + i] = before & ~wanted & kept & 0xff;
      }
    }
    const done = shape === "half" && this.geometry.granule === 1 ? data.subarray(0, half) : data;
    this.#markProgrammed(page, offset, done, PROGRAMMED | TORN);
    if (shape === "ecc") this.#tearEcc(page, offset, data.length);
  }

  /** At least one unit of the operation becomes unreadable. */
  #tearEcc(page: Page, offset: number, size: number): void {
    const { programUnit } = this.geometry;
    const certain = this.#random.below(size / programUnit) * programUnit;
    for (let unit = 0; unit < size; unit += programUnit)
      if (unit === certain || this.#random.below(2) === 1)
        this.#setState(page, offset + unit, programUnit, ECC);
  }

  /** A double word counts as programmed whatever was written; on SPI NOR a byte of 0xFF stays blank. */
  #markProgrammed(page: Page, offset: number, data: Uint8Array, state: number): void {
    const { granule } = this.geometry;
    for (let i = 0; i < data.length; i += granule) {
      const at = (offset + i) / granule;
      if (granule === 1 && data[i] === 0xff && (state & TORN) === 0) continue;
      page.state[at] = ((page.state[at] ?? 0) & ~TORN) | state;
    }
  }

  /** A torn unit is accepted while it happens to read blank, as the silicon's own check does. */
  #programmable(address: number, data: Uint8Array): "yes" | "twice" | "torn" {
    const { granule } = this.geometry;
    const { page, offset } = this.#locate(address);
    const seen = page.bytes.slice(offset, offset + data.length);
    if (page.unstable) this.#drawUnstable(page, offset, seen);
    for (let i = 0; i < data.length; i += granule) {
      if (granule === 1 && data[i] === 0xff) continue;
      const state = page.state[(offset + i) / granule] ?? 0;
      let blank = true;
      for (let k = i; k < i + granule; k++) if (seen[k] !== 0xff) blank = false;
      if ((state & TORN) !== 0) {
        if (!blank || (state & ECC) !== 0) return "torn";
      } else if (state !== 0 || !blank) return "twice";
    }
    return "yes";
  }

  #restate(page: Page, offset: number, size: number): void {
    const { granule } = this.geometry;
    const first = Math.floor(offset / granule);
    const last = Math.ceil((offset + size) / granule);
    for (let i = first; i < last; i++) {
      const bytes = page.bytes.subarray(i * granule, (i + 1) * granule);
      page.state[i] = bytes.every((byte) => byte === 0xff) ? 0 : PROGRAMMED;
    }
  }

  #drawUnstable(page: Page, offset: number, seen: Uint8Array): void {
    for (let i = 0; i < seen.length; i++) {
      const mask = page.unstable?.[offset + i] ?? 0;
      if (mask !== 0) seen[i] = (seen[i] ?? 0) ^ (this.#random.byte() & mask);
    }
  }

  #anyState(page: Page, offset: number, size: number, bit: number): boolean {
    const { granule } = this.geometry;
    const last = Math.ceil((offset + size) / granule);
    for (let i = Math.floor(offset / granule); i < last; i++)
      if (((page.state[i] ?? 0) & bit) !== 0) return true;
    return false;
  }

  #setState(page: Page, offset: number, size: number, bit: number): void {
    const { granule } = this.geometry;
    const last = Math.ceil((offset + size) / granule);
    if (bit === ECC) page.ecc = true;
    for (let i = Math.floor(offset / granule); i < last; i++) page.state[i] = (page.state[i] ?? 0) | bit;
  }

  #refuse(what: string): number {
    const violation = new FlashViolation(what);
    if (this.#onViolation === "throw") throw violation;
    this.violations.push(violation);
    return FLASH_FAILED;
  }

  #inside(address: number, size: number): boolean {
    const { base, size: total } = this.geometry;
    return address >= base && address + size <= base + total;
  }

  #indexOf(address: number): number {
    return Math.floor((address - this.geometry.base) / this.geometry.eraseSize);
  }

  #addWear(address: number): void {
    const index = this.#indexOf(address);
    if (this.#wear.shared) this.#wear = { counts: this.#wear.counts.slice(), shared: false };
    const { counts } = this.#wear;
    counts[index] = (counts[index] ?? 0) + 1;
  }

  #locate(address: number): { page: Page; offset: number } {
    const page = this.#pages[this.#indexOf(address)];
    if (!page) throw new RangeError(`${hex(address)} lies outside the flash`);
    return { page, offset: (address - this.geometry.base) % this.geometry.eraseSize };
  }

  #writable(address: number): { page: Page; offset: number } {
    const { page, offset } = this.#locate(address);
    const index = this.#indexOf(address);
    this.#owned ??= new Uint8Array(this.#pages.length);
    if (this.#owned[index] !== 0) {
      page.prints = [];
      return { page, offset };
    }
    const { state, unstable, ecc } = page;
    const bytes = page.bytes.slice();
    const words = new Int32Array(bytes.buffer);
    const copy = { bytes, words, state: state.slice(), unstable: unstable?.slice(), ecc, prints: [] };
    this.#pages[index] = copy;
    this.#owned[index] = 1;
    return { page: copy, offset };
  }

  #eachPart(
    address: number,
    size: number,
    visit: (page: Page, offset: number, size: number, done: number) => void,
  ): void {
    for (let done = 0; done < size;) {
      const { page, offset } = this.#locate(address + done);
      const part = Math.min(size - done, page.bytes.length - offset);
      visit(page, offset, part, done);
      done += part;
    }
  }

  #blankKey(): string {
    return `${this.geometry.eraseSize}/${this.geometry.granule}`;
  }

  #blankPage(): Page {
    const { eraseSize, granule } = this.geometry;
    let page = BLANK.get(this.#blankKey());
    if (!page) {
      const bytes = new Uint8Array(eraseSize).fill(0xff);
      page = {
        bytes,
        words: new Int32Array(bytes.buffer),
        state: new Uint8Array(eraseSize / granule),
        unstable: undefined,
        ecc: false,
        prints: [],
      };
      BLANK.set(this.#blankKey(), page);
    }
    return page;
  }
}

/** One blank page for each geometry, never written to: no flash owns it. */
const BLANK = new Map<string, Page>();

function isBlank(page: Page): boolean {
  return page.state.every((state) => state === 0) && page.bytes.every((byte) => byte === 0xff);
}

function describe({ number, kind, address, size }: FlashOperation): string {
  return `operation ${number}: ${kind} of ${size} bytes at ${hex(address)}`;
}

function hex(address: number): string {
  return `0x${address.toString(16).padStart(8, "0")}`;
}
