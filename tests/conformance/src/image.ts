/**
 * Talks to a conformance image: conformance.elf under QEMU, the same code as WebAssembly in a Node process, or as a native
 * program under the sanitizers. All three take the same bytes and answer with the same lines.
 */
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The boards that the suite plays on. */
export const BOARDS = ["qemu", "sim"] as const;
export type ImageBoard = (typeof BOARDS)[number];

const QEMU = built("qemu/conformance.elf");
const SIM = built("sim/conformance.wasm");
const NATIVE = built("native/conformance-native");
/** Compiled from sim-process.ts; the same file for the sources in src/ and for what is made of them in dist/. */
const SIM_PROCESS = fileURLToPath(new URL("../dist/sim-process.js", import.meta.url));

function built(name: string): string {
  return fileURLToPath(new URL(`../../../build/${name}`, import.meta.url));
}

/** What an image said on its way out is shown up to this length. */
const SHOWN = 2000;

interface Waiting {
  readonly resolve: (line: string) => void;
  readonly reject: (error: Error) => void;
}

/** The image is not there, or it ended while an answer was due. */
export class ImageError extends Error {
  override readonly name = "ImageError";
}

export class ConformanceImage {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #exit: Promise<number | null>;
  readonly #waiting: Waiting[] = [];
  #text = "";
  #unasked = "";
  #errors = "";
  #ended: ImageError | undefined;

  private constructor(command: string, arguments_: string[]) {
    this.#process = spawn(command, arguments_);
    this.#process.stdout.setEncoding("latin1").on("data", (text: string) => {
      this.#receive(text);
    });
    this.#process.stderr.setEncoding("latin1").on("data", (text: string) => (this.#errors += text));
    this.#process.stdin.on("error", () => undefined); // the exit tells more
    this.#process.on("error", (error) => (this.#errors += error.message)); // the command could not be started
    this.#exit = new Promise((resolve) => this.#process.on("close", resolve));
    // QEMU wouldn't notice that nobody is left, and neither does a module that loops
    const end = (): void => {
      this.kill();
    };
    process.once("exit", end);
    void this.#exit.then((code) => {
      process.off("exit", end);
      const error = new ImageError(
        `the conformance image left with ${String(code)}: ${this.#errors.slice(0, SHOWN)}`,
      );
      this.#ended = error;
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    });
  }

  static start(board: ImageBoard): ConformanceImage {
    return board === "qemu" ? ConformanceImage.qemu() : ConformanceImage.sim();
  }

  static native(): ConformanceImage {
    return new ConformanceImage(existing(NATIVE, "native"), []);
  }

  static sim(): ConformanceImage {
    return new ConformanceImage(process.execPath, [SIM_PROCESS, existing(SIM, "sim")]);
  }

  static qemu(): ConformanceImage {
    return new ConformanceImage("qemu-system-arm", [
      ...["-M", "ast1030-evb,fmc-model=w25q80bl", "-nographic", "-monitor", "none", "-serial", "stdio"],
      ...["-semihosting", "-kernel", existing(QEMU, "qemu")],
    ]);
  }

  /** The line that answers `request`. Many may be under way at once; answers come in order. */
  request(request: Uint8Array): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
        return;
      }
      this.#waiting.push({ resolve, reject });
      this.send(request);
    });
  }

  /** Several requests at once; `answers` lines come of them. */
  requests(bytes: Uint8Array, answers: number): Promise<string[]> {
    const lines = Array.from(
      { length: answers },
      () => new Promise<string>((resolve, reject) => this.#waiting.push({ resolve, reject })),
    );
    this.send(bytes);
    return Promise.all(lines);
  }

  /** Part of a request, for whose answer somebody waits already. */
  send(bytes: Uint8Array): void {
    this.#process.stdin.write(bytes);
  }

  /** What it said that nobody had asked for. */
  get unasked(): string {
    return this.#unasked + this.#text;
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
    for (const line of lines) {
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#unasked += `${line}\n`;
      else waiting.resolve(line.replace(/\r$/, ""));
    }
  }
}

function existing(path: string, preset: string): string {
  if (existsSync(path)) return path;
  throw new ImageError(`${path} is missing: build the CMake preset "${preset}"`);
}
