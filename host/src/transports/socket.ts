/** A unix socket as a line: how boards that run inside another process of this machine are reached. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";

import { WALL_CLOCK } from "../clock.js";
import { EdgePlugError } from "../errors.js";
import { busyError, isAlive, programName, type PortHolder } from "./port-diagnosis.js";
import { DataSink, type Transport } from "./transport.js";

export async function openSocket(path: string): Promise<Transport> {
  const socket = connect(path);
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", (error: NodeJS.ErrnoException) => reject(explainConnect(path, error)));
  });
  return new SocketTransport(path, socket);
}

/** Who has the line leaves its process id beside the socket: the system doesn't tell who is at the other end of one. */
function holderFile(path: string): string {
  return `${path}.holder`;
}

function otherHolder(path: string): PortHolder | undefined {
  try {
    const pid = Number.parseInt(readFileSync(holderFile(path), "utf8"), 10);
    return isAlive(pid) ? { pid, program: programName(pid) } : undefined;
  } catch {
    return undefined; // nobody left a word
  }
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
  /** The board has answered: the line is ours. */
  private held = false;

  constructor(
    readonly name: string,
    private readonly socket: Socket,
  ) {
    socket.once("data", () => this.hold());
    socket.on("data", (bytes) => this.sink.deliver(bytes));
    socket.on("error", () => undefined); // "close" follows
    this.closed = new Promise((resolve) => {
      socket.once("close", () => resolve(this.closing ? undefined : this.hangUp()));
    });
  }

  private hold(): void {
    this.held = true;
    try {
      writeFileSync(holderFile(this.name), `${process.pid}\n`, { mode: 0o600 });
    } catch {
      // only other programs' error messages suffer
    }
  }

  private release(): void {
    if (this.held) rmSync(holderFile(this.name), { force: true });
    this.held = false;
  }

  /** A line has one other end: who comes second is hung up on before a single byte. */
  private hangUp(): EdgePlugError {
    const holder = this.held ? undefined : otherHolder(this.name);
    this.release();
    if (holder !== undefined) return busyError(this.name, [holder]);
    return new EdgePlugError("PORT_LOST", `${this.name} has been closed by the board's side.`);
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.sink.set(listener);
  }

  async write(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.socket.write(bytes, (error) => {
        if (!error) return resolve();
        // why it is closed says more than that it can't be written to
        const gone = new EdgePlugError("PORT_LOST", `${this.name} is gone.`, { cause: error });
        void this.closed.then((reason) => reject(reason ?? gone));
      });
    });
  }

  async close(): Promise<void> {
    this.closing = true;
    this.release();
    this.socket.destroy();
    await this.closed;
  }
}
