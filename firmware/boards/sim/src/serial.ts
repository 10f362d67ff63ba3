export interface SerialOptions {
  /** Bits per second in virtual time, 10 for each byte; undefined: bytes take no time. */
  readonly baud?: number;
  /** Bytes that the board's receive ring holds. Default 1024. With `baud`, what doesn't fit is lost. */
  readonly receiveRing?: number;
  /** Bytes that the board's transmit ring holds. Default 1024. */
  readonly transmitRing?: number;
}

interface Chunk {
  readonly bytes: Uint8Array;
  /** When its first byte is complete on the line. */
  readonly at: number;
  taken: number;
}

/** All of a line's state, for snapshots. */
export interface SerialState {
  incoming: Chunk[];
  ring: number[];
  outgoing: Chunk[];
  lineInFree: number;
  lineOutFree: number;
  overruns: number;
}

/** The board's UART with its two rings and the wire to it, in virtual time. */
export class SerialLine {
  readonly #byteNanos: number;
  readonly #receiveRing: number;
  readonly #transmitRing: number;
  #state: SerialState = emptyState();

  constructor(options: SerialOptions = {}) {
    this.#byteNanos = options.baud ? 1e10 / options.baud : 0;
    this.#receiveRing = options.receiveRing ?? 1024;
    this.#transmitRing = options.transmitRing ?? 1024;
  }

  // ---- the host's end ---------------------------------------------------------------------------

  /** Puts bytes on the wire; they arrive one after the other, after what was sent before. */
  send(bytes: Uint8Array, now: number): void {
    if (bytes.length === 0) return;
    const start = Math.max(now, this.#state.lineInFree);
    this.#state.incoming.push({ bytes: bytes.slice(), at: start + this.#byteNanos, taken: 0 });
    this.#state.lineInFree = start + bytes.length * this.#byteNanos;
  }

  /** What has come from the board until `now`. */
  take(now: number): Uint8Array {
    if (this.#state.outgoing.length === 0) return NOTHING;
    const out: number[] = [];
    this.#collect(this.#state.outgoing, now, Infinity, (byte) => out.push(byte));
    return Uint8Array.from(out);
  }

  /** Bytes sent that have not reached the board yet. */
  get pendingIn(): number {
    return this.#state.incoming.reduce((sum, chunk) => sum + chunk.bytes.length - chunk.taken, 0);
  }

  // ---- the board's end --------------------------------------------------------------------------

  read(size: number, now: number): Uint8Array {
    const { ring } = this.#state;
    this.#receive(now);
    if (ring.length === 0) return NOTHING;
    const bytes = Uint8Array.from(ring.splice(0, size));
    if (this.#byteNanos === 0) this.#receive(now); // what waited for room
    return bytes;
  }

  /** How many bytes fitted into the transmit ring. */
  write(bytes: Uint8Array, now: number): number {
    const start = Math.max(now, this.#state.lineOutFree);
    const waiting = this.#byteNanos === 0 ? 0 : Math.ceil((start - now) / this.#byteNanos);
    const size = Math.min(bytes.length, Math.max(0, this.#transmitRing - waiting));
    if (size === 0) return 0;
    this.#state.outgoing.push({ bytes: bytes.slice(0, size), at: start + this.#byteNanos, taken: 0 });
    this.#state.lineOutFree = start + size * this.#byteNanos;
    return size;
  }

  get overruns(): number {
    return this.#state.overruns;
  }

  /** When the next byte for the board is there; `now` if one waits, Infinity if none is under way. */
  nextArrival(now: number): number {
    if (this.#state.ring.length > 0) return now;
    const first = this.#state.incoming[0];
    return first ? Math.max(now, first.at + first.taken * this.#byteNanos) : Infinity;
  }

  /** The board was reset: rings are empty, the count starts anew; bytes on the wire still arrive. */
  reset(): void {
    this.#state.ring = [];
    this.#state.overruns = 0;
  }

  /** The power is off: nothing is left on the wire either. */
  clear(): void {
    this.#state = emptyState();
  }

  save(): SerialState {
    return structuredClone(this.#state);
  }

  restore(state: SerialState): void {
    this.#state = structuredClone(state);
  }

  /** A paced line loses what finds the ring full; an unpaced one waits, as a pipe does. */
  #receive(now: number): void {
    const { ring, incoming } = this.#state;
    const first = incoming[0];
    if (first === undefined || first.at + first.taken * this.#byteNanos > now) return;
    const room = this.#receiveRing - ring.length;
    this.#collect(incoming, now, this.#byteNanos === 0 ? room : Infinity, (byte) => {
      if (ring.length < this.#receiveRing) ring.push(byte);
      else this.#state.overruns++;
    });
  }

  #collect(chunks: Chunk[], now: number, most: number, take: (byte: number) => void): void {
    let left = most;
    for (let first = chunks[0]; first && left > 0; first = chunks[0]) {
      while (
        left > 0 &&
        first.taken < first.bytes.length &&
        first.at + first.taken * this.#byteNanos <= now
      ) {
        take(first.bytes[first.taken++] ?? 0);
        left--;
      }
      if (first.taken < first.bytes.length) return;
      chunks.shift();
    }
  }
}

const NOTHING = new Uint8Array();

function emptyState(): SerialState {
  return { incoming: [], ring: [], outgoing: [], lineInFree: 0, lineOutFree: 0, overruns: 0 };
}
