/**
 * Watches each flash operation as it is about to happen, in scenarios, recoveries and probes alike: the slot that would be
 * fallen back to, and whether a mark may be set at this moment.
 */
import type { Flash, FlashOperation } from "@edgeplug/sim";

import { attemptsOf, choiceOf, notesOf, readingsOf, waysOf } from "./choice.js";
import type { Watch } from "./driver.js";
import {
  CONFIRMED,
  MARK_NAMES,
  markAt,
  placesOf,
  REJECTED,
  STAGED,
  TORN,
  TRIAL,
  VALID,
  ViewKeeper,
  type FlashView,
  type MarkAddress,
  type Places,
} from "./flash-view.js";
import { journalFacts } from "./journal-view.js";
import { SLOT_SIZE } from "./layout.js";
import type { Permissions } from "./truth.js";
import { reasonOf, slotName } from "./words.js";

/** A law of the hot-swap page by its number. */
export type Law = "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "10" | "11";

export type Report = (law: Law, message: string) => void;

export class Watcher {
  private readonly places: Places;
  private keeper: ViewKeeper;
  private fallback: number | undefined;
  private knowsFallback = false;

  constructor(
    private readonly flash: Flash,
    private readonly runs: Watch,
    private readonly permissions: () => Permissions,
    private readonly report: Report,
  ) {
    this.places = placesOf(flash.geometry);
    this.keeper = new ViewKeeper(flash);
  }

  /** The flash is another one now, which looks like this. */
  reset(view: FlashView): void {
    this.keeper = new ViewKeeper(this.flash, view);
    this.knowsFallback = false;
  }

  /** The flash as it is. */
  look(): FlashView {
    return this.keeper.look();
  }

  /** Looks at an operation that is about to happen. */
  see(operation: FlashOperation): void {
    const slot = this.slotOf(operation.address);
    if (slot !== undefined) this.seeSlot(operation, slot);
    this.keeper.touch(operation);
  }

  private seeSlot(operation: FlashOperation, slot: 0 | 1): void {
    if (!this.knowsFallback) this.fallback = choiceOf(this.look()).fallback;
    this.knowsFallback = true;
    const mark = markAt(this.places, operation);
    if (slot === this.fallback && !this.isOwnAffair(operation, mark))
      this.report("1", `${operation.kind} in ${slotName(slot)}, which would be fallen back to`);
    if (mark === undefined) return;
    this.checkMark(mark, operation, this.look());
    // from here on another one may be fallen back to
    if (mark.mark >= CONFIRMED) this.knowsFallback = false;
  }

  private slotOf(address: number): 0 | 1 | undefined {
    const slot = this.places.slots.findIndex((start) => address >= start && address < start + SLOT_SIZE);
    return slot < 0 ? undefined : (slot as 0 | 1);
  }

  /** The fallback's own marks may be completed, and it may be left for a reason that was asked for. */
  private isOwnAffair(operation: FlashOperation, mark: MarkAddress | undefined): boolean {
    if (mark === undefined) return false;
    const view = this.look();
    if (this.isCompletion(mark, view)) return true;
    return mark.mark === REJECTED && this.permissions().leave.has(operation.data[1] ?? 0);
  }

  /** Whether the mark holds already, by its other copy or by the journal. */
  private isCompletion({ slot, mark, copy }: MarkAddress, view: FlashView): boolean {
    const seen = view.slots[slot];
    const other = seen.marks[mark]?.copies[copy ^ 1] ?? 0;
    const tornHolds = mark !== STAGED && mark !== CONFIRMED;
    if ((other & VALID) !== 0 || (tornHolds && (other & TORN) !== 0)) return true;
    const notes = notesOf(slot, seen.swapNumber, journalFacts(view.halves));
    return ((notes.set | notes.maySet) & (1 << mark)) !== 0;
  }

  private checkMark(at: MarkAddress, operation: FlashOperation, view: FlashView): void {
    const slot = view.slots[at.slot];
    const facts = journalFacts(view.halves);
    const notes = notesOf(at.slot, slot.swapNumber, facts);
    if (slot.agent === undefined) {
      this.report("2", `${MARK_NAMES[at.mark] ?? "a mark"} on ${slotName(at.slot)}, which holds no record`);
      return;
    }
    if (at.mark === REJECTED) {
      this.checkRejected(at, operation, view);
      return;
    }
    if (this.isCompletion(at, view)) return;
    const holds = (mark: number) => waysOf(slot, mark, notes).includes(true);
    if (at.mark === STAGED && slot.payload === "no")
      this.report("2", `${slotName(at.slot)} is marked STAGED, but its payload is not there`);
    if (at.mark >= TRIAL && at.mark < CONFIRMED) {
      if (!holds(STAGED)) this.report("2", `${slotName(at.slot)} begins a trial, but was never STAGED`);
      if (at.mark - TRIAL >= attemptsOf(slot.agent))
        this.report("5", `${slotName(at.slot)} begins more attempts than its manifest allows`);
      if (this.runs.seen.has(slot.swapNumber))
        this.report("5", `${slot.agent.name} has run before its attempt was marked`);
    }
    if (at.mark === CONFIRMED) this.checkConfirmed(at, view);
  }

  /** Law 8: only scans that ran count. */
  private checkConfirmed({ slot, copy }: MarkAddress, view: FlashView): void {
    const seen = view.slots[slot];
    const { runs } = this;
    const needed = seen.agent?.pkg.manifest.trial.healthyScans ?? 0;
    const ran = runs.swapNumber === seen.swapNumber ? runs.streak : 0;
    if (ran >= needed) return;
    const torn =
      ((seen.marks[CONFIRMED]?.copies[copy ^ 1] ?? 0) | (seen.marks[CONFIRMED]?.copies[copy] ?? 0)) & TORN;
    this.report(
      torn === 0 ? "8" : "4",
      `${slotName(slot)} is CONFIRMED after ${ran} of ${needed} scans${torn === 0 ? "" : ", by a mark that was torn"}`,
    );
  }

  private checkRejected({ slot }: MarkAddress, operation: FlashOperation, view: FlashView): void {
    const readings = readingsOf(view.slots[slot], slot, journalFacts(view.halves));
    const isConfirmed = readings.every((one) => one?.confirmed === true && !one.rejected);
    const reason = operation.data[1] ?? 0;
    if (!isConfirmed || this.permissions().leave.has(reason)) return;
    this.report(
      "2",
      `${slotName(slot)}, confirmed, is rejected for "${reasonOf(reason)}", which nobody asked for`,
    );
  }
}
