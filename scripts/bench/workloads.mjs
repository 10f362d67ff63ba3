// The six workloads with which engines are compared: AssemblyScript in the engine, their C twins by gcc -O2, in one run
// of QEMU.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { f32Bits, Job, ROOT } from "./board.mjs";

const SOURCES = join(ROOT, "tests/bench/workloads");
const OUT = join(ROOT, "build/bench");
const OPTIONS = ["-O3", "--runtime", "stub", "--use", "abort=", "--initialMemory", "1"];
const LIMITS = { memory: 8192, stackSlots: 1024, callDepth: 64 };

/** Instructions, and times the native ones: the targets. */
const TARGETS = {
  "voltage event": [8_000, 39],
  "PID + 4 biquads": [5_000, 30],
  "CRC-32 of 1 KiB": [1_300_000, 28],
  "JSON scan": [60_000, 34],
  "fib(20)": [5_000_000, 26],
  sieve: [600_000, 22],
};

async function compile(name) {
  const source = readFileSync(join(SOURCES, `${name}.as`), "utf8");
  const version = readFileSync(join(ROOT, "node_modules/assemblyscript/package.json"), "utf8");
  const key = createHash("sha256")
    .update(`${source}${OPTIONS.join(" ")}${version}`)
    .digest("hex")
    .slice(0, 16);
  const file = join(OUT, `${name}-${key}.wasm`);
  if (existsSync(file)) return readFileSync(file);
  const { main } = await import("assemblyscript/asc");
  let wasm;
  const { error, stderr } = await main([`${name}.ts`, "-o", `${name}.wasm`, ...OPTIONS], {
    readFile: (path) => (path === `${name}.ts` ? source : null),
    writeFile: (path, contents) => {
      if (path === `${name}.wasm`) wasm = contents;
    },
    listFiles: () => [],
  });
  if (error) throw new Error(`${name}.ts: ${String(stderr)}`, { cause: error });
  mkdirSync(OUT, { recursive: true });
  writeFileSync(file, wasm);
  return wasm;
}

/** The arrays of inputs.h, by name. */
function readInputs() {
  const header = readFileSync(join(SOURCES, "inputs.h"), "utf8");
  const floats = (name) => {
    const list = new RegExp(`float ${name}\\[\\]\\s*=\\s*\\{([^}]*)\\}`).exec(header)[1];
    return list
      .split(",")
      .filter((text) => text.trim() !== "")
      .map((text) => parseFloat(text));
  };
  const json = /char in_json\[\]\s*=\s*("(?:[^"\\]|\\.)*")/.exec(header)[1];
  return { volt: floats("in_volt"), pid: floats("in_pid"), json: Buffer.from(JSON.parse(json)) };
}

function crcBytes() {
  let state = 1;
  return Uint8Array.from({ length: 1024 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

function bufferOf(wasm) {
  return Number(new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports.buffer());
}

/** [{name, instructions, native, ratio, calls, target, targetRatio}] */
export async function measureWorkloads() {
  const inputs = readInputs();
  const [vdet, pid, crc, json, fibsieve] = await compileAll(["vdet", "pid", "crc", "json", "fibsieve"]);
  const volts = inputs.volt.map((value) => [f32Bits(value)]);
  const controls = inputs.pid.map((value, index) => [f32Bits(value), f32Bits(index < 100 ? 1 : -2)]);
  const twice = (args) => [args, args];
  const series = [
    { name: "voltage event", wasm: vdet, call: "tick", native: "vdet", args: volts },
    { name: "PID + 4 biquads", wasm: pid, call: "tick", native: "pid", args: controls },
    { name: "CRC-32 of 1 KiB", wasm: crc, call: "tick", native: "crc", args: twice([]), data: crcBytes() },
    {
      name: "JSON scan",
      wasm: json,
      call: "tick",
      native: "json",
      args: twice([inputs.json.length]),
      data: inputs.json,
    },
    { name: "fib(20)", wasm: fibsieve, call: "fib", native: "fib", args: twice([20]) },
    { name: "sieve", wasm: fibsieve, call: "sieve", native: "sieve", args: twice([]) },
  ];
  const job = new Job();
  for (const { wasm, call, native, args, data } of series) {
    job.module(wasm, LIMITS);
    if (data !== undefined) job.poke(bufferOf(wasm), data).nativePoke(native, data);
    for (const values of args) job.call(call, values);
    for (const values of args) job.native(native, ...values);
  }
  const results = job.run();
  return series.map(({ name, args }) => {
    const [module, ...calls] = results.splice(0, 1 + 2 * args.length);
    if (module.result !== 0) throw new Error(`${name}: refused (${module.result})`);
    const ours = calls.slice(0, args.length);
    const natives = calls.slice(args.length);
    ours.forEach(({ result, value }, index) => {
      if (result !== 0) throw new Error(`${name}: trap ${result}`);
      if (BigInt.asUintN(32, value) !== natives[index].value)
        throw new Error(`${name}: C says otherwise at call ${index}`);
    });
    // the first call is not counted
    const mean = (list) =>
      list.slice(1).reduce((sum, { instructions }) => sum + instructions, 0) / (list.length - 1);
    const [instructions, native] = [mean(ours), mean(natives)];
    const [target, targetRatio] = TARGETS[name];
    return {
      name,
      instructions,
      native,
      ratio: instructions / native,
      calls: args.length - 1,
      target,
      targetRatio,
    };
  });
}

async function compileAll(names) {
  const modules = [];
  for (const name of names) modules.push(await compile(name));
  return modules;
}
