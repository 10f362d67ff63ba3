/** One board under stress: its line as other programs reach it, its RAM, and the erases of its flash. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { getPriority, setPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import {
  QEMU_ELF,
  startBoard,
  STM32L552_ELF,
  type Backend,
  type TestBoard,
} from "@edgeplug/test-support/board";
import { addressOf } from "@edgeplug/test-support/gdb";
import { LineTransport } from "@edgeplug/test-support/line";
import { openTransport, type Transport } from "edgeplug/device";
import { QemuBoard, RenodeBoard, type FlashPatch } from "renode-test-harness";

import type { MemoryImage } from "./memory.js";
import { Symbols } from "./symbols.js";

const PAINT = 0xa5;

export interface StressBenchOptions {
  seed: number;
  /** sim: an image with debug information in place of the shipped one, such as one with a defect. */
  wasm?: string;
  /** Written into the flash before the first start. */
  patches?: readonly FlashPatch[];
}

export interface StressBench {
  readonly board: TestBoard;
  readonly symbols: Symbols;
  /** Opens the serial line. */
  open(): Promise<Transport>;
  /** RAM as it is now; the board stands still meanwhile. */
  memory(): Promise<MemoryImage>;
  /** The address in flash of each erase so far, from the start of the flash. */
  erases(): Promise<number[]>;
  close(): Promise<void>;
}

/** Starts a board with blank flash. */
export function startBench(backend: Backend, options: StressBenchOptions): Promise<StressBench> {
  if (backend === "renode") return RenodeBench.start(options);
  return backend === "sim" ? SimBench.start(options) : QemuBench.start(options);
}

/** Where everything lies in the shipped sim image: a twin of it that kept its debug information. */
export const SIM_SYMBOLS = fileURLToPath(new URL("../../../build/sim/sim-symbols.wasm", import.meta.url));

class SimBench implements StressBench {
  private constructor(
    readonly board: TestBoard,
    readonly symbols: Symbols,
    private readonly stackTop: number,
  ) {}

  static async start({ seed, wasm, patches }: StressBenchOptions): Promise<SimBench> {
    const symbols = new Symbols(wasm ?? SIM_SYMBOLS);
    const board = await startBoard("sim", {
      seed,
      ...(wasm === undefined ? {} : { wasm }),
      ...(patches === undefined ? {} : { patches }),
    });
    return new SimBench(board, symbols, paintStack(board));
  }

  /** The line takes 115,200 bits a second of the board's time. */
  open(): Promise<Transport> {
    return Promise.resolve(new LineTransport("sim board", this.board.clock, this.board.serial));
  }

  memory(): Promise<MemoryImage> {
    const memory = this.board.sim?.memory() ?? new Uint8Array();
    const deepest = memory.findIndex((byte) => byte !== PAINT);
    return Promise.resolve({
      base: this.stackTop,
      bytes: memory.slice(this.stackTop),
      stackHighWater: this.stackTop - deepest,
    });
  }

  erases(): Promise<number[]> {
    return Promise.resolve(erasesOf([...(this.board.sim?.flash.wear ?? [])], this.board));
  }

  close(): Promise<void> {
    return this.board.close();
  }
}

/** Where each erase was, from how often each page was erased. */
function erasesOf(wear: readonly number[], { layout }: TestBoard): number[] {
  return wear.flatMap((erases, page) => Array.from({ length: erases }, () => page * layout.eraseSize));
}

/** Between two turns of the main loop nothing is on the C stack, which begins at address 0 and grows down to it. */
function paintStack({ sim }: TestBoard): number {
  if (sim === undefined) throw new TypeError("only a simulated board lets its stack be painted");
  sim.run(10);
  const snapshot = sim.snapshot();
  snapshot.memory.fill(PAINT, 0, snapshot.stackPointer);
  sim.restore(snapshot);
  return snapshot.stackPointer;
}

class QemuBench implements StressBench {
  private constructor(
    readonly board: TestBoard,
    readonly symbols: Symbols,
    private readonly folder: string,
  ) {}

  /** Whatever happens to the flash chip is told by QEMU itself. */
  static async start({ patches }: StressBenchOptions): Promise<QemuBench> {
    const symbols = new Symbols(QEMU_ELF);
    const folder = mkdtempSync(join(tmpdir(), "edgeplug-stress-"));
    try {
      const board = await startBoard("qemu", {
        line: "pty",
        qemuArguments: ["-trace", "m25p80_flash_erase", "-D", join(folder, "trace")],
        ...(patches === undefined ? {} : { patches }),
      });
      if (board.harness instanceof QemuBoard) putBehind(board.harness.pid);
      return new QemuBench(board, symbols, folder);
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** A pseudo-terminal, opened as any serial port is. */
  open(): Promise<Transport> {
    const { port } = this.board.harness;
    if (port === undefined) throw new Error("QEMU told no pseudo-terminal");
    return openTransport(port);
  }

  memory(): Promise<MemoryImage> {
    return memoryOf(this.board, QEMU_ELF);
  }

  erases(): Promise<number[]> {
    const trace = join(this.folder, "trace");
    const text = existsSync(trace) ? readFileSync(trace, "utf8") : "";
    const found = [...text.matchAll(/m25p80_flash_erase .*offset = 0x([0-9a-f]+), len = (\d+)/g)];
    return Promise.resolve(found.map((match) => Number.parseInt(match[1] ?? "", 16)));
  }

  async close(): Promise<void> {
    await this.board.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The shipped image for silicon: its line is the harness's stream, and its flash model counts erases. */
class RenodeBench implements StressBench {
  private constructor(
    readonly board: TestBoard,
    readonly symbols: Symbols,
  ) {}

  static async start({ patches }: StressBenchOptions): Promise<RenodeBench> {
    const symbols = new Symbols(STM32L552_ELF);
    return new RenodeBench(await startBoard("renode", patches === undefined ? {} : { patches }), symbols);
  }

  open(): Promise<Transport> {
    return Promise.resolve(new LineTransport("renode board", this.board.clock, this.board.serial));
  }

  memory(): Promise<MemoryImage> {
    return memoryOf(this.board, STM32L552_ELF);
  }

  async erases(): Promise<number[]> {
    const { harness } = this.board;
    if (!(harness instanceof RenodeBoard)) throw new TypeError("expected a board under Renode");
    const wear = await harness.monitor("sysbus.flashController Wear");
    return erasesOf(wear.split(/\s+/).map(Number), this.board);
  }

  close(): Promise<void> {
    return this.board.close();
  }
}

/** RAM of an Arm image, from the stack's top on, and how deep the stack has ever been. */
async function memoryOf({ harness }: TestBoard, elf: string): Promise<MemoryImage> {
  const bottom = addressOf(elf, "ep_stack_bottom");
  const top = addressOf(elf, "ep_stack_top");
  const end = addressOf(elf, "ep_bss_end");
  await harness.pause();
  try {
    const bytes = await harness.readMemory(bottom, end - bottom);
    const stack = bytes.subarray(0, top - bottom);
    return {
      base: top,
      bytes: bytes.slice(top - bottom),
      stackHighWater: top - bottom - untouched(stack),
    };
  } finally {
    await harness.resume();
  }
}

/** How much nicer than this process the emulated core is. */
const NICER = 5;
const NICEST = 19;

/** On a busy machine the emulated core waits for this process rather than run ahead of it: no listener is away long. */
function putBehind(pid: number | undefined): void {
  const tasks = `/proc/${pid}/task`;
  if (pid === undefined || !existsSync(tasks)) return;
  const threads = readdirSync(tasks).map(Number);
  for (const thread of threads.filter((id) => id !== pid))
    setPriority(thread, Math.min(NICEST, getPriority() + NICER));
}

const WORD_OF_PAINT = [0xc3, 0xa5, 0xc3, 0xa5];

/** How much at the far end of a stack still has the paint of start-up, STACK_PAINT of startup.c, little endian. */
function untouched(stack: Uint8Array): number {
  const first = stack.findIndex((byte, at) => byte !== WORD_OF_PAINT[at % WORD_OF_PAINT.length]);
  return first < 0 ? stack.length : first - (first % WORD_OF_PAINT.length);
}
