/** A push past all that the host would check: the board alone has to refuse. */
import { EdgePlugError } from "edgeplug";
import type { DeviceSession, Status } from "edgeplug/device";
import { edgeplug } from "edgeplug/messages";

import { TIMESTAMP } from "./scenes.js";

const { AgentKind, UpdatePhase } = edgeplug;
const POLL_MS = 5;
/** Longer than any verification, activation or trial of the suite takes. */
const PATIENCE_MS = 5_000;
const ATTEMPT_MS = 3_000;

/** What a request agent has to answer so that its trial can end. */
export const ANY_REQUEST = Uint8Array.of(0);

/** What goes over the line, whatever it is. */
export interface Forced {
  readonly manifestBytes: Uint8Array;
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
  /** Sent as it is, whatever the manifest says about its size. */
  readonly payload: Uint8Array;
}

/** How far it came: installed, or the board still waits for bytes that are not there. */
export interface ForcedEnd {
  readonly swapNumber: number;
  readonly end: "confirmed" | "waits for the rest";
}

/** Throws what the board answers. */
export async function forcePush(session: DeviceSession, pkg: Forced): Promise<ForcedEnd> {
  const { manifestBytes, keyId, signature, payload } = pkg;
  const body = { begin: { manifest: manifestBytes, keyId, signature, timestamp: TIMESTAMP } };
  const { response } = await session.connection.request(body, { attemptMs: ATTEMPT_MS });
  const swapNumber = response.begin?.swapNumber ?? 0;
  await sendAll(session, payload, response.begin?.offset ?? 0);
  const verified = await settled(session, [
    UpdatePhase.UPDATE_PHASE_VERIFYING,
    UpdatePhase.UPDATE_PHASE_RECEIVING,
  ]);
  if (verified.phase === UpdatePhase.UPDATE_PHASE_RECEIVING) return { swapNumber, end: "waits for the rest" };
  if (verified.phase === UpdatePhase.UPDATE_PHASE_IDLE)
    throw EdgePlugError.fromBoard(verified.lastError, 0, verified.lastMessage);
  await session.connection.request({ activate: {} }, { attemptMs: ATTEMPT_MS });
  const ended = await settled(session, [UpdatePhase.UPDATE_PHASE_TRIAL]);
  if (ended.active?.swapNumber !== swapNumber)
    throw EdgePlugError.fromBoard(ended.lastError, ended.lastReason, ended.lastMessage);
  return { swapNumber, end: "confirmed" };
}

async function sendAll(session: DeviceSession, payload: Uint8Array, from: number): Promise<void> {
  const step = session.hello.maxChunk;
  for (let offset = from; offset < payload.length;) {
    const data = payload.subarray(offset, offset + step);
    const next = await sendChunk(session, offset, data);
    if (next <= offset) throw new EdgePlugError("PROTOCOL", `The board stays at byte ${next}.`);
    offset = next;
  }
}

/** The offset that the board wants next. */
async function sendChunk(session: DeviceSession, offset: number, data: Uint8Array): Promise<number> {
  try {
    const { response } = await session.connection.request(
      { chunk: { offset, data } },
      { attemptMs: ATTEMPT_MS },
    );
    return response.chunk?.nextOffset ?? 0;
  } catch (error) {
    // more than was announced, and the end of that fell between two chunks: it has been judged, and its session is over
    if (EdgePlugError.from(error).code !== "NO_SESSION") throw error;
    const { lastError, lastMessage } = await session.status();
    throw lastError === 0 ? error : EdgePlugError.fromBoard(lastError, 0, lastMessage);
  }
}

/** What a trial needs of its host: requests, and its word. It may be over by now, and its record may not tell the kind. */
export async function helpTrial(session: DeviceSession, status: Status): Promise<void> {
  if (status.active?.kind !== AgentKind.AGENT_KIND_CONTROL)
    await session.call(ANY_REQUEST).catch(() => undefined);
  if (status.trialScans >= status.trialNeeded) await session.confirm().catch(() => undefined);
}

/** The first status in none of these phases; or, if it stays in a reception, that one. */
async function settled(session: DeviceSession, phases: readonly number[]): Promise<Status> {
  const { clock } = session.connection.transport;
  const end = clock.now() + PATIENCE_MS;
  for (;;) {
    const status = await session.status();
    const waitsForBytes = status.phase === UpdatePhase.UPDATE_PHASE_RECEIVING;
    if (!phases.includes(status.phase) || waitsForBytes) return status;
    if (status.phase === UpdatePhase.UPDATE_PHASE_TRIAL) await helpTrial(session, status);
    if (clock.now() > end) throw new EdgePlugError("TIMEOUT", `The board stays in phase ${status.phase}.`);
    await session.connection.pause(POLL_MS);
  }
}
