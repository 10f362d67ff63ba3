import type { Scenario } from "../scenario.js";
import { UPDATES } from "./updates.js";

export const SCENARIOS: readonly Scenario[] = [...UPDATES];

export function scenarioNamed(name: string): Scenario {
  const found = SCENARIOS.find((one) => one.name === name);
  if (found === undefined) throw new RangeError(`no scenario is called ${name}`);
  return found;
}
