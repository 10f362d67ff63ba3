/** Boards as they may be when something goes wrong; made once by real pushes, then loaded for each case. */
import { DeviceSession } from "edgeplug/device";
import { OPERATOR, PUBLISHER, publicKeyOf } from "@edgeplug/test-support/agents";
import { failureOf, push } from "@edgeplug/test-support/push";

import type { Bench } from "./bench.js";
import { WildLine, type Damages } from "./line.js";
import type { Parcel, Workshop } from "./parcels.js";

/** What lies in a slot. */
export interface Resident {
  readonly parcel: Parcel;
  readonly slot: 0 | 1;
  readonly swapNumber: number;
}

export interface Scene {
  readonly name: SceneName;
  readonly locked: boolean;
  /** Runs when the case begins. */
  readonly old: Resident;
  /** Confirmed in the other slot; undefined: nothing there that could run. */
  readonly fallback: Resident | undefined;
}

/** one: the other slot is blank. two: it holds a confirmed agent. rejected: one that the board has rejected. */
export type SceneName = "one" | "two" | "rejected" | "locked";
export const SCENE_NAMES: readonly SceneName[] = ["one", "two", "rejected", "locked"];

export const TIMESTAMP = 1_700_000_000;
const CONNECT_MS = 20_000;
/** Of the answers to Hello only one in three gets through where 1 % of all bytes is corrupted. */
const CONNECT_BADLY_MS = 240_000;
/** Every ten seconds the board looks at one of its slots, at A first. */
const SCRUB_MS = 10_000;
/** The board's milliseconds from a kept scene to its scrub, at most. */
const BEFORE_SCRUB_MS = 120;

/** Session by session, so that no answer to an earlier one is taken for a later one's. */
let sessions = 0;

/** Ids begin anew: a case repeats to the byte whatever came before it. */
export function restartSessions(): void {
  sessions = 0;
}

export interface Link {
  readonly session: DeviceSession;
  readonly line: WildLine;
}

export async function connect(bench: Bench, damages: Damages = {}): Promise<Link> {
  const line = new WildLine(bench.clock, bench.port, damages);
  const firstRequestId = 1 + 0x10_0000 * ++sessions;
  const timeoutMs = damages.toBoard || damages.fromBoard ? CONNECT_BADLY_MS : CONNECT_MS;
  const session = await DeviceSession.connect(line, { timeoutMs, firstRequestId });
  return { session, line };
}

/** Makes all scenes on this bench. */
export async function prepare(bench: Bench, workshop: Workshop): Promise<Map<SceneName, Scene>> {
  const install = async (parcel: Parcel): Promise<Resident> => {
    const { session, line } = await connect(bench);
    const { slot, swapNumber } = await push(session, parcel.pkg, { timestamp: TIMESTAMP });
    await line.close();
    return { parcel, slot: slot === 0 ? 0 : 1, swapNumber };
  };
  const withSession = async (act: (session: DeviceSession) => Promise<unknown>): Promise<void> => {
    const { session, line } = await connect(bench);
    await act(session);
    await line.close();
  };
  await withSession((session) => session.addKey("publisher", publicKeyOf(PUBLISHER)));
  await withSession((session) => session.addKey("operator", publicKeyOf(OPERATOR)));
  const fallback = await install(workshop.fallback);
  await keepAll(bench, "one");
  const broken = {
    ...workshop.candidate(0).pkg,
    payload: workshop.foreign(workshop.candidate(0)).pkg.payload,
  };
  await withSession((session) => failureOf(push(session, broken)));
  await keepAll(bench, "rejected");
  const old = await install(workshop.old);
  await keepAll(bench, "two");
  await withSession((session) => session.lock());
  await keepAll(bench, "locked");
  const alone = { locked: false, old: fallback, fallback: undefined };
  return new Map<SceneName, Scene>([
    ["one", { name: "one", ...alone }],
    ["rejected", { name: "rejected", ...alone }],
    ["two", { name: "two", locked: false, old, fallback }],
    ["locked", { name: "locked", locked: true, old, fallback }],
  ]);
}

/** The scene, and on a board that can be copied while it runs the moments before its scrubs as well. */
async function keepAll(bench: Bench, name: SceneName): Promise<void> {
  await bench.keep(name);
  if (bench.backend !== "sim") return;
  await bench.load(name);
  await bench.powerOff();
  await bench.powerOn();
  for (const slot of [0, 1] as const) {
    await bench.run(slot === 0 ? SCRUB_MS - BEFORE_SCRUB_MS / 2 : SCRUB_MS);
    await bench.keep(scrubName(name, slot));
  }
  await bench.load(name);
}

function scrubName(name: string, slot: 0 | 1): string {
  return `${name}, slot ${slot} about to be scrubbed`;
}

/** Loads a scene in which the scrub of `slot` is at hand, and gives the milliseconds after which it is over. */
export async function loadBeforeScrub(bench: Bench, scene: Scene, slot: 0 | 1): Promise<number> {
  if (bench.backend === "sim") {
    await bench.load(scrubName(scene.name, slot));
    return BEFORE_SCRUB_MS;
  }
  await bench.load(scene.name);
  await bench.run(SCRUB_MS * (slot + 1) - 500);
  return 1_000;
}
