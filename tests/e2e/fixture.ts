/** Boards that end with the test that started them. */
import {
  BACKENDS,
  keepRenodes,
  startBoard,
  type Backend,
  type TestBoard,
  type TestBoardOptions,
} from "@edgeplug/test-support/board";
import { findRenode, RENODE_MISSING } from "renode-test-harness";
import { afterAll, describe, onTestFinished, vi } from "vitest";

// Tests wait in the board's own time. This limit is for what hangs for good, and no measure of anything.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

/** A board with blank flash, in power, until the test is over. */
export async function startTestBoard(backend: Backend, options: TestBoardOptions = {}): Promise<TestBoard> {
  const board = await startBoard(backend, options);
  onTestFinished(() => board.close());
  return board;
}

/** One describe for each board of this run. Where there is no Renode, its tests are skipped, and the name says why. */
export function onEachBoard(tests: (backend: Backend) => void): void {
  for (const backend of BACKENDS) {
    if (backend === "renode" && findRenode() === undefined)
      describe.skip(`on renode (${RENODE_MISSING})`, () => tests(backend));
    else
      describe(`on ${backend}`, () => {
        if (backend === "renode") afterAll(keepRenodes());
        tests(backend);
      });
  }
}
