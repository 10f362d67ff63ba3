#!/usr/bin/env node
/**
 * conformance.wasm on stdin and stdout, as QEMU offers conformance.elf: the request loop is the image's own and waits for
 * its bytes, so it gets a process for itself.
 *
 *     node tests/conformance/dist/sim-process.js build/sim/conformance.wasm
 */
import { readFileSync, readSync, writeSync } from "node:fs";

import { wasm } from "@edgeplug/sim";

const CHUNK = 65536;
const STDIN = 0;
const STDOUT = 1;
const PAUSE_MS = 1;

/** Nobody else runs in this process: a stream that can't go on now may be waited for. */
function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
}

/** Does `io` again until the stream, if it is one that doesn't wait by itself, goes on. */
function patiently(io: () => number): number {
  for (;;) {
    try {
      return io();
    } catch (error) {
      if (!(error instanceof Error && "code" in error)) throw error;
      if (error.code === "EOF") return 0;
      if (error.code !== "EAGAIN") throw error;
      pause();
    }
  }
}

/** Bytes of stdin, one by one; −1 at its end. */
class Input {
  readonly #chunk = Buffer.alloc(CHUNK);
  #at = 0;
  #end = 0;

  next(): number {
    if (this.#at === this.#end) {
      this.#at = 0;
      this.#end = patiently(() => readSync(STDIN, this.#chunk));
      if (this.#end === 0) return -1;
    }
    return this.#chunk[this.#at++] ?? -1;
  }
}

function writeAll(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += patiently(() => writeSync(STDOUT, bytes, at));
}

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  serve(): void;
}

async function main(path: string | undefined): Promise<void> {
  if (path === undefined) throw new TypeError("which image? Name conformance.wasm.");
  const input = new Input();
  const module = await wasm.compile(readFileSync(path));
  const instance = new wasm.Instance(module, {
    conformance: {
      read: () => input.next(),
      write: (at: number, size: number) => {
        writeAll(new Uint8Array(exports.memory.buffer, at, size));
      },
    },
  });
  // the shape of the exports is settled by firmware/conformance/sim/main.c
  const exports = instance.exports as unknown as Exports;
  exports.serve();
}

await main(process.argv[2]);
