// The same module in the engine (through the conformance image) and in V8, called with the same raw bits.
import wabt from "wabt";
import type { ConformanceImage } from "./src/image.js";
import { FEATURES } from "./src/wasm-validate.js";
import { invokeRequest, outcomeOf, type Outcome } from "./src/requests.js";

export { invokeRequest, moduleRequest, type Outcome } from "./src/requests.js";
export { objection } from "./src/wasm-validate.js";

const assembler = await wabt();

export type ValueType = "i32" | "i64" | "f32" | "f64";

export interface Signature {
  readonly params: ValueType[];
  readonly results: ValueType[];
}

/** WAT to bytes; `validate: false` for modules that are wrong on purpose. */
export function assemble(text: string, { validate = true } = {}): Uint8Array<ArrayBuffer> {
  const module = assembler.parseWat("test.wat", text, FEATURES);
  try {
    if (validate) module.validate();
    return Uint8Array.from(module.toBinary({}).buffer);
  } finally {
    module.destroy();
  }
}

export async function callEngine(
  image: ConformanceImage,
  name: string,
  args: readonly bigint[],
): Promise<Outcome> {
  const line = await image.request(invokeRequest(name, args));
  const outcome = outcomeOf(line);
  if (outcome === undefined) throw new Error(`${name}: ${line}`);
  return outcome;
}

/** V8's words for a trap, in those of the WebAssembly spec's tests. Where V8 has one word for two, both are given. */
const TRAPS: readonly (readonly [RegExp, string])[] = [
  [/divide by zero|remainder by zero/, "integer divide by zero"],
  [/divide result unrepresentable/, "integer overflow"],
  [/float unrepresentable in integer range/, "integer overflow|invalid conversion to integer"],
  [/memory access out of bounds|data segment .* out of bounds/, "out of bounds memory access"],
  [
    /table index is out of bounds|table .* out of bounds|element segment out of bounds/,
    "out of bounds table access",
  ],
  [/null function|signature mismatch/, "uninitialized element|indirect call type mismatch"],
  [/unreachable/, "unreachable"],
  [/call stack/, "call stack exhausted"],
];

function v8Trap(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const known = TRAPS.find(([pattern]) => pattern.test(text));
  if (known === undefined) throw new Error(`V8 says: ${text}`);
  return known[1];
}

export function callV8(
  instance: WebAssembly.Instance,
  name: string,
  args: readonly bigint[],
  { params, results }: Signature,
): Outcome {
  const call = instance.exports[name] as (...values: (number | bigint)[]) => unknown;
  try {
    const values = args.map((bits, i) =>
      params[i] === "i64" ? BigInt.asIntN(64, bits) : Number(BigInt.asIntN(32, bits)),
    );
    const value = call(...values);
    const list = (results.length > 1 ? value : results.length === 1 ? [value] : []) as (number | bigint)[];
    return { results: list.map((item, i) => BigInt.asUintN(results[i] === "i64" ? 64 : 32, BigInt(item))) };
  } catch (error) {
    return { trap: v8Trap(error) };
  }
}

/** Whether the engine's trap is (one of) V8's; results have to be equal bit for bit. */
export function agree(engine: Outcome, v8: Outcome): boolean {
  if (engine.trap !== undefined || v8.trap !== undefined)
    return engine.trap !== undefined && v8.trap !== undefined && v8.trap.split("|").includes(engine.trap);
  return engine.results?.join() === v8.results?.join();
}

/** Numbers from a seed, the same everywhere. */
export class Random {
  #state: number;

  constructor(seed: string) {
    this.#state = 0x811c9dc5;
    for (const byte of Buffer.from(seed)) this.#state = Math.imul(this.#state ^ byte, 0x01000193) >>> 0;
  }

  /** xorshift32 */
  u32(): number {
    let x = this.#state === 0 ? 1 : this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state;
  }

  below(limit: number): number {
    return this.u32() % limit;
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }

  pick<T>(list: readonly T[]): T {
    const item = list[this.below(list.length)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  }
}
