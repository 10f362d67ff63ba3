/** Boards that end with the test that started them. */
import {
  startBoard,
  type Backend,
  type TestBoard,
  type TestBoardOptions,
} from "@edgeplug/test-support/board";
import { onTestFinished, vi } from "vitest";

// Tests wait in the board's own time. This limit is for what hangs for good, and no measure of anything.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

/** A board with blank flash, in power, until the test is over. */
export async function startTestBoard(backend: Backend, options: TestBoardOptions = {}): Promise<TestBoard> {
  const board = await startBoard(backend, options);
  onTestFinished(() => board.close());
  return board;
}
