import type { Board } from "./board.js";
import { findRenode, RENODE_MISSING, type RenodeFound } from "./find-renode.js";
import { startBoard, type StartOptions } from "./start.js";

/** Starts a board for the time of `use`, and ends it, whatever happens. */
export async function withBoard<T>(options: StartOptions, use: (board: Board) => Promise<T>): Promise<T> {
  const board = await startBoard(options);
  try {
    return await use(board);
  } finally {
    await board.close();
  }
}

let told = false;

/**
 * The Renode of this machine; undefined where there is none. The first call in a process says on stderr which it is, or that
 * tests are skipped.
 */
export function renodeOrSkip(): RenodeFound | undefined {
  const renode = findRenode();
  if (!told) {
    told = true;
    process.stderr.write(
      renode === undefined ? `${RENODE_MISSING}\n` : `Renode ${renode.version}: ${renode.path}\n`,
    );
  }
  return renode;
}
