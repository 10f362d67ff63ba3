/** The emulated machine of the story: a real Arm image on QEMU, its power switch, its serial port, and somebody who watches. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { MEMORY_MAPS } from "@edgeplug/sim";
import { EdgePlugError } from "edgeplug";
import { openDevice, type DeviceSession } from "edgeplug/device";
import { startQemu, type QemuBoard } from "renode-test-harness";

import { OutputWatch } from "./watch.js";

const ELF = fileURLToPath(new URL("../../build/qemu/qemu.elf", import.meta.url));
const BOARD_ID_SIZE = 12;
/** A core that never sleeps: a sleeping one can lose ticks to the machine that emulates it. */
const SPIN = 0x01;

export class Machine {
  /** Looks at the outputs from outside, over all starts. */
  readonly watch = new OutputWatch();

  private constructor(private readonly board: QemuBoard) {
    board.observer.on("data", (bytes: Buffer) => this.watch.push(bytes));
  }

  /** Starts a board with blank flash, kept in `folder`. */
  static async start(folder: string): Promise<Machine> {
    const map = MEMORY_MAPS.qemu;
    const board = await startQemu({
      backend: "qemu",
      elf: ELF,
      line: "pty",
      icount: true,
      flash: {
        path: join(folder, "flash.bin"),
        size: map.flash.size,
        identity: { offset: map.boardId, size: BOARD_ID_SIZE },
        patches: [{ offset: map.idleMode, bytes: Uint8Array.of(SPIN) }],
      },
    });
    return new Machine(board);
  }

  /** The serial port of the running board. */
  get port(): string {
    const { port } = this.board;
    if (port === undefined) throw new EdgePlugError("EMULATOR", "The board has no power.");
    return port;
  }

  connect(): Promise<DeviceSession> {
    return openDevice(this.port);
  }

  /** All that was programmed before is in flash, nothing later; the port is gone. */
  cutPower(): Promise<void> {
    return this.board.powerOff();
  }

  powerOn(): Promise<void> {
    return this.board.powerOn();
  }

  /** The board's clock stands still, and it hears what was sent meanwhile when it goes on. */
  pause(): Promise<void> {
    return this.board.pause();
  }

  resume(): Promise<void> {
    return this.board.resume();
  }

  close(): Promise<void> {
    return this.board.close();
  }
}
