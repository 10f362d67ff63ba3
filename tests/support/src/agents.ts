/** Tiny agents for the suites, written in WebAssembly's text form, and packages around them. */
import {
  crc32,
  encodeManifest,
  keyId,
  publicKeyOf,
  sha512,
  sign,
  type AgentManifest,
  type AgentPackage,
} from "edgeplug";
import { edgeplug } from "edgeplug/messages";
import wabt from "wabt";

/** Secret keys of the suites; equal in every run. */
export const PUBLISHER = Uint8Array.from({ length: 32 }, (_, at) => at + 1);
export const OPERATOR = Uint8Array.from({ length: 32 }, (_, at) => at + 101);
/** A key that no board hears of. */
export const STRANGER = Uint8Array.from({ length: 32 }, (_, at) => at + 201);

export { publicKeyOf };

const assembler = await wabt();
const compiled = new Map<string, Uint8Array>();

/** WebAssembly text to a module, by wabt; not validated, since some are wrong on purpose. */
export function assemble(wat: string): Uint8Array {
  let module = compiled.get(wat);
  if (module === undefined) {
    const parsed = assembler.parseWat("agent.wat", wat);
    try {
      module = Uint8Array.from(parsed.toBinary({}).buffer);
    } finally {
      parsed.destroy();
    }
    compiled.set(wat, module);
  }
  return module;
}

/** Every field of a manifest but those that follow from the module; limits, guards and trial in part. */
export type ManifestOptions = Partial<Omit<AgentManifest, "limits" | "guards" | "trial">> & {
  limits?: Partial<AgentManifest["limits"]>;
  guards?: Partial<AgentManifest["guards"]>;
  trial?: Partial<AgentManifest["trial"]>;
};

export interface PackageOptions extends ManifestOptions {
  /** Secret key to sign with; null: unsigned. Default: PUBLISHER. */
  key?: Uint8Array | null;
  /** Test vectors, which ride in the module. */
  vectors?: readonly edgeplug.TestVector.$Properties[];
  /** Names and units of the outputs, which ride there too. */
  channels?: readonly edgeplug.Channel.$Properties[];
}

/** A package around `module`, text or bytes. Without options: a control agent of one output with a short trial. */
export function makePackage(module: string | Uint8Array, options: PackageOptions = {}): AgentPackage {
  const { key = PUBLISHER, vectors = [], channels = [], ...fields } = options;
  const code = typeof module === "string" ? assemble(module) : module;
  const rides = vectors.length > 0 || channels.length > 0;
  const payload = rides ? withDetails(code, { vectors: [...vectors], outputs: [...channels] }) : code;
  const manifest = makeManifest(payload, fields);
  const manifestBytes = encodeManifest(manifest);
  return signed(
    { manifest, manifestBytes, payload, keyId: new Uint8Array(), signature: new Uint8Array() },
    key,
  );
}

/** The same package under another signature. */
export function signed(pkg: AgentPackage, key: Uint8Array | null): AgentPackage {
  if (key === null) return { ...pkg, keyId: new Uint8Array(), signature: new Uint8Array() };
  return { ...pkg, keyId: keyId(publicKeyOf(key)), signature: sign(pkg.manifestBytes, key) };
}

/** A signed package around manifest bytes that no tool of ours would write. */
export function withManifestBytes(
  manifestBytes: Uint8Array,
  payload: Uint8Array,
  key = PUBLISHER,
): AgentPackage {
  const manifest = makeManifest(payload, {});
  return signed(
    { manifest, manifestBytes, payload, keyId: new Uint8Array(), signature: new Uint8Array() },
    key,
  );
}

export function makeManifest(payload: Uint8Array, options: ManifestOptions): AgentManifest {
  const { limits, guards, trial, ...fields } = options;
  return {
    format: 1,
    name: "agent",
    version: "1",
    kind: "control",
    boardClass: 0,
    abi: 1,
    release: 1,
    securityVersion: 0,
    payloadSize: payload.length,
    payloadCrc32: crc32(payload),
    payloadSha512: sha512(payload),
    inputs: 0,
    outputs: 2,
    onTrap: "hold",
    stateId: 0,
    scanDivider: 0,
    ...fields,
    limits: {
      memory: 64,
      stackSlots: 32,
      callDepth: 4,
      fuel: 1000,
      initFuel: 20_000,
      ioBuffer: 64,
      ...limits,
    },
    guards: { min: [], max: [], slew: [], failSafe: [], ...guards },
    trial: {
      healthyScans: 40,
      deadlineScans: 20_000,
      attempts: 3,
      minRequests: 0,
      confirmByHost: false,
      maxGuardHits: 0,
      ...trial,
    },
  };
}

/** Adds the custom section "edgeplug". */
function withDetails(module: Uint8Array, fields: edgeplug.AgentDetails.$Properties): Uint8Array {
  const details = edgeplug.AgentDetails.encode(fields).finish();
  const name = Buffer.from("edgeplug");
  const contents = Buffer.concat([Uint8Array.of(name.length), name, details]);
  return new Uint8Array(Buffer.concat([module, Uint8Array.of(0, ...leb(contents.length)), contents]));
}

function leb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >>> 7)];
}

/** Pads a module with a custom section to exactly `size` bytes. */
export function padded(module: string | Uint8Array, size: number): Uint8Array {
  const code = typeof module === "string" ? assemble(module) : module;
  const lengthBytes = 3;
  const contents = size - code.length - 1 - lengthBytes;
  if (contents < 2) throw new RangeError(`${size} bytes are too few for ${code.length} and a section`);
  const length = [(contents & 0x7f) | 0x80, ((contents >> 7) & 0x7f) | 0x80, contents >> 14];
  const filler = Uint8Array.from({ length: contents - 2 }, (_, at) => (at * 131 + (at >> 8)) & 0xff);
  return new Uint8Array(Buffer.concat([code, Uint8Array.of(0, ...length, 1, 0x70), filler]));
}

// ---- control agents: output 0 tells who runs, output 1 counts scans ---------------------------------------------

const OUTPUT = `(import "edgeplug" "output" (func $output (param i32 f32)))`;

interface ControlParts {
  /** Value of output 0. */
  value: number;
  /** Instructions before the outputs are written; $count has the scans so far, this one included. */
  before?: string;
  /** Replaces what save() and restore() do. */
  save?: string;
  restore?: string;
  extra?: string;
}

/** A control agent that hands its count of scans over. */
export function controlAgent({ value, before = "", save, restore, extra = "" }: ControlParts): string {
  return `(module ${OUTPUT} ${extra} (memory 1) (global $count (mut i32) (i32.const 0))
    (func (export "scan")
      (global.set $count (i32.add (global.get $count) (i32.const 1)))
      ${before}
      (call $output (i32.const 0) (f32.const ${value}))
      (call $output (i32.const 1) (f32.convert_i32_u (global.get $count))))
    (func (export "io_buffer") (result i32) (i32.const 0))
    (func (export "save") (result i32) ${save ?? "(i32.store (i32.const 0) (global.get $count)) (i32.const 4)"})
    (func (export "restore") (param i32) ${restore ?? "(global.set $count (i32.load (i32.const 0)))"}))`;
}

/** Runs well for `scans` scans, then does `deed`. */
export function failingAgent(value: number, scans: number, deed: string): string {
  return controlAgent({
    value,
    before: `(if (i32.gt_u (global.get $count) (i32.const ${scans})) (then ${deed}))`,
  });
}

export const DEEDS = {
  trap: "(unreachable)",
  loop: "(loop $again (br $again))",
  bounds: "(i32.store (i32.const 65532) (i32.const 1))",
  divide: "(drop (i32.div_u (i32.const 1) (i32.sub (global.get $count) (global.get $count))))",
  guard: "(call $output (i32.const 0) (f32.const 1e6)) (return)",
} as const;

// ---- request agents ----------------------------------------------------------------------------------------------

/** Request byte that makes a trapping agent trap. */
export const TRAP_BYTE = 0xee;

/** Answers each request with it, `tag` before it. With `traps`: a request that begins with TRAP_BYTE traps. */
export function requestAgent(tag: number, { traps = false } = {}): string {
  const trap = `(if (i32.eq (i32.load8_u (i32.const 0)) (i32.const ${TRAP_BYTE})) (then (unreachable)))`;
  return `(module (memory 1)
    (func (export "io_buffer") (result i32) (i32.const 0))
    (func (export "handle") (param $size i32) (result i32)
      ${traps ? trap : ""}
      (memory.copy (i32.const 1) (i32.const 0) (local.get $size))
      (i32.store8 (i32.const 0) (i32.const ${tag}))
      (i32.add (local.get $size) (i32.const 1))))`;
}

/** Options of packages around request agents. */
export const REQUEST: PackageOptions = {
  kind: "request",
  outputs: 0,
  limits: { memory: 512, ioBuffer: 256, fuel: 10_000 },
};
