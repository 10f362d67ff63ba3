/** The bench around the Arm board under QEMU, whose flash knows flipped bits alone. */
import { startBoard } from "@edgeplug/test-support/board";
import type { BoardEvent } from "renode-test-harness";

import type { RotKind } from "./bench.js";
import { EmulatedBench, rotten } from "./emulated-bench.js";
import { rotWhileRunning } from "./qemu-rot.js";

export class QemuBench extends EmulatedBench {
  readonly backend = "qemu";
  readonly rotKinds = ["flip"] as const;

  static async create(): Promise<QemuBench> {
    return new QemuBench(await startBoard("qemu"));
  }

  async rot(offset: number, masks: Uint8Array, kind: RotKind): Promise<void> {
    if (kind !== "flip") throw new RangeError(`this board's flash can't be made ${kind}`);
    const { bytes } = await this.board.flash();
    const spoilt = rotten(bytes, offset, masks);
    const { debugSocket, harness } = this.board;
    if (!harness.powered) await this.board.writeFlash(offset, spoilt);
    else if (debugSocket !== undefined) await rotWhileRunning(debugSocket, bytes, offset, spoilt);
  }

  protected crashOf(event: BoardEvent): string | undefined {
    if (event.kind === "watchdog") return "reset by the watchdog";
    return event.kind === "ended" ? event.reason : undefined;
  }
}
