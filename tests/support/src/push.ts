/** Pushes and what comes of them, in a form that tests compare. */
import { EdgePlugError, type AgentPackage } from "edgeplug";
import {
  historyKindName,
  phaseName,
  reasonName,
  slotStateName,
  type DeviceSession,
  type PushOptions,
  type PushResult,
  type PushStep,
} from "edgeplug/device";
import { edgeplug } from "edgeplug/messages";

import { until, type BoardClock } from "./clock.js";
import { runOut } from "./run-out.js";

export const { UpdatePhase, SlotState, Reason } = edgeplug;

/** Pushes `pkg` and waits out its trial; throws what the push throws. */
export async function push(
  session: DeviceSession,
  pkg: AgentPackage,
  options: PushOptions = {},
  onStep: (step: PushStep) => void | Promise<void> = () => undefined,
): Promise<PushResult> {
  return runOut(session.push(pkg, options), onStep);
}

/** Pushes until the step that `stop` names, and leaves the board as it then is. The generator is to be ended. */
export async function pushUntil(
  session: DeviceSession,
  pkg: AgentPackage,
  stop: (step: PushStep) => boolean,
  options: PushOptions = {},
): Promise<{ step: PushStep; rest: AsyncGenerator<PushStep, PushResult, void> }> {
  const rest = session.push(pkg, options);
  for (;;) {
    const step = await rest.next();
    if (step.done === true) throw new Error("the push was over before it came there");
    if (stop(step.value)) return { step: step.value, rest };
  }
}

/** What `attempt` fails with. */
export async function failureOf(attempt: Promise<unknown>): Promise<EdgePlugError> {
  const outcome: unknown = await attempt.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (outcome instanceof EdgePlugError) return outcome;
  throw outcome ?? new Error("it went well, though it should have failed");
}

/** A push that must fail with this code. */
export async function pushFails(
  session: DeviceSession,
  pkg: AgentPackage,
  code: EdgePlugError["code"],
  options: PushOptions = {},
): Promise<EdgePlugError> {
  const error = await failureOf(push(session, pkg, options));
  if (error.code !== code) throw new Error(`${error.code} came where ${code} should have`, { cause: error });
  return error;
}

/** Begin without anything that the host would check before. */
export async function begin(
  session: DeviceSession,
  pkg: Pick<AgentPackage, "manifestBytes" | "keyId" | "signature">,
  options: { allowDowngrade?: boolean } = {},
): Promise<{ offset: number; resumed: boolean; swapNumber: number; slot: number }> {
  const { manifestBytes, keyId, signature } = pkg;
  const { response } = await session.connection.request(
    {
      begin: {
        manifest: manifestBytes,
        keyId,
        signature,
        timestamp: 1,
        allowDowngrade: options.allowDowngrade ?? false,
      },
    },
    { attemptMs: 3_000 },
  );
  const reply = edgeplug.BeginReply.toObject(edgeplug.BeginReply.create(response.begin ?? {}), {
    defaults: true,
  }) as { offset: number; resumed: boolean; swapNumber: number; slot: number };
  return reply;
}

/** Sends the payload in one chunk after the other, from `offset` up to `end`. */
export async function sendChunks(
  session: DeviceSession,
  payload: Uint8Array,
  offset = 0,
  end = payload.length,
): Promise<number> {
  const step = session.hello.maxChunk;
  let next = offset;
  while (next < end) {
    const data = payload.subarray(next, Math.min(next + step, end));
    const { response } = await session.connection.request(
      { chunk: { offset: next, data } },
      { attemptMs: 3_000 },
    );
    next = response.chunk?.nextOffset ?? 0;
  }
  return next;
}

/** Where the board stands, in words. */
export interface Standing {
  phase: string;
  /** `name version#swap state`, or "safe mode". */
  runs: string;
  /** `reason#swap` of the last rejection. */
  last: string;
  spent: number;
}

export async function standing(session: DeviceSession): Promise<Standing> {
  const status = await session.status();
  const { active } = status;
  return {
    phase: phaseName(status.phase),
    runs:
      active === null
        ? "safe mode"
        : `${active.name} ${active.version}#${active.swapNumber} ${slotStateName(active.state)}`,
    last: `${reasonName(status.lastReason)}#${status.lastReasonSwap}`,
    spent: status.spent,
  };
}

/** Waits until the board's update phase has this name. */
export function phase(
  session: DeviceSession,
  clock: BoardClock,
  name: string,
  limit?: number,
): Promise<true> {
  return until(
    clock,
    `phase ${name}`,
    async () => phaseName((await session.status()).phase) === name && true,
    limit,
  );
}

/** History entries of an agent as `kind reason`, oldest first. */
export async function historyOf(session: DeviceSession, swapNumber: number): Promise<string[]> {
  const entries = await session.history();
  return entries
    .filter((entry) => entry.swapNumber === swapNumber && historyKindName(entry.kind) !== "boot")
    .reverse()
    .map((entry) => `${historyKindName(entry.kind)} ${reasonName(entry.reason)}`.replace(/ none$/, ""));
}
