/** Shadow runs by the requests of the link themselves, and what they say in a form that tests compare. */
import { errorInfo, type AgentPackage } from "edgeplug";
import { reasonName, type DeviceSession } from "edgeplug/device";
import { edgeplug } from "edgeplug/messages";

import { until, type BoardClock } from "./clock.js";
import { begin, phase, sendChunks } from "./push.js";

export interface ShadowWish {
  scans: number;
  tolerance?: number[];
  allowed?: number;
}

/** A report as plain values: excerpts in hex, reason and state in words. */
export interface ShadowOutcome {
  state: "none" | "running" | "agreed" | "rejected" | "stopped";
  swapNumber: number;
  needed: number;
  compared: number;
  differing: number;
  allowed: number;
  reason: string;
  channels: { differing: number; largest: number }[];
  first: {
    scan: number;
    number: number;
    channel: number;
    active: number;
    candidate: number;
    activeReply: string;
    candidateReply: string;
  }[];
}

const STATES = ["none", "running", "agreed", "rejected", "stopped"] as const;

export function shadowOutcome(report: edgeplug.ShadowReport.$Properties): ShadowOutcome {
  const hex = (bytes: Uint8Array | null | undefined) => Buffer.from(bytes ?? []).toString("hex");
  return {
    state: STATES[report.state ?? 0] ?? "none",
    swapNumber: report.swapNumber ?? 0,
    needed: report.needed ?? 0,
    compared: report.compared ?? 0,
    differing: report.differing ?? 0,
    allowed: report.allowed ?? 0,
    reason: reasonName(report.reason ?? 0),
    channels: (report.channels ?? []).map(({ differing, largest }) => ({
      differing: differing ?? 0,
      largest: largest ?? 0,
    })),
    first: (report.first ?? []).map((one) => ({
      scan: Number(one.scan ?? 0),
      number: one.number ?? 0,
      channel: one.channel ?? 0,
      active: one.active ?? 0,
      candidate: one.candidate ?? 0,
      activeReply: hex(one.activeReply),
      candidateReply: hex(one.candidateReply),
    })),
  };
}

/** What a board's number of an error stands for. */
export function errorName(code: number): string {
  return errorInfo(code)?.name ?? String(code);
}

/** Begin to STAGED, without any check by the host. */
export async function stage(session: DeviceSession, clock: BoardClock, pkg: AgentPackage): Promise<number> {
  const { offset, swapNumber } = await begin(session, pkg);
  await sendChunks(session, pkg.payload, offset);
  await phase(session, clock, "staged");
  return swapNumber;
}

/** Asks for a run; throws what the board answers. */
export async function askShadow(
  session: DeviceSession,
  { scans, tolerance = [], allowed = 0 }: ShadowWish,
): Promise<void> {
  await session.connection.request({ shadow: { scans, tolerance, allowed } });
}

export async function shadowReport(session: DeviceSession): Promise<ShadowOutcome> {
  const { response } = await session.connection.request({ shadowReport: {} });
  return shadowOutcome(response.shadowReport ?? {});
}

/** How the run ends; the board has taken note of it too. */
export async function shadowEnd(session: DeviceSession, clock: BoardClock): Promise<ShadowOutcome> {
  await until(clock, "the end of the shadow run", async () => {
    const { phase: now } = await session.status();
    return now !== edgeplug.UpdatePhase.UPDATE_PHASE_SHADOW && true;
  });
  return shadowReport(session);
}

/** Asks for a run and waits for its end. */
export async function shadow(
  session: DeviceSession,
  clock: BoardClock,
  wish: ShadowWish,
): Promise<ShadowOutcome> {
  await askShadow(session, wish);
  return shadowEnd(session, clock);
}

export async function activate(session: DeviceSession): Promise<void> {
  await session.connection.request({ activate: {} });
}
