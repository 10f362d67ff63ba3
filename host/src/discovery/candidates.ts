/** Where boards may be. Nothing is opened here. */
import { listSerialPorts, type SerialPortInfo, type UsbIdentity } from "../transports/serial-ports.js";
import { findUsbId, usbIds } from "./usb-ids.js";

/** A place where a board may be. */
export interface Candidate {
  /** What openDevice() takes. */
  readonly port: string;
  readonly kind: "usb" | "emulated";
  /** For people: which debugger or emulator it is. */
  readonly description: string;
  readonly usb?: UsbIdentity;
}

export interface CandidateOptions {
  /** The system's serial ports. Default: asked from the system. */
  ports?: readonly SerialPortInfo[];
  /** Default: this process's. EDGEPLUG_USB_IDS is read from it. */
  environment?: NodeJS.ProcessEnv;
}

/**
 * Ports whose USB ids are listed (usb-ids.ts), and boards that other processes of this user emulate. Throws USAGE if
 * EDGEPLUG_USB_IDS makes no sense.
 */
export async function findCandidates(options: CandidateOptions = {}): Promise<Candidate[]> {
  const ids = usbIds(options.environment);
  const candidates: Candidate[] = [];
  for (const { path, usb } of options.ports ?? (await listSerialPorts())) {
    if (usb === undefined) continue;
    const known = findUsbId(usb, ids);
    if (known === undefined) continue;
    const serial = usb.serialNumber === undefined ? "" : `, serial number ${usb.serialNumber}`;
    candidates.push({ port: path, kind: "usb", description: `${known.description}${serial}`, usb });
  }
  return [...candidates, ...(await emulatedBoards())];
}

async function emulatedBoards(): Promise<Candidate[]> {
  const { runningBoards } = await import("renode-test-harness");
  return runningBoards().map(({ name, port, pid }) => ({
    port,
    kind: "emulated",
    description: `emulated ${name} board of process ${pid}`,
  }));
}
