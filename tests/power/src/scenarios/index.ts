import type { Scenario } from "../scenario.js";
import { AUTHORITY } from "./authority.js";
import { CONVICTIONS } from "./convictions.js";
import { OPERATOR_ACTS } from "./operator.js";
import { THE_REST } from "./rest.js";
import { TRIALS } from "./trials.js";
import { SHADOWS } from "./shadows.js";
import { UPDATES } from "./updates.js";

export const SCENARIOS: readonly Scenario[] = [
  ...UPDATES,
  ...TRIALS,
  ...SHADOWS,
  ...OPERATOR_ACTS,
  ...AUTHORITY,
  ...THE_REST,
  ...CONVICTIONS,
];

export function scenarioNamed(name: string): Scenario {
  const found = SCENARIOS.find((one) => one.name === name);
  if (found === undefined) throw new RangeError(`no scenario is called ${name}`);
  return found;
}
