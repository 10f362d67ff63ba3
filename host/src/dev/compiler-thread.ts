/** The thread in which a running `edgeplug dev` compiles and checks: the compiler stays warm, and nobody waits for it. */
import { setImmediate as turn } from "node:timers/promises";
import { parentPort } from "node:worker_threads";

import { assembleAgent, checkAssembled } from "../agent/build.js";
import type { CheckResult } from "../agent/check.js";
import { CompileError } from "../agent/compile.js";
import { parseAgentConfig, type AgentConfig } from "../agent/config.js";
import { EdgePlugError, type ErrorName } from "../errors.js";

const WARM_UPS = 3;

/** What is to be built. */
export interface BuildOrder {
  id: number;
  /** Absolute. */
  folder: string;
  /** Scans to check at most. */
  checkScans: number;
  colors: boolean;
}

/** A module that passed its checks; milliseconds of this thread. */
export interface BuiltModule {
  /** With fuel filled in as `build` would. */
  config: AgentConfig;
  /** agent.json gives its own fuel. */
  ownFuel: boolean;
  wasm: Uint8Array;
  mapJson: string;
  check: CheckResult;
  /** Of the compiler. */
  warnings: string;
  /** Files that went into it, absolute. */
  sources: string[];
  checkMs: number;
}

export type BuildAnswer = { id: number } & (
  | { built: BuiltModule }
  | {
      failure: {
        code: ErrorName;
        message: string;
        action: string;
        detail: number;
        /** All that the compiler printed. */
        diagnostics: string;
        /** The compiler itself failed, so that this thread can't be relied on any more. */
        fatal: boolean;
      };
    }
);

async function build({ folder, checkScans, colors }: BuildOrder): Promise<BuiltModule> {
  const assembled = await assembleAgent(folder, { colors });
  const { config, wasm, map, warnings, sources } = assembled;
  const begun = performance.now();
  const { check, complete } = await checkAssembled(assembled, Math.min(checkScans, config.checkScans));
  return {
    config: parseAgentConfig(complete),
    ownFuel: config.limits.fuel !== undefined,
    wasm,
    mapJson: map.json,
    check,
    warnings,
    sources,
    checkMs: performance.now() - begun,
  };
}

async function answer(order: BuildOrder): Promise<BuildAnswer> {
  const { id } = order;
  try {
    return { id, built: await build(order) };
  } catch (thrown) {
    const error = EdgePlugError.from(thrown);
    const { code, message, action, detail } = error;
    const diagnostics = error instanceof CompileError ? error.diagnostics : "";
    const fatal = code === "INTERNAL" || (code === "COMPILE" && !/^\S*ERROR/m.test(diagnostics));
    return { id, failure: { code, message, action, detail, diagnostics, fatal } };
  }
}

let waiting = 0;
let warm = false;
let done = Promise.resolve();

/** Until somebody has something to build: the first builds of a process take several times as long as later ones. */
async function warmUp(order: BuildOrder): Promise<void> {
  for (let count = 0; count < WARM_UPS; count++) {
    await turn();
    if (waiting > 0) return;
    await build(order).catch(() => undefined);
  }
}

parentPort?.on("message", (order: BuildOrder) => {
  waiting++;
  done = done.then(async () => {
    waiting--;
    const reply = await answer(order);
    parentPort?.postMessage(reply);
    if (warm || !("built" in reply)) return;
    warm = true;
    await warmUp(order);
  });
});
