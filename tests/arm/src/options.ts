/** The command line of `npm run qemu`. */
import { parseArgs } from "node:util";

import { reporterFault, type ReporterOptions } from "@edgeplug/report/junit";

import { ARM_BOARDS, type ArmBoard } from "./machines.js";
import { SCENARIOS } from "./scenario.js";

export const HELP = `An Arm image under its emulator: power cuts, careless kills, lost cores, failing agents.

  npm run qemu                                  all four, as long as a coffee
  npm run qemu -- --kills 300 --seed 7          300 careless kills during pushes
  npm run qemu -- --cuts all                    every distinct cut of every scenario
  npm run qemu -- --cuts 500 --scenario update
  npm run qemu -- --point update/17/half        just that cut, told step by step
  npm run qemu -- --watchdog --rollback
  npm run qemu -- --board renode                the image for silicon, under Renode

  --board NAME      qemu (default) or renode
  --cuts N|all      cut at N points of each scenario's flash operations
  --scenario NAME   only that one: ${SCENARIOS.map(({ name }) => `"${name}"`).join(", ")}
  --point ID        one cut of an earlier run, with that run's seed
  --kills N         cut power carelessly at N random times during pushes
  --watchdog        lose the core in every way and time the watchdog
  --rollback        let agents fail in their trials and watch the outputs
  --seed S          of all that is random, default: a new one
  --lanes N         emulators side by side, default 2
  --json            one object with the results on stdout
  --reporter junit  also writes JUnit XML, a case for each scenario, loss and failing agent
  --output FILE     … there (default build/results/power-<board>.xml)
  --help            this

Exit status: 0 if everything holds, 1 if something does not, 2 if the command makes no sense.
The result lies in build/results/power-<board>.json afterwards, and \`npm run report\` shows it.
`;

export interface CliOptions extends ReporterOptions {
  readonly board: ArmBoard;
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

const DEFAULT_CUTS = { qemu: 300, renode: 100 } as const;
const DEFAULT_KILLS = { qemu: 30, renode: 12 } as const;

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
  const board = ARM_BOARDS.find((name) => name === (values.board ?? "qemu"));
  if (board === undefined)
    throw new UsageError(`--board wants ${ARM_BOARDS.join(" or ")}, not "${values.board}"`);
  const { reporter, output } = values;
  const fault = reporterFault({ reporter, output });
  if (fault !== undefined) throw new UsageError(fault);
  const names = SCENARIOS.map(({ name }) => name);
  if (scenario !== undefined && !names.includes(scenario))
    throw new UsageError(`there is no scenario "${scenario}", only ${names.join(", ")}`);
  const everything =
    cuts === undefined && kills === undefined && !watchdog && !rollback && scenario === undefined;
  const points = cuts === "all" ? Infinity : whole("cuts", cuts, 1);
  const some = everything || scenario !== undefined ? DEFAULT_CUTS[board] : 0;
  return {
    board,
    help: values.help ?? false,
    json: values.json ?? false,
    seed: whole("seed", values.seed, 0) ?? Math.floor(Math.random() * 2 ** 32),
    lanes: whole("lanes", values.lanes, 1) ?? 2,
    cuts: points ?? some,
    kills: whole("kills", kills, 1) ?? (everything ? DEFAULT_KILLS[board] : 0),
    watchdog: watchdog || everything,
    rollback: rollback || everything,
    scenarios: scenario === undefined ? names : [scenario],
    point,
    reporter,
    output,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        board: { type: "string" },
        cuts: { type: "string" },
        kills: { type: "string" },
        watchdog: { type: "boolean" },
        rollback: { type: "boolean" },
        scenario: { type: "string" },
        point: { type: "string" },
        seed: { type: "string" },
        lanes: { type: "string" },
        json: { type: "boolean" },
        reporter: { type: "string" },
        output: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
