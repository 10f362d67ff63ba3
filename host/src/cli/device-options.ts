/** `--device` and what goes with it, for commands that talk to one board. */
import { Option, type Command } from "commander";

import { EdgePlugError } from "../errors.js";
import type { BoardSession } from "../session/board-session.js";
import { gatewayOptions, withGateway, type GatewayFlags } from "./gateway-options.js";
import { interruptible } from "./interrupt.js";

export interface DeviceOptions extends GatewayFlags {
  device?: string;
  baud: string;
  json?: boolean;
}

/** `json`: what --json is about. */
export function withDevice(command: Command, json = "print one JSON object"): Command {
  command
    .addOption(
      new Option(
        "-d, --device <port>",
        "serial port, auto, id:PREFIX, sim:FILE, or a gateway's HOST:PORT[/ID]",
      ).env("EDGEPLUG_DEVICE"),
    )
    .option("-b, --baud <rate>", "speed of the serial port", "115200")
    .option("--json", json);
  return withGateway(command);
}

/** What --device or the environment names; throws USAGE if neither does: a board is never chosen unasked. */
export function requireDevice({ device }: DeviceOptions): string {
  if (device !== undefined && device !== "") return device;
  throw new EdgePlugError("USAGE", "No device was named.", {
    action:
      "Pass --device PORT, or --device auto if only one board is connected; `edgeplug devices` lists them.",
  });
}

/** What is only about a board that --device names, as it was written; undefined if there is nothing of that kind. */
export function namedDeviceOption(command: Command): string | undefined {
  const about = ["baud", "ca", "trust", "tokenFile", "clientCert", "clientKey"];
  const given = command.options.find(
    (option) =>
      about.includes(option.attributeName()) &&
      command.getOptionValueSource(option.attributeName()) === "cli",
  );
  return given?.long;
}

/** Opens `device` with the options' baud rate, trust and login. The caller closes it. */
export async function openNamed(
  device: string,
  options: DeviceOptions,
  signal: AbortSignal | undefined,
): Promise<BoardSession> {
  const baud = Number(options.baud);
  if (!Number.isInteger(baud) || baud <= 0) {
    throw new EdgePlugError("USAGE", `--baud ${options.baud} is not a number above 0.`);
  }
  const { openDevice } = await import("../open-device.js");
  return openDevice(device, { ...gatewayOptions(options, options.json !== true), baud, signal });
}

/** Opens the board that the options name and closes it again whatever `act` does; Ctrl-C aborts the signal. */
export async function withSession(
  options: DeviceOptions,
  act: (session: BoardSession, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const device = requireDevice(options);
  await interruptible(async (signal) => {
    const session = await openNamed(device, options, signal);
    try {
      await act(session, signal);
    } finally {
      await session.close();
    }
  });
}
