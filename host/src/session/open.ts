import { openTransport } from "../transports/open.js";
import type { OpenOptions } from "../transports/transport.js";
import { DeviceSession, type ConnectOptions } from "./session.js";

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
