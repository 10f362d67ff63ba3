/**
 * Lost cores under QEMU. All times are the emulator's own count of instructions, read while it stands still at a
 * breakpoint: what else the machine does changes none of them.
 */
import { QEMU_ELF, startBoard, type TestBoard } from "@edgeplug/test-support/board";
import { addressOf, HANG } from "@edgeplug/test-support/gdb";
import { SIGTRAP, type GdbStub } from "@edgeplug/test-support/gdb-stub";

import { boardBefore, MASK_ALL, NOP, recoveryOf } from "./losses.js";
import type { Loss, LossOptions, Recovery } from "./losses.js";
import { emulatorOf, stubOf, virtualMs } from "./qemu-recorder.js";

/** AST1030: the reload register of watchdog 0, microseconds. */
const WATCHDOG_RELOAD = 0x7e785004;
/**
 * Armv7-M code that clears the enable bit of interrupt 17, the scan's, and returns (NVIC_ICER0, section B3.4.5):
 * ldr r0, [pc, #8]; ldr r1, [pc, #12]; str r1, [r0]; bx lr; nop; nop; .word 0xE000E180, 1 << 17
 */
const SWITCH_SCAN_OFF = Buffer.from("024803490160704700bf00bf80e100e000000200", "hex");

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

const start = (): Promise<TestBoard> => startBoard("qemu");

/** Lets the core be lost and watches it come back. */
export function loseCoreUnderQemu(options: LossOptions): Promise<Recovery> {
  const { loss, moment } = options;
  return recoveryOf(start, options, async (board) => {
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
    return { periodMs, untilResetMs: reset - lost, bootMs: back - reset, totalMs: back - lost };
  });
}

/** The watchdog's real period: virtual ms from its last feeding to the reset's first instruction. */
export async function measurePeriod(): Promise<{ registerMs: number; measuredMs: number }> {
  const { board } = await boardBefore(start, false);
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
