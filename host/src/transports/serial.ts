import { existsSync } from "node:fs";

import type { SerialPortStream } from "@serialport/stream";

import { WALL_CLOCK } from "../clock.js";
import { EdgePlugError } from "../errors.js";
import { busyError, checkPort, notFoundError } from "./port-diagnosis.js";
import { DataSink, type OpenOptions, type Transport } from "./transport.js";

export const DEFAULT_BAUD = 115200;

/** How often the port's device file is looked for: a hang-up alone reads as silence. */
const PRESENCE_INTERVAL_MS = 200;

/** Device files of the serial ports that the system knows; none where it doesn't tell. */
async function listPorts(): Promise<string[]> {
  const { listSerialPorts } = await import("./serial-ports.js");
  try {
    return (await listSerialPorts()).map((port) => port.path);
  } catch {
    return [];
  }
}

/** Opens a serial port, 8N1, exclusively; DTR and RTS stay as the system leaves them. */
export async function openSerial(path: string, options: OpenOptions = {}): Promise<Transport> {
  await checkPort(path, listPorts);
  // Its parts instead of the whole `serialport`, most of which are parsers: each start would read thirty files more.
  const { SerialPortStream: Port } = await import("@serialport/stream");
  const { autoDetect } = await import("@serialport/bindings-cpp");
  const baudRate = options.baud ?? DEFAULT_BAUD;
  const port = new Port({ binding: autoDetect(), path, baudRate, autoOpen: false, lock: true, hupcl: false });
  await new Promise<void>((resolve, reject) => {
    port.open((error) => (error ? reject(explainOpen(path, baudRate, error)) : resolve()));
  });
  return new SerialTransport(path, baudRate, port);
}

function explainOpen(path: string, baud: number, error: Error): EdgePlugError {
  const text = error.message;
  if (/cannot lock port|resource busy|access denied|temporarily unavailable/i.test(text))
    return busyError(path);
  if (/no such file|file not found|no such device/i.test(text)) return notFoundError(path, []);
  if (/permission denied/i.test(text)) {
    return new EdgePlugError("PORT_PERMISSION", `No permission to open ${path}.`, { cause: error });
  }
  if (/inappropriate ioctl/i.test(text)) {
    return new EdgePlugError("PORT_NOT_FOUND", `${path} is no serial port.`, { cause: error });
  }
  if (/baud/i.test(text)) {
    return new EdgePlugError("USAGE", `${path} can't do ${baud} baud.`, { cause: error });
  }
  return new EdgePlugError("PORT_NOT_FOUND", `${path} can't be opened as a serial port: ${text}`, {
    cause: error,
  });
}

class SerialTransport implements Transport {
  readonly clock = WALL_CLOCK;
  readonly closed: Promise<EdgePlugError | undefined>;
  private readonly sink = new DataSink();
  private readonly presence: NodeJS.Timeout;
  private settle!: (reason: EdgePlugError | undefined) => void;
  private reason: EdgePlugError | undefined;

  constructor(
    readonly name: string,
    readonly baud: number,
    private readonly port: SerialPortStream,
  ) {
    this.closed = new Promise((resolve) => (this.settle = resolve));
    port.on("data", (bytes: Buffer) => this.sink.deliver(bytes));
    port.on("error", (error: Error) => this.lost(error));
    port.on("close", (error: Error | null) => (error ? this.lost(error) : this.settle(this.reason)));
    port.on("end", () => this.lost(new Error("end of file")));
    this.presence = setInterval(() => {
      if (process.platform !== "win32" && !existsSync(name)) this.lost(new Error("its device file is gone"));
    }, PRESENCE_INTERVAL_MS);
    this.presence.unref();
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.sink.set(listener);
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.reason !== undefined) throw this.reason;
    await new Promise<void>((resolve, reject) => {
      this.port.write(Buffer.from(bytes), (error) => {
        if (!error) return resolve();
        this.lost(error);
        reject(this.reason ?? error);
      });
    });
  }

  async close(): Promise<void> {
    clearInterval(this.presence);
    if (this.port.isOpen) {
      await new Promise<void>((resolve) => this.port.close(() => resolve()));
    }
    this.settle(this.reason);
  }

  private lost(error: Error): void {
    if (this.reason !== undefined) return;
    this.reason = new EdgePlugError("PORT_LOST", `${this.name} vanished: ${error.message}.`, {
      cause: error,
    });
    clearInterval(this.presence);
    if (this.port.isOpen) this.port.close(() => undefined);
    this.settle(this.reason);
  }
}
