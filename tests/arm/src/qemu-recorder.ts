/** Records an update under QEMU by its debugger: each flash operation as it begins and as it has ended. */
import { addressOf } from "@edgeplug/test-support/gdb";
import { GdbStub, SIGTRAP } from "@edgeplug/test-support/gdb-stub";
import { QEMU_ELF, startBoard, type TestBoard, type TestBoardOptions } from "@edgeplug/test-support/board";
import { push } from "@edgeplug/test-support/push";
import { QemuBoard } from "renode-test-harness";

import { imageOf } from "./check.js";
import { Chip } from "./chip.js";
import { apply, expectSame, History, type Operation } from "./history.js";
import type { FlashRecorder, Moment, RealCut, Recording } from "./recording.js";
import { prepare, TIMESTAMP, type Scenario } from "./scenario.js";

const CHIP = new Chip("qemu");

/** 8 ns an instruction (`-icount shift=3`). */
const NANOS_PER_INSTRUCTION = 8;

/**
 * For boards that the debugger stops. Between the core's stop and the machine's QEMU may take the core for idle, and
 * then puts its clock forward by real time, over a tick or two if the host is busy; so it goes to the next timer at most.
 */
const STOPPABLE: TestBoardOptions = { unpaced: true, qemuArguments: ["-icount", "shift=3,sleep=off"] };

export function emulatorOf(board: TestBoard): QemuBoard {
  if (board.harness instanceof QemuBoard) return board.harness;
  throw new TypeError("this is for boards under QEMU");
}

export async function stubOf(board: TestBoard): Promise<GdbStub> {
  if (board.debugSocket === undefined) throw new TypeError("this is for boards under QEMU");
  return GdbStub.open(board.debugSocket);
}

/** Virtual milliseconds by instructions run since power-on. Only while the core is stopped. */
export async function virtualMs(board: TestBoard): Promise<number> {
  const { icount } = (await emulatorOf(board).qmp.execute("query-replay")) as { icount: number };
  return (icount * NANOS_PER_INSTRUCTION) / 1e6;
}

/** Stops at flash operations, one after the other. */
class OperationStops {
  private readonly erase = addressOf(QEMU_ELF, "ep_board_flash_erase");
  private readonly program = addressOf(QEMU_ELF, "ep_board_flash_program");
  private returnsTo = 0;

  constructor(private readonly stub: GdbStub) {}

  async arm(): Promise<void> {
    await this.stub.breakAt(this.erase);
    await this.stub.breakAt(this.program);
  }

  /** Runs to where the next operation begins; undefined when the machine was stopped otherwise. */
  async entry(): Promise<Omit<Operation, "atMs"> | undefined> {
    if ((await this.stub.go()) !== SIGTRAP) return undefined;
    const { core, lr, pc } = await this.stub.registers(); // answered when all writes have reached the image
    const [address = 0, source = 0, count = 0] = core;
    const kind = pc === this.erase ? "erase" : "program";
    const size = kind === "erase" ? CHIP.layout.eraseSize : count;
    this.returnsTo = lr & ~1;
    // the core would stop at the same place again before it ran a single instruction
    await this.stub.unbreak(pc);
    const data = kind === "erase" ? new Uint8Array() : await this.stub.read(source, size);
    return { kind, address, size, area: CHIP.areaOf(address), data };
  }

  /** Runs to where the operation that has begun returns. */
  async exit(kind: Operation["kind"]): Promise<void> {
    await this.stub.runTo(this.returnsTo);
    await this.stub.breakAt(kind === "erase" ? this.erase : this.program);
  }
}

export class QemuRecorder implements FlashRecorder {
  readonly moments = ["before", "after"] as const;

  /** Throws if flash changes otherwise than by the recorded operations and the chip's rules. */
  async record(scenario: Scenario): Promise<Recording> {
    const board = await startBoard("qemu", STOPPABLE);
    try {
      await prepare(board, scenario);
      const session = await board.connect();
      const stub = await stubOf(board);
      const stops = new OperationStops(stub);
      await stops.arm();
      const begun = await virtualMs(board);
      const first = await imageOf(board, CHIP);
      const image = first.slice();
      const operations: Operation[] = [];
      let newSeenAfter: number | undefined;
      const pushed = push(session, scenario.update, { timestamp: TIMESTAMP })
        .then(() => board.run(20))
        .finally(() => board.harness.pause());
      pushed.catch(() => undefined); // told below
      for (let next = await stops.entry(); next !== undefined; next = await stops.entry()) {
        expectSame(await imageOf(board, CHIP), image, `before operation ${operations.length + 1}`);
        const seen = board.watch.seen.at(-1)?.swapNumber;
        if (seen === scenario.before.length + 1) newSeenAfter ??= operations.length;
        operations.push({ ...next, atMs: (await virtualMs(board)) - begun });
        await stops.exit(next.kind);
        apply(image, next);
        expectSame(await imageOf(board, CHIP), image, `by operation ${operations.length}`);
      }
      await pushed;
      stub.close();
      const history = new History(first, operations);
      const end = await imageOf(board, CHIP);
      return { scenario, chip: CHIP, history, end, newSeenAfter: newSeenAfter ?? operations.length };
    } finally {
      await board.close();
    }
  }

  /** Really kills QEMU at the operation, as it begins or as it returns. */
  async cut({ scenario }: Recording, operation: number, moment: Moment): Promise<RealCut> {
    const board = await startBoard("qemu", STOPPABLE);
    try {
      await prepare(board, scenario);
      const session = await board.connect();
      const stub = await stubOf(board);
      const stops = new OperationStops(stub);
      await stops.arm();
      const first = await imageOf(board, CHIP);
      const operations: Operation[] = [];
      const pushed = push(session, scenario.update, { timestamp: TIMESTAMP });
      pushed.catch(() => undefined); // its board dies
      for (;;) {
        const begun = await stops.entry();
        if (begun === undefined) throw new Error("the machine was stopped by somebody else");
        operations.push({ ...begun, atMs: 0 });
        if (operations.length === operation && moment === "before") break;
        await stops.exit(begun.kind);
        if (operations.length === operation) break;
      }
      const copy = await imageOf(board, CHIP);
      await board.kill();
      const left = await imageOf(board, CHIP);
      const same = Buffer.compare(copy, left) === 0;
      const faults = same ? [] : ["the kill left something else than the copy"];
      return { board, left, history: new History(first, operations), faults };
    } catch (error) {
      await board.close();
      throw error;
    }
  }
}
