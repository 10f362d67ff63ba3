/** The command line of `npm run qemu`. */
import { parseArgs } from "node:util";

import { SCENARIOS } from "./scenario.js";

export const HELP = `The Arm image under QEMU: power cuts, careless kills, lost cores, failing agents.

  npm run qemu                                  all four, as long as a coffee
  npm run qemu -- --kills 300 --seed 7          300 times kill -9 during pushes
  npm run qemu -- --cuts all                    every distinct cut of every scenario
  npm run qemu -- --cuts 500 --scenario update
  npm run qemu -- --point update/17/half        just that cut, told step by step
  npm run qemu -- --watchdog --rollback

  --cuts N|all      cut at N points of each scenario's flash operations
  --scenario NAME   only that one: ${SCENARIOS.map(({ name }) => `"${name}"`).join(", ")}
  --point ID        one cut of an earlier run, with that run's seed
  --kills N         kill -9 at N random times during pushes
  --watchdog        lose the core in every way and time the watchdog
  --rollback        let agents fail in their trials and watch the outputs
  --seed S          of all that is random, default: a new one
  --lanes N         emulators side by side, default 2
  --json            one object with the results on stdout
  --help            this

Exit status: 0 if everything holds, 1 if something does not, 2 if the command makes no sense.
The result lies in build/results/power-qemu.json afterwards, and \`npm run report\` shows it.
`;

export interface CliOptions {
  readonly help: boolean;
  readonly json: boolean;
  readonly seed: number;
  readonly lanes: number;
  /** Points a scenario, 0: none. */
  readonly cuts: number;
  readonly kills: number;
  readonly watchdog: boolean;
  readonly rollback: boolean;
  readonly scenarios: readonly string[];
  readonly point: string | undefined;
}

const DEFAULT_CUTS = 300;
const DEFAULT_KILLS = 30;

export class UsageError extends Error {}

function whole(name: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text) || Number(text) < least)
    throw new UsageError(`--${name} wants a whole number from ${least}, not "${text}"`);
  return Number(text);
}

export function parseOptions(args: readonly string[]): CliOptions {
  const { values } = parse(args);
  const { cuts, kills, watchdog = false, rollback = false, scenario, point } = values;
  const names = SCENARIOS.map(({ name }) => name);
  if (scenario !== undefined && !names.includes(scenario))
    throw new UsageError(`there is no scenario "${scenario}", only ${names.join(", ")}`);
  const everything =
    cuts === undefined && kills === undefined && !watchdog && !rollback && scenario === undefined;
  const points = cuts === "all" ? Infinity : whole("cuts", cuts, 1);
  const some = everything || scenario !== undefined ? DEFAULT_CUTS : 0;
  return {
    help: values.help ?? false,
    json: values.json ?? false,
    seed: whole("seed", values.seed, 0) ?? Math.floor(Math.random() * 2 ** 32),
    lanes: whole("lanes", values.lanes, 1) ?? 2,
    cuts: points ?? some,
    kills: whole("kills", kills, 1) ?? (everything ? DEFAULT_KILLS : 0),
    watchdog: watchdog || everything,
    rollback: rollback || everything,
    scenarios: scenario === undefined ? names : [scenario],
    point,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        cuts: { type: "string" },
        kills: { type: "string" },
        watchdog: { type: "boolean" },
        rollback: { type: "boolean" },
        scenario: { type: "string" },
        point: { type: "string" },
        seed: { type: "string" },
        lanes: { type: "string" },
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
