/** The command line: what may be said, and what it means. */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import type { GatewayOptions } from "edgeplug/device";
import { completionScript, SHELLS, type Shell } from "edgeplug/completion";
import { EdgePlugError } from "edgeplug/errors";
import { gatewayOptions, withGateway, type GatewayFlags } from "edgeplug/gateway-options";
import { checkSignerOptions, type SignerOptions } from "edgeplug/signer";

import {
  atLeastOne,
  readTolerances,
  shadowRequest,
  zeroOrMore,
  type ShadowFlags,
  type ShadowRequest,
} from "./shadow-options.js";

export type Verb =
  | { kind: "push" | "dry-run"; packageFile: string; agentFile?: string }
  | { kind: "info" }
  | { kind: "status" }
  | { kind: "history" }
  | { kind: "rollback" }
  | { kind: "abort" }
  | { kind: "confirm" }
  | { kind: "save"; file: string }
  | { kind: "request"; data: string };

export type ColorChoice = "auto" | "always" | "never";

export interface Settings {
  device: string;
  baud: number;
  json: boolean;
  color: ColorChoice;
  debug: boolean;
  allowDowngrade: boolean;
  force: boolean;
  /** Undefined: activate at once. */
  shadow: ShadowRequest | undefined;
  /** For the whole command; undefined: each step's own default. */
  timeoutMs: number | undefined;
  /** How to sign what a locked board takes from an operator only. */
  operator: SignerOptions;
  /** Whom to trust and how to log in, if the device is a gateway's. */
  gateway: GatewayOptions;
  verb: Verb;
}

interface Flags extends SignerOptions, GatewayFlags, ShadowFlags {
  device?: string;
  agent?: string;
  manifest?: string;
  info?: boolean;
  status?: boolean;
  history?: boolean;
  rollback?: boolean;
  abort?: boolean;
  confirm?: boolean;
  save?: string;
  request?: string;
  baud: number;
  timeout?: number;
  allowDowngrade?: boolean;
  force?: boolean;
  dryRun?: boolean;
  color: ColorChoice;
  completion?: Shell;
  json?: boolean;
  debug?: boolean;
}

const EXAMPLES = `
Examples:
  edgeplug-push --device /dev/ttyUSB0 voltage-event.epk       swap the running agent and wait out its trial
  edgeplug-push --device /dev/ttyUSB0 --agent agent.bin --manifest manifest.pb
  edgeplug-push --device auto voltage-event.epk               to the only board that is connected
  edgeplug-push --device id:3f2a voltage-event.epk            to the board whose id begins so
  edgeplug-push --device auto --dry-run voltage-event.epk     would the board take it? Changes nothing
  edgeplug-push --device auto --shadow 5000 voltage-event.epk     first 5,000 scans beside the running agent
  edgeplug-push --device auto --shadow 5000 --tolerance 0.01,power=0.5 --allow-differences 10 agent.epk
  edgeplug-push --device /dev/ttyUSB0 --info                  what board is this, what does it run?
  edgeplug-push --device /dev/ttyUSB0 --status --json         the same for scripts, with counters
  edgeplug-push --device /dev/ttyUSB0 --save old.epk          fetch the running package, byte for byte
  edgeplug-push --device /dev/ttyUSB0 --rollback              back to the agent in the other slot
  edgeplug-push --device /dev/ttyUSB0 --rollback --key operator.key      the same on a locked board
  edgeplug-push --device /dev/ttyUSB0 --request 616263        ask a request agent; or --request @file
  edgeplug-push --device sim:board.flash agent.epk            try it on a simulated board kept in a file
  edgeplug-push --device plant.example:50051 agent.epk        to the only board of a gateway
  edgeplug-push --device plant.example:50051/3f2a --info      to one of several, after edgeplug login

The device can also stand in EDGEPLUG_DEVICE. A push that was cut short is resumed by pushing again.

Exit codes: 0 only when the new agent stayed; 2 usage; 10 files; 20 to 25 the package; 30 to 37 the board said
no; 40, 41 flash or journal; 50 to 54 the agent's code; 55 it gave other outputs than the running one; 60 rolled
back; 61 rejected; 70 a defect in this tool; 71 to 79 port, line and board; 80 to 89 gateway and login; 130
stopped by Ctrl-C. Every error prints its code, EP and four digits.`;

/** Parses the arguments; undefined when they only asked for help or the version, which has been printed. */
export function parseArguments(args: readonly string[], version: string): Settings | undefined {
  const program = command(version);
  try {
    program.parse(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    throw usage(error.message.replace(/^error: /, ""));
  }
  const flags = program.opts<Flags>();
  if (flags.completion !== undefined) {
    process.stdout.write(completionScript(flags.completion, program));
    return undefined;
  }
  const verb = chooseVerb(flags, program.args);
  const shadow = shadowRequest(flags);
  if (shadow !== undefined && verb.kind !== "push" && verb.kind !== "dry-run") {
    throw usage("--shadow needs a package.");
  }
  if (flags.device === undefined || flags.device === "") {
    throw new EdgePlugError("USAGE", "No device was named.", {
      action:
        "Pass --device PORT, or --device auto if only one board is connected; `edgeplug devices` lists them.",
    });
  }
  const { key, signWith, publicKey } = flags;
  const operator = { key, signWith, publicKey };
  checkSignerOptions(operator);
  return {
    device: flags.device,
    baud: flags.baud,
    json: flags.json ?? false,
    color: flags.color,
    debug: flags.debug ?? false,
    allowDowngrade: flags.allowDowngrade ?? false,
    force: flags.force ?? false,
    shadow,
    timeoutMs: flags.timeout === undefined ? undefined : flags.timeout * 1000,
    operator,
    gateway: gatewayOptions(flags, flags.json !== true),
    verb,
  };
}

function command(version: string): Command {
  const push = new Command("edgeplug-push")
    .description("Swap the agent inside a running EdgePlug board, and see that the new one stays.")
    .argument("[package]", "the .epk file to push")
    .addOption(
      new Option(
        "-d, --device <port>",
        "serial port, auto, id:PREFIX, sim:FILE, or a gateway's HOST:PORT[/ID]",
      ).env("EDGEPLUG_DEVICE"),
    )
    .option("--agent <file>", "push a loose agent.bin …")
    .option("--manifest <file>", "… with its manifest.pb")
    .option("--info", "say what board this is and what its slots hold")
    .option("--status", "say what runs, how it does, and how the last update ended")
    .option("--history", "print the board's journal, newest first")
    .option("--rollback", "go back to the agent in the other slot")
    .option("--abort", "end an update or a trial that is under way")
    .option("--confirm", "say that the agent in its trial may stay")
    .option("--save <file>", "fetch the running package into a file")
    .option("--request <data>", "send a request to a request agent: hex digits, or @file")
    .option("-b, --baud <rate>", "speed of the serial port", positive, 115200)
    .option("-t, --timeout <seconds>", "give up after so long", positive)
    .option("--allow-downgrade", "also take an older release or security version")
    .option(
      "--shadow <scans>",
      "first run it beside the running agent for so many scans or requests, compared and not applied",
      atLeastOne,
    )
    .option(
      "--tolerance <t>",
      "with --shadow: a difference that still agrees, or one by output: power=0.5,flow=0.01",
      readTolerances,
    )
    .option("--allow-differences <n>", "with --shadow: so many scans or requests may differ", zeroOrMore)
    .option("--key <file>", "an operator's private key, for what a locked board wants signed")
    .option(
      "--sign-with <command>",
      "or a command that signs: bytes on its input, 64 raw bytes on its output",
    )
    .option("--public-key <file>", "the operator's public key, by which --sign-with's signatures must hold")
    .option("--force", "let --save replace a file")
    .option("--dry-run", "check all that can be known of a push, and change nothing")
    .addOption(
      new Option("--color <when>", "auto: on a terminal, unless NO_COLOR is set")
        .choices(["auto", "always", "never"])
        .default("auto"),
    )
    .option("--json", "print one JSON object a line, and nothing else")
    .option("--debug", "show where an error came from")
    .addOption(new Option("--completion <shell>", "print a completion script").choices(SHELLS))
    .version(version, "-V, --version");
  return withGateway(push)
    .addHelpText("after", EXAMPLES)
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError("Expected a number above 0.");
  return value;
}

function chooseVerb(flags: Flags, files: readonly string[]): Verb {
  const chosen: Verb[] = [];
  if (flags.info) chosen.push({ kind: "info" });
  if (flags.status) chosen.push({ kind: "status" });
  if (flags.history) chosen.push({ kind: "history" });
  if (flags.rollback) chosen.push({ kind: "rollback" });
  if (flags.abort) chosen.push({ kind: "abort" });
  if (flags.confirm) chosen.push({ kind: "confirm" });
  if (flags.save !== undefined) chosen.push({ kind: "save", file: flags.save });
  if (flags.request !== undefined) chosen.push({ kind: "request", data: flags.request });
  const push = packageToPush(flags, files[0]);
  if (push !== undefined) chosen.push(push);
  if (files.length > 1) throw usage(`One package at a time; ${files.length} were named.`);
  const [verb] = chosen;
  if (flags.dryRun === true && verb?.kind !== "dry-run") throw usage("--dry-run needs a package.");
  if (verb === undefined)
    throw usage("Nothing to do: name a package, or one of --info, --status, --rollback …");
  if (chosen.length > 1)
    throw usage(`One thing at a time: ${chosen.map(({ kind }) => kind).join(" and ")} were asked for.`);
  return verb;
}

function packageToPush(flags: Flags, file: string | undefined): Verb | undefined {
  const { agent, manifest } = flags;
  const kind = flags.dryRun === true ? "dry-run" : "push";
  if (agent === undefined && manifest === undefined) {
    return file === undefined ? undefined : { kind, packageFile: file };
  }
  if (file !== undefined) throw usage("Name either a package, or --agent with --manifest.");
  if (agent === undefined || manifest === undefined) {
    throw usage(
      agent === undefined ? "--manifest needs --agent as well." : "--agent needs --manifest as well.",
    );
  }
  return { kind, packageFile: manifest, agentFile: agent };
}

function usage(message: string): EdgePlugError {
  const line = message.replace(/\s*\n\s*/g, " ").trim();
  return new EdgePlugError("USAGE", line.charAt(0).toUpperCase() + line.slice(1), {
    action: "See `edgeplug-push --help`.",
  });
}
