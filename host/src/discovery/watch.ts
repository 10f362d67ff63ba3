/** Boards as they come and go. */
import { setTimeout as delay } from "node:timers/promises";

import { findCandidates, type Candidate } from "./candidates.js";
import { sight, type ProbeOptions, type Sighting } from "./probe.js";

export type BoardChange =
  | { readonly kind: "seen"; readonly sighting: Sighting }
  | { readonly kind: "gone"; readonly candidate: Candidate; readonly id: string | undefined };

export interface WatchOptions extends ProbeOptions {
  /** Where boards may be, asked again and again. Default: findCandidates(). */
  find?: () => Promise<readonly Candidate[]>;
  /** Between two looks, milliseconds. Default 1,000. */
  intervalMs?: number;
}

const INTERVAL_MS = 1_000;
/** A port that is held, or where nothing answers, is asked again after so many looks. */
const LOOKS_BETWEEN_ASKS = 5;

interface Place {
  sighting: Sighting;
  /** Looks until it is asked again; a board that has answered is left in peace. */
  rest: number;
}

/** Each board and each problem once, and when it goes; ends with the signal. A board is asked only when it appears. */
export async function* watchBoards(options: WatchOptions = {}): AsyncGenerator<BoardChange, void, void> {
  const { signal, find = findCandidates, intervalMs = INTERVAL_MS } = options;
  const places = new Map<string, Place>();
  while (signal?.aborted !== true) {
    const candidates = await find();
    const present = new Set(candidates.map(({ port }) => port));
    for (const [port, { sighting }] of places) {
      if (present.has(port)) continue;
      places.delete(port);
      yield { kind: "gone", candidate: sighting.candidate, id: idOf(sighting) };
    }
    const due = candidates.filter(({ port }) => isDue(places.get(port)));
    const sightings = await untilAborted(
      Promise.all(due.map((candidate) => sight(candidate, options))),
      signal,
    );
    for (const sighting of sightings) {
      const { port } = sighting.candidate;
      const before = places.get(port)?.sighting;
      places.set(port, { sighting, rest: LOOKS_BETWEEN_ASKS });
      if (before === undefined || isNews(before, sighting)) yield { kind: "seen", sighting };
    }
    await delay(intervalMs, undefined, { signal }).catch(() => undefined); // the signal ends the loop
  }
}

function isDue(place: Place | undefined): boolean {
  if (place === undefined) return true;
  return "problem" in place.sighting && --place.rest <= 0;
}

function isNews(before: Sighting, now: Sighting): boolean {
  if ("board" in now || "board" in before) return true;
  return before.problem.message !== now.problem.message;
}

function idOf(sighting: Sighting): string | undefined {
  return "board" in sighting ? sighting.board.id : undefined;
}

async function untilAborted(
  sightings: Promise<Sighting[]>,
  signal: AbortSignal | undefined,
): Promise<Sighting[]> {
  try {
    return await sightings;
  } catch (error) {
    if (signal?.aborted === true) return [];
    throw error;
  }
}
