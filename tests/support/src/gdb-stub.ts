/**
 * A debugger on QEMU's gdb stub: stops the core at a function's first instruction, reads and writes memory, and lets it
 * go on. While the core is stopped the flash image on disk is exactly what the chip holds.
 */
import { connect, type Socket } from "node:net";

/** Signals of stop replies: a breakpoint was hit; somebody stopped the machine. */
export const SIGTRAP = 5;

export interface Registers {
  /** r0 to r12, stack pointer, link register, program counter. */
  readonly core: readonly number[];
  readonly sp: number;
  readonly lr: number;
  readonly pc: number;
}

interface Waiter {
  resolve(body: string): void;
  reject(error: Error): void;
}

export class GdbStub {
  readonly #socket: Socket;
  #text = "";
  #reply: Waiter | undefined;
  #stop: Waiter | undefined;
  #ended: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => this.#receive(bytes.toString("latin1")));
    socket.on("error", () => undefined); // "close" follows
    socket.on("close", () => this.#end(new Error("QEMU's gdb stub has gone")));
  }

  /** Connects to the unix socket at `path`; that alone stops the core. */
  static async open(path: string): Promise<GdbStub> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    const stub = new GdbStub(socket);
    // the stub may or may not tell that it stopped the core; behind the answer to a command nothing of that is left
    await stub.command("qAttached");
    return stub;
  }

  /** Sends one packet and gives the body of its reply. */
  command(text: string): Promise<string> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#reply = { resolve, reject };
      this.#send(text);
    });
  }

  /** Lets the core run until it stops; the signal of the stop reply. */
  async go(): Promise<number> {
    if (this.#ended !== undefined) throw this.#ended;
    const stopped = new Promise<string>((resolve, reject) => (this.#stop = { resolve, reject }));
    this.#send("c");
    return Number.parseInt((await stopped).slice(1, 3), 16);
  }

  async breakAt(address: number): Promise<void> {
    await this.#ok(`Z0,${address.toString(16)},2`);
  }

  async unbreak(address: number): Promise<void> {
    await this.#ok(`z0,${address.toString(16)},2`);
  }

  /** Runs to `address`, once. The core stands before that instruction; all flash writes have reached the image. */
  async runTo(address: number): Promise<Registers> {
    await this.breakAt(address);
    const signal = await this.go();
    if (signal !== SIGTRAP) throw new Error(`the core stopped with signal ${signal}, not at a breakpoint`);
    // QEMU tells of the stop before it has drained its writes; it answers this only afterwards
    const registers = await this.registers();
    await this.unbreak(address);
    return registers;
  }

  async registers(): Promise<Registers> {
    const bytes = Buffer.from((await this.command("g")).slice(0, 128), "hex");
    const core = Array.from({ length: 16 }, (_, index) => bytes.readUInt32LE(4 * index));
    const [sp = 0, lr = 0, pc = 0] = core.slice(13);
    return { core, sp, lr, pc };
  }

  async read(address: number, size: number): Promise<Buffer> {
    const body = await this.command(`m${address.toString(16)},${size.toString(16)}`);
    const bytes = Buffer.from(body, "hex");
    if (bytes.length !== size)
      throw new Error(`gdb stub: ${size} bytes at 0x${address.toString(16)}: ${body}`);
    return bytes;
  }

  async readWord(address: number): Promise<number> {
    return (await this.read(address, 4)).readUInt32LE();
  }

  /** Code too: nothing here asks the memory protection. A reset loads the image anew. */
  async write(address: number, bytes: Uint8Array): Promise<void> {
    const hex = Buffer.from(bytes).toString("hex");
    await this.#ok(`M${address.toString(16)},${bytes.length.toString(16)}:${hex}`);
  }

  /** Whether addresses are the bus's own, so that the registers of peripherals can be reached. */
  async physical(on: boolean): Promise<void> {
    await this.#ok(`Qqemu.PhyMemMode:${on ? 1 : 0}`);
  }

  /** Lets the core go on without a debugger. */
  async detach(): Promise<void> {
    await this.#ok("D");
    this.close();
  }

  close(): void {
    this.#socket.destroy();
  }

  async #ok(text: string): Promise<void> {
    const reply = await this.command(text);
    if (reply !== "OK") throw new Error(`gdb stub: ${text} gave ${reply}`);
  }

  #send(text: string): void {
    const sum = [...text].reduce((total, char) => (total + char.charCodeAt(0)) & 0xff, 0);
    this.#socket.write(`+$${text}#${sum.toString(16).padStart(2, "0")}`);
  }

  #receive(text: string): void {
    this.#text += text;
    for (;;) {
      const packet = /^[^$]*\$([^#]*)#[0-9a-f]{2}/.exec(this.#text);
      if (packet === null) return;
      this.#text = this.#text.slice(packet[0].length);
      this.#packet(packet[1] ?? "");
    }
  }

  #packet(body: string): void {
    // replies never begin with these letters: hex is in small ones
    const isStop = body.startsWith("T") || body.startsWith("S");
    const waiter = isStop ? this.#stop : this.#reply;
    if (isStop) this.#stop = undefined;
    else this.#reply = undefined;
    if (isStop) this.#socket.write("+");
    waiter?.resolve(body);
  }

  #end(error: Error): void {
    this.#ended = error;
    this.#reply?.reject(error);
    this.#stop?.reject(error);
  }
}
