/** The emulated machine of the story: a real Arm image on QEMU, its power switch, its serial port, and somebody who watches. */
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { BoardClock } from "@edgeplug/test-support/clock";
import { OutputWatch } from "@edgeplug/test-support/watch";
import { EdgePlugError } from "edgeplug";
import { openPort, type DeviceSession } from "edgeplug/device";
import { qemuFlash } from "edgeplug/qemu-board";
import { startQemu, type QemuBoard } from "renode-test-harness";

const ELF = fileURLToPath(new URL("../../build/qemu/qemu.elf", import.meta.url));

export class Machine {
  /** Looks at the outputs from outside, over all starts. */
  readonly watch: OutputWatch;

  private constructor(private readonly board: QemuBoard) {
    const clock = new BoardClock();
    this.watch = new OutputWatch(clock);
    board.observer.on("data", (bytes: Buffer) => clock.advance(clock.now() + this.watch.push(bytes)));
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
    return openPort(this.port);
  }

  /** All that was programmed before is in flash, nothing later; the port is gone. */
  async cutPower(): Promise<void> {
    await this.board.powerOff();
    await setImmediate(); // what had come in before reaches its reader
    this.watch.powerGone();
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
