/** The bench around an emulated board: a scene is an image of its flash, from which it boots. */
import type { TestBoard } from "@edgeplug/test-support/board";
import type { BoardClock } from "@edgeplug/test-support/clock";
import type { FlashImage, FlashLayout } from "@edgeplug/test-support/flash";
import { ObserverDecoder, type Observation } from "edgeplug/device";
import type { BoardEvent } from "renode-test-harness";

import type { Bench, RotKind } from "./bench.js";
import { Eyes } from "./eyes.js";
import type { Port } from "./line.js";

export abstract class EmulatedBench implements Bench {
  abstract readonly backend: Bench["backend"];
  abstract readonly rotKinds: readonly RotKind[];
  readonly port: Port;
  eyes = new Eyes();
  readonly #crashes: string[] = [];
  readonly #kept = new Map<string, Uint8Array>();
  #decoder = new ObserverDecoder();
  #listener: ((bytes: Uint8Array) => void) | undefined;

  protected constructor(protected readonly board: TestBoard) {
    const { serial, harness } = board;
    serial.on("data", (bytes: Buffer) => this.#listener?.(bytes));
    harness.observer.on("data", (bytes: Buffer) => this.#see(this.#decoder.push(bytes)));
    this.port = {
      write: (bytes) => new Promise((resolve) => serial.write(bytes, () => resolve())),
      listen: (listener) => (this.#listener = listener),
    };
    void this.#watchEvents();
  }

  get boardClass(): number {
    return this.board.boardClass;
  }

  get layout(): FlashLayout {
    return this.board.layout;
  }

  get clock(): BoardClock {
    return this.board.clock;
  }

  get crashes(): readonly string[] {
    return this.#crashes;
  }

  async keep(name: string): Promise<void> {
    this.#kept.set(name, (await this.board.flash()).bytes);
  }

  async load(name: string): Promise<void> {
    const image = this.#kept.get(name);
    if (image === undefined) throw new RangeError(`no scene ${name}`);
    await this.powerOff();
    await this.board.writeFlash(0, image);
    this.eyes = new Eyes();
    this.#crashes.length = 0;
    await this.powerOn();
  }

  async powerOff(): Promise<void> {
    await this.board.powerOff();
    this.#decoder = new ObserverDecoder();
    this.eyes.powerGone();
  }

  powerOn(): Promise<void> {
    return this.board.powerOn();
  }

  run(milliseconds: number): Promise<void> {
    return this.board.run(milliseconds);
  }

  image(): Promise<FlashImage> {
    return this.board.flash();
  }

  abstract rot(offset: number, masks: Uint8Array, kind: RotKind): Promise<void>;

  close(): Promise<void> {
    return this.board.close();
  }

  /** In words, if it is a crash: whatever resets or ends the board by itself, and what its flash forbids. */
  protected abstract crashOf(event: BoardEvent): string | undefined;

  #see(observations: readonly Observation[]): void {
    for (const observation of observations) this.eyes.add(observation);
  }

  async #watchEvents(): Promise<void> {
    for await (const event of this.board.harness.events()) {
      const crash = this.crashOf(event);
      if (crash !== undefined) this.#crashes.push(crash);
    }
  }
}

/** What rot makes of the bytes at `offset`. */
export function rotten(image: Uint8Array, offset: number, masks: Uint8Array): Uint8Array {
  return masks.map((mask, at) => mask ^ (image[offset + at] ?? 0));
}
