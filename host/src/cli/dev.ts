/** edgeplug dev */
import { resolve } from "node:path";

import { Command, Option } from "commander";

import { linkSignals } from "../abort.js";
import type { DevEvent } from "../dev/events.js";
import { EdgePlugError } from "../errors.js";
import type { Signer } from "../signer/signer.js";
import type { SignerOptions } from "../signer/open.js";
import { devLines, devRecord } from "./dev-lines.js";
import { namedDeviceOption, openNamed, withDevice, type DeviceOptions } from "./device-options.js";
import { boardEnded, EMULATED_KINDS, startEmulatedBoard, type EmulatedKind } from "./emulated-board.js";
import { interruptible } from "./interrupt.js";
import { followedName } from "./monitor-lines.js";
import { count, Output, readerLeft } from "./output.js";
import { withSigner } from "./signer-options.js";

interface DevOptions extends DeviceOptions, SignerOptions {
  board?: EmulatedKind;
}

/** Scans that are checked in each engine at every save; `build` runs ten times as many. */
const CHECK_SCANS = 1_000;

const EXAMPLES = `
Examples:
  edgeplug dev                                 the agent in this folder, on a simulated board of its own
  edgeplug dev my-agent --board qemu           … on an emulated Arm board
  edgeplug dev my-agent --device auto          … on the board that is connected
  edgeplug dev my-agent --device plant.example:50051/3f2a
  edgeplug dev my-agent --device auto --key publisher       a locked board
  edgeplug dev --json | jq -c 'select(.event == "swapped") | .parts'`;

export function devCommand(): Command {
  return withSigner(
    withDevice(
      new Command("dev")
        .summary("build, check, push and swap an agent each time it is saved")
        .description(
          "Watches agent.json and assembly/ in FOLDER. At every save it compiles, checks (test vectors, and 1,000 scans in two " +
            "engines; build runs 10,000), pushes and swaps, with state handed over, and says how long each part took. What fails is shown " +
            "with file and line, and the machine runs on with the agent that it has. What the agent logs is shown as it comes. " +
            "Ctrl-C ends it. Without --device it starts a simulated board, which ends with it.",
        )
        .argument("[folder]", "the agent's folder", "."),
      "print one JSON object a line",
    ),
    "publisher",
  )
    .addOption(
      new Option("--board <kind>", "start a board of this kind (default without --device: sim)").choices(
        EMULATED_KINDS,
      ),
    )
    .addHelpText("after", EXAMPLES)
    .action(async (folder: string, options: DevOptions, command: Command) => {
      const device = namedDevice(options, command.getOptionValueSource("device"));
      if (device === undefined) refuseDeviceOptions(command);
      await dev(resolve(folder), options, device);
    });
}

async function dev(folder: string, options: DevOptions, device: string | undefined): Promise<void> {
  await requireAgent(folder);
  const { openSigner } = await import("../signer/open.js");
  const signer = await openSigner(options, "publisher");
  await interruptible(async (interrupt) => {
    if (device !== undefined) return follow({ folder, device, own: false, options, signer }, interrupt);
    const { board, port } = await startEmulatedBoard(options.board ?? "sim", { speed: 1 });
    // if the board falls the rest ends as if it had been asked to, and then says why
    let fallen: unknown;
    const linked = linkSignals([interrupt]);
    const watching = boardEnded(board, linked.signal).catch((error: unknown) => {
      fallen = error;
      linked.abort();
    });
    try {
      await follow({ folder, device: port, own: true, options, signer }, linked.signal);
    } finally {
      linked.abort();
      linked.unlink();
      await watching;
      await board.close();
    }
    if (fallen !== undefined) throw fallen;
  });
}

/** What was named on the command line outranks the environment. */
function namedDevice({ device, board }: DevOptions, deviceFrom: string | undefined): string | undefined {
  if (board === undefined) return device === "" ? undefined : device;
  if (deviceFrom === "cli") {
    throw new EdgePlugError(
      "USAGE",
      "--board and --device exclude each other: the one starts a board, the other names one.",
    );
  }
  return undefined;
}

/** A board that is started here has no line speed and no gateway: who says so means another one. */
function refuseDeviceOptions(command: Command): void {
  const option = namedDeviceOption(command);
  if (option === undefined) return;
  throw new EdgePlugError(
    "USAGE",
    `${option} is about a board that --device names; without it, a board is started here.`,
    { action: `Pass --device as well, or leave ${option} out.` },
  );
}

/** A folder that is none is told at once; an agent.json with a fault may get better. */
async function requireAgent(folder: string): Promise<void> {
  const { isDirectory } = await import("../files.js");
  const { readAgentJson } = await import("../agent/config.js");
  try {
    if (!(await isDirectory(folder))) throw new EdgePlugError("FILE_UNREADABLE", `${folder} is no folder.`);
    await readAgentJson(folder);
  } catch (error) {
    const { code, message } = EdgePlugError.from(error);
    if (code === "AGENT_CONFIG") return;
    throw new EdgePlugError(code, message, {
      cause: error,
      action: "Name an agent's folder, or begin one: `edgeplug new my-agent`.",
    });
  }
}

interface Following {
  folder: string;
  device: string;
  /** The board was started for this. */
  own: boolean;
  options: DevOptions;
  signer: Signer | undefined;
}

async function follow(
  { folder, device, own, options, signer }: Following,
  interrupt: AbortSignal,
): Promise<void> {
  const { Compiler } = await import("../dev/compiler.js");
  const { develop } = await import("../dev/development.js");
  const { SourceWatch } = await import("../dev/sources.js");
  const printer = new Printer(new Output(options), own);
  const { signal, unlink } = linkSignals([interrupt, readerLeft]);
  const compiler = new Compiler({
    checkScans: CHECK_SCANS,
    colors: options.json !== true && process.stdout.isTTY,
  });
  const sources = await SourceWatch.open(folder);
  try {
    const open = (name: string, ended: AbortSignal | undefined) => openNamed(name, options, ended);
    const build = (path: string) => compiler.build(path);
    for await (const event of develop({ folder, device, open, build, sources, signer, signal }))
      printer.print(event);
  } finally {
    printer.close();
    unlink();
    sources.close();
    await compiler.close();
  }
}

/** An agent that logs or traps in every scan must not bury what else happens. */
class Printer {
  private last = "";
  private repeated = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly output: Output,
    private readonly ownBoard: boolean,
  ) {}

  print(event: DevEvent): void {
    const now = new Date();
    if (this.output.json) return this.output.result([], { time: now.toISOString(), ...devRecord(event) });
    const key = repeatable(event);
    if (key !== "" && key === this.last) {
      this.repeated++;
      this.timer ??= setTimeout(() => this.flush(), REPEATS_MS).unref();
      return;
    }
    this.flush();
    this.last = key;
    const [first, ...others] = devLines(event, this.ownBoard).map((line) => line.trimEnd());
    if (first !== undefined)
      this.output.result([`${clock(now)} ${first}`, ...others.map((line) => `${MARGIN}${line}`)], {});
  }

  /** How often the last line came again. */
  private flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.repeated > 0)
      this.output.result([`${MARGIN}${"".padEnd(9)}… and ${count(this.repeated)} more of these`], {});
    this.repeated = 0;
  }

  close(): void {
    this.flush();
  }
}

const REPEATS_MS = 2_000;
const MARGIN = " ".repeat("14:25:35 ".length);

/** The same for events that are told alike; empty for those that are always told. */
function repeatable(event: DevEvent): string {
  if (event.kind !== "followed" || event.followed.kind !== "event") return "";
  const name = followedName(event.followed);
  const { swapNumber, text, detail } = event.followed.event;
  return name === "log" || name === "trap" ? [name, swapNumber, detail, text].join(" ") : "";
}

/** Local time, `14:25:35` */
function clock(time: Date): string {
  const local = new Date(time.getTime() - time.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(11, 19);
}
