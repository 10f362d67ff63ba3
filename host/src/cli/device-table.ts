/** A board as a line of `edgeplug devices`, and as its JSON object. */
import type { Candidate } from "../discovery/candidates.js";
import type { ProbedBoard, Sighting } from "../discovery/probe.js";
import { edgeplug } from "../generated/messages.js";
import { boardClassName, phaseName, slotStateName, type SlotInfo, type Status } from "../session/messages.js";

/** Id, class, agent, state, open or locked, port. */
export type BoardRow = readonly [string, string, string, string, string, string];

export function boardRow({ id, hello, status, port }: ProbedBoard): BoardRow {
  const { active } = status;
  return [
    id,
    boardClassName(hello.boardClass),
    agentText(active),
    stateText(status),
    lockText(hello.locked),
    port,
  ];
}

export function boardRecord(board: ProbedBoard, candidate: Candidate): object {
  const { id, hello, status, port } = board;
  return {
    event: "board",
    id,
    boardClass: boardClassName(hello.boardClass),
    runtimeVersion: hello.runtimeVersion,
    agent: agentRecord(status.active),
    state: stateText(status),
    locked: hello.locked,
    port,
    description: candidate.description,
  };
}

export function agentText(active: SlotInfo | null): string {
  return active === null ? "no agent" : `${active.name} ${active.version}`;
}

export function agentRecord(active: SlotInfo | null): object | null {
  if (active === null) return null;
  const { name, version, release, swapNumber, state } = active;
  return { name, version, release, swapNumber, state: slotStateName(state) };
}

export function lockText(locked: boolean): string {
  return locked ? "locked" : "open";
}

/** What goes on, and if nothing does, how far the agent is trusted. */
function stateText({ safeMode, phase, active }: Status): string {
  if (phase !== edgeplug.UpdatePhase.UPDATE_PHASE_IDLE) return phaseName(phase);
  return safeMode || active === null ? "safe mode" : slotStateName(active.state);
}

type Problem = Extract<Sighting, { problem: unknown }>;

export function problemText({ candidate, problem }: Problem): string {
  return `${candidate.port}  ${problem.message} (${problem.id}; ${candidate.description})`;
}

export function problemRecord({ candidate, problem }: Problem): object {
  const { port, description } = candidate;
  return { event: "problem", port, description, error: problem.toJSON() };
}

/** Columns as wide as their widest cell. */
export function table(rows: readonly BoardRow[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
