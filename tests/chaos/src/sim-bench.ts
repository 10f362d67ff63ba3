/** The bench around a simulated board: a scene is a snapshot, so that every case begins at exactly the same state. */
import { pathToFileURL } from "node:url";

import { BoardCrash, Flash, geometryOf, MEMORY_MAPS, SimBoard, type Snapshot } from "@edgeplug/sim";
import { BoardClock, runUntilAnswered } from "@edgeplug/test-support/clock";
import { FlashImage, layoutOf } from "@edgeplug/test-support/flash";
import { BAUD } from "@edgeplug/test-support/line";

import type { Bench, RotKind } from "./bench.js";
import { Eyes } from "./eyes.js";
import type { Port } from "./line.js";

const WASM = process.env["EDGEPLUG_SIM_WASM"];
const UNIT = 8;

/** Lets the board run just as long as somebody waits, at once up to the next thing that anybody waits for. */
class CaseClock extends BoardClock {
  readonly #origin: number;
  #pumping = false;
  #stopped = false;

  constructor(
    private readonly sim: SimBoard,
    private readonly fell: (error: unknown) => void,
  ) {
    super();
    this.#origin = sim.milliseconds;
  }

  /** Whoever still waits, waits for ever: the board is another one's now. */
  stop(): void {
    this.#stopped = true;
  }

  protected override wanted(): void {
    if (this.#pumping || this.#stopped) return;
    this.#pumping = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    const next = this.nextTimer;
    if (next === undefined || this.#stopped) {
      this.#pumping = false;
      return;
    }
    runUntilAnswered(this.sim, Math.max(0.001, next - this.now()), this.fell);
    this.advance(this.sim.milliseconds - this.#origin);
    setImmediate(() => this.#turn());
  }
}

export class SimBench implements Bench {
  readonly backend = "sim";
  readonly boardClass = MEMORY_MAPS.sim.boardClass;
  readonly layout = layoutOf(MEMORY_MAPS.sim.geometries.l5);
  readonly rotKinds = ["flip", "unreadable", "unstable"] as const;
  readonly port: Port;
  clock: BoardClock;
  eyes = new Eyes();
  readonly #crashes: string[] = [];
  readonly #kept = new Map<string, Snapshot>();
  /** Units that were made to rot: the board may well find out about them by programming them. */
  readonly #rotten = new Set<number>();
  #caseClock: CaseClock;

  private constructor(private readonly sim: SimBoard) {
    this.port = {
      write: (bytes) => {
        if (sim.powered) sim.send(bytes);
        return Promise.resolve();
      },
      listen: (listener) => (sim.onSerial = listener ?? (() => undefined)),
    };
    sim.onOutputs = ({ scan, sinceBootMicros, swapNumber, outputs }) =>
      this.eyes.add({ scan, timeUs: sinceBootMicros, swapNumber, outputs, spoilt: 0 });
    sim.onReset = (cause) => {
      if (cause !== "power-on") this.#crashes.push(`reset by ${cause}`);
    };
    this.#caseClock = this.#newClock();
    this.clock = this.#caseClock;
  }

  static async create(seed: number): Promise<SimBench> {
    // like silicon: a forbidden operation fails, and is counted
    const flash = new Flash(geometryOf("l5"), { seed, onViolation: "error", logLimit: 0 });
    const wasm = WASM === undefined ? {} : { wasm: pathToFileURL(WASM) };
    return new SimBench(await SimBoard.create({ flash, seed, serial: { baud: BAUD }, ...wasm }));
  }

  get crashes(): readonly string[] {
    const forbidden = this.sim.flash.violations.filter(({ message }) => !this.#isAboutRot(message));
    return [...this.#crashes, ...forbidden.map(({ message }) => message)];
  }

  keep(name: string): Promise<void> {
    this.#kept.set(name, this.sim.snapshot());
    return Promise.resolve();
  }

  load(name: string): Promise<void> {
    const snapshot = this.#kept.get(name);
    if (snapshot === undefined) throw new RangeError(`no scene ${name}`);
    this.#caseClock.stop();
    this.sim.restore(snapshot);
    this.#caseClock = this.#newClock();
    this.clock = this.#caseClock;
    this.eyes = new Eyes();
    this.#crashes.length = 0;
    this.#rotten.clear();
    return Promise.resolve();
  }

  powerOff(): Promise<void> {
    this.sim.cutPower();
    this.eyes.powerGone();
    return Promise.resolve();
  }

  powerOn(): Promise<void> {
    this.sim.powerOn();
    return Promise.resolve();
  }

  run(milliseconds: number): Promise<void> {
    return this.clock.pass(milliseconds);
  }

  image(): Promise<FlashImage> {
    return Promise.resolve(new FlashImage(this.sim.flash.image(), this.layout));
  }

  rot(offset: number, masks: Uint8Array, kind: RotKind): Promise<void> {
    const { flash } = this.sim;
    masks.forEach((mask, index) => {
      const address = flash.geometry.base + offset + index;
      this.#rotten.add(address - (address % UNIT));
      if (kind === "unreadable") flash.injectEcc(address);
      else if (kind === "unstable") flash.destabilize(address, mask);
      else flash.flip(address, mask);
    });
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#caseClock.stop();
    this.sim.cutPower();
    return Promise.resolve();
  }

  #newClock(): CaseClock {
    return new CaseClock(this.sim, (error) => {
      const crash = error instanceof BoardCrash ? error.message : String(error);
      this.#crashes.push(crash);
    });
  }

  #isAboutRot(message: string): boolean {
    const [, size, address] =
      /program of (\d+) bytes at (0x[0-9a-f]+): already programmed/.exec(message) ?? [];
    if (size === undefined || address === undefined) return false;
    for (let at = Number(address); at < Number(address) + Number(size); at += UNIT)
      if (this.#rotten.has(at)) return true;
    return false;
  }
}
