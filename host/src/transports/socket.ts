/** A unix socket as a line: how boards that run inside another process of this machine are reached. */
import { connect, type Socket } from "node:net";

import { WALL_CLOCK } from "../clock.js";
import { EdgePlugError } from "../errors.js";
import { DataSink, type Transport } from "./transport.js";

export async function openSocket(path: string): Promise<Transport> {
  const socket = connect(path);
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", (error: NodeJS.ErrnoException) => reject(explainConnect(path, error)));
  });
  return new SocketTransport(path, socket);
}

function explainConnect(path: string, error: NodeJS.ErrnoException): EdgePlugError {
  if (error.code === "EACCES") {
    return new EdgePlugError("PORT_PERMISSION", `No permission to open ${path}.`, {
      cause: error,
      action: "Run as the user who started the board.",
    });
  }
  return new EdgePlugError("PORT_NOT_FOUND", `Nobody listens at ${path}: ${String(error.code)}.`, {
    cause: error,
  });
}

class SocketTransport implements Transport {
  readonly baud = 0;
  readonly clock = WALL_CLOCK;
  readonly closed: Promise<EdgePlugError | undefined>;
  private readonly sink = new DataSink();
  private closing = false;

  constructor(
    readonly name: string,
    private readonly socket: Socket,
  ) {
    socket.on("data", (bytes) => this.sink.deliver(bytes));
    socket.on("error", () => undefined); // "close" follows
    this.closed = new Promise((resolve) => {
      socket.once("close", () =>
        resolve(
          this.closing
            ? undefined
            : new EdgePlugError("PORT_LOST", `${name} has been closed by the board's side.`),
        ),
      );
    });
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.sink.set(listener);
  }

  async write(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.socket.write(bytes, (error) => {
        if (error) reject(new EdgePlugError("PORT_LOST", `${this.name} is gone.`, { cause: error }));
        else resolve();
      });
    });
  }

  async close(): Promise<void> {
    this.closing = true;
    this.socket.destroy();
    await this.closed;
  }
}
