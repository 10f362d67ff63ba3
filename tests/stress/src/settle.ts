/**
 * The last words before RAM is looked at: the same frames each time, without noise, so many that every buffer between
 * the line and the agent holds what these left and nothing else.
 */
import { until, type BoardClock } from "@edgeplug/test-support/clock";
import { encodeFrame, FrameDecoder, type Connection } from "edgeplug/device";

import type { NoisyTransport } from "./line.js";

/** No session numbers its requests so high. */
const ID = 0xffff_0001;
/** A frame that is none, longer than any: it fills the board's receive ring and its frame buffer. */
const GARBAGE_SIZE = 2_560;
/** A receive ring takes so much at once. */
const PIECE = 640;
const PIECE_MS = 60;
const LARGEST_CHUNK = 512;
/** Their answers fill the transmit ring. */
const HELLOS = 80;
/** Each call puts an event; the board's ring of events holds 16. */
const CALLS = 20;
/** Nothing gets lost here; but a board under QEMU gets far ahead of a host that is kept waiting. */
const ANSWER_MS = 120_000;
/** Fills the agent's buffer as far as any request before it. */
export const LAST_REQUEST = Uint8Array.from({ length: 96 }, (_, at) => at);

export async function settle(line: NoisyTransport, clock: BoardClock): Promise<void> {
  line.noisy = false;
  await clock.pass(PIECE_MS); // what was under way arrives
  for (let sent = 0; sent < GARBAGE_SIZE; sent += PIECE) {
    await line.write(new Uint8Array(PIECE).fill(1));
    await clock.pass(PIECE_MS);
  }
  const decoder = new FrameDecoder();
  let answers = 0;
  const deaf = line.listen((bytes) => {
    for (const { response } of decoder.push(bytes)) if (response?.id === ID) answers++;
  });
  try {
    for (const frames of lastWords()) {
      answers = 0;
      await line.write(Buffer.concat(frames));
      await until(clock, `${frames.length} answers`, () => answers >= frames.length, ANSWER_MS);
    }
  } finally {
    deaf();
  }
}

/** What is said at once fits into a receive ring. The last words are the hellos, and their answers the last answers. */
function lastWords(): Uint8Array[][] {
  const calls = frames(CALLS / 4, { call: { data: LAST_REQUEST } });
  return [
    ...[calls, calls, calls, calls],
    frames(1, { chunk: { offset: 0, data: new Uint8Array(LARGEST_CHUNK).fill(0x33) } }), // NO_SESSION
    // refused, but the board has taken note of it in the record that is scratch while it is idle
    frames(1, {
      begin: { manifest: Uint8Array.of(0xff), keyId: new Uint8Array(), signature: new Uint8Array() },
    }),
    frames(1, { readSlot: { slot: 0, offset: 0, size: LARGEST_CHUNK } }),
    frames(HELLOS / 2, { hello: {} }),
    frames(HELLOS / 2, { hello: {} }),
  ];
}

function frames(count: number, body: Parameters<Connection["request"]>[0]): Uint8Array[] {
  return Array.from({ length: count }, () => encodeFrame({ request: { ...body, id: ID } }));
}
