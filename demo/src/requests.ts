/** Requests that keep coming while hash agents are swapped under them: each reply is checked. */
import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import type { DeviceSession } from "edgeplug/device";

const LARGEST_REQUEST = 200;
const PAUSE_MS = 5;

export class RequestStream {
  sent = 0;
  /** Answered, and by the algorithm of the agent whose swap number the reply carries. */
  right = 0;
  /** What was wrong with the others. */
  readonly faults: string[] = [];
  /** How many replies each swap number gave. */
  readonly bySwap = new Map<number, number>();
  readonly #algorithms = new Map<number, string>();
  #running = true;
  readonly #done: Promise<void>;

  /** Begins to send. The agent that runs now has `swapNumber` and answers by `algorithm`. */
  constructor(
    readonly session: DeviceSession,
    swapNumber: number,
    algorithm: string,
  ) {
    this.expect(swapNumber, algorithm);
    this.#done = this.#run();
  }

  /** The agent with this swap number will answer by `algorithm` (a name that node:crypto knows). */
  expect(swapNumber: number, algorithm: string): void {
    this.#algorithms.set(swapNumber, algorithm);
  }

  get lost(): number {
    return this.sent - this.right;
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
  }

  async #run(): Promise<void> {
    while (this.#running) {
      const data = randomBytes(1 + (this.sent % LARGEST_REQUEST));
      this.sent++;
      try {
        const reply = await this.session.call(data);
        this.#check(data, reply.data, reply.swapNumber);
      } catch (error) {
        this.faults.push(error instanceof Error ? error.message : String(error));
      }
      await sleep(PAUSE_MS);
    }
  }

  #check(data: Uint8Array, reply: Uint8Array, swapNumber: number): void {
    const algorithm = this.#algorithms.get(swapNumber);
    this.bySwap.set(swapNumber, (this.bySwap.get(swapNumber) ?? 0) + 1);
    if (algorithm === undefined) {
      this.faults.push(`a reply carries swap number ${swapNumber}, which no hash agent has`);
    } else if (createHash(algorithm).update(data).digest().equals(reply)) {
      this.right++;
    } else {
      this.faults.push(`a reply of swap ${swapNumber} is not the ${algorithm} of its request`);
    }
  }
}
