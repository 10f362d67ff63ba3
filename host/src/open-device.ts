/** Opens a board by the name that a user gives it, wherever it is. Each kind's code is loaded when it is asked for. */
import { DeviceSession, type ConnectOptions } from "./session/session.js";
import { openTransport } from "./transports/open.js";
import type { OpenOptions } from "./transports/transport.js";

/** Opens a device by its name and finds the board there; closes the line again if there is none. */
export async function openDevice(
  device: string,
  options: OpenOptions & ConnectOptions = {},
): Promise<DeviceSession> {
  const transport = await openTransport(device, options);
  try {
    return await DeviceSession.connect(transport, options);
  } catch (error) {
    await transport.close();
    throw error;
  }
}
