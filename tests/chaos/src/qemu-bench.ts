/** The bench around the emulated Arm board: a scene is an image of its flash, from which it boots. */
import { MEMORY_MAPS } from "@edgeplug/sim";
import { startBoard, type TestBoard } from "@edgeplug/test-support/board";
import type { BoardClock } from "@edgeplug/test-support/clock";
import type { FlashImage, FlashLayout } from "@edgeplug/test-support/flash";
import { ObserverDecoder, type Observation } from "edgeplug/device";

import type { Bench, RotKind } from "./bench.js";
import { Eyes } from "./eyes.js";
import type { Port } from "./line.js";
import { rotWhileRunning } from "./qemu-rot.js";

export class QemuBench implements Bench {
  readonly backend = "qemu";
  readonly boardClass = MEMORY_MAPS.qemu.boardClass;
  readonly rotKinds = ["flip"] as const;
  readonly port: Port;
  eyes = new Eyes();
  readonly #crashes: string[] = [];
  readonly #kept = new Map<string, Uint8Array>();
  #decoder = new ObserverDecoder();
  #listener: ((bytes: Uint8Array) => void) | undefined;

  private constructor(private readonly board: TestBoard) {
    const { serial, harness } = board;
    serial.on("data", (bytes: Buffer) => this.#listener?.(bytes));
    harness.observer.on("data", (bytes: Buffer) => this.#see(this.#decoder.push(bytes)));
    this.port = {
      write: (bytes) => new Promise((resolve) => serial.write(bytes, () => resolve())),
      listen: (listener) => (this.#listener = listener),
    };
    void this.#watchEvents();
  }

  static async create(): Promise<QemuBench> {
    return new QemuBench(await startBoard("qemu"));
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

  async rot(offset: number, masks: Uint8Array, kind: RotKind): Promise<void> {
    if (kind !== "flip") throw new RangeError(`this board's flash can't be made ${kind}`);
    const { bytes } = await this.board.flash();
    const rotten = masks.map((mask, at) => mask ^ (bytes[offset + at] ?? 0));
    const { debugSocket, harness } = this.board;
    if (!harness.powered) await this.board.writeFlash(offset, rotten);
    else if (debugSocket !== undefined) await rotWhileRunning(debugSocket, bytes, offset, rotten);
  }

  close(): Promise<void> {
    return this.board.close();
  }

  #see(observations: readonly Observation[]): void {
    for (const observation of observations) this.eyes.add(observation);
  }

  /** Whatever resets or ends the board by itself. */
  async #watchEvents(): Promise<void> {
    for await (const event of this.board.harness.events()) {
      if (event.kind === "watchdog") this.#crashes.push("reset by the watchdog");
      if (event.kind === "ended") this.#crashes.push(event.reason);
    }
  }
}
