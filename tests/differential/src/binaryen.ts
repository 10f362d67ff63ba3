/**
 * Random valid modules by Binaryen's own fuzzer, `wasm-opt -ttf`. The program is that of the npm package, run inside this
 * process: to start it anew takes half a second, of which most goes into compiling its WebAssembly. Here that is done once,
 * and before each run its memory is put back to what it was before the first.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileFunction } from "node:vm";

/** What the engine knows, and nothing beyond it. */
const FEATURES = [
  "-mvp",
  "--enable-sign-ext",
  "--enable-nontrapping-float-to-int",
  "--enable-bulk-memory",
  "--enable-mutable-globals",
  "--enable-multivalue",
];

const require = createRequire(import.meta.url);

/** The settings that Emscripten's programs read, and what the line that is added to this one leaves there. */
interface Program {
  readonly noInitialRun: true;
  readonly print: (text: string) => void;
  readonly printErr: (text: string) => void;
  readonly onAbort: (reason: unknown) => void;
  readonly onRuntimeInitialized: () => void;
  inside?: {
    readonly callMain: (args: string[]) => number;
    readonly stackSave: () => number;
    readonly stackRestore: (pointer: number) => void;
    readonly memory: () => Uint8Array;
  };
}

const INSIDE = `
Module.inside = { callMain, stackSave, stackRestore, memory: () => HEAPU8 };`;

export class Binaryen {
  readonly #inside: NonNullable<Program["inside"]>;
  readonly #said: string[];
  readonly #folder = mkdtempSync(join(tmpdir(), "edgeplug-binaryen-"));
  /** The memory's contents before any run, without the zeros at its end; and the stack pointer. */
  readonly #contents: Uint8Array;
  readonly #pointer: number;

  private constructor(inside: NonNullable<Program["inside"]>, said: string[]) {
    this.#inside = inside;
    this.#said = said;
    const memory = inside.memory();
    this.#contents = memory.slice(0, memory.findLastIndex((byte) => byte !== 0) + 1);
    this.#pointer = inside.stackSave();
  }

  static create(): Promise<Binaryen> {
    const file = require.resolve("binaryen/bin/wasm-opt");
    const text = readFileSync(file, "utf8").replace(/^#!.*/, "") + INSIDE;
    const names = ["Module", "require", "process", "__dirname", "__filename"];
    const start = compileFunction(text, names, { filename: file });
    // exit codes are no business of this process, nor are its arguments the program's
    const ownProcess = Object.assign(Object.create(process) as object, { exitCode: 0, argv: ["node", file] });
    return new Promise((resolve, reject) => {
      const said: string[] = [];
      const program: Program = {
        noInitialRun: true,
        print: (line) => said.push(line),
        printErr: (line) => said.push(line),
        onAbort: (reason) => {
          reject(new Error(`wasm-opt: ${String(reason)}`));
        },
        onRuntimeInitialized: () => {
          if (program.inside === undefined) reject(new Error("wasm-opt is not built as it was"));
          else resolve(new Binaryen(program.inside, said));
        },
      };
      start(program, require, ownProcess, join(file, ".."), file);
    });
  }

  /** The module that these random bytes lead to; `passes` are further arguments. */
  translateToFuzz(bytes: Uint8Array, passes: readonly string[] = []): Uint8Array {
    const input = join(this.#folder, "random");
    const output = join(this.#folder, "module.wasm");
    const memory = this.#inside.memory();
    memory.set(this.#contents);
    memory.fill(0, this.#contents.length);
    this.#inside.stackRestore(this.#pointer);
    this.#said.length = 0;
    writeFileSync(input, bytes);
    rmSync(output, { force: true });
    this.#inside.callMain([input, "-q", "-ttf", ...FEATURES, ...passes, "-o", output]);
    if (!existsSync(output)) throw new Error(`wasm-opt made no module: ${this.#said.join("\n")}`);
    return new Uint8Array(readFileSync(output));
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
