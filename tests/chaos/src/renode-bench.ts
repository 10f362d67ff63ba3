/** The bench around the board under Renode, whose flash model keeps the rules of silicon, ECC among them. */
import { appendFile } from "node:fs/promises";

import { MEMORY_MAPS } from "@edgeplug/sim";
import { startBoard, type TestBoard } from "@edgeplug/test-support/board";
import { RenodeBoard, type BoardEvent } from "renode-test-harness";

import type { RotKind } from "./bench.js";
import { EmulatedBench, rotten } from "./emulated-bench.js";

const { base, programUnit: UNIT } = MEMORY_MAPS.stm32l552.flash;

export class RenodeBench extends EmulatedBench {
  readonly backend = "renode";
  readonly rotKinds = ["flip", "unreadable"] as const;
  /** Units that were made to rot: the board may well find out about them by programming them. */
  readonly #rotten = new Set<number>();

  private constructor(
    board: TestBoard,
    private readonly renode: RenodeBoard,
  ) {
    super(board);
  }

  static async create(): Promise<RenodeBench> {
    // like silicon: a forbidden operation fails, and is told
    const board = await startBoard("renode", { violations: "tell" });
    if (!(board.harness instanceof RenodeBoard)) throw new TypeError("expected a board under Renode");
    return new RenodeBench(board, board.harness);
  }

  override async load(name: string): Promise<void> {
    this.#rotten.clear();
    await super.load(name);
  }

  async rot(offset: number, masks: Uint8Array, kind: RotKind): Promise<void> {
    const units = unitsOf(offset, masks.length);
    for (const unit of units) this.#rotten.add(base + unit);
    if (kind === "flip") await this.#flip(offset, masks);
    else if (kind === "unreadable") await this.#makeUnreadable(units);
    else throw new RangeError(`this board's flash can't be made ${kind}`);
  }

  async #flip(offset: number, masks: Uint8Array): Promise<void> {
    const { bytes } = await this.board.flash();
    const spoilt = rotten(bytes, offset, masks);
    // what doesn't come from the core changes the cells and asks no rule
    if (this.renode.powered) await this.renode.writeMemory(base + offset, spoilt);
    else await this.board.writeFlash(offset, spoilt);
  }

  async #makeUnreadable(units: readonly number[]): Promise<void> {
    if (this.renode.powered) {
      for (const unit of units)
        await this.renode.monitor(`sysbus.flashController InjectEcc 0x${(base + unit).toString(16)}`);
      return;
    }
    const notes = units.map((unit) => `${unit.toString(16).padStart(5, "0")} unreadable\n`);
    await appendFile(`${this.renode.flashPath}.units`, `\n${notes.join("")}`);
    await this.board.writeFlash(0, new Uint8Array()); // the image has changed
  }

  protected crashOf(event: BoardEvent): string | undefined {
    if (event.kind === "reset") return `reset by ${event.cause}`;
    if (event.kind === "violation") return this.#isAboutRot(event.reason) ? undefined : event.reason;
    return event.kind === "ended" ? event.reason : undefined;
  }

  #isAboutRot(reason: string): boolean {
    const [, address] = /^program of (0x[0-9a-f]+): already programmed/.exec(reason) ?? [];
    return address !== undefined && this.#rotten.has(Number(address));
  }
}

/** Offsets of the units that these bytes lie in. */
export function unitsOf(offset: number, size: number): number[] {
  const first = offset - (offset % UNIT);
  const count = Math.ceil((offset + size - first) / UNIT);
  return Array.from({ length: count }, (_, at) => first + at * UNIT);
}
