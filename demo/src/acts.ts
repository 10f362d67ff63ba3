/** The main job, act by act. Each does what a field engineer would do, and counts what came of it. */
import { setTimeout as sleep } from "node:timers/promises";

import { EdgePlugError, type AgentPackage } from "edgeplug";
import {
  eventKindName,
  reasonName,
  type DeviceEvent,
  type DeviceSession,
  type Observation,
  type PushStep,
} from "edgeplug/device";

import type { Machine } from "./machine.js";
import { buildPackage, packBuilt, title, withFlippedByte, type Keys } from "./packages.js";
import { RequestStream } from "./requests.js";
import { countScans, packageOf, slotsDigest, swap, tellStep, type Story } from "./story.js";
import type { Timeline } from "./timeline.js";

const FROM_SOURCE = [
  ["v1", "voltage-event"],
  ["v2", "voltage-event-2"],
] as const;
const BUILT = ["pid-biquad", "hash-sha256", "hash-blake2s", "bad-trap", "bad-loop", "waveform-classifier"];
const PAGES_BEFORE_CUT = 2;
const SAG = 1;
/** A sag lasts 700 scans; so early in it there is time enough. */
const SAG_EARLY_SCANS = 300;
const SETTLE_MS = 100;
const EVENT_PATIENCE_MS = 2_000;

/**
 * The packages of the story: the first two from source, here and now; the others from what set-up built. Compiling
 * keeps this process busy, so it comes before there is a board to watch.
 */
export async function preparePackages(
  timeline: Timeline,
  keys: Keys,
  folder: string,
): Promise<ReadonlyMap<string, AgentPackage>> {
  const packages = new Map<string, AgentPackage>();
  for (const [name, agent] of FROM_SOURCE) {
    const pkg = await buildPackage(agent, folder, keys.publisherSecret);
    packages.set(name, pkg);
    timeline.say(`built, checked and signed ${title(pkg)}: ${pkg.payload.length} bytes of WebAssembly`);
  }
  for (const name of BUILT) packages.set(name, await packBuilt(name, keys.publisherSecret));
  return packages;
}

/** 1. A board that is empty gets its keys and a first agent. */
export async function firstInstall(story: Story, session: DeviceSession): Promise<void> {
  const { timeline, keys } = story;
  const status = await session.status();
  timeline.say(
    `the board answers: ${status.safeMode ? "no agent, safe mode, outputs at fail-safe" : "an agent runs"}`,
    {
      scan: status.scan,
    },
  );
  await session.addKey("publisher", keys.publisher.publicKey);
  await session.addKey("operator", keys.operator.publicKey);
  timeline.say("the board knows the publisher's and the operator's key");
  await swap(story, session, packageOf(story, "v1"));
}

/** 2. Live swaps: in the middle of a sag, between agents of different kinds, under running requests. */
export async function liveSwaps(story: Story, session: DeviceSession): Promise<void> {
  story.timeline.act("2. Live swaps");
  await swapDuringSag(story, session);
  await swap(story, session, packageOf(story, "pid-biquad"));
  await swapHashes(story, session);
}

async function swapDuringSag(story: Story, session: DeviceSession): Promise<void> {
  const { timeline, machine } = story;
  let activated = 0;
  await swap(story, session, packageOf(story, "v2"), {
    beforeActivation: async () => {
      const sag = await pauseInSag(machine);
      timeline.say(`a sag is under way: ${(sag.outputs[0] ?? 0).toFixed(1)} V; now the swap`, {
        scan: sag.scan,
      });
      // by then the request to activate waits on the line
      setTimeout(() => void machine.resume(), SETTLE_MS);
    },
    onStep: (step) => {
      if (step.step === "activated") activated = step.scan;
    },
  });
  const before = await machine.watch.at(activated - 1);
  const after = await machine.watch.at(activated);
  const kept =
    before.outputs[1] === SAG && after.outputs[1] === SAG && after.swapNumber !== before.swapNumber;
  if (!kept) throw new EdgePlugError("INTERNAL", `The sag under way was lost in scan ${activated}.`);
  const lasted = await machine.watch.next(
    "the end of the sag",
    (seen) => seen.swapNumber === after.swapNumber && seen.outputs[1] !== SAG,
  );
  timeline.say(
    `the sag was not lost: seen by both versions, over after ${(lasted.outputs[3] ?? 0).toFixed(0)} ms`,
    {
      scan: lasted.scan,
      tone: "good",
    },
  );
}

/**
 * Stops the board's clock early in a sag. Emulated time outruns this process on a busy machine, so by the time that a sag
 * is seen here it may be over there: then the next one will do.
 */
async function pauseInSag(machine: Machine): Promise<Observation> {
  for (;;) {
    await machine.watch.next("a healthy voltage", (seen) => seen.outputs[1] !== SAG);
    const begin = await machine.watch.next("a sag", (seen) => seen.outputs[1] === SAG);
    await machine.pause();
    await sleep(SETTLE_MS); // what is on its way from the observer comes in
    const latest = machine.watch.seen.at(-1);
    if (latest?.outputs[1] === SAG && latest.scan - begin.scan < SAG_EARLY_SCANS) return latest;
    await machine.resume();
  }
}

async function swapHashes(story: Story, session: DeviceSession): Promise<void> {
  const { timeline, tally } = story;
  let requests: RequestStream | undefined;
  for (const [name, algorithm] of [
    ["hash-sha256", "sha256"],
    ["hash-blake2s", "blake2s256"],
    ["hash-sha256", "sha256"],
  ] as const) {
    await swap(story, session, packageOf(story, name), {
      // its trial counts the requests that are coming in anyhow
      ...(requests === undefined ? {} : { trialRequests: [] }),
      beforeActivation: (swapNumber) => {
        requests?.expect(swapNumber, algorithm);
        return Promise.resolve();
      },
    });
    if (requests === undefined) {
      requests = new RequestStream(session, (await session.status()).active?.swapNumber ?? 0, algorithm);
      timeline.say("requests start, and go on through the next swaps");
    }
  }
  if (requests === undefined) return;
  await requests.stop();
  const shares = [...requests.bySwap]
    .map(([swapNumber, count]) => `${count} by swap ${swapNumber}`)
    .join(", ");
  timeline.say(`requests stop: ${requests.sent} sent, ${requests.right} answered right (${shares})`, {
    tone: requests.lost === 0 ? "good" : "bad",
  });
  for (const fault of requests.faults.slice(0, 5)) timeline.say(fault, { tone: "bad" });
  tally.requestsLost += requests.lost;
}

/** 3. Agents that fail: back to the old one within the scan. */
export async function failingAgents(story: Story, session: DeviceSession): Promise<void> {
  story.timeline.act("3. Agents that fail");
  await swap(story, session, packageOf(story, "v2"), {});
  await pushFailing(story, session, packageOf(story, "bad-trap"), "trap");
  await pushFailing(story, session, packageOf(story, "bad-loop"), "fuel");
}

async function pushFailing(
  story: Story,
  session: DeviceSession,
  pkg: AgentPackage,
  reason: string,
): Promise<void> {
  const { timeline, tally, machine } = story;
  const before = await session.status();
  const rolledBack = listenFor(session, "rolled back");
  tally.rollbacks.of++;
  const error = await failureOf(story, session, pkg);
  const after = await session.status();
  const scan = (await rolledBack())?.scan ?? 0;
  const seen = scan > 0 ? await machine.watch.at(scan) : undefined;
  const sameScan = seen !== undefined && seen.swapNumber === before.active?.swapNumber;
  const good =
    error?.code === "ROLLED_BACK" &&
    reasonName(after.lastReason) === reason &&
    after.active?.swapNumber === before.active?.swapNumber &&
    sameScan;
  timeline.say(error?.message ?? `${title(pkg)} stayed`, { scan, tone: "bad" });
  if (sameScan) {
    timeline.say(`the outputs of scan ${scan} are the old agent's already: no scan was lost`, {
      scan,
      tone: "good",
    });
  }
  if (good) tally.rollbacks.done++;
}

/** Listens for the next event of one kind; what comes back waits for it, but not for ever. */
function listenFor(session: DeviceSession, kind: string): () => Promise<DeviceEvent | undefined> {
  let heard: (event: DeviceEvent) => void = () => undefined;
  const event = new Promise<DeviceEvent>((resolve) => (heard = resolve));
  const off = session.connection.onEvent((each) => {
    if (eventKindName(each.kind) === kind) heard(each);
  });
  return async () => {
    const first = await Promise.race([event, sleep(EVENT_PATIENCE_MS, undefined)]);
    off();
    return first;
  };
}

/** Pushes a package that must not stay; returns what it was refused or rolled back for. */
async function failureOf(
  story: Story,
  session: DeviceSession,
  pkg: AgentPackage,
): Promise<EdgePlugError | undefined> {
  try {
    for await (const step of session.push(pkg)) tellStep(story, pkg, step);
    return undefined;
  } catch (error) {
    return EdgePlugError.from(error);
  }
}

/** 4. Packages that must not get in. */
export async function badPackages(story: Story, session: DeviceSession): Promise<void> {
  const { timeline, keys } = story;
  timeline.act("4. Packages that must not get in");
  await session.lock();
  timeline.say("the board is locked: from now on only packages that its publisher signed");
  await pushRefused(
    story,
    session,
    withFlippedByte(packageOf(story, "pid-biquad")),
    "SIGNATURE",
    "one byte flipped",
  );
  await pushRefused(
    story,
    session,
    await packBuilt("pid-biquad", keys.strangerSecret),
    "KEY_UNKNOWN",
    "unknown signer",
  );
}

async function pushRefused(
  story: Story,
  session: DeviceSession,
  pkg: AgentPackage,
  code: EdgePlugError["code"],
  what: string,
): Promise<void> {
  const { timeline, tally } = story;
  tally.refused.of++;
  const before = await session.status();
  const slots = await slotsDigest(session);
  const error = await failureOf(story, session, pkg);
  const after = await session.status();
  const unchanged =
    (await slotsDigest(session)) === slots &&
    after.active?.swapNumber === before.active?.swapNumber &&
    !after.safeMode;
  const good = error?.code === code && unchanged;
  timeline.say(
    `${title(pkg)}, ${what}: ${error === undefined ? "taken" : `refused, ${error.id}: ${error.message.replace(/\.$/, "")}`}` +
      (unchanged ? "; agent and both slots as before" : "; the board is not as before"),
    { scan: after.scan, tone: good ? "good" : "bad" },
  );
  if (good) tally.refused.done++;
}

/** 5. Power fails in the middle of a push. Returns the session with the board that came back. */
export async function powerCut(story: Story, session: DeviceSession): Promise<DeviceSession> {
  const { timeline, machine, tally } = story;
  const pkg = packageOf(story, "waveform-classifier");
  timeline.act("5. Power fails in the middle of a push");
  // an agent that answers requests takes no part of a scan
  if (!machine.roomForClassifier) await swap(story, session, packageOf(story, "hash-sha256"));
  await pushUntilCut(story, session, pkg);
  await machine.powerOn();
  const again = await machine.connect();
  const status = await again.status();
  timeline.say(
    `power is back: ${status.active?.name ?? "nothing"} ${status.active?.version ?? ""} runs again`,
    {
      scan: status.scan,
    },
  );
  let begin: PushStep | undefined;
  let sent = 0;
  await swap(story, again, pkg, {
    onStep: (step) => {
      if (step.step === "begin") begin = step;
      if (step.step === "sending") sent = step.sent;
    },
  });
  const offset = begin?.step === "begin" ? begin.offset : 0;
  const missing = pkg.payload.length - offset;
  const twice = sent > missing ? `, ${sent - missing} of them twice because an answer was slow to come` : "";
  timeline.say(`${missing} missing bytes went over the line${twice}, none of the ${offset} before them`, {
    tone: "good",
  });
  tally.resumed = offset > 0 && sent >= missing && sent < pkg.payload.length;
  return again;
}

async function pushUntilCut(story: Story, session: DeviceSession, pkg: AgentPackage): Promise<void> {
  const { timeline, machine } = story;
  const push = session.push(pkg);
  for (;;) {
    const next = await push.next();
    if (next.done === true) throw new EdgePlugError("INTERNAL", "The push was over before power was cut.");
    tellStep(story, pkg, next.value);
    if (next.value.step === "sending" && next.value.page >= PAGES_BEFORE_CUT) {
      const { acknowledged, size, page } = next.value;
      const status = await session.status();
      countScans(story, status);
      await machine.cutPower();
      timeline.say(`power cut with ${acknowledged} of ${size} bytes (${page} pages) acknowledged`, {
        scan: status.scan,
        tone: "bad",
      });
      break;
    }
  }
  await push.return(undefined as never).catch(() => undefined);
  await session.close();
}
