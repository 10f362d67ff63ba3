import { closeSync, openSync, readSync } from "node:fs";

/** Between two looks, real ms, unless told otherwise. */
const INTERVAL = 1;
const BUFFER_SIZE = 65_536;

/** Hands on what another process appends to a file. Nothing gets lost, however long this process is away. */
export class FileTail {
  readonly #file: number;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #buffer = Buffer.alloc(BUFFER_SIZE);

  /** The file has to be there. With an `interval` of 0 only drain() looks. */
  constructor(
    path: string,
    private readonly receive: (bytes: Buffer) => void,
    interval = INTERVAL,
  ) {
    this.#file = openSync(path, "r");
    if (interval > 0)
      this.#timer = setInterval(() => {
        this.drain();
      }, interval);
  }

  /** Hands on at once what has come so far. */
  drain(): void {
    for (;;) {
      const size = readSync(this.#file, this.#buffer);
      if (size === 0) return;
      this.receive(Buffer.from(this.#buffer.subarray(0, size)));
    }
  }

  /** The last of it, then no more. */
  close(): void {
    clearInterval(this.#timer);
    this.drain();
    closeSync(this.#file);
  }
}
