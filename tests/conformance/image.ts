// Talks to the conformance image: conformance.elf on QEMU, or the same code as a native program under the sanitizers.
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
const NATIVE = join(ROOT, "build/native/conformance-native");
const ARM = join(ROOT, "build/qemu/conformance.elf");

interface Waiting {
  readonly resolve: (line: string) => void;
  readonly reject: (error: Error) => void;
}

export class ConformanceImage {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #exit: Promise<number | null>;
  readonly #waiting: Waiting[] = [];
  #text = "";
  #errors = "";

  private constructor(command: string, arguments_: string[]) {
    this.#process = spawn(command, arguments_);
    this.#process.stdout.setEncoding("latin1").on("data", (text: string) => {
      this.#receive(text);
    });
    this.#process.stderr.setEncoding("latin1").on("data", (text: string) => (this.#errors += text));
    this.#process.stdin.on("error", () => undefined); // the exit tells more
    this.#exit = new Promise((resolve) => this.#process.on("close", resolve));
    void this.#exit.then((code) => {
      const error = new Error(
        `the conformance image left with ${String(code)}: ${this.#errors.slice(0, 2000)}`,
      );
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    });
  }

  static native(): ConformanceImage {
    if (!existsSync(NATIVE)) throw new Error(`${NATIVE} is missing: build the CMake preset "native"`);
    return new ConformanceImage(NATIVE, []);
  }

  static qemu(): ConformanceImage {
    if (!existsSync(ARM)) throw new Error(`${ARM} is missing: build the CMake preset "qemu"`);
    return new ConformanceImage("qemu-system-arm", [
      ...["-M", "ast1030-evb,fmc-model=w25q80bl", "-nographic", "-monitor", "none", "-serial", "stdio"],
      ...["-semihosting", "-kernel", ARM],
    ]);
  }

  /** The line that answers `request`. Many may be under way at once; answers come in order. */
  request(request: Uint8Array): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#process.stdin.write(request);
    });
  }

  /** Sends `Q`; the exit code. */
  async quit(): Promise<number | null> {
    this.#process.stdin.write("Q");
    return this.#exit;
  }

  /** For whoever can't be sure that it still listens. */
  kill(): void {
    this.#process.kill("SIGKILL");
  }

  #receive(text: string): void {
    const lines = (this.#text + text).split("\n");
    this.#text = lines.pop() ?? "";
    for (const line of lines) this.#waiting.shift()?.resolve(line.replace(/\r$/, ""));
  }
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function ed25519Request(key: Uint8Array, signature: Uint8Array, message: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from("E"), key, signature, u32(message.length), message]);
}

export function hashRequest(kind: "H" | "C", message: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(kind), u32(message.length), message]);
}
