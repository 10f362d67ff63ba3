/** edgeplug devices: which boards there are, by what they say they are. */
import { Command } from "commander";

import { linkSignals } from "../abort.js";
import type { Candidate } from "../discovery/candidates.js";
import type { BoardChange } from "../discovery/watch.js";
import { EdgePlugError } from "../errors.js";
import { gatewayOptions, withGateway, type GatewayFlags } from "./gateway-options.js";
import { boardRecord, boardRow, problemRecord, problemText, table, type BoardRow } from "./device-table.js";
import { interruptible } from "./interrupt.js";
import { Output, readerLeft } from "./output.js";
import { seconds } from "./seconds.js";

interface DevicesOptions extends GatewayFlags {
  device?: string;
  all?: boolean;
  watch?: boolean;
  for?: number;
  baud: string;
  json?: boolean;
}

export function devicesCommand(): Command {
  const command = new Command("devices")
    .summary("list the boards that are connected, by what they say they are")
    .description(
      "Lists boards: id, class, agent, state, whether it is locked, and port. Asked are the ports of known debuggers, emulated " +
        "boards of this user, and ports whose USB ids EDGEPLUG_USB_IDS lists (vendor:product, …). No other port is opened.",
    )
    .option("-d, --device <device>", "only this: HOST:PORT for the boards of a gateway, or a port")
    .option("--all", "name also the ports that are left alone, and a gateway's absent boards")
    .option("--watch", "go on, and tell what comes and goes")
    .option("--for <seconds>", "with --watch: end after so long", seconds)
    .option("-b, --baud <rate>", "speed of the serial ports", "115200")
    .option("--json", "print one JSON object a line");
  return withGateway(command)
    .addHelpText(
      "after",
      "\nExamples:\n  edgeplug devices\n  edgeplug devices --all\n  edgeplug devices --json --watch\n" +
        "  edgeplug devices --device plant.example:50051",
    )
    .action(devices);
}

async function devices(options: DevicesOptions): Promise<void> {
  const baud = Number(options.baud);
  if (!Number.isInteger(baud) || baud <= 0) {
    throw new EdgePlugError("USAGE", `--baud ${options.baud} is not a number above 0.`);
  }
  if (options.for !== undefined && options.watch !== true) {
    throw new EdgePlugError("USAGE", "--for belongs to --watch.");
  }
  const output = new Output(options);
  await interruptible(async (signal) => {
    if (await tellGateway(options, output, signal)) return;
    const find = await finder(options.device);
    const { survey, watchBoards } = await import("../discovery/index.js");
    if (options.watch === true) {
      const { signal: end, unlink } = linkSignals([signal, readerLeft], options.for);
      try {
        for await (const change of watchBoards({ find, baud, signal: end })) tellChange(change, output);
      } finally {
        unlink();
      }
      return;
    }
    const candidates = await find();
    const sightings = await survey({ candidates, baud, signal });
    const boards = sightings.flatMap((sighting) => ("board" in sighting ? [sighting] : []));
    tellBoards(
      boards.map(({ board, candidate }) => [boardRow(board), boardRecord(board, candidate)]),
      output,
    );
    for (const sighting of sightings) {
      if ("problem" in sighting) output.result([problemText(sighting)], problemRecord(sighting));
    }
    if (boards.length === 0) output.note("no board answers");
    if (options.device === undefined) await tellOthers(candidates, options, output);
  });
}

/** `--device HOST:PORT` asks a gateway; false if it is something else. */
async function tellGateway(options: DevicesOptions, output: Output, signal: AbortSignal): Promise<boolean> {
  if (options.device === undefined) return false;
  const { parseGatewayName } = await import("../gateway/client/address.js");
  const address = parseGatewayName(options.device);
  if (address === undefined) return false;
  if (options.watch === true) {
    throw new EdgePlugError("USAGE", "--watch looks at this machine's ports.", {
      action: "Follow a gateway's boards with `edgeplug monitor --device HOST:PORT/ID`.",
    });
  }
  const { gatewayBoards } = await import("./gateway-devices.js");
  const boards = await gatewayBoards(address, gatewayOptions(options, !output.json), {
    includeAbsent: options.all ?? false,
    signal,
  });
  tellBoards(boards, output);
  if (boards.length === 0) output.note("the gateway has no board");
  return true;
}

async function finder(device: string | undefined): Promise<() => Promise<readonly Candidate[]>> {
  const { findCandidates } = await import("../discovery/index.js");
  if (device === undefined) return () => findCandidates();
  const { isSelector, resolveDevice } = await import("../discovery/index.js");
  const port = isSelector(device) ? await resolveDevice(device) : device;
  return async () => [{ port, kind: "usb", description: "named by the user" }];
}

function tellBoards(boards: readonly [BoardRow, object][], output: Output): void {
  if (output.json) for (const [, record] of boards) output.result([], record);
  else output.result(table(boards.map(([row]) => row)), {});
}

function tellChange(change: BoardChange, output: Output): void {
  const time = new Date();
  const record = { time: time.toISOString() };
  const clock = time.toTimeString().slice(0, 8);
  if (change.kind === "gone") {
    const { port } = change.candidate;
    output.result([`${clock} gone  ${change.id ?? ""} ${port}`], {
      event: "gone",
      ...record,
      port,
      id: change.id ?? null,
    });
    return;
  }
  const { sighting } = change;
  if ("problem" in sighting) {
    output.result([`${clock} ?     ${problemText(sighting)}`], { ...problemRecord(sighting), ...record });
  } else {
    const { board, candidate } = sighting;
    output.result([`${clock} board ${boardRow(board).join("  ")}`], {
      ...boardRecord(board, candidate),
      ...record,
    });
  }
}

/** Ports that nobody asked, so that nobody wonders. */
async function tellOthers(
  candidates: readonly Candidate[],
  options: DevicesOptions,
  output: Output,
): Promise<void> {
  const { listSerialPorts } = await import("../transports/serial-ports.js");
  const asked = new Set(candidates.map(({ port }) => port));
  const others = (await listSerialPorts()).filter(({ path }) => !asked.has(path));
  if (options.all !== true) {
    if (others.length > 0) output.note(`ports left alone: ${others.length}; --all names them`);
    return;
  }
  for (const { path, usb } of others) {
    const text =
      usb === undefined ? "no USB port" : `${usb.vendorId}:${usb.productId} ${usb.product ?? ""}`.trim();
    output.result([`${path}  left alone: ${text}`], {
      event: "port",
      port: path,
      asked: false,
      usb: usb ?? null,
    });
  }
}
