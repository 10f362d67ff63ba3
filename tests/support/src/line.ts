/** The harness's serial line as a session's transport: it can be pulled out, and something bad can sit in it. */
import { Duplex } from "node:stream";

import { EdgePlugError } from "edgeplug";
import type { Clock, Transport } from "edgeplug/device";

export const BAUD = 115_200;

export class LineTransport implements Transport {
  readonly baud = BAUD;
  readonly closed: Promise<EdgePlugError | undefined>;
  #settle!: (reason: EdgePlugError | undefined) => void;
  #gone: EdgePlugError | undefined;
  #listener: (bytes: Uint8Array) => void = () => undefined;

  constructor(
    readonly name: string,
    readonly clock: Clock,
    private readonly line: Duplex,
  ) {
    this.closed = new Promise((resolve) => (this.#settle = resolve));
    line.on("data", this.#receive);
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.#listener = listener;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#gone !== undefined) throw this.#gone;
    await new Promise<void>((resolve) => this.line.write(bytes, () => resolve()));
  }

  /** The cable is pulled: whoever talks over it learns that the port has gone. */
  unplug(): void {
    this.#end(new EdgePlugError("PORT_LOST", `${this.name} vanished.`));
  }

  close(): Promise<void> {
    this.#end(undefined);
    return Promise.resolve();
  }

  #end(reason: EdgePlugError | undefined): void {
    this.line.off("data", this.#receive);
    this.#gone ??= reason ?? new EdgePlugError("PORT_LOST", `${this.name} has been closed.`);
    this.#settle(reason);
  }

  readonly #receive = (bytes: Uint8Array): void => this.#listener(bytes);
}

/** What becomes of the `index`-th frame of one direction: the frames that go on in its place. */
export type FrameDeed = (frame: Buffer, index: number) => readonly Buffer[];

/** A line that does something to whole frames: `toBoard` to what the host sends, `fromBoard` to what the board sends. */
export class FrameTamper extends Duplex {
  /** Frames of both directions that were changed. */
  changed = 0;
  readonly #inner: Duplex;
  readonly #out: FrameSplitter;
  readonly #in: FrameSplitter;

  constructor(inner: Duplex, deeds: { toBoard?: FrameDeed; fromBoard?: FrameDeed }) {
    super({ allowHalfOpen: false });
    this.#inner = inner;
    this.#out = new FrameSplitter(this.#counting(deeds.toBoard));
    this.#in = new FrameSplitter(this.#counting(deeds.fromBoard));
    inner.on("data", this.#receive);
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#inner.write(this.#out.pass(bytes), done);
  }

  override _read(): void {
    // the inner line pushes
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#inner.off("data", this.#receive);
    done(error);
  }

  #counting(deed: FrameDeed = (frame) => [frame]): FrameDeed {
    return (frame, index) => {
      const frames = deed(frame, index);
      if (frames.length !== 1 || frames[0] !== frame) this.changed++;
      return frames;
    };
  }

  readonly #receive = (bytes: Buffer): void => {
    const out = this.#in.pass(bytes);
    if (out.length > 0) this.push(out);
  };
}

/** Frames are what lies between two zero bytes; each goes on with a zero before and behind it. */
export class FrameSplitter {
  #held: number[] = [];
  #index = 0;

  constructor(private readonly deed: FrameDeed) {}

  pass(bytes: Buffer): Buffer {
    const out: Buffer[] = [];
    for (const byte of bytes) {
      if (byte !== 0) this.#held.push(byte);
      else if (this.#held.length > 0) {
        const frame = Buffer.from(this.#held);
        this.#held = [];
        for (const sent of this.deed(frame, this.#index++)) out.push(ZERO, sent, ZERO);
      }
    }
    return Buffer.concat(out);
  }
}

const ZERO = Buffer.of(0);
