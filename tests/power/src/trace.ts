/** One point again, told step by step. */
import type { Flash, FlashOperation } from "@edgeplug/sim";

import { type CutMoment, insert } from "./capture.js";
import { comeToRest, examine, newMemory, type RecoveryMoment, type Subject } from "./examine.js";
import { areaOf, MARK_NAMES, placesOf, refresh, viewOf, type FlashView } from "./flash-view.js";
import { JOURNAL_ENTRY, journalFacts, type Entry, type HalfView } from "./journal-view.js";
import { MARKS, PAYLOAD_MAX } from "./layout.js";
import { nameOf } from "./laws.js";
import { hashOf, parsePoint, pointId, type CutAt, type Point } from "./point.js";
import { scenarioNamed } from "./scenarios/index.js";
import { SHAPES } from "./tears.js";
import { cutFlash, Worker, type Violation } from "./unit.js";
import { hex, kindOf, reasonOf, slotName } from "./words.js";
import { choiceOf } from "./choice.js";

export interface Replay {
  readonly violations: readonly Violation[];
  /** The trace, line by line. */
  readonly lines: readonly string[];
}

/** Examines just this point. Throws a RangeError for one that does not exist. */
export async function replay(id: string, wasm?: URL): Promise<Replay> {
  const point = parsePoint(id);
  if (point === undefined) throw new RangeError(`${id} is no point: expected e.g. update/l5@17t2+4b`);
  const scenario = scenarioNamed(point.scenario);
  const worker = new Worker(wasm);
  const { taken, violations: uncut } = await worker.captureOf(scenario, point.geometry);
  const moment = taken.moments[point.first.operation - 1];
  if (moment === undefined)
    throw new RangeError(`${id}: scenario ${scenario.name} has ${taken.moments.length} operations`);
  const story = new Story(await worker.bench(point.geometry), point, taken.moments, uncut);
  const isAfterAll = point.first.shape === "a" && point.first.operation === taken.moments.length;
  return story.tell({
    scenario,
    moment: isAfterAll ? taken.end : moment,
    keepsRecovery: true,
    probesAlways: true,
  });
}

class Story {
  private readonly lines: string[] = [];
  private readonly violations: Violation[] = [];

  constructor(
    private readonly bench: Parameters<typeof examine>[0],
    private readonly point: Point,
    private readonly moments: readonly CutMoment[],
    uncut: readonly Violation[],
  ) {
    this.violations.push(...uncut);
  }

  tell(about: Omit<Subject, "flash" | "view" | "id">): Replay {
    const { first, second } = this.point;
    const cut = this.moments[first.operation - 1];
    if (cut === undefined) throw new RangeError("no such operation");
    this.say(`${pointId(this.point)}: ${about.scenario.about}`, "");
    this.say(`The scenario, ${this.moments.length} operations:`);
    this.sayOperations(this.moments.slice(0, first.operation));
    const id = firstId(this.point);
    const flash = this.cut(cut.flash, cut.operation, first, id);
    const view = refresh(flash, cut.view, cut.operation);
    if (second === undefined) {
      this.examine({ ...about, flash, view, id });
      return { violations: this.violations, lines: this.lines };
    }
    const recovery = this.recover(flash);
    const again = recovery[second.operation - 1];
    if (again === undefined)
      throw new RangeError(`${pointId(this.point)}: that recovery has ${recovery.length} operations`);
    this.say("The recovery:");
    this.sayOperations(recovery.slice(0, second.operation));
    const whole = pointId(this.point);
    const flash2 = this.cut(again.flash, again.operation, second, whole);
    this.examine({ ...about, flash: flash2, view: viewOf(flash2), id: whole });
    return { violations: this.violations, lines: this.lines };
  }

  private say(...lines: readonly string[]): void {
    this.lines.push(...lines);
  }

  private sayOperations(moments: readonly { operation: FlashOperation; atMs?: number }[]): void {
    moments.forEach(({ operation, atMs }, index) => {
      const when = atMs === undefined ? "" : `${atMs.toFixed(1).padStart(8)} ms  `;
      this.say(`  ${String(index + 1).padStart(4)}  ${when}${describe(operation, this.bench.board.flash)}`);
    });
  }

  private cut(
    before: Flash,
    operation: FlashOperation,
    { operation: number, shape }: CutAt,
    id: string,
  ): Flash {
    const words = SHAPES.find(({ name }) => name === shape)?.words ?? shape;
    const flash = cutFlash(before, operation, shape, id);
    this.say("", `The power goes at operation ${number}: ${words}.`, ...describeFlash(viewOf(flash)));
    this.say(`  may run: ${[...choiceOf(viewOf(flash)).final].map(nameOf).join(" or ")}`, "");
    return flash;
  }

  /** The operations of a recovery, without judging it. */
  private recover(flash: Flash): RecoveryMoment[] {
    const { bench } = this;
    const recovery: RecoveryMoment[] = [];
    const id = firstId(this.point);
    insert(bench, flash, hashOf(id));
    bench.board.flash.onOperation = (operation) => {
      recovery.push({ operation, flash: bench.board.flash.fork() });
    };
    comeToRest(bench.driver);
    bench.board.flash.onOperation = undefined;
    return recovery;
  }

  private examine(subject: Subject): void {
    const found: string[] = [];
    const { outcome, recovery, rest } = examine(this.bench, subject, newMemory(), (law, message) => {
      this.violations.push({ law, id: subject.id, message });
      found.push(`  law ${law}: ${message}`);
    });
    this.say(`The board recovers, ${recovery.length} operations:`);
    this.sayOperations(recovery);
    if (rest !== undefined) this.say("", `It rests (${outcome}):`, ...describeFlash(viewOf(rest)));
    this.say("", ...(found.length > 0 ? ["Violations:", ...found] : ["Every law holds."]));
  }
}

function firstId({ scenario, geometry, first }: Point): string {
  return pointId({ scenario, geometry, first });
}

/** An operation in words. */
export function describe({ kind, address, size, data }: FlashOperation, flash: Flash): string {
  const area = areaOf(flash.geometry, address);
  const what = `${kind.padEnd(7)} ${hex(address)} ${String(size).padStart(4)} bytes  ${area}`;
  if (kind === "erase") return what;
  const { slots, journal, journalHalf } = placesOf(flash.geometry);
  if (area.endsWith("marks")) {
    const start = slots[area.startsWith("slot A") ? 0 : 1] + PAYLOAD_MAX + MARKS;
    const mark = Math.floor((address - start) / 16);
    const reason = mark === 5 ? ` (${reasonOf(data[1] ?? 0)})` : "";
    return `${what}: ${MARK_NAMES[mark] ?? "?"}${reason}, copy ${((address - start) % 16) / 8 + 1}`;
  }
  if (!area.startsWith("journal")) return what;
  const offset = (address - journal) % journalHalf;
  const index = Math.floor(offset / JOURNAL_ENTRY);
  const isStart = offset % JOURNAL_ENTRY === 0;
  return `${what}: entry ${index}${isStart ? `, ${kindOf(data[0] ?? 0)}` : ` from byte ${offset % JOURNAL_ENTRY}`}`;
}

const COPY = ["", "blank", "valid", "blank or valid", "torn", "blank or torn", "valid or torn", "anything"];

/** Slots by record, marks and journal in words. */
export function describeFlash(view: FlashView): string[] {
  const { half } = journalFacts(view.halves);
  return [
    ...view.slots.flatMap((slot, index) => {
      const name = slotName(index);
      if (slot.intact === "no") return [`  ${name}: no record`];
      const sure = slot.intact === "yes" ? "" : " (its record wavers)";
      const marks = slot.marks.flatMap(({ copies, reason }, mark) => {
        const [a, b] = copies.map((copy) => COPY[copy] ?? "?");
        if (a === "blank" && b === "blank") return [];
        const why = mark === 5 && reason > 0 ? ` for "${reasonOf(reason)}"` : "";
        return [
          `${MARK_NAMES[mark] ?? "?"}${why} ${a === b ? `both ${a ?? ""}` : `${a ?? ""} / ${b ?? ""}`}`,
        ];
      });
      const payload = { yes: "whole", maybe: "wavering", no: "not there" }[slot.payload];
      return [
        `  ${name}: ${slot.agent?.name ?? "an unknown agent"}, swap ${slot.swapNumber}${sure}, payload ${payload}`,
        `    marks: ${marks.join(", ") || "none"}`,
      ];
    }),
    ...view.halves.flatMap((one, index) => describeHalf(one, index, one === half)),
  ];
}

const SHOWN = 10;

function describeHalf(half: HalfView, index: number, counts: boolean): string[] {
  const { headers, generation, entries, keys, locked } = half;
  if (entries.length === 0) return [`  journal half ${index}: blank`];
  const copies = `${headers.sure}${headers.perhaps > 0 ? ` to ${headers.sure + headers.perhaps}` : ""} of 2 headers`;
  const extras = `${keys.length > 0 ? `, ${keys.length} keys` : ""}${locked ? ", locked" : ""}`;
  const log = entries.filter((entry) => entry.index >= 2 && entry.kind !== 17);
  const more = log.length > SHOWN ? [`    … ${log.length - SHOWN} entries before`] : [];
  return [
    `  journal half ${index}: generation ${generation}, ${copies}${extras}${counts ? ", counts" : ""}`,
    ...more,
    ...log.slice(-SHOWN).map(describeEntry),
  ];
}

function describeEntry(entry: Entry): string {
  const { index, state, kind, sequence, swapNumber, slot, reason, data } = entry;
  if (state === "torn") return `    ${index}: torn`;
  const about = swapNumber > 0 ? `, swap ${swapNumber} in ${slotName(slot & 1)}` : "";
  const why = kind === 6 ? ` for "${reasonOf(reason)}"` : "";
  const bits = kind === 20 ? `, set ${bitsOf(data[0] ?? 0)}, absent ${bitsOf(data[1] ?? 0)}` : "";
  return `    ${index}: ${kindOf(kind)}${why} #${sequence}${about}${bits}${state === "maybe" ? ", wavers" : ""}`;
}

function bitsOf(bits: number): string {
  return MARK_NAMES.filter((_, mark) => (bits & (1 << mark)) !== 0).join("+") || "none";
}
