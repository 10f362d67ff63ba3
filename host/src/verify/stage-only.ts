/** A push that ends before the swap: the board verifies the package and runs its test vectors, and then forgets it. */
import { EdgePlugError } from "../errors.js";
import type { AgentPackage } from "../package.js";
import type { BoardSession } from "../session/board-session.js";
import type { StagingCheck } from "./checks.js";

/** Leaving a push before its activation aborts it: the agent that runs is not touched, the other slot is written. */
export async function stageOnly(
  session: BoardSession,
  pkg: AgentPackage,
  signal: AbortSignal,
): Promise<StagingCheck> {
  const check = { group: "correctness", name: "on the board" } as const;
  try {
    for await (const { step } of session.push(pkg, { signal })) {
      if (step === "staged")
        return {
          ...check,
          verdict: "ok",
          text: "digests and signature hold, it starts, its test vectors agree; not activated",
        };
    }
    throw new EdgePlugError("PROTOCOL", "The board activated the package unasked.");
  } catch (thrown) {
    const error = EdgePlugError.from(thrown);
    if (error.code === "INTERRUPTED" || error.code === "PORT_LOST") throw error;
    return { ...check, verdict: "failed", text: "the board refuses it", error };
  }
}
