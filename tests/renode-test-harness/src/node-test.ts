/** Boards in node's own test runner. */
import test, { type TestContext } from "node:test";

import type { Board } from "./board.js";
import { RENODE_MISSING } from "./find-renode.js";
import type { StartOptions } from "./start.js";
import { renodeOrSkip, withBoard } from "./with-board.js";

/**
 * A test with a board of its own, started before it and ended after it. One for Renode is skipped where there is none, and
 * says so.
 *
 *     boardTest("greets", { backend: "sim" }, async (board) => { await says(board, "hello"); });
 */
export function boardTest(
  name: string,
  options: StartOptions,
  run: (board: Board, context: TestContext) => Promise<void>,
): Promise<void> {
  const missing =
    options.backend === "renode" && options.program === undefined && renodeOrSkip() === undefined;
  return test(name, { skip: missing ? RENODE_MISSING : false }, (context) =>
    withBoard(options, (board) => run(board, context)),
  );
}
