/**
 * Frames of the serial link: COBS(protobuf Frame ‖ its CRC-32, little endian) ‖ 0x00. A frame that fails is
 * dropped and counted; nothing of it reaches the session.
 */
import CRC32 from "crc-32";

import { cobsDecode, cobsEncode } from "./cobs.js";
import { EdgePlugError } from "./errors.js";
import { edgeplug } from "./generated/messages.js";

export type FrameProperties = edgeplug.Frame.$Properties;
export type RequestProperties = edgeplug.Request.$Properties;
export type ResponseProperties = edgeplug.Response.$Properties;

/** What the board may send before Hello has told its limit. */
export const DEFAULT_MAX_FRAME = 1024;
const CRC_SIZE = 4;
const DELIMITER = 0;

/** ISO-HDLC CRC-32, unsigned. */
export function crc32(data: Uint8Array): number {
  return CRC32.buf(data) >>> 0;
}

/** Wraps a message's bytes for the line; a leading delimiter ends whatever noise came before. */
export function wrapFrame(body: Uint8Array, maxFrame = DEFAULT_MAX_FRAME): Uint8Array {
  if (body.length + CRC_SIZE > maxFrame) {
    throw new EdgePlugError(
      "BAD_REQUEST",
      `A frame of ${body.length + CRC_SIZE} bytes; the board takes ${maxFrame}.`,
    );
  }
  const framed = new Uint8Array(body.length + CRC_SIZE);
  framed.set(body);
  new DataView(framed.buffer).setUint32(body.length, crc32(body), true);
  const stuffed = cobsEncode(framed);
  const line = new Uint8Array(stuffed.length + 2);
  line[0] = DELIMITER;
  line.set(stuffed, 1);
  line[line.length - 1] = DELIMITER;
  return line;
}

/** A message as it goes over the line. */
export function encodeFrame(frame: FrameProperties, maxFrame = DEFAULT_MAX_FRAME): Uint8Array {
  return wrapFrame(edgeplug.Frame.encode(frame).finish(), maxFrame);
}

/** Cuts a byte stream at its delimiters and gives back the bodies whose CRC-32 holds. */
export class Unwrapper {
  /** Largest body with its CRC-32; longer frames are dropped without being kept. */
  maxFrame: number;
  /** Frames dropped: bad COBS, bad CRC-32, too long. */
  dropped = 0;
  private readonly held: number[] = [];
  private overlong = false;

  constructor(maxFrame = DEFAULT_MAX_FRAME) {
    this.maxFrame = maxFrame;
  }

  push(bytes: Uint8Array): Uint8Array[] {
    const bodies: Uint8Array[] = [];
    const limit = this.maxFrame + Math.floor(this.maxFrame / 254) + 1;
    for (const byte of bytes) {
      if (byte === DELIMITER) {
        const body = this.take();
        if (body !== undefined) bodies.push(body);
      } else if (this.held.length < limit) {
        this.held.push(byte);
      } else {
        this.overlong = true;
      }
    }
    return bodies;
  }

  private take(): Uint8Array | undefined {
    if (this.held.length === 0) return undefined;
    const decoded = this.overlong ? undefined : cobsDecode(Uint8Array.from(this.held));
    this.held.length = 0;
    this.overlong = false;
    if (decoded !== undefined && decoded.length >= CRC_SIZE && decoded.length <= this.maxFrame) {
      const body = decoded.subarray(0, decoded.length - CRC_SIZE);
      const told = new DataView(decoded.buffer, decoded.byteOffset).getUint32(body.length, true);
      if (told === crc32(body)) return body;
    }
    this.dropped++;
    return undefined;
  }
}

/** Bytes in, messages out. */
export class FrameDecoder {
  private readonly unwrapper: Unwrapper;
  private undecodable = 0;

  constructor(maxFrame = DEFAULT_MAX_FRAME) {
    this.unwrapper = new Unwrapper(maxFrame);
  }

  /** Frames dropped so far, those whose CRC-32 held but that are no message included. */
  get dropped(): number {
    return this.unwrapper.dropped + this.undecodable;
  }

  set maxFrame(bytes: number) {
    this.unwrapper.maxFrame = bytes;
  }

  push(bytes: Uint8Array): edgeplug.Frame[] {
    const frames: edgeplug.Frame[] = [];
    for (const body of this.unwrapper.push(bytes)) {
      try {
        frames.push(edgeplug.Frame.decode(body));
      } catch {
        this.undecodable++;
      }
    }
    return frames;
  }
}
