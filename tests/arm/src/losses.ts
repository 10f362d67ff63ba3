/** A core that is lost, and the hardware watchdog that brings the board back: what can be lost, and what has to follow. */
import type { TestBoard } from "@edgeplug/test-support/board";
import { controlAgent, makePackage, padded, type PackageOptions } from "@edgeplug/test-support/agents";
import { historyOf, push, pushUntil, standing, type Standing } from "@edgeplug/test-support/push";
import type { AgentPackage } from "edgeplug";
import { historyKindName, type DeviceSession } from "edgeplug/device";

/** What takes the core. */
export const LOSSES = {
  "main loop": "it branches to itself, scans go on",
  "scan interrupt": "it is switched off in the interrupt controller, the main loop goes on",
  "scan hang": "the scan branches to itself inside its interrupt",
  masked: "all interrupts are masked and nothing goes on",
} as const;
export type Loss = keyof typeof LOSSES;

/** When: as the watchdog has just been fed, which is the longest way to its end, or anywhere. */
export type LossMoment = "just fed" | "anywhere";

export interface LossOptions {
  readonly loss: Loss;
  readonly inTrial: boolean;
  readonly moment: LossMoment;
  /** Board milliseconds to run before the loss. */
  readonly afterMs: number;
  /** Both agents fill their slots, which makes the longest boot. Default false. */
  readonly fullSlots?: boolean;
}

/** What was seen from outside. */
export interface Return {
  /** The watchdog's period as its register says, ms. */
  readonly periodMs: number;
  /** From the loss to the reset's first instruction, virtual ms. */
  readonly untilResetMs: number;
  /** From there to the first outputs of the agent that was confirmed, virtual ms. */
  readonly bootMs: number;
  readonly totalMs: number;
  /** The emulator told of the watchdog. */
  readonly watchdogTold: boolean;
}

export interface Recovery extends Return {
  /** As the host then reads it. */
  readonly stands: Standing;
  /** How the new agent's life is on record; empty outside a trial. */
  readonly history: readonly string[];
  /** Cause of the last boot in the journal: 2 is the watchdog. */
  readonly cause: number;
  readonly bootsCounted: number;
  /** Swap numbers that the outputs showed after the reset, one after the other. */
  readonly ran: readonly number[];
}

const OLD_VALUE = 7;
const NEW_VALUE = 8;
/** The reset cause as the journal has it. */
const WATCHDOG_CAUSE = 2;
/** A trial that no delay of the host's brings to its end. */
const PATIENT = { trial: { healthyScans: 100_000, deadlineScans: 200_000 } };

const FULL_SLOT = 13_824;

/** `cpsid i` and `nop`, as they lie in memory. */
export const MASK_ALL = [0x72, 0xb6];
export const NOP = [0x00, 0xbf];

function packageOf(
  release: number,
  value: number,
  fullSlot: boolean,
  options: PackageOptions = {},
): AgentPackage {
  const module = controlAgent({ value });
  return makePackage(fullSlot ? padded(module, FULL_SLOT) : module, {
    version: String(release),
    release,
    ...options,
  });
}

/** A board on which the old agent is confirmed as swap 1, and the new one on trial as swap 2 if asked for. */
export async function boardBefore(
  start: () => Promise<TestBoard>,
  inTrial: boolean,
  fullSlots = false,
): Promise<{ board: TestBoard; session: DeviceSession }> {
  const board = await start();
  try {
    const session = await board.connect();
    await push(session, packageOf(1, OLD_VALUE, fullSlots));
    if (inTrial) {
      const { rest } = await pushUntil(
        session,
        packageOf(2, NEW_VALUE, fullSlots, PATIENT),
        ({ step }) => step === "activated",
      );
      await rest.return(undefined as never);
    }
    return { board, session };
  } catch (error) {
    await board.close();
    throw error;
  }
}

/** Takes the core from a board that stands as `options` say, by `lose`, and asks it afterwards. */
export async function recoveryOf(
  start: () => Promise<TestBoard>,
  { inTrial, afterMs, fullSlots }: LossOptions,
  lose: (board: TestBoard) => Promise<Omit<Return, "watchdogTold">>,
): Promise<Recovery> {
  const { board, session } = await boardBefore(start, inTrial, fullSlots);
  try {
    await board.run(afterMs);
    const { bootNumber } = session.hello;
    let watchdogTold = false;
    const told = board.harness
      .nextEvent(({ kind }) => kind === "watchdog", 120_000)
      .then(() => (watchdogTold = true));
    told.catch(() => undefined); // there may be none: then that is what the caller learns
    const seen = await lose(board);
    await board.run(20);
    const again = await session.refresh();
    const history = await session.history();
    return {
      ...seen,
      watchdogTold,
      stands: await standing(session),
      history: await historyOf(session, 2),
      cause: history.find(({ kind }) => historyKindName(kind) === "boot")?.detail ?? 0,
      bootsCounted: again.bootNumber - bootNumber,
      ran: [...new Set(board.watch.seen.map(({ swapNumber }) => swapNumber))],
    };
  } finally {
    await board.close();
  }
}

/** From the loss of the core to outputs of the agent that was confirmed (targets: watchdog's period and boot). */
export const RECOVERY_LIMIT_MS = 250;

/** A sentence for each thing that a recovery should have been and was not. */
export function judge({ inTrial }: LossOptions, recovery: Recovery): string[] {
  const { totalMs, watchdogTold, stands, history, cause, bootsCounted, ran } = recovery;
  const wrong: string[] = [];
  const expect = (holds: boolean, otherwise: string): void => {
    if (!holds) wrong.push(otherwise);
  };
  expect(totalMs <= RECOVERY_LIMIT_MS, `${totalMs.toFixed(1)} ms until the old agent ran again`);
  expect(watchdogTold, "the reset was not the watchdog's");
  expect(
    stands.runs === "agent 1#1 confirmed" && stands.phase === "idle",
    `${stands.runs} runs, ${stands.phase}`,
  );
  expect(stands.last === (inTrial ? "watchdog#2" : "none#0"), `the reason reads ${stands.last}`);
  expect(stands.spent === (inTrial ? 1 : 0), `${stands.spent} packages are spent`);
  const life = inTrial ? "begin, staged, trial, rejected watchdog" : "";
  expect(history.join(", ") === life, `on record: ${history.join(", ")}`);
  expect(cause === WATCHDOG_CAUSE, `the boot's cause reads ${cause}`);
  expect(bootsCounted === 1, `${bootsCounted} boots were counted`);
  expect(
    ran.every((swap) => swap <= 1),
    `outputs of swaps ${ran.join(", ")} after the reset`,
  );
  return wrong;
}
