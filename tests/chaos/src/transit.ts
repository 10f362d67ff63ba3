/** Intact packages over lines that are not: bytes and frames that come in wrong, twice, late, or from somewhere else. */
import { EdgePlugError, type AgentPackage } from "edgeplug";
import { encodeFrame, vectorExchanges, type PushOptions } from "edgeplug/device";
import type { edgeplug } from "edgeplug/messages";
import { NoiseFilter, type LineNoise } from "renode-test-harness";
import { FrameSplitter } from "@edgeplug/test-support/line";
import { push } from "@edgeplug/test-support/push";

import type { ChaosKind, Outcome, Trial } from "./case.js";
import type { Damage, Damages } from "./line.js";
import { ANY_REQUEST } from "./force.js";
import { TIMESTAMP, type Link } from "./scenes.js";

/** Longest that a push over a bad line may take, the board's milliseconds. */
const TIMEOUT_MS = 240_000;

/** A bad line, and how often it was bad. */
export interface BadLine extends Damages {
  readonly hits: () => number;
}

/** A request agent without test vectors gets something to answer in its trial, too. */
export function pushOptions({ manifest, payload }: AgentPackage): PushOptions {
  const silent = manifest.kind === "request" && vectorExchanges(payload).length === 0;
  return {
    timestamp: TIMESTAMP,
    timeoutMs: TIMEOUT_MS,
    ...(silent ? { trialRequests: [ANY_REQUEST] } : {}),
  };
}

export function noisy(trial: Trial, noise: LineNoise): BadLine {
  const filters = [0, 1].map(() => new NoiseFilter({ seed: trial.random.next(), ...noise }));
  const hits = (): number =>
    filters.reduce((sum, { counters: { corrupted, dropped, duplicated, bursts } }) => {
      return sum + corrupted + dropped + duplicated + bursts;
    }, 0);
  const [toBoard, fromBoard] = filters;
  return {
    toBoard: (bytes) => toBoard?.pass(bytes) ?? bytes,
    fromBoard: (bytes) => fromBoard?.pass(bytes) ?? bytes,
    hits,
  };
}

/** What becomes of a frame: those that go on in its place. */
type FrameDeed = (frame: Buffer) => readonly Buffer[];

/** Both directions, unless only `toBoard` is wanted. */
function frames(toBoard: () => FrameDeed, directions: "both" | "to the board" = "both"): BadLine {
  let hits = 0;
  const wire = (deed: FrameDeed): Damage => {
    const splitter = new FrameSplitter((frame) => {
      const out = deed(frame);
      if (out.length !== 1 || out[0] !== frame) hits++;
      return out;
    });
    return (bytes) => splitter.pass(Buffer.from(bytes));
  };
  return {
    toBoard: wire(toBoard()),
    fromBoard: directions === "both" ? wire(toBoard()) : undefined,
    hits: () => hits,
  };
}

/** Pushes the intact package over the line, and says what kept it intact. */
export async function pushOver(
  trial: Trial,
  line: BadLine,
  mayFail: readonly string[] = [],
): Promise<Outcome> {
  const link = await trial.connect(line);
  let swapNumber: number | undefined;
  try {
    const result = await push(link.session, trial.parcel.pkg, pushOptions(trial.parcel.pkg), (step) => {
      if (step.step === "begin") swapNumber = step.swapNumber;
    });
    trial.tell(`pushed; the line was bad ${line.hits()} times, ${result.restarts} restarts`);
    const caughtBy = await whatHelped(trial, link, result.payloadBytesSent > trial.parcel.pkg.payload.length);
    return { caughtBy, mayRun: ["new"], swapNumber };
  } catch (error) {
    if (!(error instanceof EdgePlugError) || !mayFail.includes(error.code)) throw error;
    trial.tell(`the push: ${error.code}, ${error.message}`);
    return { caughtBy: error.code, mayRun: ["old"], swapNumber };
  } finally {
    await link.line.close();
  }
}

/** The board's counters and answers, and the host's: the first of them that has something to tell. */
async function whatHelped(trial: Trial, link: Link, sentTwice: boolean): Promise<string> {
  const { session, line } = link;
  await line.close();
  const clean = await trial.connect();
  const { counters } = await clean.session.status();
  await clean.line.close();
  if (counters.framesDropped + session.line.framesDropped > 0) return "frame CRC";
  if (line.answers.error !== undefined) return line.answers.error.code;
  if (line.answers.chunksRefused > 0) return "chunk offset";
  return sentTwice || session.line.repeats > 0 ? "retry" : "harmless";
}

const ANY = ["one", "two", "rejected", "locked"] as const;
/** Frames that come twice or late are answered by what they find: a session of their own, another one, none, or a trial. */
const HELP = ["frame CRC", "NO_SESSION", "BUSY", "chunk offset", "retry", "harmless"] as const;

function transitKind(
  name: string,
  lineOf: (trial: Trial) => BadLine,
  mayFail: readonly string[] = [],
): ChaosKind {
  return {
    name,
    where: "in transit",
    catchers: [...HELP, ...mayFail],
    variants: 1,
    run: async (trial) => {
      await trial.stage(...ANY);
      return pushOver(trial, lineOf(trial), mayFail);
    },
  };
}

/** Each frame meets this with probability 1/`oneIn`. */
function now(trial: Trial, oneIn: number, deed: FrameDeed): () => FrameDeed {
  return () => (frame) => (trial.random.below(oneIn) === 0 ? deed(frame) : [frame]);
}

function reordering(trial: Trial): () => FrameDeed {
  return () => {
    let held: Buffer | undefined;
    return (frame) => {
      if (held !== undefined) {
        const late = held;
        held = undefined;
        return [frame, late];
      }
      if (trial.random.below(4) > 0) return [frame];
      held = frame;
      return [];
    };
  };
}

/** Frames of before come once more, at any time later. */
function replaying(trial: Trial, earlier: readonly Buffer[] = []): () => FrameDeed {
  return () => {
    const past = [...earlier];
    return (frame) => {
      past.push(frame);
      return trial.random.below(5) === 0 ? [frame, trial.pick(past)] : [frame];
    };
  };
}

/** The body of a frame as it goes over the wire, without the delimiters around it. */
function frameOf(request: edgeplug.Request.$Properties): Buffer {
  return Buffer.from(encodeFrame({ request })).subarray(1, -1);
}

/** What a host sent when it pushed the package that came before. */
function earlierUpdate(trial: Trial): Buffer[] {
  const { manifestBytes, keyId, signature, payload } = trial.scene.old.parcel.pkg;
  const begin = { manifest: manifestBytes, keyId, signature, timestamp: TIMESTAMP };
  return [
    frameOf({ id: 7, hello: {} }),
    frameOf({ id: 8, begin }),
    ...chunkFrames(payload, 512),
    frameOf({ id: 99, activate: {} }),
    frameOf({ id: 100, status: {} }),
  ];
}

function chunkFrames(payload: Uint8Array, size: number): Buffer[] {
  const count = Math.ceil(payload.length / size);
  return Array.from({ length: count }, (_, index) =>
    frameOf({
      id: 9 + index,
      chunk: { offset: index * size, data: payload.subarray(index * size, (index + 1) * size) },
    }),
  );
}

function foreignChunks(trial: Trial): () => FrameDeed {
  const chunks = chunkFrames(
    trial.workshop.foreign(trial.parcel).pkg.payload,
    trial.pick([32, 64, 128, 512]),
  );
  return now(trial, 4, (frame) => [trial.pick(chunks), frame]);
}

export const IN_TRANSIT: readonly ChaosKind[] = [
  transitKind("bytes corrupted at the given rate", (trial) => noisy(trial, { corrupt: trial.rate })),
  transitKind("bursts", (trial) => noisy(trial, { burst: 0.002, burstLength: trial.between(2, 64) })),
  transitKind("bytes lost", (trial) => noisy(trial, { drop: 0.003 })),
  transitKind("bytes doubled", (trial) => noisy(trial, { duplicate: 0.003 })),
  transitKind("frames cut", (trial) =>
    frames(now(trial, 6, (frame) => [frame.subarray(0, trial.random.below(frame.length))])),
  ),
  transitKind("frames lost", (trial) => frames(now(trial, 6, () => []))),
  transitKind("frames doubled", (trial) => frames(now(trial, 3, (frame) => [frame, frame]))),
  transitKind("frames in another order", (trial) => frames(reordering(trial))),
  transitKind("frames replayed", (trial) => frames(replaying(trial))),
  transitKind(
    "frames of an earlier update replayed",
    (trial) => frames(replaying(trial, earlierUpdate(trial)), "to the board"),
    // its Begin may come first, and its chunks into the new payload
    ["BUSY", "PAYLOAD_CRC", "BAD_REQUEST", "RELEASE"],
  ),
  transitKind("chunks of another package", (trial) => frames(foreignChunks(trial), "to the board"), [
    "PAYLOAD_CRC",
  ]),
  transitKind("garbage between frames", (trial) =>
    frames(now(trial, 3, (frame) => [withoutZeros(trial, trial.between(1, 1_500)), frame])),
  ),
];

/** Bytes that a board may take for a frame of its own length. */
function withoutZeros(trial: Trial, size: number): Buffer {
  return Buffer.from(trial.random.bytes(size).map((byte) => byte || 1));
}
