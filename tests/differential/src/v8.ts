/** A module in V8: what its calls come to, in the words of the conformance image. */
import type { Outcome } from "@edgeplug/conformance-suite/dist/requests.js";

import type { CallableExport } from "./adapt.js";
import { I64 } from "./binary.js";
import { wasm, type WasmInstance } from "./webassembly.js";

/** V8's words for a trap in those of the WebAssembly spec's tests. Where V8 has one for two, both stand here. */
const TRAPS: readonly (readonly [RegExp, string])[] = [
  [/divide by zero|remainder by zero/, "integer divide by zero"],
  [/divide result unrepresentable/, "integer overflow"],
  [/float unrepresentable in integer range/, "integer overflow|invalid conversion to integer"],
  [/memory access out of bounds|data segment .* out of bounds/, "out of bounds memory access"],
  [
    /table index is out of bounds|table .* out of bounds|element segment .*out of bounds/,
    "out of bounds table access",
  ],
  [/null function|signature mismatch/, "uninitialized element|indirect call type mismatch"],
  [/unreachable/, "unreachable"],
  [/call stack/, "call stack exhausted"],
];

export function trapOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const known = TRAPS.find(([pattern]) => pattern.test(text));
  if (known === undefined) throw new Error(`V8 says: ${text}`);
  return known[1];
}

export function v8Takes(bytes: Uint8Array): boolean {
  try {
    new wasm.Module(bytes);
    return true;
  } catch {
    return false;
  }
}

export class V8 {
  readonly #exports: WasmInstance["exports"];

  /** Throws what V8 throws: trapOf() reads it if it is a trap. */
  constructor(bytes: Uint8Array) {
    this.#exports = new wasm.Instance(new wasm.Module(bytes), {}).exports;
  }

  /** `params` and `results` have no floats: the twin's exports have their bits. `args` are raw bits, too. */
  call({ name, params, results }: CallableExport, args: readonly bigint[]): Outcome {
    const call = this.#exports[name] as (...values: (number | bigint)[]) => unknown;
    try {
      const value = call(
        ...args.map((bits, i) =>
          params[i] === I64 ? BigInt.asIntN(64, bits) : Number(BigInt.asIntN(32, bits)),
        ),
      );
      const list = (results.length > 1 ? value : [value]) as (number | bigint)[];
      return {
        results: results.map((type, i) => BigInt.asUintN(type === I64 ? 64 : 32, BigInt(list[i] ?? 0))),
      };
    } catch (error) {
      return { trap: trapOf(error) };
    }
  }
}

/** Whether the engine's trap is (one of) V8's; results have to be equal bit for bit. */
export function agree(engine: Outcome, v8: Outcome): boolean {
  if (engine.trap !== undefined || v8.trap !== undefined)
    return engine.trap !== undefined && v8.trap !== undefined && v8.trap.split("|").includes(engine.trap);
  return engine.results?.join() === v8.results?.join();
}
