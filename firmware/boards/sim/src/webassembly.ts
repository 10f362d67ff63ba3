/**
 * The part of the WebAssembly JavaScript interface that is used here. Node has it all; TypeScript keeps its types
 * in the library for browsers, which nothing here should see.
 */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
  /** Adds 64 KiB pages; gives how many there were. */
  grow(pages: number): number;
}

export interface WasmGlobal {
  value: unknown;
}

/** A compiled module. */
export type WasmModule = object;

interface WasmApi {
  compile(bytes: Uint8Array): Promise<WasmModule>;
  readonly Instance: new (
    module: WasmModule,
    imports: Record<string, object>,
  ) => { readonly exports: object };
  /** What a trap throws. */
  readonly RuntimeError: new (message?: string) => Error;
}

export const wasm = (globalThis as unknown as { readonly WebAssembly: WasmApi }).WebAssembly;
