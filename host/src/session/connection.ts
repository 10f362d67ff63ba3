/**
 * Requests and responses over one line: matches ids, repeats what got lost, keeps no more frames in flight
 * than the board can hold, and hands out events.
 */
import { EdgePlugError } from "../errors.js";
import { DEFAULT_MAX_FRAME, encodeFrame, FrameDecoder, type RequestProperties } from "../frames.js";
import type { edgeplug } from "../generated/messages.js";
import type { Transport } from "../transports/transport.js";
import { toEvent, type DeviceEvent } from "./messages.js";

export type RequestBody = Omit<RequestProperties, "id">;

export interface RequestOptions {
  /** Ends the request with INTERRUPTED. */
  signal?: AbortSignal | undefined;
  /** For all attempts together, milliseconds. Default 10,000. */
  timeoutMs?: number | undefined;
  /** Until the first repetition, milliseconds; later ones wait longer. Default 400. */
  attemptMs?: number | undefined;
}

export interface Answer {
  response: edgeplug.Response;
  /** How often the request was sent; above 1 the board may have seen it more than once. */
  attempts: number;
}

/** What went over the line so far. */
export interface LineCounters {
  bytesSent: number;
  bytesReceived: number;
  framesSent: number;
  framesReceived: number;
  /** Received frames that failed. */
  framesDropped: number;
  /** Requests sent again for want of an answer. */
  repeats: number;
}

/** The counters of a line on which nothing went yet. */
export function silentLine(): LineCounters {
  return { bytesSent: 0, bytesReceived: 0, framesSent: 0, framesReceived: 0, framesDropped: 0, repeats: 0 };
}

/** One frame on its way. */
export interface Posted {
  /** Stops listening for the answer. */
  forget(): void;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_ATTEMPT_MS = 400;
const LONGEST_ATTEMPT_MS = 3_000;
const EVENTS_KEPT = 1_000;
/** Until Hello tells better. */
const FIRST_WINDOW = 1;

export class Connection {
  readonly counters = silentLine();
  /** When the last frame that held came in, by the transport's clock. */
  lastHeard: number;
  private readonly decoder = new FrameDecoder();
  private readonly waiting = new Map<number, (response: edgeplug.Response) => void>();
  private readonly eventListeners = new Set<(event: DeviceEvent) => void>();
  private readonly lossListeners = new Set<(reason: EdgePlugError) => void>();
  private readonly queue: (() => void)[] = [];
  private readonly freeListeners = new Set<() => void>();
  private inFlight = 0;
  private window = FIRST_WINDOW;
  private maxFrame = DEFAULT_MAX_FRAME;
  private lost: EdgePlugError | undefined;
  private nextId: number;

  /** A random first id keeps late answers to an earlier tool apart from ours. */
  constructor(
    readonly transport: Transport,
    firstId = 1 + Math.floor(Math.random() * 0x0fff_ffff),
  ) {
    this.nextId = firstId;
    this.lastHeard = transport.clock.now();
    transport.onData((bytes) => this.receive(bytes));
    void transport.closed.then((reason) =>
      this.fail(reason ?? new EdgePlugError("PORT_LOST", `${transport.name} has been closed.`)),
    );
  }

  /** What Hello told of the board's buffers. */
  setLimits(maxFrame: number, window: number): void {
    this.maxFrame = maxFrame;
    this.decoder.maxFrame = Math.max(maxFrame, DEFAULT_MAX_FRAME);
    this.window = Math.max(1, window);
    this.freed();
  }

  get flightWindow(): number {
    return this.window;
  }

  get lossReason(): EdgePlugError | undefined {
    return this.lost;
  }

  /** Milliseconds that `bytes` take on the line. */
  lineTime(bytes: number): number {
    return this.transport.baud === 0 ? 0 : (bytes * 10_000) / this.transport.baud;
  }

  /** Sends a request until it is answered. Throws what the board answers, TIMEOUT, INTERRUPTED or PORT_LOST. */
  async request(body: RequestBody, options: RequestOptions = {}): Promise<Answer> {
    const answer = await this.ask(body, options);
    const { error, detail, message } = answer.response;
    if (error !== 0) throw EdgePlugError.fromBoard(error, detail, message);
    return answer;
  }

  /** As request(), but a board's error is an answer like any other. */
  async ask(body: RequestBody, options: RequestOptions = {}): Promise<Answer> {
    const { clock } = this.transport;
    const { signal, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
    let attemptMs = options.attemptMs ?? DEFAULT_ATTEMPT_MS;
    const id = this.takeId();
    const line = this.encode(id, body);
    const start = clock.now();
    for (let attempts = 1; ; attempts++) {
      const left = start + timeoutMs - clock.now();
      if (left <= 0) throw this.timeout(body, start);
      if (attempts > 1) this.counters.repeats++;
      await this.acquire(left, signal);
      try {
        const patience = Math.min(attemptMs + this.lineTime(line.length), left);
        const response = await this.attempt(id, line, patience, signal);
        if (response !== undefined) return { response, attempts };
      } finally {
        this.release();
      }
      attemptMs = Math.min(attemptMs * 1.5, Math.max(attemptMs, LONGEST_ATTEMPT_MS));
    }
  }

  /**
   * Sends one frame if the board has room for it, without repeating it; undefined if there is no room now.
   * The answer may come late, or never. `done` must be called once for each frame that was sent.
   */
  post(body: RequestBody, onResponse: (response: edgeplug.Response) => void): Posted | undefined {
    if (this.inFlight + this.queue.length >= this.window || this.lost !== undefined) return undefined;
    this.inFlight++;
    const id = this.takeId();
    this.waiting.set(id, onResponse);
    void this.write(this.encode(id, body)).catch(() => undefined); // a lost line is told by onLost
    return { forget: () => this.waiting.delete(id) };
  }

  /** A posted frame no longer occupies the board. */
  done(): void {
    this.release();
  }

  onEvent(listener: (event: DeviceEvent) => void): () => void {
    this.eventListeners.add(listener);
    return () => this.eventListeners.delete(listener);
  }

  /** Calls back once when the line is gone; at once if it is. */
  onLost(listener: (reason: EdgePlugError) => void): () => void {
    if (this.lost !== undefined) listener(this.lost);
    else this.lossListeners.add(listener);
    return () => this.lossListeners.delete(listener);
  }

  /** Calls back whenever another frame may be posted. */
  onFree(listener: () => void): () => void {
    this.freeListeners.add(listener);
    return () => this.freeListeners.delete(listener);
  }

  /** Events as they come, until the signal or the end of the line; of a reader too slow, the oldest go. */
  async *events(signal?: AbortSignal): AsyncGenerator<DeviceEvent, void, void> {
    const kept: DeviceEvent[] = [];
    let wake: () => void = () => undefined;
    const poke = (): void => wake();
    const offEvent = this.onEvent((event) => {
      kept.push(event);
      if (kept.length > EVENTS_KEPT) kept.shift();
      poke();
    });
    const offLost = this.onLost(poke);
    signal?.addEventListener("abort", poke);
    try {
      while (signal?.aborted !== true) {
        const event = kept.shift();
        if (event !== undefined) yield event;
        else if (this.lost !== undefined) throw this.lost;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      offEvent();
      offLost();
      signal?.removeEventListener("abort", poke);
    }
  }

  /** Waits until an event comes in, or so long. */
  pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (act: () => void) => (): void => {
        cancel();
        offEvent();
        offLost();
        signal?.removeEventListener("abort", aborted);
        act();
      };
      const aborted = finish(() => reject(interrupted(signal)));
      const cancel = this.transport.clock.after(milliseconds, () => finish(resolve)());
      const offEvent = this.onEvent(() => finish(resolve)());
      signal?.addEventListener("abort", aborted);
      const offLost = this.onLost((reason) => queueMicrotask(finish(() => reject(reason))));
      if (signal?.aborted === true) aborted();
    });
  }

  async close(): Promise<void> {
    await this.transport.close();
  }

  private takeId(): number {
    const id = this.nextId;
    this.nextId = id >= 0xffff_ffff ? 1 : id + 1;
    return id;
  }

  private encode(id: number, body: RequestBody): Uint8Array {
    return encodeFrame({ request: { ...body, id } }, this.maxFrame);
  }

  private async write(line: Uint8Array): Promise<void> {
    this.counters.bytesSent += line.length;
    this.counters.framesSent++;
    await this.transport.write(line);
  }

  /** One sending and the wait for its answer; undefined when it did not come in time. */
  private attempt(
    id: number,
    line: Uint8Array,
    patience: number,
    signal: AbortSignal | undefined,
  ): Promise<edgeplug.Response | undefined> {
    return new Promise((resolve, reject) => {
      const finish = (act: () => void): void => {
        cancel();
        offLost();
        signal?.removeEventListener("abort", aborted);
        this.waiting.delete(id);
        act();
      };
      const aborted = (): void => finish(() => reject(interrupted(signal)));
      const cancel = this.transport.clock.after(patience, () => finish(() => resolve(undefined)));
      const offLost = this.onLost((reason) => queueMicrotask(() => finish(() => reject(reason))));
      signal?.addEventListener("abort", aborted);
      if (signal?.aborted === true) return aborted();
      this.waiting.set(id, (response) => finish(() => resolve(response)));
      this.write(line).catch((error: unknown) => finish(() => reject(EdgePlugError.from(error))));
    });
  }

  private timeout(body: RequestBody, start: number): EdgePlugError {
    const what = Object.keys(body)[0] ?? "request";
    const seconds = ((this.transport.clock.now() - start) / 1000).toFixed(1);
    const heard = this.lastHeard > start ? "it sends, but not this" : "it has been silent";
    return new EdgePlugError("TIMEOUT", `No answer from the board to ${what} within ${seconds} s: ${heard}.`);
  }

  private acquire(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(interrupted(signal));
    if (this.lost !== undefined) return Promise.reject(this.lost);
    if (this.inFlight < this.window && this.queue.length === 0) {
      this.inFlight++;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const finish = (act: () => void): void => {
        cancel();
        offLost();
        signal?.removeEventListener("abort", aborted);
        const at = this.queue.indexOf(granted);
        if (at >= 0) this.queue.splice(at, 1);
        act();
      };
      const granted = (): void => finish(resolve);
      const aborted = (): void => finish(() => reject(interrupted(signal)));
      const cancel = this.transport.clock.after(timeoutMs, () =>
        finish(() => reject(new EdgePlugError("TIMEOUT", "The line stays occupied by earlier requests."))),
      );
      const offLost = this.onLost((reason) => queueMicrotask(() => finish(() => reject(reason))));
      signal?.addEventListener("abort", aborted);
      this.queue.push(granted);
    });
  }

  private release(): void {
    this.inFlight--;
    this.freed();
  }

  private freed(): void {
    while (this.inFlight < this.window) {
      const granted = this.queue[0];
      if (granted === undefined) break;
      this.inFlight++;
      granted();
    }
    for (const listener of [...this.freeListeners]) listener();
  }

  private receive(bytes: Uint8Array): void {
    this.counters.bytesReceived += bytes.length;
    for (const frame of this.decoder.push(bytes)) {
      this.counters.framesReceived++;
      this.lastHeard = this.transport.clock.now();
      if (frame.response) {
        const response = frame.response as edgeplug.Response;
        this.waiting.get(response.id)?.(response);
      } else if (frame.event) {
        const event = toEvent(frame.event);
        for (const listener of [...this.eventListeners]) listener(event);
      }
    }
    this.counters.framesDropped = this.decoder.dropped;
  }

  private fail(reason: EdgePlugError): void {
    this.lost = reason;
    const listeners = [...this.lossListeners];
    this.lossListeners.clear();
    for (const listener of listeners) listener(reason);
  }
}

/** The error that an aborted signal stands for. */
export function interrupted(signal: AbortSignal | undefined): EdgePlugError {
  const reason: unknown = signal?.reason;
  return reason instanceof EdgePlugError
    ? reason
    : new EdgePlugError("INTERRUPTED", undefined, { cause: reason });
}
