/** Opens a board by the name that a user gives it, wherever it is. Each kind's code is loaded when it is asked for. */
import { isSelector } from "./discovery/selector.js";
import { DeviceSession, type ConnectOptions } from "./session/session.js";
import { openTransport } from "./transports/open.js";
import type { OpenOptions } from "./transports/transport.js";

/**
 * Opens a device by its name and finds the board there; closes the line again if there is none. `auto` and `id:PREFIX` choose
 * among the boards of this machine; which one it became, the session's `device` tells.
 */
export async function openDevice(
  name: string,
  options: OpenOptions & ConnectOptions = {},
): Promise<DeviceSession> {
  const device = await portOf(name, options);
  const transport = await openTransport(device, options);
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
