import type { Board } from "./board.js";
import { startQemu, type QemuOptions } from "./qemu.js";
import { startRenode } from "./renode.js";
import type { RenodeOptions } from "./renode-options.js";
import { startSim, type SimOptions } from "./sim.js";

export type StartOptions = QemuOptions | SimOptions | RenodeOptions;

/** Starts a board on the backend that `options` name. */
export function startBoard(options: StartOptions): Promise<Board> {
  if (options.backend === "qemu") return startQemu(options);
  return options.backend === "sim" ? startSim(options) : startRenode(options);
}

/**
 * A fixture for vitest's test.extend(): a board for each test that asks for it, closed after it.
 *
 *     const it = base.extend<{ board: Board }>({ board: boardFixture({ backend: "sim" }) });
 */
export function boardFixture(
  options: StartOptions | (() => StartOptions),
): (context: object, use: (board: Board) => Promise<void>) => Promise<void> {
  // vitest reads which other fixtures one needs from the pattern of its first parameter
  return async ({}, use) => {
    const board = await startBoard(typeof options === "function" ? options() : options);
    try {
      await use(board);
    } finally {
      await board.close();
    }
  };
}
