import { statSync } from "node:fs";

import { EdgePlugError } from "../errors.js";
import type { OpenOptions, Transport } from "./transport.js";

/**
 * Opens the line to a device as users name it: `/dev/ttyUSB0`, `COM3`, `sim:` (in memory) or `sim:PATH` (its
 * flash kept in that file), or the unix socket of a board that another process runs. Each kind's code is loaded when it is asked for.
 */
export async function openTransport(device: string, options: OpenOptions = {}): Promise<Transport> {
  if (device === "") throw new EdgePlugError("USAGE", "The device's name is empty.", { action: HINT });
  if (device.startsWith("sim:")) {
    const { openSim } = await import("./sim.js");
    return openSim(device.slice("sim:".length), options);
  }
  if (isSocket(device)) {
    const { openSocket } = await import("./socket.js");
    return openSocket(device);
  }
  if (looksLikePort(device)) {
    const { openSerial } = await import("./serial.js");
    return openSerial(device, options);
  }
  throw new EdgePlugError("USAGE", `"${device}" is no device that this tool knows.`, { action: HINT });
}

const HINT =
  "Name a serial port (/dev/ttyUSB0, COM3), a simulated board (sim: or sim:FILE) or a gateway (HOST:PORT).";

function isSocket(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
}

/** A path, or a Windows port; anything with a colon is meant as something else. */
function looksLikePort(device: string): boolean {
  if (/^(\\\\\.\\)?COM\d+$/i.test(device)) return true;
  return !device.includes(":") && (device.includes("/") || device.startsWith("tty"));
}
