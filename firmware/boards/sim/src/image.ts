import { readFile } from "node:fs/promises";

import type { BoardMap, Geometry } from "./geometry.js";
import { wasm, type WasmGlobal, type WasmMemory, type WasmModule } from "./webassembly.js";

/** What sim.wasm exports; see board.c and engine.c. */
export interface SimExports {
  readonly memory: WasmMemory;
  readonly __stack_pointer: WasmGlobal;
  sim_map(): number;
  sim_start(): void;
  sim_poll(): void;
  sim_scan(): void;
  engine_size(): number;
  engine_place(at: number): void;
  engine_code(): number;
  engine_code_max(): number;
  engine_limits(
    memoryBytes: number,
    stackSlots: number,
    callDepth: number,
    fuel: number,
    initFuel: number,
    ioBufferBytes: number,
  ): void;
  engine_no_guards(): void;
  engine_guard(list: number, channel: number, value: number): void;
  engine_apply(): number;
  engine_applied(): number;
  engine_load(size: number, kind: number, inputs: number, outputs: number): number;
  engine_vectors(): number;
  engine_inputs(): number;
  engine_outputs(): number;
  engine_set_scan(scan: number, micros: number): void;
  engine_scan(): number;
  engine_io(): number;
  engine_handle(size: number): number;
  engine_save(): number;
  engine_restore(size: number): number;
  engine_fuel_left(): number;
  engine_message(): number;
  engine_trapped(error: number): number;
  engine_trap_offset(): number;
  engine_trap_function(): number;
  engine_log_line(): number;
}

/** What sim.wasm imports from module "sim"; see board.c. Addresses are into its memory. */
export interface SimImports {
  flash_read(address: number, buffer: number, size: number): number;
  flash_erase(address: number): number;
  flash_program(address: number, data: number, size: number): number;
  serial_read(buffer: number, size: number): number;
  serial_write(data: number, size: number): number;
  serial_overruns(): number;
  time_us(): number;
  scan_due_us(): number;
  scan_start(): void;
  scan_mask(): number;
  scan_unmask(state: number): void;
  watchdog_start(): void;
  watchdog_kick(): void;
  work(unit: number): void;
  idle(): void;
  inputs_read(inputs: number, count: number): number;
  outputs_write(outputs: number, count: number, scan: number, swapNumber: number): void;
  reset_cause(): number;
  reset(): void;
  board_id(id: number): void;
}

/** One instance of the runtime's image. */
export interface SimInstance {
  readonly exports: SimExports;
  /** The memory as it is before anything has run. */
  readonly pristine: Uint8Array;
  readonly stackTop: number;
}

/** The compiled sim.wasm; it lies in dist/ for the sources in src/ and in dist/ alike. */
export const SIM_WASM = new URL("../dist/sim.wasm", import.meta.url);

const modules = new Map<string, Promise<WasmModule>>();
const pristines = new WeakMap<WasmModule, Uint8Array>();

/** Compiles `url` (default: the runtime's image), once for all instances. */
export function loadImage(url: URL = SIM_WASM): Promise<WasmModule> {
  let module = modules.get(url.href);
  if (!module) {
    module = readFile(url).then((bytes) => wasm.compile(bytes));
    // a file that is missing now may be there at the next try
    module.catch(() => modules.delete(url.href));
    modules.set(url.href, module);
  }
  return module;
}

export function instantiate(module: WasmModule, imports: SimImports): SimInstance {
  const { exports } = new wasm.Instance(module, { sim: { ...imports } });
  // the shape of the exports is settled by board.c and engine.c, which are built with this file
  const sim = exports as unknown as SimExports;
  let pristine = pristines.get(module);
  if (!pristine) {
    pristine = new Uint8Array(sim.memory.buffer).slice();
    pristines.set(module, pristine);
  }
  return { exports: sim, pristine, stackTop: Number(sim.__stack_pointer.value) };
}

/** Zero-terminated UTF-8 at `address`. */
export function readText(memory: WasmMemory, address: number): string {
  const bytes = new Uint8Array(memory.buffer);
  return new TextDecoder().decode(bytes.subarray(address, bytes.indexOf(0, address)));
}

/** Writes ep_board_map_t of core/board.h. */
export function writeMap(
  { exports }: SimInstance,
  map: BoardMap,
  { eraseSize, programMax }: Pick<Geometry, "eraseSize" | "programMax">,
): void {
  const view = new DataView(exports.memory.buffer, exports.sim_map());
  const words = [
    ...map.slots,
    map.journal,
    map.journalHalfSize,
    eraseSize,
    programMax,
    map.boardClass,
    map.tickMicros,
    map.nanosPerFuel,
    map.inputs,
    map.failSafe.length,
  ];
  words.forEach((word, index) => {
    view.setUint32(index * 4, word, true);
  });
  map.failSafe.forEach((value, index) => {
    view.setFloat32((words.length + index) * 4, value, true);
  });
}
