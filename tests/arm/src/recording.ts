/** One update under the debugger: each flash operation as it begins and as it has ended, and the image at both moments. */
import { addressOf } from "@edgeplug/test-support/gdb";
import { QEMU_ELF, startBoard, type TestBoard, type TestBoardOptions } from "@edgeplug/test-support/board";
import { push } from "@edgeplug/test-support/push";
import { QemuBoard } from "renode-test-harness";

import { areaOf, LAYOUT, USED } from "./image.js";
import { prepare, TIMESTAMP, type Scenario } from "./scenario.js";
import { GdbStub, SIGTRAP } from "@edgeplug/test-support/gdb-stub";

export interface Operation {
  /** Virtual milliseconds since the push began. */
  readonly atMs: number;
  readonly kind: "erase" | "program";
  readonly address: number;
  readonly size: number;
  readonly area: string;
  /** Of a program: what it was given. */
  readonly data: Uint8Array;
}

export interface Recording {
  readonly scenario: Scenario;
  readonly operations: readonly Operation[];
  /** `images[n]` is what a cut after n operations leaves: one more than there are operations. */
  readonly images: readonly Uint8Array[];
  /** Operations that had begun when outputs of the new agent were first seen: its attempt must be one of them. */
  readonly newSeenAfter: number;
}

/** 8 ns an instruction (`-icount shift=3`). */
const NANOS_PER_INSTRUCTION = 8;

/**
 * For boards that the debugger stops. Between the core's stop and the machine's QEMU may take the core for idle, and
 * then puts its clock forward by real time, over a tick or two if the host is busy; so it goes to the next timer at most.
 */
const STOPPABLE: TestBoardOptions = { qemuArguments: ["-icount", "shift=3,sleep=off"] };

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

/** The used part of the image on disk; exact while the core is stopped. */
export async function imageOf(board: TestBoard): Promise<Uint8Array> {
  return (await board.harness.readFlash()).slice(0, USED);
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
    const size = kind === "erase" ? LAYOUT.eraseSize : count;
    this.returnsTo = lr & ~1;
    // the core would stop at the same place again before it ran a single instruction
    await this.stub.unbreak(pc);
    const data = kind === "erase" ? new Uint8Array() : await this.stub.read(source, size);
    return { kind, address, size, area: areaOf(address), data };
  }

  /** Runs to where the operation that has begun returns. */
  async exit(kind: Operation["kind"]): Promise<void> {
    await this.stub.runTo(this.returnsTo);
    await this.stub.breakAt(kind === "erase" ? this.erase : this.program);
  }
}

/** What the operation makes of the image, by the chip's rules. */
export function applied(before: Uint8Array, operation: Omit<Operation, "atMs">): Uint8Array {
  const { kind, address, size, data } = operation;
  const after = before.slice();
  if (kind === "erase") after.fill(0xff, address, address + size);
  else for (let at = 0; at < size; at++) after[address + at] = (before[address + at] ?? 0) & (data[at] ?? 0);
  return after;
}

/** Runs the scenario's update once and records it. Throws if flash changes otherwise than by the recorded operations. */
export async function record(scenario: Scenario): Promise<Recording> {
  const board = await startBoard("qemu", STOPPABLE);
  try {
    await prepare(board, scenario);
    const session = await board.connect();
    const stub = await stubOf(board);
    const stops = new OperationStops(stub);
    await stops.arm();
    const begun = await virtualMs(board);
    const images = [await imageOf(board)];
    const operations: Operation[] = [];
    let newSeenAfter: number | undefined;
    const pushed = push(session, scenario.update, { timestamp: TIMESTAMP })
      .then(() => board.run(20))
      .finally(() => board.harness.pause());
    pushed.catch(() => undefined); // told below
    for (let next = await stops.entry(); next !== undefined; next = await stops.entry()) {
      const before = images.at(-1) as Uint8Array;
      expectSame(await imageOf(board), before, `before operation ${operations.length + 1}`);
      const seen = board.watch.seen.at(-1)?.swapNumber;
      if (seen === scenario.before.length + 1) newSeenAfter ??= operations.length;
      operations.push({ ...next, atMs: (await virtualMs(board)) - begun });
      await stops.exit(next.kind);
      const after = await imageOf(board);
      expectSame(after, applied(before, next), `by operation ${operations.length}`);
      images.push(after);
    }
    await pushed;
    stub.close();
    return { scenario, operations, images, newSeenAfter: newSeenAfter ?? operations.length };
  } finally {
    await board.close();
  }
}

function expectSame(image: Uint8Array, expected: Uint8Array, when: string): void {
  const at = image.findIndex((byte, offset) => byte !== expected[offset]);
  if (at >= 0) throw new Error(`flash changed at 0x${at.toString(16)} ${when}, and nobody asked for that`);
}

export interface Killed {
  /** Copied while the core stood at the breakpoint. */
  readonly copy: Uint8Array;
  /** What lay in the file when the process had been killed there. */
  readonly left: Uint8Array;
}

/** Runs the update anew and really kills QEMU at the n-th flash operation (from 0), as it begins or as it returns. */
export async function killAt(
  scenario: Scenario,
  operation: number,
  moment: "entry" | "return",
): Promise<Killed> {
  const board = await startBoard("qemu", STOPPABLE);
  try {
    await prepare(board, scenario);
    const session = await board.connect();
    const stub = await stubOf(board);
    const stops = new OperationStops(stub);
    await stops.arm();
    const pushed = push(session, scenario.update, { timestamp: TIMESTAMP });
    pushed.catch(() => undefined); // its board dies
    for (let index = 0; ; index++) {
      const begun = await stops.entry();
      if (begun === undefined) throw new Error("the machine was stopped by somebody else");
      if (index === operation && moment === "entry") break;
      await stops.exit(begun.kind);
      if (index === operation) break;
    }
    const copy = await imageOf(board);
    await board.kill();
    return { copy, left: await imageOf(board) };
  } finally {
    await board.close();
  }
}
