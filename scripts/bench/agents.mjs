// What a scan, or a request, of each example agent takes in the shipped engine, with the real host functions, and
// whether agents fit into a scan beside each other by the board's rule.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { Job, ROOT } from "./board.mjs";

const BUILT = join(ROOT, "build/agents");
const REQUEST_SIZE = 64;
const REQUESTS = 16;

/** Folder, agent.json as built, module. */
export function readAgents() {
  return readdirSync(BUILT)
    .sort()
    .map((folder) => ({
      folder,
      config: JSON.parse(readFileSync(join(BUILT, folder, "agent.json"), "utf8")),
      wasm: readFileSync(join(BUILT, folder, "agent.wasm")),
    }));
}

function limitsOf({ limits, inputs = [], outputs = [] }) {
  const { memory, stackSlots, callDepth } = limits;
  return { memory, stackSlots, callDepth, inputs: inputs.length, outputs: outputs.length };
}

/**
 * [{agent, kind, code, load, arena, runs, mean, max, meanFuel, maxFuel, limit, trapped}]: `scans` scans in the
 * emulated process (process.c: sags, swells, a heated plant), or requests of 64 bytes.
 */
export function measureAgents(scans) {
  return readAgents().map(({ folder, config, wasm }) => {
    const job = new Job().module(wasm, limitsOf(config));
    const request = config.kind === "request";
    if (request) {
      const place = requestBuffer(wasm);
      for (let number = 0; number < REQUESTS; number++)
        job
          .poke(
            place,
            Uint8Array.from({ length: REQUEST_SIZE }, (_, index) => 7 * number + 13 * index),
          )
          .call("handle", [REQUEST_SIZE]);
    } else {
      job.scans("scan", scans, config.limits.fuel);
    }
    const [module, ...rest] = job.run();
    if (module.result !== 0) throw new Error(`${folder}: refused (${module.result})`);
    const all = request ? rest : rest[0];
    const good = all.filter(({ result }) => result === 0);
    const trapped = good.length < all.length;
    const values = (key) => good.map((one) => one[key]);
    const mean = (key) => values(key).reduce((sum, value) => sum + value, 0) / good.length;
    return {
      agent: folder,
      kind: config.kind,
      code: wasm.length,
      load: module.instructions,
      arena: module.arena,
      runs: good.length,
      mean: mean("instructions"),
      max: Math.max(...values("instructions")),
      meanFuel: mean("fuel"),
      maxFuel: Math.max(...values("fuel")),
      limit: config.limits.fuel,
      trapped,
    };
  });
}

/** Where a request agent takes its bytes; asked of the module in V8. */
function requestBuffer(wasm) {
  const nothing = () => 0;
  const edgeplug = { input: nothing, output: nothing, now_us: () => 0n, log: nothing };
  const instance = new WebAssembly.Instance(new WebAssembly.Module(wasm), {
    edgeplug,
    env: { abort: nothing },
  });
  return instance.exports.io_buffer();
}

/** Percent of a scan that agents may take (EP_SCAN_SHARE of the hot-swap engine). */
const SCAN_SHARE = 0.7;

/**
 * Begin's rule for every control agent alone, and with each as the candidate beside each as the active one:
 * [{board, active, candidate, fuel, micros, allowed, fits}].
 */
export function checkFits(maps) {
  const agents = readAgents().filter(({ config }) => config.kind === "control");
  const found = [];
  for (const { board, tickMicros, nanosPerFuel } of maps) {
    for (const candidate of agents) {
      for (const active of [undefined, ...agents]) {
        const divider = Math.min(candidate.config.scanDivider ?? 1, active?.config.scanDivider ?? Infinity);
        const fuel = candidate.config.limits.fuel + (active?.config.limits.fuel ?? 0);
        const micros = (fuel * nanosPerFuel) / 1000;
        const allowed = tickMicros * divider * SCAN_SHARE;
        found.push({
          board,
          active: active?.folder,
          candidate: candidate.folder,
          fuel,
          micros,
          allowed,
          fits: micros <= allowed,
        });
      }
    }
  }
  return found;
}

export function readMaps() {
  return ["qemu", "sim", "stm32l552"].map((board) =>
    JSON.parse(readFileSync(join(ROOT, "firmware/boards", board, "memory-map.json"), "utf8")),
  );
}
