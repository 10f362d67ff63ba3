// Jobs for bench.elf: modules and calls go in by a file that it reads through semihosting, counts come out on its UART.
// The commands are those of firmware/bench/job.c. Under -icount the same job gives the same counts on every machine.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const IMAGE = process.env.EDGEPLUG_BENCH_IMAGE ?? join(ROOT, "build/qemu/bench.elf");
const MACHINE = "-M ast1030-evb,fmc-model=w25q80bl -nographic -monitor none -serial stdio -semihosting";
const COUNTING = "-icount shift=3 -kernel";
const COMMAND = { module: 1, call: 2, scans: 3, poke: 4, native: 5, nativePoke: 6, hostile: 7 };
/** What fits into one job of job.c. */
const JOB_SIZE = 0x50000 - 64;

export const NATIVE = { vdet: 0, pid: 1, crc: 2, json: 3, fib: 4, sieve: 5 };
export const NATIVE_BUFFER = { crc: 0, json: 1 };
export const DEFAULT_LIMITS = { memory: 16384, stackSlots: 1024, callDepth: 64, inputs: 4, outputs: 4 };

/** Bits of an f32, as arguments take it. */
export function f32Bits(value) {
  return new Uint32Array(new Float32Array([value]).buffer)[0];
}

/** A sequence of commands; each gives one object in what run() returns, scans() an array of them. */
export class Job {
  #parts = [];
  #expected = [];
  size = 0;

  module(bytes, limits = {}) {
    const { memory, stackSlots, callDepth, inputs, outputs, plain = 0 } = { ...DEFAULT_LIMITS, ...limits };
    this.#add([COMMAND.module, memory, stackSlots, callDepth, inputs, outputs, plain, bytes.length], bytes);
    this.#expected.push("module");
    return this;
  }

  /** `args`: raw values, numbers (32 bits) or bigints. */
  call(name, args = []) {
    this.#name(COMMAND.call, name);
    const words = args.flatMap((value) => [
      Number(BigInt(value) & 0xffffffffn),
      Number((BigInt(value) >> 32n) & 0xffffffffn),
    ]);
    this.#add([args.length, ...words]);
    this.#expected.push("call");
    return this;
  }

  scans(name, count, fuel) {
    this.#name(COMMAND.scans, name);
    this.#add([count, fuel]);
    this.#expected.push("scans");
    return this;
  }

  poke(address, bytes) {
    this.#add([COMMAND.poke, address, bytes.length], bytes);
    return this;
  }

  /** A module that may be refused; then its export "f", or its start function, which may trap. */
  hostile(bytes, limits = {}) {
    const { memory, stackSlots, callDepth } = { ...DEFAULT_LIMITS, ...limits };
    this.#add([COMMAND.hostile, memory, stackSlots, callDepth, bytes.length], bytes);
    this.#expected.push("hostile");
    return this;
  }

  native(name, first = 0, second = 0) {
    this.#add([COMMAND.native, NATIVE[name], first, second]);
    this.#expected.push("native");
    return this;
  }

  nativePoke(name, bytes) {
    this.#add([COMMAND.nativePoke, NATIVE_BUFFER[name], bytes.length], bytes);
    return this;
  }

  /** Whether `bytes` more still fit into this job. */
  hasRoomFor(bytes) {
    return this.size + bytes < JOB_SIZE;
  }

  run() {
    const file = Buffer.concat([...this.#parts, Buffer.alloc(4)]);
    if (file.length > JOB_SIZE) throw new RangeError(`a job of ${file.length} bytes`);
    const lines = runImage(file).job;
    const results = [];
    for (const expected of this.#expected) {
      if (expected !== "scans") {
        results.push(parse(expected, lines.shift()));
        continue;
      }
      const scans = [];
      while (lines[0]?.startsWith("scan ")) scans.push(parse("scan", lines.shift()));
      results.push(scans);
    }
    return results;
  }

  #name(command, name) {
    const bytes = Buffer.from(name);
    this.#add([command, bytes.length], bytes);
  }

  #add(words, bytes = Buffer.alloc(0)) {
    const padding = Buffer.alloc((4 - (bytes.length % 4)) % 4);
    const head = Buffer.from(Uint32Array.from(words).buffer);
    this.#parts.push(head, bytes, padding);
    this.size += head.length + bytes.length + padding.length;
  }
}

function parse(expected, line) {
  const [kind, ...numbers] = (line ?? "nothing").split(" ");
  if (kind !== expected) throw new Error(`bench.elf: expected ${expected}, got "${line}"`);
  if (kind === "module") {
    const [result, instructions, arena] = numbers.map(Number);
    return { result, instructions, arena };
  }
  if (kind === "hostile") {
    const [loaded, loadStack, called, callStack] = numbers.slice(0, 4).map(Number);
    return { loaded, loadStack, called, callStack, detail: numbers.slice(4).join(" ") };
  }
  const [result, instructions, fuel, value] = numbers;
  return {
    result: Number(result),
    instructions: Number(instructions),
    fuel: Number(fuel),
    value: BigInt(value),
  };
}

/** Runs bench.elf with a job file; its table's lines and the job's lines. */
export function runImage(file) {
  const folder = mkdtempSync(join(tmpdir(), "edgeplug-bench-"));
  try {
    if (file !== undefined) writeFileSync(join(folder, "job.bin"), file);
    const args = `${MACHINE} ${COUNTING}`.split(" ");
    const child = spawnSync("qemu-system-arm", [...args, IMAGE], {
      cwd: folder,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      maxBuffer: 64 << 20,
      timeout: 120_000,
    });
    if (child.status !== 0)
      throw new Error(`bench.elf failed: ${child.stderr}\n${child.stdout?.slice(-400)}`);
    const lines = child.stdout.trim().split(/\r?\n/);
    const first = lines.findIndex((line) => /^(module|native|hostile) /.test(line));
    const job = first < 0 ? [] : lines.slice(first);
    return { table: first < 0 ? lines : lines.slice(0, first), job };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
