/**
 * The power goes carelessly at any time during pushes. Under QEMU that is `kill -9` without a stop before it, which loses
 * the latest flash writes, or some of them; under Renode an operation that is under way is torn.
 * Each kill is followed by a boot, at which an agent must run that may, and by a push, which must succeed.
 */
import type { TestBoard } from "@edgeplug/test-support/board";
import { until } from "@edgeplug/test-support/clock";
import { push, standing } from "@edgeplug/test-support/push";
import type { DeviceSession } from "edgeplug/device";

import type { Machine } from "./machine.js";
import { Random } from "./random.js";
import { agentOf } from "./scenario.js";

export interface KillsOptions {
  readonly seed: number;
  readonly kills: number;
  /** Boards side by side. Default 2. */
  readonly lanes?: number;
  readonly onKill?: (kill: Kill, done: number, all: number) => void;
}

export interface Kill {
  /** From 1, in the order of the plan. */
  readonly index: number;
  /** Of the package that was being pushed. */
  readonly bytes: number;
  /** Board milliseconds after the push began. */
  readonly afterMs: number;
  /** Who ran after the boot. */
  readonly outcome: "old" | "new" | "violation";
  readonly violations: readonly string[];
}

/** Payload sizes of the packages: small, two pages, a full slot. */
const SIZES = [256, 6_000, 13_824] as const;
/** What a push takes by the board's clock at first guess, milliseconds a size; measured as the run goes on. */
const GUESSES = [120, 250, 450] as const;

interface Plan {
  readonly index: number;
  readonly size: number;
  /** Part of a whole push's time after which the kill comes, 0 to 1.1: some come when it is just over. */
  readonly part: number;
  /** Size of the package that is pushed afterwards. */
  readonly then: number;
}

/** One board that is killed again and again, and goes on from what each kill left. */
class Victim {
  private release = 0;
  private readonly durations: number[] = [...GUESSES];

  constructor(private readonly board: TestBoard) {}

  /** Pushes the next release to its end; what went wrong, or undefined. */
  async update(session: DeviceSession, size: number): Promise<string | undefined> {
    const pkg = agentOf(++this.release, SIZES[size] ?? 0);
    const begun = this.board.clock.now();
    try {
      await push(session, pkg);
    } catch (error) {
      return `Law 3: the push of release ${this.release} failed: ${String(error)}`;
    }
    this.durations[size] = this.board.clock.now() - begun;
    return undefined;
  }

  /** One kill of the plan. */
  async kill(
    session: DeviceSession,
    { index, size, part, then }: Plan,
  ): Promise<{ kill: Kill; session: DeviceSession }> {
    const { board } = this;
    const old = this.release;
    const afterMs = part * (this.durations[size] ?? 0);
    const begun = push(session, agentOf(++this.release, SIZES[size] ?? 0));
    begun.catch(() => undefined); // its board dies
    await board.run(afterMs);
    await board.kill();
    await begun.catch(() => undefined);
    const missed = board.watch.missed;
    await board.powerOn();
    const again = await board.connect();
    const violations: string[] = [];
    const runs = await this.atRest(again);
    const who = [old, this.release].find(
      (release) => runs.startsWith(`agent ${release}#`) && runs.endsWith(" confirmed"),
    );
    if (who === undefined)
      violations.push(`Law 2: ${runs} runs after a kill in the push of ${this.release} over ${old}`);
    if (who !== undefined) await this.outputs(who);
    const failed = await this.update(again, then);
    if (failed !== undefined) violations.push(failed);
    if (board.watch.missed > missed) violations.push(`${board.watch.missed - missed} scans missed or unseen`);
    const outcome = violations.length > 0 ? "violation" : who === old ? "old" : "new";
    return { kill: { index, bytes: SIZES[size] ?? 0, afterMs, outcome, violations }, session: again };
  }

  private async atRest(session: DeviceSession): Promise<string> {
    let stands = await standing(session);
    await until(this.board.clock, "the board is at rest", async () => {
      stands = await standing(session);
      return stands.phase === "idle";
    });
    return stands.runs;
  }

  /** The machine gets the outputs of the agent that the host is told of. */
  private async outputs(release: number): Promise<void> {
    await until(this.board.clock, `outputs of release ${release}`, () => {
      return this.board.watch.seen.at(-1)?.outputs[0] === release;
    });
  }
}

export async function runKills(
  machine: Machine,
  { seed, kills, lanes = 2, onKill = () => undefined }: KillsOptions,
): Promise<Kill[]> {
  const random = new Random(seed);
  const plans = Array.from({ length: kills }, (_, at) => ({
    index: at + 1,
    size: random.below(SIZES.length),
    part: random.below(1_100) / 1_000,
    then: random.below(4) === 0 ? 2 : 0,
  }));
  const results: Kill[] = [];
  const work = plans.values();
  const lane = async (): Promise<void> => {
    for (let left = true; left;) left = await oneBoard(machine, work, told);
  };
  const told = (kill: Kill): void => {
    results.push(kill);
    onKill(kill, results.length, kills);
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.min(lanes, kills)) }, lane));
  return results.sort((a, b) => a.index - b.index);
}

/** A board from blank flash until a law breaks on it; true if there may be more work. */
async function oneBoard(
  machine: Machine,
  work: Iterator<Plan>,
  told: (kill: Kill) => void,
): Promise<boolean> {
  const board = await machine.start();
  try {
    const victim = new Victim(board);
    let session = await board.connect();
    const failed = await victim.update(session, 0);
    if (failed !== undefined) throw new Error(failed);
    for (let next = work.next(); next.done !== true; next = work.next()) {
      const { kill, session: again } = await victim.kill(session, next.value);
      told(kill);
      if (kill.violations.length > 0) return true;
      session = again;
    }
    return false;
  } finally {
    await board.close();
  }
}
