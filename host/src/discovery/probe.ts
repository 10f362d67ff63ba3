/** Asks a port whether a board is there, and which. */
import { EdgePlugError } from "../errors.js";
import type { Hello, Status } from "../session/messages.js";
import { DeviceSession } from "../session/session.js";
import { openTransport } from "../transports/open.js";
import { findCandidates, type Candidate } from "./candidates.js";

export interface ProbeOptions {
  /** Bits per second of a serial line. Default 115,200. */
  baud?: number | undefined;
  /** How long a board may take to answer, milliseconds. Default 1,500. */
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** A board that answered. */
export interface ProbedBoard {
  readonly port: string;
  /** Board id in hex digits. */
  readonly id: string;
  readonly hello: Hello;
  readonly status: Status;
}

/** A candidate, and what became of asking it: either a board, or the reason why none is known there. */
export type Sighting =
  | { readonly candidate: Candidate; readonly board: ProbedBoard }
  | { readonly candidate: Candidate; readonly problem: EdgePlugError };

export interface SurveyOptions extends ProbeOptions {
  /** Default: findCandidates(). */
  candidates?: readonly Candidate[] | undefined;
}

const PROBE_TIMEOUT_MS = 1_500;

/**
 * Opens `port`, asks Hello, and only if a board answers its status; closes the port again. Throws what opening it throws
 * (PORT_NOT_FOUND, PORT_PERMISSION, PORT_BUSY), NO_BOARD, PROTOCOL, PORT_LOST, TIMEOUT or INTERRUPTED.
 */
export async function probe(port: string, options: ProbeOptions = {}): Promise<ProbedBoard> {
  const { baud, signal, timeoutMs = PROBE_TIMEOUT_MS } = options;
  const transport = await openTransport(port, baud === undefined ? {} : { baud });
  try {
    const session = await DeviceSession.connect(transport, { timeoutMs, signal });
    const status = await session.status({ timeoutMs, signal });
    const { hello } = session;
    return { port, id: Buffer.from(hello.boardId).toString("hex"), hello, status };
  } finally {
    await transport.close();
  }
}

/** Asks all candidates at once. Throws only INTERRUPTED. */
export async function survey(options: SurveyOptions = {}): Promise<Sighting[]> {
  const candidates = options.candidates ?? (await findCandidates());
  return Promise.all(candidates.map((candidate) => sight(candidate, options)));
}

/** Asks one candidate. Throws only INTERRUPTED. */
export async function sight(candidate: Candidate, options: ProbeOptions): Promise<Sighting> {
  try {
    return { candidate, board: await probe(candidate.port, options) };
  } catch (error) {
    const problem = EdgePlugError.from(error);
    if (problem.code === "INTERRUPTED" || problem.code === "INTERNAL") throw error;
    return { candidate, problem };
  }
}
