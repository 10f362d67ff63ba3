import { EventEmitter } from "node:events";
import type { Socket } from "node:net";

import { HarnessError } from "./board.js";

/** An event of QEMU's machine protocol, e.g. WATCHDOG or RESET. */
export interface QmpEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** What a QMP command answered instead of its result. */
export class QmpError extends Error {
  override readonly name = "QmpError";
  constructor(
    readonly command: string,
    message: string,
  ) {
    super(`${command}: ${message}`);
  }
}

/** A client of QEMU's machine protocol over a connected socket. Emits "event" with a QmpEvent. */
export class Qmp extends EventEmitter<{ event: [QmpEvent] }> {
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #text = "";
  #closed = false;

  private constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      this.#receive(text);
    });
    socket.on("error", () => undefined); // "close" follows
    socket.on("close", () => {
      this.#close();
    });
  }

  /** Takes over `socket` and negotiates. */
  static async open(socket: Socket): Promise<Qmp> {
    const qmp = new Qmp(socket);
    await qmp.execute("qmp_capabilities");
    return qmp;
  }

  async execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (this.#closed) throw new HarnessError("EMULATOR_ENDED", `${command}: QEMU has gone`);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, {
        resolve,
        reject: (error) => {
          reject(error instanceof QmpError ? new QmpError(command, error.message) : error);
        },
      });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
  }

  #receive(text: string): void {
    const lines = (this.#text + text).split("\n");
    this.#text = lines.pop() ?? "";
    for (const line of lines)
      if (line.trim() !== "") this.#message(JSON.parse(line) as Record<string, unknown>);
  }

  #message(message: Record<string, unknown>): void {
    if (typeof message["event"] === "string") {
      this.emit("event", {
        event: message["event"],
        data: (message["data"] ?? {}) as Record<string, unknown>,
      });
      return;
    }
    const pending = this.#pending.get(message["id"] as number);
    if (!pending) return; // the greeting
    this.#pending.delete(message["id"] as number);
    const error = message["error"] as { desc?: string } | undefined;
    if (error) pending.reject(new QmpError("", error.desc ?? "failed"));
    else pending.resolve(message["return"]);
  }

  #close(): void {
    this.#closed = true;
    for (const { reject } of this.#pending.values())
      reject(new HarnessError("EMULATOR_ENDED", "QEMU has gone"));
    this.#pending.clear();
  }
}
