/** Opens a board by the name that a user gives it, wherever it is. Each kind's code is loaded when it is asked for. */
import { isSelector } from "./discovery/selector.js";
import { parseGatewayName } from "./gateway/client/address.js";
import type { GatewayOptions } from "./gateway/client/options.js";
import type { BoardSession } from "./session/board-session.js";
import { DeviceSession, type ConnectOptions } from "./session/session.js";
import { openTransport } from "./transports/open.js";
import type { OpenOptions } from "./transports/transport.js";

/** `timeoutMs`: how long to look for the board, or for the gateway. Default 5,000. */
export type OpenDeviceOptions = OpenOptions & ConnectOptions & GatewayOptions;

/**
 * Opens a device by its name and finds the board there; closes the line again if there is none. `auto` and `id:PREFIX` choose
 * among the boards of this machine; which one it became, the session's `device` tells. `HOST:PORT` is the only board of a
 * gateway, `HOST:PORT/ID` one of several.
 */
export async function openDevice(name: string, options: OpenDeviceOptions = {}): Promise<BoardSession> {
  if (parseGatewayName(name) === undefined) return openPort(await portOf(name, options), options);
  const { GatewaySession } = await import("./gateway/client/gateway-session.js");
  return GatewaySession.open(name, options);
}

/** Opens a port of this machine, or a simulated board; with all that only a line at hand can do. */
export async function openPort(
  port: string,
  options: OpenOptions & ConnectOptions = {},
): Promise<DeviceSession> {
  const transport = await openTransport(port, options);
  try {
    return await DeviceSession.connect(transport, options);
  } catch (error) {
    await transport.close();
    throw error;
  }
}

async function portOf(name: string, { baud, signal }: OpenOptions & ConnectOptions): Promise<string> {
  if (!isSelector(name)) return name;
  const { resolveDevice } = await import("./discovery/resolve.js");
  return resolveDevice(name, { baud, signal });
}
