/** A push that ends before the swap: the board verifies the package and runs its test vectors, and then forgets it. */
import { EdgePlugError } from "../errors.js";
import type { AgentPackage } from "../package.js";
import type { BoardSession } from "../session/board-session.js";
import { DeviceSession } from "../session/session.js";
import type { StagingCheck } from "./checks.js";

/**
 * Leaving a push before its activation aborts it: the agent that runs is not touched, the other slot is written. Throws USAGE
 * for a board behind a gateway.
 */
export async function stageOnly(
  session: BoardSession,
  pkg: AgentPackage,
  signal: AbortSignal,
): Promise<StagingCheck> {
  const check = { group: "correctness", name: "on the board" } as const;
  // a gateway goes on by itself, and would have activated it before it heard that it shouldn't
  if (!(session instanceof DeviceSession))
    throw new EdgePlugError(
      "USAGE",
      `--on-board needs the board's own port; ${session.device} is behind a gateway.`,
      {
        action: "Leave it out: the gateway's board verifies the package in the push anyway.",
      },
    );
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
