/**
 * A core that is lost, and the hardware watchdog that brings the board back. All times are the emulator's own count of
 * instructions, read while it stands still at a breakpoint: what else the machine does changes none of them.
 */
import { QEMU_ELF, startBoard, type TestBoard } from "@edgeplug/test-support/board";
import { controlAgent, makePackage, padded, type PackageOptions } from "@edgeplug/test-support/agents";
import { addressOf } from "@edgeplug/test-support/gdb";
import { historyOf, push, pushUntil, standing, type Standing } from "@edgeplug/test-support/push";
import type { AgentPackage } from "edgeplug";
import { historyKindName, type DeviceSession } from "edgeplug/device";

import { emulatorOf, stubOf, virtualMs } from "./recording.js";
import { SIGTRAP, type GdbStub } from "@edgeplug/test-support/gdb-stub";

/** What takes the core. */
export const LOSSES = {
  "main loop": "it branches to itself, scans go on",
  "scan interrupt": "it is switched off in the interrupt controller, the main loop goes on",
  "scan hang": "the scan branches to itself inside its interrupt",
  masked: "all interrupts are masked and nothing goes on",
} as const;
export type Loss = keyof typeof LOSSES;

/** When: as the watchdog has just been fed, which is the longest way to its end, or anywhere. */
export type Moment = "just fed" | "anywhere";

export interface LossOptions {
  readonly loss: Loss;
  readonly inTrial: boolean;
  readonly moment: Moment;
  /** Board milliseconds to run before the loss. */
  readonly afterMs: number;
  /** Both agents fill their slots, which makes the longest boot. Default false. */
  readonly fullSlots?: boolean;
}

export interface Recovery {
  /** The watchdog's period as its register says, ms. */
  readonly periodMs: number;
  /** From the loss to the reset's first instruction, virtual ms. */
  readonly untilResetMs: number;
  /** From there to the first outputs of the agent that was confirmed, virtual ms. */
  readonly bootMs: number;
  readonly totalMs: number;
  /** QMP told of the watchdog. */
  readonly watchdogTold: boolean;
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

/** AST1030: the reload register of watchdog 0, microseconds. */
const WATCHDOG_RELOAD = 0x7e785004;
/** `b .` and `cpsid i`, as they lie in memory. */
const HANG = [0xfe, 0xe7];
const MASK_ALL = [0x72, 0xb6];
/**
 * Armv7-M code that clears the enable bit of interrupt 17, the scan's, and returns (NVIC_ICER0, section B3.4.5):
 * ldr r0, [pc, #8]; ldr r1, [pc, #12]; str r1, [r0]; bx lr; nop; nop; .word 0xE000E180, 1 << 17
 */
const SWITCH_SCAN_OFF = Buffer.from("024803490160704700bf00bf80e100e000000200", "hex");
const NOP = [0x00, 0xbf];

const FULL_SLOT = 13_824;

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
  inTrial: boolean,
  fullSlots = false,
): Promise<{ board: TestBoard; session: DeviceSession }> {
  const board = await startBoard("qemu");
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

/** Takes the core from a board that stands still. */
async function take(stub: GdbStub, loss: Loss): Promise<void> {
  const poll = addressOf(QEMU_ELF, "ep_runtime_poll");
  const scan = addressOf(QEMU_ELF, "ep_runtime_scan");
  const interrupt = addressOf(QEMU_ELF, "ep_qemu_scan_interrupt");
  if (loss === "main loop") await stub.write(poll, Uint8Array.from(HANG));
  if (loss === "scan hang") await stub.write(scan, Uint8Array.from(HANG));
  if (loss === "masked") await stub.write(poll, Uint8Array.from([...MASK_ALL, ...HANG]));
  // its constants are found from where it lies, in words
  const aligned = interrupt % 4 === 0 ? [] : NOP;
  if (loss === "scan interrupt")
    await stub.write(interrupt, Uint8Array.from([...aligned, ...SWITCH_SCAN_OFF]));
}

/** Runs until the watchdog has just been fed; the virtual time of that. */
async function feed(stub: GdbStub, board: TestBoard): Promise<number> {
  await stub.runTo(addressOf(QEMU_ELF, "ep_board_watchdog_kick"));
  const fed = await virtualMs(board);
  await stub.runTo(addressOf(QEMU_ELF, "ep_runtime_poll")); // the interrupt is over
  return fed;
}

/** Runs until outputs of `swap` go to the machine. */
async function runToOutputsOf(stub: GdbStub, swap: number): Promise<void> {
  const write = addressOf(QEMU_ELF, "ep_board_outputs_write");
  for (;;) {
    const { sp } = await stub.runTo(write);
    if ((await stub.readWord(sp)) === swap) return; // the fifth argument lies on the stack
    await stub.runTo(addressOf(QEMU_ELF, "ep_qemu_observe")); // past the breakpoint
  }
}

/** A lost core that is not reset by then will not be, virtual ms. */
const GIVE_UP_MS = 2_000;
/** How often somebody looks at the virtual clock meanwhile, real ms. */
const LOOK_EVERY_MS = 250;

/** Runs to the reset's first instruction. Throws when the virtual time for that is over. */
async function runToReset(stub: GdbStub, board: TestBoard): Promise<void> {
  const limit = (await virtualMs(board)) + GIVE_UP_MS;
  const reset = addressOf(QEMU_ELF, "ep_qemu_reset");
  await stub.breakAt(reset);
  for (;;) {
    // standing still for a look takes no virtual time
    const look = setTimeout(() => void board.harness.pause().catch(() => undefined), LOOK_EVERY_MS);
    const signal = await stub.go();
    clearTimeout(look);
    if ((await stub.registers()).pc === reset && signal === SIGTRAP) return stub.unbreak(reset);
    if ((await virtualMs(board)) > limit)
      throw new Error(`a lost core was not reset within ${GIVE_UP_MS} ms`);
  }
}

/** Lets the core be lost and watches it come back. */
export async function loseCore(options: LossOptions): Promise<Recovery> {
  const { loss, inTrial, moment, afterMs, fullSlots } = options;
  const { board, session } = await boardBefore(inTrial, fullSlots);
  try {
    await board.run(afterMs);
    const { bootNumber } = session.hello;
    let watchdogTold = false;
    const told = emulatorOf(board)
      .nextEvent(({ kind }) => kind === "watchdog", 120_000)
      .then(() => (watchdogTold = true));
    told.catch(() => undefined); // there may be none: then that is what the caller learns
    const stub = await stubOf(board);
    const periodMs = (await stub.readWord(WATCHDOG_RELOAD)) / 1000;
    // never in the middle of a function that is about to be overwritten
    if (moment === "just fed") await feed(stub, board);
    else await stub.runTo(addressOf(QEMU_ELF, "ep_server_poll"));
    const lost = await virtualMs(board);
    await take(stub, loss);
    await runToReset(stub, board);
    const reset = await virtualMs(board);
    await runToOutputsOf(stub, 1);
    const back = await virtualMs(board);
    await stub.detach();
    await board.run(20);
    const again = await session.refresh();
    const history = await session.history();
    return {
      periodMs,
      untilResetMs: reset - lost,
      bootMs: back - reset,
      totalMs: back - lost,
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

/** The watchdog's real period: virtual ms from its last feeding to the reset's first instruction. */
export async function measurePeriod(): Promise<{ registerMs: number; measuredMs: number }> {
  const { board } = await boardBefore(false);
  try {
    const stub = await stubOf(board);
    const registerMs = (await stub.readWord(WATCHDOG_RELOAD)) / 1000;
    const fed = await feed(stub, board);
    await take(stub, "scan hang");
    await stub.breakAt(addressOf(QEMU_ELF, "ep_board_watchdog_kick"));
    await stub.breakAt(addressOf(QEMU_ELF, "ep_qemu_reset"));
    if ((await stub.go()) !== SIGTRAP) throw new Error("the board was stopped by somebody else");
    const { pc } = await stub.registers();
    if (pc !== addressOf(QEMU_ELF, "ep_qemu_reset")) throw new Error("a core that is lost fed the watchdog");
    return { registerMs, measuredMs: (await virtualMs(board)) - fed };
  } finally {
    await board.close();
  }
}

/** A fault in the fault handler: the core locks up, and this emulator ends. Gives its last words. */
export async function lockUp(board: TestBoard): Promise<string> {
  const ended = emulatorOf(board).nextEvent(({ kind }) => kind === "ended", 120_000);
  const stub = await stubOf(board);
  const undefinedInstruction = Uint8Array.of(0x00, 0xde);
  await stub.write(addressOf(QEMU_ELF, "fault"), undefinedInstruction);
  await stub.write(addressOf(QEMU_ELF, "ep_runtime_poll"), undefinedInstruction);
  await stub.detach().catch(() => undefined); // it may be gone before it can answer
  const event = await ended;
  return event.kind === "ended" ? event.reason : "";
}
