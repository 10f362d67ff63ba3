/** What must hold of a board that is started on a flash image which a cut left. */
import type { TestBoard } from "@edgeplug/test-support/board";
import { until } from "@edgeplug/test-support/clock";
import { push, standing, type Standing } from "@edgeplug/test-support/push";
import type { AgentPackage } from "edgeplug";
import type { DeviceSession, Observation } from "edgeplug/device";

import { SLOT_NAMES, type Chip } from "./chip.js";
import type { Point } from "./points.js";
import type { Recording } from "./recording.js";
import { HEALTHY_SCANS, slotsOf, TIMESTAMP, type Scenario } from "./scenario.js";

/** Entries that a boot of a board at rest may add to the journal: its number, and what it writes once more. */
const BOOT_ENTRIES = 2;

export interface Verdict {
  readonly point: Point;
  readonly outcome: "old" | "new" | "violation";
  /** A sentence for each law that did not hold. */
  readonly violations: string[];
  /** How often each law was checked. */
  readonly checks: Map<string, number>;
  /** What tells this end state from others. */
  readonly key: string;
  /** From power-on to the first scan of an agent, board milliseconds. */
  readonly bootMs: number;
}

/** The used part of the board's flash; exact while it has no power, or stands still. */
export async function imageOf(board: TestBoard, { used }: Chip): Promise<Uint8Array> {
  return (await board.harness.readFlash()).slice(0, used);
}

/** Boots `board`, which is off, on `image` and waits until nothing is under way any more. */
async function rest(
  board: TestBoard,
  image?: Uint8Array,
): Promise<{ session: DeviceSession; stands: Standing }> {
  if (image !== undefined) await board.writeFlash(0, image);
  await board.powerOn();
  const session = await board.connect();
  let stands = await standing(session);
  await until(board.clock, "the board is at rest", async () => {
    stands = await standing(session);
    return stands.phase === "idle";
  });
  const status = await session.status();
  const runs = status.active?.swapNumber ?? 0;
  await until(board.clock, "the agent's scan", () => board.watch.seen.at(-1)?.swapNumber === runs, 2_000);
  return { session, stands };
}

/** Checks on one board, one law after the other. */
class PointCheck {
  readonly violations: string[] = [];
  readonly checks = new Map<string, number>();
  private readonly scenario: Scenario;
  private readonly chip: Chip;
  private readonly old: AgentPackage;

  constructor(
    private readonly board: TestBoard,
    private readonly recording: Recording,
    private readonly point: Point,
  ) {
    this.scenario = recording.scenario;
    this.chip = recording.chip;
    this.old = this.scenario.before.at(-1) as AgentPackage;
  }

  private law(name: string, holds: boolean, otherwise: () => string): void {
    this.checks.set(name, (this.checks.get(name) ?? 0) + 1);
    if (!holds) this.violations.push(`${name}: ${otherwise()}`);
  }

  /** Law 1: the old agent's slot is as it was. */
  oldSlot(image: Uint8Array, when: string): void {
    const { old } = slotsOf(this.scenario);
    const before = this.chip.slotBytes(this.recording.history.first, old);
    const same = Buffer.compare(this.chip.slotBytes(image, old), before) === 0;
    this.law("Law 1", same, () => `slot ${SLOT_NAMES[old]} with the old agent changed ${when}`);
  }

  /** Law 2: by what the host reads. */
  whoRuns(stands: Standing): "old" | "new" | undefined {
    const { update, before } = this.scenario;
    const agent = (pkg: AgentPackage, swap: number): string =>
      `agent ${pkg.manifest.version}#${swap} confirmed`;
    const who =
      stands.runs === agent(this.old, before.length)
        ? "old"
        : stands.runs === agent(update, before.length + 1)
          ? "new"
          : undefined;
    this.law("Law 2", who !== undefined && this.point.mayRun.includes(who), () => {
      return `${stands.runs} runs, where only ${this.point.mayRun.join(" or ")} may`;
    });
    return who;
  }

  /** Law 2: a new agent that runs is whole. */
  newSlot(image: Uint8Array): void {
    const { target } = slotsOf(this.scenario);
    const { payload } = this.scenario.update;
    const held = this.chip.slotBytes(image, target).subarray(0, payload.length);
    const whole = Buffer.compare(held, payload) === 0;
    this.law("Law 2", whole, () => "the new agent runs though its bytes are not those of the package");
  }

  /** Laws 2 and 8: by what somebody sees who only watches the outputs of this boot. */
  outputs(seen: readonly Observation[], runs: number): void {
    const old = this.scenario.before.length;
    const valueOf = (swap: number): number =>
      swap === old ? this.old.manifest.release : swap === old + 1 ? this.scenario.update.manifest.release : 0;
    const wrong = seen.find(({ swapNumber, outputs }) => outputs[0] !== valueOf(swapNumber));
    this.law(
      "outputs",
      wrong === undefined,
      () => `scan ${wrong?.scan} has outputs ${wrong?.outputs.join(" ")}`,
    );
    const order = seen.map(({ swapNumber }) => swapNumber).filter((swap, at, all) => swap !== all[at - 1]);
    const mayBe = runs === old ? [[0, old], [old]] : [[0, runs], [runs], [0, old, runs], [old, runs]];
    const known = mayBe.some((each) => each.join() === order.join());
    this.law("Law 2", known, () => `the swap numbers ${order.join(", ")} were seen, one after the other`);
    if (runs === old || this.point.confirmed) return;
    const healthy = seen.filter(({ swapNumber }) => swapNumber === runs).length;
    this.law("Law 8", healthy >= HEALTHY_SCANS, () => `confirmed after ${healthy} scans of ${HEALTHY_SCANS}`);
  }

  /** Law 5: no cut spends a package. */
  nothingSpent({ spent, last }: Standing): void {
    this.law("Law 5", spent === 0 && last === "none#0", () => `${spent} spent, last rejection ${last}`);
  }

  scansMissed(missed: number): void {
    this.law("no scan missed", missed === 0, () => `${missed} scans missed or unseen`);
  }

  /** Law 6: one more boot. */
  async secondBoot(first: Uint8Array, stood: Standing): Promise<Uint8Array> {
    const { stands } = await rest(this.board);
    await this.board.powerOff();
    const second = await imageOf(this.board, this.chip);
    const foreign = this.chip.foreignChange(first, second, BOOT_ENTRIES);
    this.law("Law 6", foreign === undefined, () => `a second boot: ${foreign}`);
    const same = JSON.stringify(stands) === JSON.stringify(stood);
    this.law(
      "Law 6",
      same,
      () => `after a second boot ${JSON.stringify(stands)}, before ${JSON.stringify(stood)}`,
    );
    return second;
  }

  /** Law 3: the update that was cut, if it is not there, and another one behind it. */
  async updatable(both: boolean): Promise<void> {
    const { update, next } = this.scenario;
    const { session } = await rest(this.board);
    for (const pkg of both ? [update, next] : [next]) {
      const outcome = await push(session, pkg, { timestamp: TIMESTAMP }).then(
        ({ active }) => active.version,
        (error: unknown) => String(error),
      );
      this.law(
        "Law 3",
        outcome === pkg.manifest.version,
        () => `pushing release ${pkg.manifest.release}: ${outcome}`,
      );
    }
    await this.board.powerOff();
  }
}

/** How much is asked of a point beyond its first boot. */
export interface Thoroughness {
  /** The board holds already what the cut left, torn units included. Default false: the point's image is put there. */
  readonly asLeft?: boolean;
  /** Keys of end states that have been asked everything; shared by all boards of a run. */
  readonly tried: Set<string>;
  /** Every point is started a second time, and every end state is asked for both updates, not every other one. */
  readonly full: boolean;
}

/** Starts `board`, which is off, on what the cut left and checks all that must hold. It is off again afterwards. */
export async function checkPoint(
  board: TestBoard,
  recording: Recording,
  point: Point,
  { tried, full, asLeft = false }: Thoroughness,
): Promise<Verdict> {
  const { chip, history } = recording;
  const check = new PointCheck(board, recording, point);
  const missedBefore = board.watch.missed;
  const left = point.image();
  check.oldSlot(left, "before the boot");
  const { session, stands } = await rest(board, asLeft ? undefined : left);
  const swap = (await session.status()).active?.swapNumber ?? 0;
  const { seen } = board.watch;
  await board.powerOff();
  const image = await imageOf(board, chip);
  const who = check.whoRuns(stands);
  check.oldSlot(image, "at the boot after the cut");
  if (who === "new") check.newSlot(image);
  check.outputs(seen, swap);
  check.nothingSpent(stands);
  const key = `${stands.runs} | ${chip.stateKey(image, history.first, history.last)}`;
  const isNew = !tried.has(key);
  tried.add(key);
  if (isNew || full) check.oldSlot(await check.secondBoot(image, stands), "at the second boot");
  if (isNew && who !== undefined) await check.updatable(who === "old" && (full || tried.size % 2 === 0));
  check.scansMissed(board.watch.missed - missedBefore);
  const bootMs = (seen.find(({ swapNumber }) => swapNumber > 0)?.timeUs ?? 0) / 1000;
  const outcome = check.violations.length > 0 ? "violation" : (who ?? "violation");
  return { point, outcome, violations: check.violations, checks: check.checks, key, bootMs };
}
