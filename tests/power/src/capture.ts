/** Runs a scenario once, uncut, and keeps each moment at which it could be cut. */
import { Flash, SimBoard, type FlashOperation, type GeometryName } from "@edgeplug/sim";

import { Driver } from "./driver.js";
import { areaOf, ViewKeeper, type FlashView } from "./flash-view.js";
import { hashOf } from "./point.js";
import { choiceOf, readingsOf, SAFE } from "./choice.js";
import { journalFacts } from "./journal-view.js";
import { nameOf, standingOf, type Standing } from "./laws.js";
import { Stage, type Scenario } from "./scenario.js";
import { learn, NOTHING_KNOWN, type Permissions, type Truth } from "./truth.js";
import { Watcher, type Law, type Report } from "./watch.js";

/** Just before an operation, or after all of them. */
export interface Moment {
  readonly flash: Flash;
  readonly view: FlashView;
  readonly truth: Truth;
  readonly permissions: Permissions;
}

export interface CutMoment extends Moment {
  readonly operation: FlashOperation;
  /** Virtual milliseconds since the scenario began. */
  readonly atMs: number;
  readonly area: string;
}

export interface Capture {
  readonly moments: readonly CutMoment[];
  /** After the last one. */
  readonly end: Moment;
}

/** A board that is used for one thing after the other. */
export interface Bench {
  readonly board: SimBoard;
  readonly driver: Driver;
}

export async function makeBench(geometry: GeometryName, wasm: URL | undefined): Promise<Bench> {
  const board = await SimBoard.create({ geometry, flashOptions: { logLimit: 0 }, ...(wasm && { wasm }) });
  return { board, driver: new Driver(board) };
}

/** Puts this flash into the board, whose power is off. Draws of unstable bits come from `seed`. */
export function insert(bench: Bench, flash: Flash, seed: number): void {
  const { board } = bench;
  board.cutPower();
  board.flash.onOperation = undefined;
  board.flash.restore(flash);
  board.flash.reseed(seed);
}

/** What goes wrong without any cut is reported with the operation, from 1, that was reached. */
export function capture(
  bench: Bench,
  scenario: Scenario,
  tell: (law: Law, message: string, operation: number) => void,
): Capture {
  const { board, driver } = bench;
  const { flash } = board;
  insert(bench, new Flash(board.geometry, { logLimit: 0 }), hashOf(scenario.name));
  const moments: CutMoment[] = [];
  driver.told = 0;
  const stage = new Stage(driver, board.geometry.name);
  if (scenario.prepare) {
    driver.boot();
    scenario.prepare(stage);
  }
  const report: Report = (law, message) => {
    tell(law, `uncut: ${message}`, Math.max(1, moments.length));
  };
  const watcher = new Watcher(flash, driver.watch, () => stage.permissions, report);
  const start = board.milliseconds;
  const keeper = new ViewKeeper(flash);
  let truth = learn(NOTHING_KNOWN, keeper.look(), stage.permissions, driver.told);
  watcher.reset(keeper.look());
  const now = (): Moment => {
    const view = keeper.look();
    const { permissions } = stage;
    truth = learn(truth, view, permissions, driver.told);
    return { flash: flash.fork(), view, truth, permissions };
  };
  flash.onOperation = (operation) => {
    const area = areaOf(board.geometry, operation.address);
    moments.push({ ...now(), operation, atMs: Math.round((board.milliseconds - start) * 1e6) / 1e6, area });
    watcher.see(operation);
    keeper.touch(operation);
  };
  try {
    scenario.run(stage);
    const standing = standingOf(driver, driver.settle(), false);
    checkEnd(now(), standing, scenario, report);
  } catch (error) {
    report("3", messageOf(error));
  }
  flash.onOperation = undefined;
  return { moments, end: now() };
}

/** A board that nobody cut: the scenario has come to its end, it would stand a boot, and nothing is forgotten. */
function checkEnd(
  { view, truth }: Moment,
  { runs, spent }: Standing,
  { ends, proves = "2", spends = [] }: Scenario,
  report: Report,
): void {
  const wanted = ends === SAFE ? SAFE : ends.digest;
  const facts = journalFacts(view.halves);
  const isThere = view.slots.some((slot, index) =>
    readingsOf(slot, index, facts).some((one) => one?.confirmed === true && one.agent.digest === wanted),
  );
  if (runs !== wanted) report(isThere ? proves : "3", `${nameOf(runs)} runs in the end`);
  const { final } = choiceOf(view);
  if (!final.has(runs))
    report("6", `${nameOf(runs)} runs, a boot would run ${[...final].map(nameOf).join(" or ")}`);
  for (const digest of truth.spent)
    if (!spent.includes(digest)) report("5", `${nameOf(digest)} failed, but is not spent any more`);
  for (const { name, digest } of spends)
    if (!spent.includes(digest)) report("5", `${name} failed, but is not spent`);
  const [one, other] = view.halves.map(({ keys, locked }) => JSON.stringify([keys, locked]));
  if (one !== other) report("10", "keys and lock are not the same in both halves of the journal");
}

export function messageOf(error: unknown): string {
  return error instanceof Error
    ? `${error.name === "Error" ? "" : `${error.name}: `}${error.message}`
    : String(error);
}
