/** The flash of a new `qemu` board, for whoever starts one: `import { qemuFlash } from "edgeplug/qemu-board"`. */
import { MEMORY_MAPS } from "@edgeplug/sim";
import type { FlashImageOptions, FlashPatch } from "renode-test-harness";

const BOARD_ID_SIZE = 12;
/**
 * How a core idles that never sleeps (a sleeping one can lose ticks to the machine that emulates it): by turning its main
 * loop, or by waiting for an interrupt, which costs the emulator a quarter.
 */
const IDLE = { turn: 0x01, wait: 0x02 } as const;

export interface QemuFlashOptions {
  /** Kept between runs. Default: a temporary file that ends with the board. */
  path?: string | undefined;
  /** Written before the first start, besides what a board needs. */
  patches?: readonly FlashPatch[] | undefined;
  /** Default "wait". */
  idle?: keyof typeof IDLE | undefined;
}

/** What the harness needs to know of the board's chip: its size, where its identity lies, and that it is not to sleep. */
export function qemuFlash(options: QemuFlashOptions = {}): FlashImageOptions {
  const map = MEMORY_MAPS.qemu;
  return {
    ...(options.path === undefined ? {} : { path: options.path }),
    size: map.flash.size,
    identity: { offset: map.boardId, size: BOARD_ID_SIZE },
    patches: [
      { offset: map.idleMode, bytes: Uint8Array.of(IDLE[options.idle ?? "wait"]) },
      ...(options.patches ?? []),
    ],
  };
}
