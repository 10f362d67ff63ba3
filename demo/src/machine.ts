/** The emulated machine of the story: a real Arm image, its power switch, its serial line, and somebody who watches. */
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { BoardClock } from "@edgeplug/test-support/clock";
import { LineTransport } from "@edgeplug/test-support/line";
import { OutputWatch } from "@edgeplug/test-support/watch";
import { EdgePlugError } from "edgeplug";
import { DeviceSession, openPort } from "edgeplug/device";
import { qemuFlash } from "edgeplug/qemu-board";
import { findRenode, startQemu, startRenode, type QemuBoard, type RenodeBoard } from "renode-test-harness";

export const MACHINES = ["qemu", "renode"] as const;
export type MachineName = (typeof MACHINES)[number];

const QEMU_ELF = fileURLToPath(new URL("../../build/qemu/qemu.elf", import.meta.url));
/** With the process that it stands in: a mains voltage with sags, which on silicon its pins would bring. */
const STM32L552_ELF = fileURLToPath(new URL("../../build/stm32l552/stm32l552-process.elf", import.meta.url));

/** Starts a board with blank flash; what it keeps lies in `folder`. */
export function startMachine(name: MachineName, folder: string): Promise<Machine> {
  return name === "renode" ? MachineUnderRenode.start() : MachineUnderQemu.start(folder);
}

/** Throws what is missing on this computer for that machine, before anybody waits for anything. */
export function requireEmulator(name: MachineName): void {
  if (name === "renode" && findRenode() === undefined) throw new EdgePlugError("RENODE_MISSING");
}

export abstract class Machine {
  /** Looks at the outputs from outside, over all starts. */
  readonly watch: OutputWatch;
  protected readonly clock = new BoardClock();

  protected constructor(private readonly harness: QemuBoard | RenodeBoard) {
    this.watch = new OutputWatch(this.clock);
    harness.observer.on("data", (bytes: Buffer) =>
      this.clock.advance(this.clock.now() + this.watch.push(bytes)),
    );
  }

  /** What it is, in words. */
  abstract readonly description: string;
  /** Whether a scan has time for the classifier beside another agent: by the board's nanoseconds per fuel. */
  abstract readonly roomForClassifier: boolean;

  abstract connect(): Promise<DeviceSession>;

  /** All that was programmed before is in flash, nothing later; the line is gone. */
  async cutPower(): Promise<void> {
    await this.harness.powerOff();
    await setImmediate(); // what had come in before reaches its reader
    this.watch.powerGone();
  }

  powerOn(): Promise<void> {
    return this.harness.powerOn();
  }

  /** The board's clock stands still, and it hears what was sent meanwhile when it goes on. */
  pause(): Promise<void> {
    return this.harness.pause();
  }

  resume(): Promise<void> {
    return this.harness.resume();
  }

  close(): Promise<void> {
    return this.harness.close();
  }
}

/** Its line is a pseudo-terminal, opened as any serial port is. */
class MachineUnderQemu extends Machine {
  readonly roomForClassifier = true;

  private constructor(private readonly board: QemuBoard) {
    super(board);
  }

  static async start(folder: string): Promise<MachineUnderQemu> {
    const flash = qemuFlash({ path: join(folder, "flash.bin") });
    return new MachineUnderQemu(
      await startQemu({ backend: "qemu", elf: QEMU_ELF, line: "pty", icount: true, paced: true, flash }),
    );
  }

  get description(): string {
    return `a Cortex-M4F board with empty flash under QEMU, its serial line at ${this.#port}`;
  }

  connect(): Promise<DeviceSession> {
    return openPort(this.#port);
  }

  get #port(): string {
    const { port } = this.board;
    if (port === undefined) throw new EdgePlugError("EMULATOR", "The board has no power.");
    return port;
  }
}

/** Its line carries 115,200 bits a second of the board's own time, which all waiting goes by. */
class MachineUnderRenode extends Machine {
  readonly roomForClassifier = false;
  #line: LineTransport | undefined;

  private constructor(
    private readonly board: RenodeBoard,
    private readonly version: string,
  ) {
    super(board);
  }

  static async start(): Promise<MachineUnderRenode> {
    requireEmulator("renode");
    const board = await startRenode({ backend: "renode", elf: STM32L552_ELF });
    return new MachineUnderRenode(board, findRenode()?.version ?? "");
  }

  get description(): string {
    return `an STM32L552 with empty flash under Renode ${this.version}`;
  }

  connect(): Promise<DeviceSession> {
    this.#line = new LineTransport("renode board", this.clock, this.board.serial);
    return DeviceSession.connect(this.#line, { timeoutMs: 20_000 });
  }

  override async cutPower(): Promise<void> {
    this.#line?.unplug();
    await super.cutPower();
  }
}
