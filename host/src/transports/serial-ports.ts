/** Which serial ports there are, and what USB says of them. Nothing is opened. */
import { readdirSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";

/** How a USB device names itself. */
export interface UsbIdentity {
  /** Four hex digits, lower case. */
  readonly vendorId: string;
  /** Four hex digits, lower case. */
  readonly productId: string;
  readonly serialNumber?: string;
  readonly manufacturer?: string;
  readonly product?: string;
}

export interface SerialPortInfo {
  /** `/dev/ttyACM0`, `COM3` */
  readonly path: string;
  /** Absent for ports that are not USB. */
  readonly usb?: UsbIdentity;
}

export interface PortListOptions {
  /** Where Linux describes its devices. Default `/sys`. */
  sysfs?: string;
  /** Default: this system's. */
  platform?: NodeJS.Platform;
}

/** From a port's device up to the USB device: interface, port, and one to spare. */
const USB_ANCESTORS = 4;

/**
 * All serial ports of this machine. On Linux as the kernel describes them, without help of udev, which minimal
 * systems and containers lack; elsewhere as the serial port's driver lists them.
 */
export async function listSerialPorts(options: PortListOptions = {}): Promise<SerialPortInfo[]> {
  const { sysfs = "/sys", platform = process.platform } = options;
  return platform === "linux" ? listSysfs(join(sysfs, "class", "tty")) : listByDriver();
}

function listSysfs(folder: string): SerialPortInfo[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names
    .filter((name) => isPort(join(folder, name)))
    .sort((a, b) => a.localeCompare(b, "en", { numeric: true }))
    .map((name) => {
      const usb = usbIdentity(join(folder, name, "device"));
      return { path: `/dev/${name}`, ...(usb === undefined ? {} : { usb }) };
    });
}

/** Consoles have no device behind them; a UART of type 0 is a place on the mainboard with no chip on it. */
function isPort(entry: string): boolean {
  try {
    realpathSync(join(entry, "device"));
  } catch {
    return false;
  }
  return readAttribute(entry, "type") !== "0";
}

function usbIdentity(device: string): UsbIdentity | undefined {
  let folder = realpathSync(device);
  for (let level = 0; level < USB_ANCESTORS; level++, folder = dirname(folder)) {
    const vendorId = readAttribute(folder, "idVendor");
    const productId = readAttribute(folder, "idProduct");
    if (vendorId === undefined || productId === undefined) continue;
    return identity(vendorId, productId, {
      serialNumber: readAttribute(folder, "serial"),
      manufacturer: readAttribute(folder, "manufacturer"),
      product: readAttribute(folder, "product"),
    });
  }
  return undefined;
}

function readAttribute(folder: string, name: string): string | undefined {
  try {
    return readFileSync(join(folder, name), "utf8").trim();
  } catch {
    return undefined;
  }
}

async function listByDriver(): Promise<SerialPortInfo[]> {
  const { autoDetect } = await import("@serialport/bindings-cpp");
  const ports = await autoDetect().list();
  return ports.map(({ path, vendorId, productId, serialNumber, manufacturer }) => ({
    path,
    ...(vendorId === undefined || productId === undefined
      ? {}
      : { usb: identity(vendorId, productId, { serialNumber, manufacturer }) }),
  }));
}

function identity(
  vendorId: string,
  productId: string,
  names: Record<"serialNumber" | "manufacturer", string | undefined> & { product?: string | undefined },
): UsbIdentity {
  const known = Object.entries(names).filter(([, value]) => value !== undefined && value !== "");
  return {
    vendorId: vendorId.toLowerCase(),
    productId: productId.toLowerCase(),
    ...Object.fromEntries(known),
  };
}
