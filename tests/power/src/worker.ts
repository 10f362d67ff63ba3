/** A thread that does units of work. */
import { parentPort, workerData } from "node:worker_threads";

import { Worker, type UnitJob } from "./unit.js";

const { wasm } = workerData as { wasm: string | undefined };
const worker = new Worker(wasm === undefined ? undefined : new URL(wasm));

parentPort?.on("message", (job: UnitJob) => {
  void worker.run(job).then((result) => {
    parentPort?.postMessage(result);
  });
});
