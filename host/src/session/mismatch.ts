/** What a board's "not for me" means, with both sides' figures: the code alone leaves people guessing. */
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
