/** Requests that keep coming while agents are swapped under them; each answer is checked. */
import type { Random } from "@edgeplug/sim";
import type { BoardClock } from "@edgeplug/test-support/clock";
import { EdgePlugError } from "edgeplug";
import type { DeviceSession } from "edgeplug/device";

import type { Answer } from "./agents.js";

/** Board time between an answer and the next request. */
const PAUSE_MS = 20;
const LARGEST = 96;
/** A board under QEMU gets far ahead of a host that is kept waiting. */
const PATIENCE_MS = 60_000;
const FAULTS_KEPT = 20;

/** What may run on the board at the moment, by swap numbers: the last that is known to run, and one that may follow. */
export class Roster {
  readonly #answers = new Map<number, { answer: Answer | undefined; largest: number }>();
  #known = 0;
  #possible = 0;

  /** A swap to an agent that owes `answer` (undefined: a control agent) is about to be asked for; `largest` bytes it takes. */
  coming(swapNumber: number, answer: Answer | undefined, largest = Infinity): void {
    this.#answers.set(swapNumber, { answer, largest });
    this.#possible = swapNumber;
  }

  /** From now on this agent runs, and none before it. */
  runs(swapNumber: number): void {
    this.#known = swapNumber;
    this.#possible = swapNumber;
  }

  get known(): number {
    return this.#known;
  }

  get possible(): number {
    return this.#possible;
  }

  /** What is wrong with a reply that came while `from` to `to` may have run; undefined if nothing is. */
  checkReply(
    from: number,
    to: number,
    request: Uint8Array,
    reply: { data: Uint8Array; swapNumber: number },
  ): string | undefined {
    const { swapNumber, data } = reply;
    if (swapNumber < from || swapNumber > to)
      return `swap ${swapNumber} answered while swap ${span(from, to)} ran`;
    const answer = this.#answers.get(swapNumber)?.answer;
    if (answer === undefined) return `swap ${swapNumber} answered, which is no request agent`;
    return Buffer.from(answer(request, data)).equals(data)
      ? undefined
      : `the answer of swap ${swapNumber} is wrong`;
  }

  /** The same for an error to a request of `size` bytes: one agent that may have run has to be one that gives it. */
  checkError(from: number, to: number, error: EdgePlugError, size = 0): string | undefined {
    for (let swapNumber = from; swapNumber <= to; swapNumber++) {
      if (
        swapNumber === 0
          ? error.code === "NO_AGENT"
          : error.code === (this.#isControl(swapNumber) ? "NO_HANDLER" : this.#refusal(swapNumber, size))
      )
        return undefined;
    }
    return `${error.code} while swap ${span(from, to)} ran: ${error.message}`;
  }

  #isControl(swapNumber: number): boolean {
    const agent = this.#answers.get(swapNumber);
    return agent !== undefined && agent.answer === undefined;
  }

  /** What a request agent says to more than its buffer holds. */
  #refusal(swapNumber: number, size: number): "REQUEST_SIZE" | undefined {
    return size > (this.#answers.get(swapNumber)?.largest ?? Infinity) ? "REQUEST_SIZE" : undefined;
  }
}

function span(from: number, to: number): string {
  return from === to ? `${from}` : `${from} to ${to}`;
}

/** What a stream needs of a session. */
export type Callee = Pick<DeviceSession, "call">;

export class RequestStream {
  sent = 0;
  /** Answered by a request agent, rightly. */
  served = 0;
  /** Answered, rightly, that nobody serves requests now. */
  declined = 0;
  /** What was wrong with others, the first few in words. */
  readonly faults: string[] = [];
  /** Sent instead of random bytes, while it is set. */
  fixed: Uint8Array | undefined;
  #state: "running" | "pausing" | "stopped" = "running";
  #paused: (() => void) | undefined;
  #resume: (() => void) | undefined;
  readonly #done: Promise<void>;

  constructor(
    private readonly session: Callee,
    private readonly clock: Pick<BoardClock, "pass">,
    private readonly roster: Roster,
    private readonly random: Random,
    /** Drawn from in place of random bytes, if there are any. */
    private readonly repeated: readonly Uint8Array[] = [],
  ) {
    this.#done = this.#run();
  }

  /** Not answered, or not rightly. */
  get lost(): number {
    return this.sent - this.served - this.declined;
  }

  /** Resolves when no request is under way. */
  pause(): Promise<void> {
    this.#state = "pausing";
    return new Promise((resolve) => (this.#paused = resolve));
  }

  resume(): void {
    this.#state = "running";
    this.#resume?.();
  }

  async stop(): Promise<void> {
    this.#state = "stopped";
    await this.#done;
  }

  async #run(): Promise<void> {
    while (this.#state !== "stopped") {
      if (this.#state === "pausing") await this.#rest();
      else await this.#one();
      await this.clock.pass(PAUSE_MS);
    }
  }

  #rest(): Promise<void> {
    this.#paused?.();
    return new Promise((resolve) => (this.#resume = resolve));
  }

  async #one(): Promise<void> {
    const request = this.fixed ?? this.#next();
    const from = this.roster.known;
    this.sent++;
    let fault: string | undefined;
    try {
      const reply = await this.session.call(request, { timeoutMs: PATIENCE_MS });
      fault = this.roster.checkReply(from, this.roster.possible, request, reply);
      if (fault === undefined) this.served++;
    } catch (thrown) {
      fault = this.roster.checkError(from, this.roster.possible, EdgePlugError.from(thrown), request.length);
      if (fault === undefined) this.declined++;
    }
    if (fault !== undefined && this.faults.length < FAULTS_KEPT) this.faults.push(fault);
  }

  #next(): Uint8Array {
    const { random, repeated } = this;
    const again = repeated.length > 0 ? repeated[random.below(repeated.length)] : undefined;
    return again ?? random.bytes(1 + random.below(LARGEST));
  }
}
