/** Agents in the board's own engine, without a board: what `@edgeplug/testing` offers to tests of agents. */
import { fileURLToPath } from "node:url";

import { createEngine, engineModule } from "../agent/board-machine.js";
import { findAgent, type FoundAgent } from "../agent/find.js";
import { guardsOf } from "../agent/pack.js";
import { Simulation, type SimulationOptions } from "./simulation.js";

export { AgentTrap } from "../agent/trap.js";
export { placeText, type SourcePlace } from "../agent/source-map.js";
export { EdgePlugError } from "../errors.js";
export { CsvTable, parseCsv, readCsv } from "./csv.js";
export type { Inputs, Signal } from "./inputs.js";
export { Run, type Scan, type SimulationEvent } from "./run.js";
export { Simulation, type Reply, type SimulationOptions } from "./simulation.js";

/**
 * Starts an agent: the folder of its sources (compiled in memory if need be), an agent.wasm with its agent.json beside it,
 * or a package. Throws what compiling it throws, and what a board would refuse it with.
 *
 *     const agent = await simulate(new URL("..", import.meta.url), { inputs: { level: (scan) => scan } });
 *     expect(agent.run(100).output("valve").at(-1)).toBe(200);
 */
export async function simulate(agent: string | URL, options: SimulationOptions = {}): Promise<Simulation> {
  return simulateFound(await findAgent(typeof agent === "string" ? agent : fileURLToPath(agent)), options);
}

/** The same for an agent that has been found already. */
export async function simulateFound(found: FoundAgent, options: SimulationOptions = {}): Promise<Simulation> {
  const { config, wasm, map } = found;
  const engine = await createEngine();
  const module = { ...engineModule(wasm, config), guards: guardsOf(config) };
  return new Simulation({ config, wasm, map, engine, module }, options);
}
