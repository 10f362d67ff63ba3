import { createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";

/** Real ms that a program which has hung up may take to be gone. */
const LEAVING = 50;

/** A unix socket that other programs reach a board's line by; one of them at a time. */
export class LineSocket {
  readonly #server: Server;
  #guest: Socket | undefined;
  #closed = false;

  private constructor(
    readonly path: string,
    private readonly line: Duplex,
  ) {
    this.#server = createServer((socket) => {
      this.#plug(socket);
    });
    // what nobody hears is gone
    line.on("data", this.#hear);
  }

  /** Listens at `path`, where nothing may be yet. */
  static async open(path: string, line: Duplex): Promise<LineSocket> {
    const socket = new LineSocket(path, line);
    await new Promise<void>((resolve, reject) => {
      socket.#server.once("error", reject);
      socket.#server.listen(path, resolve);
    });
    return socket;
  }

  close(): void {
    this.#closed = true;
    this.line.off("data", this.#hear);
    this.#guest?.destroy();
    this.#server.close();
  }

  readonly #hear = (bytes: Buffer): void => void this.#guest?.write(bytes);

  /** Whoever comes while another is just leaving waits for that. */
  #plug(socket: Socket): void {
    socket.on("error", () => undefined); // its "close" tells enough
    if (this.#guest) {
      const patience = setTimeout(() => socket.destroy(), LEAVING);
      this.#guest.once("close", () => {
        clearTimeout(patience);
        if (this.#closed) socket.destroy();
        else if (!socket.destroyed) this.#plug(socket);
      });
      return;
    }
    this.#guest = socket;
    socket.on("data", (bytes: Buffer) => void this.line.write(bytes));
    socket.on("close", () => (this.#guest = undefined));
  }
}
