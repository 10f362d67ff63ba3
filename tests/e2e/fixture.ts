/** Boards that end with the test that started them. */
import { BACKENDS, whySkipped } from "@edgeplug/test-support/backends";
import {
  keepRenodes,
  startBoard,
  type Backend,
  type TestBoard,
  type TestBoardOptions,
} from "@edgeplug/test-support/board";
import { afterAll, describe, onTestFinished, vi } from "vitest";

// Tests wait in the board's own time. This limit is for what hangs for good, and no measure of anything.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

/** A board with blank flash, in power, until the test is over. */
export async function startTestBoard(backend: Backend, options: TestBoardOptions = {}): Promise<TestBoard> {
  const board = await startBoard(backend, options);
  onTestFinished(() => board.close());
  return board;
}

/** What only this board can show; nothing where the run is without it. Without Renode it is skipped, and the name says why. */
export function onBoard(backend: Backend, tests: () => void): void {
  if (!BACKENDS.includes(backend)) return;
  const skipped = whySkipped(backend);
  if (skipped !== undefined) describe.skip(`on ${backend} (${skipped})`, tests);
  else
    describe(`on ${backend}`, () => {
      if (backend === "renode") afterAll(keepRenodes());
      tests();
    });
}

/** What each board of this run has to show. */
export function onEachBoard(tests: (backend: Backend) => void): void {
  for (const backend of BACKENDS) onBoard(backend, () => tests(backend));
}
