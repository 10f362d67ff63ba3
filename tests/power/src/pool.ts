/** Hands units of work to threads. Results come in the order of the jobs, however many threads there are. */
import { Worker } from "node:worker_threads";

import type { UnitJob, UnitResult } from "./unit.js";

/** It lies in dist/ for the sources in src/ and in dist/ alike. */
const WORKER = new URL("../dist/worker.js", import.meta.url);

/** What a point leaves behind is short-lived, and much: room for many of them before somebody has to clear up. */
const LIMITS = { maxYoungGenerationSizeMb: 192 };

export class Pool {
  private readonly threads: Worker[];

  constructor(count: number, wasm: URL | undefined) {
    this.threads = Array.from(
      { length: count },
      () => new Worker(WORKER, { workerData: { wasm: wasm?.href }, resourceLimits: LIMITS }),
    );
  }

  /** Does all jobs; `onResult` hears of each as it is done and may end the rest by giving false. */
  async run(jobs: readonly UnitJob[], onResult: (result: UnitResult) => boolean): Promise<UnitResult[]> {
    const results: (UnitResult | undefined)[] = jobs.map(() => undefined);
    let next = 0;
    let goesOn = true;
    await Promise.all(
      this.threads.map(async (thread) => {
        while (goesOn && next < jobs.length) {
          const at = next++;
          const job = jobs[at];
          if (job === undefined) break;
          const result = await answer(thread, job);
          results[at] = result;
          if (!onResult(result)) goesOn = false;
        }
      }),
    );
    return results.filter((result) => result !== undefined);
  }

  async close(): Promise<void> {
    await Promise.all(this.threads.map((thread) => thread.terminate()));
  }
}

function answer(thread: Worker, job: UnitJob): Promise<UnitResult> {
  return new Promise((resolve, reject) => {
    const onError = (error: unknown) => {
      thread.off("message", onMessage);
      reject(error instanceof Error ? error : new Error(String(error)));
    };
    const onMessage = (result: UnitResult) => {
      thread.off("error", onError);
      resolve(result);
    };
    thread.once("message", onMessage);
    thread.once("error", onError);
    thread.postMessage(job);
  });
}
