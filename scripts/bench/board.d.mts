export interface HostileResult {
  /** Numbers of ep_wasm_result_t: what loading came to, and the call; of a module that is refused both are the same. */
  readonly loaded: number;
  readonly called: number;
  /** Bytes of C stack. */
  readonly loadStack: number;
  readonly callStack: number;
  readonly detail: string;
}
export class Job {
  readonly size: number;
  hostile(
    bytes: Uint8Array,
    limits?: { readonly memory?: number; readonly stackSlots?: number; readonly callDepth?: number },
  ): this;
  hasRoomFor(bytes: number): boolean;
  run(): HostileResult[];
}
