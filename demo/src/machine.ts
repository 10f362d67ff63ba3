/** The emulated machine of the story: a real Arm image on QEMU, its power switch, its serial port, and somebody who watches. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { EdgePlugError } from "edgeplug";
import { openDevice, type DeviceSession } from "edgeplug/device";
import { qemuFlash } from "edgeplug/qemu-board";
import { startQemu, type QemuBoard } from "renode-test-harness";

import { OutputWatch } from "./watch.js";

const ELF = fileURLToPath(new URL("../../build/qemu/qemu.elf", import.meta.url));

export class Machine {
  /** Looks at the outputs from outside, over all starts. */
  readonly watch = new OutputWatch();

  private constructor(private readonly board: QemuBoard) {
    board.observer.on("data", (bytes: Buffer) => this.watch.push(bytes));
  }

  /** Starts a board with blank flash, kept in `folder`. */
  static async start(folder: string): Promise<Machine> {
    const board = await startQemu({
      backend: "qemu",
      elf: ELF,
      line: "pty",
      icount: true,
      flash: qemuFlash({ path: join(folder, "flash.bin") }),
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
