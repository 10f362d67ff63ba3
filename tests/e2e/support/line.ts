/** The harness's serial line as a session's transport: it can be pulled out, and something bad can sit in it. */
import type { Duplex } from "node:stream";

import { EdgePlugError } from "edgeplug";
import type { Clock, Transport } from "edgeplug/device";

export const BAUD = 115_200;

export class LineTransport implements Transport {
  readonly baud = BAUD;
  readonly closed: Promise<EdgePlugError | undefined>;
  #settle!: (reason: EdgePlugError | undefined) => void;
  #gone: EdgePlugError | undefined;
  #listener: (bytes: Uint8Array) => void = () => undefined;

  constructor(
    readonly name: string,
    readonly clock: Clock,
    private readonly line: Duplex,
  ) {
    this.closed = new Promise((resolve) => (this.#settle = resolve));
    line.on("data", this.#receive);
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.#listener = listener;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#gone !== undefined) throw this.#gone;
    await new Promise<void>((resolve) => this.line.write(bytes, () => resolve()));
  }

  /** The cable is pulled: whoever talks over it learns that the port has gone. */
  unplug(): void {
    this.#end(new EdgePlugError("PORT_LOST", `${this.name} vanished.`));
  }

  close(): Promise<void> {
    this.#end(undefined);
    return Promise.resolve();
  }

  #end(reason: EdgePlugError | undefined): void {
    this.line.off("data", this.#receive);
    this.#gone ??= reason ?? new EdgePlugError("PORT_LOST", `${this.name} has been closed.`);
    this.#settle(reason);
  }

  readonly #receive = (bytes: Uint8Array): void => this.#listener(bytes);
}
