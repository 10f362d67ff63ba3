/** A session's line to the board, with something bad in it, and someone who notes what the board really answered. */
import { EdgePlugError } from "edgeplug";
import { FrameDecoder, type Clock, type Transport } from "edgeplug/device";
import { BAUD } from "@edgeplug/test-support/line";

/** The wire to a board. */
export interface Port {
  write(bytes: Uint8Array): Promise<void>;
  /** Who hears the board from now on; undefined: nobody. */
  listen(listener: ((bytes: Uint8Array) => void) | undefined): void;
}

/** What becomes of the bytes of one direction. */
export type Damage = (bytes: Uint8Array) => Uint8Array;

export interface Damages {
  readonly toBoard?: Damage | undefined;
  readonly fromBoard?: Damage | undefined;
}

/** What the board's own answers say about chunks that it got. */
export interface Answers {
  /** Acknowledgements of chunks that took nothing: gap, copy, or no session. */
  chunksRefused: number;
  chunksTaken: number;
  /** The last error that it answered to anything, requests that nobody made included. */
  error: EdgePlugError | undefined;
}

export class WildLine implements Transport {
  readonly name = "a wild line";
  readonly baud = BAUD;
  readonly closed: Promise<EdgePlugError | undefined>;
  readonly answers: Answers = { chunksRefused: 0, chunksTaken: 0, error: undefined };
  readonly #decoder = new FrameDecoder();
  #offset = 0;
  #gone = false;
  #settle!: (reason: EdgePlugError | undefined) => void;
  #listener: (bytes: Uint8Array) => void = () => undefined;

  constructor(
    readonly clock: Clock,
    private readonly port: Port,
    private readonly damages: Damages,
  ) {
    this.closed = new Promise((resolve) => (this.#settle = resolve));
    port.listen((bytes) => this.#receive(bytes));
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.#listener = listener;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#gone) throw new EdgePlugError("PORT_LOST", "The line has been closed.");
    const sent = this.damages.toBoard?.(bytes) ?? bytes;
    if (sent.length > 0) await this.port.write(sent);
  }

  close(): Promise<void> {
    this.#gone = true;
    this.port.listen(undefined);
    this.#settle(undefined);
    return Promise.resolve();
  }

  #receive(bytes: Uint8Array): void {
    if (this.damages.toBoard !== undefined || this.damages.fromBoard !== undefined) this.#note(bytes);
    const heard = this.damages.fromBoard?.(bytes) ?? bytes;
    if (heard.length > 0) this.#listener(heard);
  }

  #note(bytes: Uint8Array): void {
    for (const { response } of this.#decoder.push(bytes)) {
      if (response?.error) this.answers.error = EdgePlugError.fromBoard(response.error);
      if (response?.chunk === undefined || response.chunk === null) continue;
      const offset = response.chunk.nextOffset ?? 0;
      if (offset > this.#offset) this.answers.chunksTaken++;
      else this.answers.chunksRefused++;
      this.#offset = offset;
    }
  }
}
