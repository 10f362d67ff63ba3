/** The modules that a module imports from, as V8 reads them. */
interface WasmApi {
  readonly Module: (new (bytes: Uint8Array) => object) & {
    imports(module: object): readonly { readonly module: string }[];
  };
}

// Node has it; TypeScript keeps its types in the library for browsers
const { Module } = (globalThis as unknown as { readonly WebAssembly: WasmApi }).WebAssembly;

/** None for bytes that are no valid module: they are refused before anything is linked. */
export function importedModules(bytes: Uint8Array): string[] {
  try {
    return [...new Set(Module.imports(new Module(bytes)).map(({ module }) => module))];
  } catch {
    return [];
  }
}
