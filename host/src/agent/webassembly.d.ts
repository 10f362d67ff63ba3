/** As much of the JavaScript API as machine.ts uses; TypeScript has it only in its library for browsers. */
declare namespace WebAssembly {
  type Module = object;
  interface Instance {
    readonly exports: Record<string, unknown>;
  }
  interface Memory {
    readonly buffer: ArrayBuffer;
  }
  const Module: new (bytes: Uint8Array) => Module;
  const Instance: new (module: Module, imports: object) => Instance;
  const Memory: new () => Memory;
}
