/** What all acts share: the board, the line to it, the packages, the timeline, the tally. */
import { createHash } from "node:crypto";

import { EdgePlugError, type AgentPackage } from "edgeplug";
import {
  eventKindName,
  reasonName,
  type DeviceSession,
  type PushOptions,
  type PushStep,
  type Status,
} from "edgeplug/device";

import type { Machine } from "./machine.js";
import { title, type Keys } from "./packages.js";
import { emptyTally, type Tally } from "./tally.js";
import type { Timeline } from "./timeline.js";

const SLOT_SIZE = 14_336;

export interface Story {
  timeline: Timeline;
  machine: Machine;
  keys: Keys;
  /** By the names that the acts call them. */
  packages: ReadonlyMap<string, AgentPackage>;
  tally: Tally;
}

export function beginStory(parts: Omit<Story, "tally">): Story {
  return { ...parts, tally: emptyTally() };
}

export function packageOf(story: Story, name: string): AgentPackage {
  const pkg = story.packages.get(name);
  if (pkg === undefined) throw new EdgePlugError("INTERNAL", `The story has no package ${name}.`);
  return pkg;
}

/** Prints what the board says by itself while `during` runs. */
export function tellEvents(story: Story, session: DeviceSession): () => void {
  return session.connection.onEvent((event) => {
    const kind = eventKindName(event.kind);
    if (kind === "log") story.timeline.say(`agent says: ${event.text}`, { scan: event.scan, tone: "quiet" });
    if (kind === "trap") {
      story.timeline.say(`trap: ${event.text} (${reasonName(event.reason)})`, {
        scan: event.scan,
        tone: "bad",
      });
    }
  });
}

/** Prints a step of a push; the many small ones are left out. */
export function tellStep(story: Story, pkg: AgentPackage, step: PushStep): void {
  const { timeline } = story;
  switch (step.step) {
    case "begin":
      timeline.say(
        step.resumed
          ? `${title(pkg)}: resumed, the board wants byte ${step.offset} of ${step.size} (slot ${slotName(step.slot)})`
          : `${title(pkg)}: ${step.size} bytes to slot ${slotName(step.slot)}, swap ${step.swapNumber}`,
      );
      break;
    case "staged":
      timeline.say(`${title(pkg)}: received; digests, module and test vectors hold on the board: staged`);
      break;
    case "activated":
      timeline.say(
        `${title(pkg)}: live` + (step.handedOver > 0 ? `, took over ${step.handedOver} bytes of state` : ""),
        { scan: step.scan },
      );
      break;
    case "confirmed":
      timeline.say(`${title(pkg)}: trial over, confirmed`, { scan: step.scan, tone: "good" });
      break;
    case "interrupted":
      timeline.say(`${title(pkg)}: ${step.error.message}`, { tone: "bad" });
      break;
    case "sending":
    case "verifying":
    case "trial":
      break;
  }
}

export interface SwapOptions extends PushOptions {
  /** Called before the package is activated, with its swap number. */
  beforeActivation?: (swapNumber: number) => Promise<void>;
  /** Called for each step, after it was told. */
  onStep?: (step: PushStep) => void;
}

/** Pushes a package that is meant to stay. */
export async function swap(
  story: Story,
  session: DeviceSession,
  pkg: AgentPackage,
  options: SwapOptions = {},
): Promise<void> {
  const { beforeActivation, onStep, ...pushOptions } = options;
  story.tally.swaps.of++;
  let swapNumber = 0;
  const push = session.push(pkg, pushOptions);
  for (;;) {
    const next = await push.next();
    if (next.done === true) break;
    tellStep(story, pkg, next.value);
    onStep?.(next.value);
    if (next.value.step === "begin") swapNumber = next.value.swapNumber;
    if (next.value.step === "staged") await beforeActivation?.(swapNumber);
  }
  story.tally.swaps.done++;
}

/** Adds what the board counted since its last start. To be called before each power cut, and at the end. */
export function countScans(story: Story, status: Status): void {
  story.tally.scansRun += status.counters.scansRun;
  story.tally.scansMissed += status.counters.scansMissed;
}

/** Digest of both slots as they lie in flash. */
export async function slotsDigest(session: DeviceSession): Promise<string> {
  const hash = createHash("sha256");
  for (const slot of [0, 1]) hash.update(await session.readSlot(slot, 0, SLOT_SIZE));
  return hash.digest("hex");
}

export function slotName(slot: number): string {
  return slot === 0 ? "A" : "B";
}
