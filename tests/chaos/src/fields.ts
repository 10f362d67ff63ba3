/** Which bytes of an encoded manifest belong to which of its fields. */
const NAMES: Readonly<Record<number, string>> = {
  1: "format",
  2: "name",
  3: "version",
  4: "kind",
  5: "board_class",
  6: "abi",
  7: "release",
  8: "security_version",
  9: "payload_size",
  10: "payload_crc32",
  11: "payload_sha512",
  12: "limits",
  13: "inputs",
  14: "outputs",
  15: "guards",
  16: "trial",
  17: "on_trap",
  18: "state_id",
  19: "scan_divider",
};

const NESTED: Readonly<Record<string, readonly string[]>> = {
  limits: ["memory_bytes", "stack_slots", "call_depth", "fuel", "init_fuel", "io_buffer_bytes"],
  guards: ["min", "max", "slew", "fail_safe"],
  trial: ["healthy_scans", "deadline_scans", "attempts", "min_requests", "confirm_by_host", "max_guard_hits"],
};

/** Fields of the manifest by what they are about; together they are all of them. */
export const FIELD_GROUPS = {
  identity: ["format", "name", "version", "kind", "board_class", "abi"],
  versions: ["release", "security_version", "state_id"],
  "size and digests": ["payload_size", "payload_crc32", "payload_sha512"],
  limits: [...(NESTED["limits"] ?? []).map((name) => `limits.${name}`), "scan_divider"],
  "channels and guards": [
    "inputs",
    "outputs",
    "on_trap",
    ...(NESTED["guards"] ?? []).map((name) => `guards.${name}`),
  ],
  "trial rules": (NESTED["trial"] ?? []).map((name) => `trial.${name}`),
} as const;

/** Bytes `start` to `end` of the message, tag and length included. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Every field that the manifest holds, nested ones as `limits.fuel`. */
export function fieldsOf(manifest: Uint8Array): Map<string, Span> {
  const found = new Map<string, Span>();
  for (const { number, start, body, end } of walk(manifest, 0, manifest.length)) {
    const name = NAMES[number] ?? `field ${number}`;
    const inner = NESTED[name];
    if (inner === undefined) {
      found.set(name, { start, end });
      continue;
    }
    for (const part of walk(manifest, body, end)) {
      found.set(`${name}.${inner[part.number - 1] ?? part.number}`, { start: part.start, end: part.end });
    }
  }
  return found;
}

interface Part extends Span {
  readonly number: number;
  /** Where the value begins. */
  readonly body: number;
}

function* walk(bytes: Uint8Array, from: number, to: number): Generator<Part> {
  for (let at = from; at < to;) {
    const start = at;
    const [tag, body] = varint(bytes, at);
    at = body;
    let value = body;
    switch (tag & 7) {
      case 0:
        at = varint(bytes, at)[1];
        break;
      case 1:
        at += 8;
        break;
      case 2: {
        const [length, contents] = varint(bytes, at);
        value = contents;
        at = contents + length;
        break;
      }
      case 5:
        at += 4;
        break;
      default:
        throw new RangeError(`wire type ${tag & 7} at byte ${start}`);
    }
    yield { number: tag >>> 3, start, body: value, end: at };
  }
}

function varint(bytes: Uint8Array, from: number): [value: number, next: number] {
  let value = 0;
  for (let at = from, shift = 0; at < bytes.length; at++, shift += 7) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return [value, at + 1];
  }
  throw new RangeError("a number without an end");
}
