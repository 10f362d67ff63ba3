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
/** A receive ring holds so many at least, whatever the board is doing. */
const PIECE = 256;
const PIECE_MS = 30;
const LARGEST_CHUNK = 512;
/** Their answers fill the transmit ring. */
const HELLOS = 80;
/** Each call puts an event; the board's ring of events holds 16. */
const EVENTS = 20;
/** Nothing gets lost here; but a board under QEMU gets far ahead of a host that is kept waiting. */
const ANSWER_MS = 120_000;
/** Fills the agent's buffer as far as any request before it. */
export const LAST_REQUEST = Uint8Array.from({ length: 96 }, (_, at) => at);

export async function settle(line: NoisyTransport, clock: BoardClock): Promise<void> {
  line.noisy = false;
  await clock.pass(PIECE_MS * 10); // what was under way arrives
  for (let sent = 0; sent < GARBAGE_SIZE; sent += PIECE) {
    await line.write(new Uint8Array(PIECE).fill(1));
    await clock.pass(PIECE_MS);
  }
  const decoder = new FrameDecoder();
  let answered = false;
  const deaf = line.listen((bytes) => {
    for (const { response } of decoder.push(bytes)) answered ||= response?.id === ID;
  });
  try {
    for (const body of lastWords()) {
      answered = false;
      await line.write(encodeFrame({ request: { ...body, id: ID } }));
      await until(clock, `an answer to ${Object.keys(body)[0]}`, () => answered, ANSWER_MS);
    }
  } finally {
    deaf();
  }
}

type RequestBody = Parameters<Connection["request"]>[0];

function lastWords(): RequestBody[] {
  return [
    ...Array.from({ length: EVENTS }, () => ({ call: { data: LAST_REQUEST } })),
    { chunk: { offset: 0, data: new Uint8Array(LARGEST_CHUNK).fill(0x33) } }, // NO_SESSION
    { readSlot: { slot: 0, offset: 0, size: LARGEST_CHUNK } },
    ...Array.from({ length: HELLOS }, () => ({ hello: {} })),
  ];
}
