/** Boards and packages that are not the ones that were meant, said with both sides' figures: a code leaves people guessing. */
import { EdgePlugError } from "../errors.js";
import { boardName, type AgentManifest } from "../manifest.js";
import { boardClassName, type Hello } from "./messages.js";

/** `error` with the figures that explain it, or as it is. */
export function explainMismatch(
  error: EdgePlugError,
  manifest: Pick<AgentManifest, "abi" | "boardClass">,
  hello: Hello,
): EdgePlugError {
  const message = mismatch(error.code, manifest, hello);
  return message === undefined ? error : new EdgePlugError(error.code, message, { cause: error });
}

function mismatch(
  code: string,
  { abi, boardClass }: Pick<AgentManifest, "abi" | "boardClass">,
  hello: Hello,
): string | undefined {
  if (code === "ABI")
    return `The package needs runtime ABI ${abi}; the board's runtime ${hello.runtimeVersion} has ABI ${hello.abi}.`;
  if (code === "BOARD_CLASS")
    return `The package was made for ${boardName(boardClass)}; this board is ${boardClassName(hello.boardClass)}.`;
  return undefined;
}

/** What was meant for one board is not done to another one that stands in its place now. Throws PORT_LOST. */
export function requireSameBoard(boardId: Uint8Array, now: Pick<Hello, "boardId">): void {
  if (isSameBoard(boardId, now)) return;
  const [meant, found] = [boardId, now.boardId].map((id) => Buffer.from(id).toString("hex"));
  throw new EdgePlugError("PORT_LOST", `Another board, ${found}, is on the line now; ${meant} was meant.`, {
    action: "Connect the board that was meant, or name the other one; a push goes on where it was.",
  });
}

export function isSameBoard(boardId: Uint8Array, now: Pick<Hello, "boardId">): boolean {
  return Buffer.compare(boardId, now.boardId) === 0;
}
