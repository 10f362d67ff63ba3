/** The flash of a new `qemu` board, for whoever starts one: `import { qemuFlash } from "edgeplug/qemu-board"`. */
import { MEMORY_MAPS } from "@edgeplug/sim";
import type { FlashImageOptions, FlashPatch } from "renode-test-harness";

const BOARD_ID_SIZE = 12;
/** A core that never sleeps: a sleeping one can lose ticks to the machine that emulates it. */
const SPIN = 0x01;

export interface QemuFlashOptions {
  /** Kept between runs. Default: a temporary file that ends with the board. */
  path?: string | undefined;
  /** Written before the first start, besides what a board needs. */
  patches?: readonly FlashPatch[] | undefined;
}

/** What the harness needs to know of the board's chip: its size, where its identity lies, and that it is to spin. */
export function qemuFlash(options: QemuFlashOptions = {}): FlashImageOptions {
  const map = MEMORY_MAPS.qemu;
  return {
    ...(options.path === undefined ? {} : { path: options.path }),
    size: map.flash.size,
    identity: { offset: map.boardId, size: BOARD_ID_SIZE },
    patches: [{ offset: map.idleMode, bytes: Uint8Array.of(SPIN) }, ...(options.patches ?? [])],
  };
}
