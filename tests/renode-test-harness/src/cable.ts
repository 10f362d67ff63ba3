import { Duplex } from "node:stream";

/** How much a side keeps for a reader who doesn't come. */
const KEPT_BYTES = 1 << 20;

/**
 * The test's end of a serial line. The board's end comes and goes with the power: attach() and detach(). What is
 * sent while nothing is attached is lost, as on a wire.
 */
export class Cable extends Duplex {
  /** Sees every byte from the board, whether or not anybody reads the stream. */
  onReceived: ((bytes: Buffer) => void) | undefined;
  #send: ((bytes: Buffer, done: () => void) => void) | undefined;

  constructor() {
    super({ allowHalfOpen: false });
  }

  /** `send` takes bytes for the board, and says when it wants more. */
  attach(send: (bytes: Buffer, done: () => void) => void): void {
    this.#send = send;
  }

  detach(): void {
    this.#send = undefined;
  }

  /** Bytes from the board. */
  receive(bytes: Uint8Array): void {
    if (this.destroyed) return;
    const copy = Buffer.from(bytes);
    this.onReceived?.(copy);
    if (this.readableLength < KEPT_BYTES) this.push(copy);
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#send) this.#send(bytes, done);
    else done();
  }

  override _read(): void {
    // bytes come when the board sends them, whether they are asked for or not
  }
}
