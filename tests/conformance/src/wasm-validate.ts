/** Whether a module is valid, by wabt's validator with the features that the engine leaves out switched off. */
import wabt from "wabt";

const assembler = await wabt();

/** Every feature that wabt knows; its own defaults have more of them on. */
export const FEATURES = {
  mutable_globals: true,
  sat_float_to_int: true,
  sign_extension: true,
  bulk_memory: true,
  multi_value: true,
  reference_types: false,
  simd: false,
  exceptions: false,
  threads: false,
  function_references: false,
  tail_call: false,
  annotations: false,
  code_metadata: false,
  gc: false,
  memory64: false,
  multi_memory: false,
  extended_const: false,
  relaxed_simd: false,
};

/** What wasm-validate says of a module; undefined if it is valid. */
export function objection(bytes: Uint8Array): string | undefined {
  let module;
  try {
    // the package takes all of a buffer, whatever part of it an array shows
    const own = bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
    module = assembler.readWasm(own, { ...FEATURES, check: true });
    // the features count for both halves; the types of the package don't know the second
    (module as unknown as { validate(features: typeof FEATURES): void }).validate(FEATURES);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    module?.destroy();
  }
}
