/** Builds of the saves of an agent's sources, one at a time; of those that wait only the last one is built. */
import { createHash } from "node:crypto";

import { EdgePlugError } from "../errors.js";
import type { BuiltModule } from "./compiler.js";
import type { DevEvent } from "./events.js";
import type { Saved } from "./sources.js";

/** A build on its way to the board. */
export interface Delivery {
  built: BuiltModule;
  /** Alike for two builds of which a board would not see the difference. */
  identity: string;
  saved: Saved;
  /** When building began and ended, by performance.now(). */
  begun: number;
  done: number;
}

export interface BuildsOptions {
  /** Absolute. */
  folder: string;
  build: (folder: string) => Promise<BuiltModule>;
  sources: {
    next(signal: AbortSignal): Promise<Saved | undefined>;
    watchAlso(files: readonly string[]): Promise<void>;
  };
}

export interface BuildsListener {
  tell(event: Extract<DevEvent, { kind: "changed" | "warnings" }>): void;
  built(delivery: Delivery): void;
  /** It does not compile or fails its checks. */
  refused(error: EdgePlugError): void;
  /** Takes what goes on beside all else; what fails in it ends everything. */
  guard(task: Promise<void>): Promise<void>;
}

export class Builds {
  private wanted: Saved | undefined;
  private building = false;

  constructor(
    private readonly options: BuildsOptions,
    private readonly listener: BuildsListener,
  ) {}

  /** Builds what is there now, then each save, until the signal. */
  async watch(signal: AbortSignal): Promise<void> {
    this.save({ at: performance.now(), files: [] }, signal);
    for (;;) {
      const saved = await this.options.sources.next(signal);
      if (saved === undefined) return;
      this.save(saved, signal);
    }
  }

  private save(saved: Saved, signal: AbortSignal): void {
    this.wanted = saved;
    if (this.building) return;
    this.building = true;
    void this.listener.guard(this.buildWanted(signal)).finally(() => (this.building = false));
  }

  private async buildWanted(signal: AbortSignal): Promise<void> {
    const { listener } = this;
    for (;;) {
      const saved = this.wanted;
      if (saved === undefined || signal.aborted) return;
      this.wanted = undefined;
      if (saved.files.length > 0) listener.tell({ kind: "changed", files: saved.files });
      try {
        const delivery = await this.build(saved);
        if (this.isOvertaken()) continue;
        const { warnings } = delivery.built;
        if (warnings !== "") listener.tell({ kind: "warnings", text: warnings });
        listener.built(delivery);
      } catch (error) {
        if (signal.aborted) return;
        if (!this.isOvertaken()) listener.refused(EdgePlugError.from(error));
      }
    }
  }

  private async build(saved: Saved): Promise<Delivery> {
    const { folder, sources, build } = this.options;
    const begun = performance.now();
    const built = await build(folder);
    const done = performance.now();
    await sources.watchAlso(built.sources);
    return { built, identity: identityOf(built), saved, begun, done };
  }

  private isOvertaken(): boolean {
    return this.wanted !== undefined;
  }
}

function identityOf({ wasm, config }: BuiltModule): string {
  return createHash("sha256").update(wasm).update(JSON.stringify(config)).digest("hex");
}
