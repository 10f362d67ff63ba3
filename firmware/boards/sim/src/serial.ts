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
  /** The receive ring: `held` bytes from `first` on. */
  ring: Uint8Array;
  first: number;
  held: number;
  outgoing: Chunk[];
  lineInFree: number;
  lineOutFree: number;
  overruns: number;
}

/** The board's UART with its two rings and the wire to it, in virtual time. */
export class SerialLine {
  readonly #byteNanos: number;
  readonly #transmitRing: number;
  #state: SerialState;

  constructor(options: SerialOptions = {}) {
    this.#byteNanos = options.baud ? 1e10 / options.baud : 0;
    this.#transmitRing = options.transmitRing ?? 1024;
    this.#state = emptyState(new Uint8Array(options.receiveRing ?? 1024));
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
    const { outgoing } = this.#state;
    const [first] = outgoing;
    if (first === undefined) return NOTHING;
    // by far the most often: one piece, and all of it is there
    if (outgoing.length === 1 && first.taken === 0 && this.#arrived(first, now) === first.bytes.length) {
      outgoing.pop();
      return first.bytes;
    }
    const parts: Uint8Array[] = [];
    for (let chunk = outgoing[0]; chunk; chunk = outgoing[0]) {
      const end = this.#arrived(chunk, now);
      parts.push(chunk.bytes.subarray(chunk.taken, end));
      chunk.taken = end;
      if (end < chunk.bytes.length) break;
      outgoing.shift();
    }
    return Uint8Array.from(Buffer.concat(parts));
  }

  /** Bytes sent that have not reached the board yet. */
  get pendingIn(): number {
    return this.#state.incoming.reduce((sum, chunk) => sum + chunk.bytes.length - chunk.taken, 0);
  }

  // ---- the board's end --------------------------------------------------------------------------

  /** Puts up to `size` received bytes to `at` in `memory`; tells how many. */
  read(memory: Uint8Array, at: number, size: number, now: number): number {
    const state = this.#state;
    this.#receive(now);
    if (state.held === 0) return 0;
    const { ring } = state;
    const count = Math.min(size, state.held);
    for (let i = 0; i < count; i++) {
      memory[at + i] = ring[state.first] ?? 0;
      state.first = state.first + 1 === ring.length ? 0 : state.first + 1;
    }
    state.held -= count;
    if (this.#byteNanos === 0) this.#receive(now); // what waited for room
    return count;
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
    if (this.#state.held > 0) return now;
    const first = this.#state.incoming[0];
    return first ? Math.max(now, first.at + first.taken * this.#byteNanos) : Infinity;
  }

  /** The board was reset: rings are empty, the count starts anew; bytes on the wire still arrive. */
  reset(): void {
    this.#state.first = 0;
    this.#state.held = 0;
    this.#state.overruns = 0;
  }

  /** The power is off: nothing is left on the wire either. */
  clear(): void {
    this.#state = emptyState(this.#state.ring);
  }

  save(): SerialState {
    return structuredClone(this.#state);
  }

  restore(state: SerialState): void {
    this.#state = structuredClone(state);
  }

  /** A paced line loses what finds the ring full; an unpaced one waits, as a pipe does. */
  #receive(now: number): void {
    const state = this.#state;
    const { ring, incoming } = state;
    for (let chunk = incoming[0]; chunk; chunk = incoming[0]) {
      const there = this.#arrived(chunk, now);
      const room = ring.length - state.held;
      const fits = Math.min(there - chunk.taken, room);
      for (let i = 0; i < fits; i++) {
        const at = state.first + state.held++;
        ring[at < ring.length ? at : at - ring.length] = chunk.bytes[chunk.taken + i] ?? 0;
      }
      chunk.taken += fits;
      if (this.#byteNanos > 0) {
        state.overruns += there - chunk.taken;
        chunk.taken = there;
      }
      if (chunk.taken < chunk.bytes.length) return;
      incoming.shift();
    }
  }

  /** How many of its bytes have arrived by `now`, those taken included. */
  #arrived({ bytes, at, taken }: Chunk, now: number): number {
    if (this.#byteNanos === 0) return at <= now ? bytes.length : taken;
    let end = taken;
    while (end < bytes.length && at + end * this.#byteNanos <= now) end++;
    return end;
  }
}

const NOTHING = new Uint8Array();

function emptyState(ring: Uint8Array): SerialState {
  return {
    ...{ incoming: [], outgoing: [], lineInFree: 0, lineOutFree: 0, overruns: 0 },
    ...{ ring, first: 0, held: 0 },
  };
}
