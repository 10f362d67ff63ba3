/** Builds in a thread of their own, one after the other. */
import { Worker } from "node:worker_threads";

import { CompileError } from "../agent/compile.js";
import { EdgePlugError } from "../errors.js";
import type { BuildAnswer, BuildOrder, BuiltModule } from "./compiler-thread.js";

export type { BuiltModule } from "./compiler-thread.js";

export interface CompilerOptions {
  /** Scans to check at most, whatever agent.json says. */
  checkScans: number;
  /** Coloured diagnostics. Default: false. */
  colors?: boolean;
}

interface Waiting {
  id: number;
  worker: Worker;
  resolve: (built: BuiltModule) => void;
  reject: (error: EdgePlugError) => void;
}

/** For what a compile leaves behind: with the usual room it would be swept up again and again in the middle of the next. */
const ROOM = { maxYoungGenerationSizeMb: 192 };

/** A compiler that was used before is several times as fast as one that begins. */
export class Compiler {
  private worker: Worker | undefined;
  private waiting: Waiting | undefined;
  private lastId = 0;

  constructor(private readonly options: CompilerOptions) {}

  /** Builds the agent in `folder`, absolute. Throws what building it throws; one build at a time. */
  build(folder: string): Promise<BuiltModule> {
    if (this.waiting !== undefined) throw new TypeError("a build is under way");
    const { checkScans, colors = false } = this.options;
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      const worker = (this.worker ??= this.start());
      this.waiting = { id, worker, resolve, reject };
      worker.postMessage({ id, folder, checkScans, colors } satisfies BuildOrder);
    });
  }

  async close(): Promise<void> {
    const { worker } = this;
    this.worker = undefined;
    await worker?.terminate();
  }

  private start(): Worker {
    const worker = new Worker(new URL("./compiler-thread.js", import.meta.url), { resourceLimits: ROOM });
    worker.on("message", (answer: BuildAnswer) => this.answered(answer));
    worker.on("error", (error) => this.gone(worker, EdgePlugError.from(error)));
    worker.on("exit", () => this.gone(worker, new EdgePlugError("INTERNAL", "The compiler's thread ended.")));
    return worker;
  }

  private answered(answer: BuildAnswer): void {
    const { waiting } = this;
    if (waiting?.id !== answer.id) return;
    this.waiting = undefined;
    if ("built" in answer) return waiting.resolve(answer.built);
    const { code, message, action, detail, diagnostics, fatal } = answer.failure;
    if (fatal) void this.close();
    waiting.reject(
      code === "COMPILE"
        ? new CompileError(message, diagnostics, null)
        : new EdgePlugError(code, message, { action, detail }),
    );
  }

  private gone(worker: Worker, error: EdgePlugError): void {
    if (this.worker === worker) this.worker = undefined;
    const { waiting } = this;
    if (waiting?.worker !== worker) return;
    this.waiting = undefined;
    waiting.reject(error);
  }
}
