/** The requests of the conformance image, byte for byte (firmware/conformance/README.md), and its replies. */

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function ed25519Request(key: Uint8Array, signature: Uint8Array, message: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from("E"), key, signature, u32(message.length), message]);
}

export function hashRequest(kind: "H" | "C", message: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(kind), u32(message.length), message]);
}

export function moduleRequest(bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from("M"), u32(bytes.length), bytes]);
}

/** `args` are raw bits, the low 32 for i32 and f32. */
export function invokeRequest(name: string, args: readonly bigint[]): Buffer {
  const text = Buffer.from(name);
  const size = Buffer.alloc(2);
  size.writeUInt16LE(text.length);
  const values = Buffer.alloc(8 * args.length);
  args.forEach((value, i) => values.writeBigUInt64LE(BigInt.asUintN(64, value), 8 * i));
  return Buffer.concat([Buffer.from("I"), size, text, Buffer.from([args.length]), values]);
}

/** What a call came to: the results' raw bits, or why there are none. */
export interface Outcome {
  readonly results?: bigint[];
  readonly trap?: string;
}

/** What the reply to an invoke request says; undefined if it is neither results nor a trap. */
export function outcomeOf(line: string): Outcome | undefined {
  if (line.startsWith("t ")) return { trap: line.slice(2) };
  if (!/^r( [0-9a-f]{16})*$/.test(line)) return undefined;
  const results = line.split(" ").slice(1);
  return { results: results.map((hex) => BigInt(`0x${hex}`)) };
}
