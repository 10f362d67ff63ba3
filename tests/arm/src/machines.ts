/** The machines that the suite knows. */
import { startBoard, STM32L552_ELF, type TestBoard } from "@edgeplug/test-support/board";
import { MEMORY_MAPS } from "@edgeplug/sim";
import { RenodeBoard } from "renode-test-harness";

import { Chip } from "./chip.js";
import { parseFlashLog } from "./flash-log.js";
import { LoggedRecorder } from "./logged-recorder.js";
import type { Machine } from "./machine.js";
import { loseCoreObserved, loseOneScanObserved, type LostImage } from "./observed-losses.js";
import { loseCoreUnderQemu } from "./qemu-losses.js";
import { QemuRecorder } from "./qemu-recorder.js";

export const ARM_BOARDS = ["qemu", "renode"] as const;
export type ArmBoard = (typeof ARM_BOARDS)[number];

const QEMU: Machine = {
  board: "qemu",
  chip: new Chip("qemu"),
  recorder: new QemuRecorder(),
  start: () => startBoard("qemu"),
  moments: ["just fed", "anywhere"],
  loseCore: loseCoreUnderQemu,
  // its timer can be told to skip one tick after a start
  async loseOneScan(board) {
    await board.powerOff();
    await board.writeFlash(MEMORY_MAPS.qemu.maskOneScan, Uint8Array.of(1));
    await board.powerOn();
  },
};

/**
 * Armv8-M code that clears SYST_CSR, which stops the scan's timer, and returns:
 * ldr r0, [pc, #4]; movs r1, #0; str r1, [r0]; bx lr; .word 0xE000E010
 */
const STOP_SYSTICK = Buffer.from("014800210160704710e000e0", "hex");

const STM32: LostImage = { elf: STM32L552_ELF, switchScanOff: STOP_SYSTICK, periodMs: 150 };

const startRenode = (): Promise<TestBoard> => startBoard("renode");
const STM32_CHIP = new Chip("stm32l552");

const RENODE: Machine = {
  board: "renode",
  chip: STM32_CHIP,
  recorder: new LoggedRecorder({
    chip: STM32_CHIP,
    start: startRenode,
    async log({ harness }) {
      if (!(harness instanceof RenodeBoard)) throw new TypeError("this is for boards under Renode");
      return parseFlashLog(await harness.monitor("sysbus.flashController OperationLog"), STM32_CHIP);
    },
    async still({ harness }, work) {
      await harness.pause();
      const result = await work();
      await harness.resume();
      return result;
    },
  }),
  start: startRenode,
  moments: ["anywhere"],
  loseCore: (options) => loseCoreObserved(startRenode, STM32, options),
  loseOneScan: (board) => loseOneScanObserved(board, STM32),
};

export function machineOf(board: ArmBoard): Machine {
  return board === "qemu" ? QEMU : RENODE;
}
