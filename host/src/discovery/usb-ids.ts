/**
 * The USB ids of ports behind which an EdgePlug board may be. Only these are opened unasked, and then they are sent one
 * short frame, Hello; so a line belongs here only if that does no harm to whatever else may be there.
 *
 * Left out on purpose: general USB-UART bridges (0403:6001 FTDI, 10c4:ea60 CP210x, 1a86:7523 CH340, 067b:2303 PL2303) and
 * the id that ST's example code gives to any device of its own (0483:5740). Anything can be behind those: a modem, a PLC, an
 * instrument, a board whose reset hangs on DTR. Who has boards behind such a bridge names the port, or lists
 * the id in EDGEPLUG_USB_IDS.
 */
import { EdgePlugError } from "../errors.js";
import type { UsbIdentity } from "../transports/serial-ports.js";

export interface KnownUsbId {
  readonly vendorId: string;
  readonly productId: string;
  readonly description: string;
}

/** STMicroelectronics. */
const ST = "0483";

/**
 * ST-LINK debuggers with a virtual COM port, as on every Nucleo board; DTR and RTS lead nowhere there. The ids stand in
 * OpenOCD's src/jtag/drivers/stlink_usb.c and in the udev rules of stlink-org/stlink, under the names given here. ST-LINK/V1
 * and V2 (3744, 3748) have no COM port, and 374d and 3755 are boot loaders.
 */
const KNOWN_USB_IDS: readonly KnownUsbId[] = [
  { vendorId: ST, productId: "374b", description: "ST-LINK/V2-1" },
  { vendorId: ST, productId: "3752", description: "ST-LINK/V2-1 without mass storage" },
  { vendorId: ST, productId: "374e", description: "STLINK-V3E" },
  { vendorId: ST, productId: "374f", description: "STLINK-V3S" },
  { vendorId: ST, productId: "3753", description: "STLINK-V3 with two COM ports" },
  { vendorId: ST, productId: "3754", description: "STLINK-V3 without mass storage" },
  { vendorId: ST, productId: "3757", description: "STLINK-V3PWR" },
];

/** Further ids, `vendor:product` in hex, separated by commas. */
export const USB_IDS_VARIABLE = "EDGEPLUG_USB_IDS";

/** The built-in list and what the environment adds. Throws USAGE if that makes no sense. */
export function usbIds(environment: NodeJS.ProcessEnv = process.env): readonly KnownUsbId[] {
  const extra = (environment[USB_IDS_VARIABLE] ?? "").split(",").map((part) => part.trim());
  return [...KNOWN_USB_IDS, ...extra.filter((part) => part !== "").map(parseId)];
}

function parseId(text: string): KnownUsbId {
  const [, vendorId, productId] = /^(?:0x)?([0-9a-f]{4}):(?:0x)?([0-9a-f]{4})$/i.exec(text) ?? [];
  if (vendorId === undefined || productId === undefined) {
    throw new EdgePlugError("USAGE", `${USB_IDS_VARIABLE}: "${text}" is no USB id.`, {
      action: "Give vendor and product as four hex digits each, such as 0403:6001, separated by commas.",
    });
  }
  return {
    vendorId: vendorId.toLowerCase(),
    productId: productId.toLowerCase(),
    description: `listed in ${USB_IDS_VARIABLE}`,
  };
}

export function findUsbId(usb: UsbIdentity, ids: readonly KnownUsbId[]): KnownUsbId | undefined {
  return ids.find((id) => id.vendorId === usb.vendorId && id.productId === usb.productId);
}
