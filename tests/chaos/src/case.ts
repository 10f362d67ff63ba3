/** One case: a board in a known scene, a package, and one thing that goes wrong. */
import type { Random } from "@edgeplug/sim";
import type { ChaosClass } from "@edgeplug/report/results";

import type { Bench } from "./bench.js";
import type { Parcel, Workshop } from "./parcels.js";
import { connect, type Link, type Scene, type SceneName } from "./scenes.js";
import type { Damages } from "./line.js";

export type Where = ChaosClass["where"];

/** Who may run after a case. safe mode: nobody, and the outputs hold their fail-safe values. */
export type Runner = "old" | "new" | "fallback" | "safe mode";

/** How a case ended, as the board and the host told it. */
export interface Outcome {
  /** What caught the corruption; one of the class's catchers, or the case is a violation. */
  readonly caughtBy: string;
  readonly mayRun: readonly Runner[];
  /** Swap number of the package of this case, once the board gave it one. */
  readonly swapNumber?: number | undefined;
  /** The slot whose bytes were damaged in place: they can't be compared any more. */
  readonly damagedSlot?: 0 | 1 | "both" | undefined;
  /** By design no update is taken any more, and this is what the board answers to it. */
  readonly refuses?: "JOURNAL" | undefined;
}

export interface ChaosKind {
  readonly name: string;
  readonly where: Where;
  /** Every answer that may have caught it: an outcome with another one is a violation. */
  readonly catchers: readonly string[];
  /** How many things of its kind there are; consecutive cases go through them. */
  readonly variants: number;
  run(trial: Trial): Promise<Outcome>;
}

/** The case at hand: what its class needs to know and to use. */
export class Trial {
  /** What happened, in words. */
  readonly story: string[] = [];
  /** There are bits that read differently each time: what a board finds in order may not be so a moment later. */
  unstable = false;
  /** Those bits are in a slot's record: it holds at one reading and not at the next. */
  recordWavers = false;
  /** Swap numbers of somebody's own agents: what those write is their own affair. */
  readonly strangers = new Set<number>();
  #scene: Scene | undefined;

  constructor(
    readonly number: number,
    readonly variant: number,
    readonly random: Random,
    readonly bench: Bench,
    readonly workshop: Workshop,
    readonly scenes: ReadonlyMap<SceneName, Scene>,
    /** Probability that a byte on a bad line is corrupted. */
    readonly rate: number,
    /** The package of this case, as its publisher made it. */
    public parcel: Parcel,
  ) {}

  /** The scene that was set up. */
  get scene(): Scene {
    if (this.#scene === undefined) throw new Error("no scene has been set up");
    return this.#scene;
  }

  /** Sets up a scene, one of `names` by chance. */
  async stage(...names: readonly SceneName[]): Promise<Scene> {
    const scene = this.choose(...names);
    await this.bench.load(scene.name);
    return scene;
  }

  /** As stage(), but whoever calls loads the board. */
  choose(...names: readonly SceneName[]): Scene {
    const name = this.pick(names);
    const scene = this.scenes.get(name);
    if (scene === undefined) throw new Error(`no scene ${name}`);
    this.#scene = scene;
    this.tell(`scene: ${name}`);
    return scene;
  }

  connect(damages: Damages = {}): Promise<Link> {
    return connect(this.bench, damages);
  }

  tell(what: string): void {
    this.story.push(what);
  }

  pick<T>(list: readonly T[]): T {
    const found = list[this.random.below(list.length)];
    if (found === undefined) throw new RangeError("nothing to choose from");
    return found;
  }

  /** A number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.random.below(high - low + 1);
  }

  chance(probability: number): boolean {
    return this.random.next() < probability * 0x1_0000_0000;
  }
}
