import type { Duplex, Readable } from "node:stream";

import {
  HarnessError,
  type BackendName,
  type Board,
  type BoardEvent,
  type BoardSnapshot,
  type EventSought,
  type Feature,
  type FlashCut,
  type LineSought,
  type Sought,
} from "./board.js";
import { Cable } from "./cable.js";
import { EventHub } from "./event-hub.js";
import { Transcript } from "./transcript.js";

/** Virtual ms that runUntil() allows unless told otherwise. */
const WITHIN = 10_000;
/** Real ms between two looks at a board that runs by itself. */
const LOOK = 2;
/** Real ms that runUntil() allows to a clock that may stand still: so many, and for each virtual one so many more. */
const PATIENCE = 10_000;
const PATIENCE_FACTOR = 5;
/** Real ms after which a virtual clock that has not moved at all counts as one that stands still. */
const STANDSTILL = 10_000;

/** What all boards have alike: their ends of the lines, their events, and waiting in virtual time. */
export abstract class BoardBase implements Board {
  abstract readonly backend: BackendName;
  abstract readonly port: string | undefined;
  abstract readonly powered: boolean;

  protected readonly cable = new Cable();
  protected readonly observerCable = new Cable();
  protected readonly hub = new EventHub();
  readonly #transcript = new Transcript();

  constructor() {
    this.cable.onReceived = (bytes) => {
      this.#transcript.push(bytes);
    };
  }

  get serial(): Duplex {
    return this.cable;
  }

  get observer(): Readable {
    return this.observerCable;
  }

  get transcript(): string {
    return this.#transcript.text;
  }

  events(signal?: AbortSignal): AsyncIterable<BoardEvent> {
    return this.hub.events(signal);
  }

  nextEvent(accept: (event: BoardEvent) => boolean, timeout = 10_000): Promise<BoardEvent> {
    return this.hub.next(accept, timeout);
  }

  async runFor(milliseconds: number): Promise<void> {
    if (!(milliseconds >= 0)) throw new RangeError(`runFor: expected 0 or more ms, got ${milliseconds}`);
    this.needPower();
    if (this.held) return this.advance(milliseconds);
    const end = (await this.#now()) + milliseconds;
    const watch = new StandstillWatch();
    while (this.powered && watch.moved(await this.#now()) < end) await delay(LOOK);
  }

  runUntil(sought: LineSought, within?: number): Promise<string>;
  runUntil(sought: EventSought, within?: number): Promise<BoardEvent>;
  runUntil<T>(sought: () => T | Promise<T>, within?: number): Promise<Exclude<T, false | undefined>>;
  async runUntil(sought: Sought<unknown>, within = WITHIN): Promise<unknown> {
    return this.#lookAgainAndAgain(this.#search(sought), within);
  }

  abstract supports(feature: Feature): boolean;
  abstract powerOff(): Promise<void>;
  abstract kill(): Promise<void>;
  abstract powerOn(): Promise<void>;
  abstract reset(): Promise<void>;
  abstract pause(): Promise<void>;
  abstract resume(): Promise<void>;
  abstract readFlash(): Promise<Uint8Array>;
  abstract writeFlash(offset: number, bytes: Uint8Array): Promise<void>;
  abstract cutAt(cut: FlashCut | undefined): Promise<void>;
  abstract flashOperations(): Promise<number>;
  abstract virtualTime(): Promise<number | undefined>;
  abstract readMemory(address: number, size: number): Promise<Uint8Array>;
  abstract writeMemory(address: number, bytes: Uint8Array): Promise<void>;
  abstract setInput(channel: number, value: number): Promise<void>;
  abstract output(channel: number): Promise<number>;
  abstract snapshot(): Promise<BoardSnapshot>;
  abstract restore(snapshot: BoardSnapshot): Promise<void>;
  abstract close(): Promise<void>;

  /** It has power, and its time stands still until somebody lets it go on. */
  protected abstract readonly held: boolean;
  /** How finely runUntil() cuts the time of a paused board, virtual ms. */
  protected abstract readonly step: number;
  /** Lets a paused board run for so long. */
  protected abstract advance(milliseconds: number): Promise<void>;
  /** Lets a paused board run for a while, at most for so long, before somebody looks again. */
  protected advanceAStep(most: number): Promise<void> {
    return this.advance(Math.min(this.step, most));
  }

  /** From here on runUntil() looks for what is new: somebody has switched or reset the board. */
  protected startAfresh(): void {
    this.#transcript.skip();
    this.hub.skip();
  }

  protected needPower(): void {
    if (!this.powered) throw new HarnessError("BOARD_OFF", "the board has no power; powerOn() gives it some");
  }

  /** `instead` is the next step for whoever wanted it. */
  protected unsupported(what: string, instead: string): HarnessError {
    return new HarnessError(
      "UNSUPPORTED",
      `${what} is not possible on this ${this.backend} board: ${instead}`,
    );
  }

  // ---- inside -----------------------------------------------------------------------------------

  async #now(): Promise<number> {
    const now = await this.virtualTime();
    if (now === undefined) throw this.unsupported("virtual time", "start it with icount: true");
    return now;
  }

  async #lookAgainAndAgain(search: Search, within: number): Promise<unknown> {
    const limit = await Limit.of(this, within);
    for (;;) {
      const { powered } = this; // before the look: it may go meanwhile, with what is looked for
      const found = await search.look();
      if (found !== undefined && found !== false) return found;
      if (!powered) throw this.#notFound("BOARD_OFF", `the power went before ${search.what}`);
      const left = await limit.left();
      if (left <= 0) throw this.#notFound("TIMEOUT", `${search.what}: ${limit.reached}`);
      if (this.held) await this.advanceAStep(left);
      else await delay(LOOK);
    }
  }

  #notFound(code: "TIMEOUT" | "BOARD_OFF", text: string): HarnessError {
    const said = this.#transcript.tail();
    return new HarnessError(code, said === "" ? text : `${text}; it said last:\n${said}`);
  }

  #search(sought: Sought<unknown>): Search {
    if (typeof sought === "function") return { what: "what was looked for", look: sought };
    if ("line" in sought) {
      const { line } = sought;
      const what = typeof line === "string" ? `the line ${JSON.stringify(line)}` : `a line like ${line}`;
      return { what, look: () => this.#transcript.take(line) };
    }
    const { event } = sought;
    const accept = typeof event === "function" ? event : ({ kind }: BoardEvent) => kind === event;
    const what = typeof event === "function" ? "such an event" : `the event ${JSON.stringify(event)}`;
    return { what, look: () => this.hub.take(accept) };
  }
}

interface Search {
  readonly what: string;
  readonly look: () => unknown;
}

/** How long runUntil() looks. */
class Limit {
  readonly #began = performance.now();
  /** What was waited for, and did not come. */
  reached = "";

  private constructor(
    private readonly board: Board,
    private readonly within: number,
    private readonly end: number | undefined,
  ) {}

  static async of(board: Board, within: number): Promise<Limit> {
    const now = await board.virtualTime();
    return new Limit(board, within, now === undefined ? undefined : now + within);
  }

  /** Virtual ms; real ones where the board can't tell. */
  async left(): Promise<number> {
    const { within } = this;
    const real = performance.now() - this.#began;
    if (this.end === undefined) {
      this.reached = `not within ${within} real ms (its backend tells no virtual time)`;
      return within - real;
    }
    this.reached = `not within ${within} ms of the board's time`;
    const left = this.end - ((await this.board.virtualTime()) ?? NaN);
    if (left <= 0 || this.board.supports("exact-time")) return left;
    // where time is counted in instructions, that of firmware that sleeps hardly goes on
    const patience = PATIENCE + PATIENCE_FACTOR * within;
    if (real > patience)
      this.reached = `not within ${Math.round(patience)} real ms; the board sleeps for the most part`;
    return real > patience ? 0 : left;
  }
}

/** Finds out that waiting is in vain: the virtual clock of a board that sleeps for good may never move again. */
export class StandstillWatch {
  #last = NaN;
  #since = 0;

  moved(now: number): number {
    const real = performance.now();
    if (now !== this.#last) {
      this.#last = now;
      this.#since = real;
    } else if (real - this.#since > STANDSTILL) {
      throw new HarnessError(
        "TIMEOUT",
        `the board's time stands still at ${now} ms: it sleeps, or is paused`,
      );
    }
    return now;
  }
}

export function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
