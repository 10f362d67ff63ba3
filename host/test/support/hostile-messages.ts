/** Bytes that nobody's tool would send, for any message of a service: made from its descriptor, so that a new field has them too. */
import type { MethodDefinition } from "@grpc/proto-loader";
import protobuf from "protobufjs/minimal.js";

import { TestRandom } from "./random.js";

/** One field, as a descriptor's JSON has it. */
interface Field {
  name: string;
  number: number;
  type: string;
}

export interface HostileMessage {
  what: string;
  bytes: Uint8Array;
}

const noise = (size: number, seed: number): Uint8Array => new TestRandom(seed).bytes(size);

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const START_GROUP = 3;
const FIXED32 = 5;
const NO_WIRE_TYPE = 7;
const LAST_FIELD = 536_870_911;

const NAMES: Readonly<Record<string, string>> = {
  "path traversal": "../../../../etc/passwd",
  "an absolute path": "/dev/mem",
  "a flash file": "sim:/etc/shadow",
  "a NUL": "sim:\0",
  "line breaks": 'a\r\nforged: {"seq":1,"who":"admin"}\n',
  "terminal codes": "\u001b]0;owned\u0007\u001b[2J",
  "a C1 control": "a\u009b31m",
  "a line separator": "a\u2028b",
  "a direction override": "\u202egnp.exe",
  quotes: `'; DROP TABLE deployments; --"\\`,
  "a prototype": "__proto__",
  "a constructor": "constructor",
  "a wildcard": "%_*?[a-z]",
  "blanks only": "   ",
  "257 characters": "x".repeat(257),
  "30,000 characters": "é".repeat(30_000),
  "10^6 characters": "x".repeat(1_000_000),
  "an astral character": "\u{1f4a9}".repeat(100),
};

const BAD_TEXT: Readonly<Record<string, readonly number[]>> = {
  "a byte that UTF-8 has not": [0xff, 0xfe],
  "a surrogate": [0xed, 0xa0, 0x80],
  "an overlong slash": [0xc0, 0xaf],
  "a cut character": [0x61, 0xe2, 0x82],
};

/** Whatever the request is. */
export function hostileMessages(): HostileMessage[] {
  const whole: [string, Uint8Array][] = [
    ["a tag alone", Uint8Array.of(0x0a)],
    ["a length beyond the end", Uint8Array.of(0x0a, 0xff, 0xff, 0x03)],
    ["a length of 2^32", Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x61)],
    ["a number that doesn't end", new Uint8Array(64).fill(0xff)],
    ["field 0", Uint8Array.of(0x02, 0x01, 0x61)],
    ["a wire type that there isn't", Uint8Array.of((1 << 3) | NO_WIRE_TYPE, 0x01)],
    ["a group that doesn't end", Uint8Array.of((1 << 3) | START_GROUP)],
    ["30,000 groups in each other", new Uint8Array(60_000).fill((1 << 3) | START_GROUP)],
    ["noise", noise(200, 7)],
    ["60,000 bytes of noise", noise(60_000, 8)],
    ["100,000 bytes", new Uint8Array(100_000)],
    ["a megabyte", new Uint8Array(1_000_000).fill(0x0a)],
  ];
  return whole.map(([what, bytes]) => ({ what, bytes }));
}

/** Each field in turn as it must not be, and another message's bytes in its place. `others`: what the rest of the request says. */
export function hostileFields(
  method: MethodDefinition<object, object>,
  others: (field: string) => Uint8Array,
): HostileMessage[] {
  const { field: fields } = method.requestType.type as { field: Field[] };
  return fields.flatMap((field) =>
    [...valuesOf(field), ...wrongWireTypes(field)].map(([what, bytes]) => ({
      what: `${field.name}: ${what}`,
      bytes: Buffer.concat([others(field.name), bytes]),
    })),
  );
}

function valuesOf({ number, type }: Field): [string, Uint8Array][] {
  const delimited = (bytes: Uint8Array): Uint8Array =>
    protobuf.Writer.create()
      .uint32((number << 3) | BYTES)
      .bytes(bytes)
      .finish();
  const varint = (...bytes: number[]): Uint8Array => Uint8Array.of((number << 3) | VARINT, ...bytes);
  switch (type) {
    case "TYPE_STRING":
      return [
        ...Object.entries(NAMES).map(([what, text]): [string, Uint8Array] => [
          what,
          delimited(Buffer.from(text)),
        ]),
        ...Object.entries(BAD_TEXT).map(([what, bytes]): [string, Uint8Array] => [
          what,
          delimited(Uint8Array.from(bytes)),
        ]),
      ];
    case "TYPE_BYTES":
      return [
        ["one byte", delimited(Uint8Array.of(0xff))],
        ["60,000 bytes", delimited(noise(60_000, number))],
        ["200,000 bytes", delimited(new Uint8Array(200_000))],
      ];
    case "TYPE_MESSAGE":
      return [
        ["nothing", delimited(new Uint8Array())],
        ["text", delimited(Buffer.from("confirm"))],
        ["noise", delimited(noise(100, number))],
        ["itself, 10,000 times", nested(number, 10_000)],
        ["unknown fields only", delimited(tagged(LAST_FIELD))],
      ];
    default: // numbers, enums, truth values
      return [
        ["-1", varint(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01)],
        ["2^32 - 1", varint(0xff, 0xff, 0xff, 0xff, 0x0f)],
        ["77", varint(77)],
      ];
  }
}

/** The field as every wire type but its own; a NaN where bits are asked for. */
function wrongWireTypes({ number, type }: Field): [string, Uint8Array][] {
  const own = /STRING|BYTES|MESSAGE/.test(type) ? BYTES : VARINT;
  const forms: [number, Uint8Array][] = [
    [VARINT, Uint8Array.of(5)],
    [FIXED64, Uint8Array.of(0, 0, 0, 0, 0, 0, 0xf8, 0x7f)],
    [BYTES, Uint8Array.of(3, 1, 2, 3)],
    [FIXED32, Uint8Array.of(0, 0, 0xc0, 0x7f)],
  ];
  return forms
    .filter(([wireType]) => wireType !== own)
    .map(([wireType, bytes]) => [
      `as wire type ${wireType}`,
      Buffer.concat([Uint8Array.of((number << 3) | wireType), bytes]),
    ]);
}

function nested(number: number, depth: number): Uint8Array {
  // each level is its tag and a length of up to three bytes; made from the inside
  const parts: Uint8Array[] = [];
  let size = 0;
  for (let level = 0; level < depth; level++) {
    const head = protobuf.Writer.create()
      .uint32((number << 3) | BYTES)
      .uint32(size)
      .finish();
    parts.unshift(head);
    size += head.length;
  }
  return Buffer.concat(parts);
}

function tagged(field: number): Uint8Array {
  return protobuf.Writer.create()
    .uint32(((field << 3) | BYTES) >>> 0)
    .bytes(Buffer.from("unknown"))
    .finish();
}

/** Fields that no version of ours has. */
export const UNKNOWN_FIELDS = Buffer.concat([tagged(LAST_FIELD), tagged(1_000)]);

/** `device` and the like, as they are sent. */
export function textField(number: number, text: string): Uint8Array {
  return protobuf.Writer.create()
    .uint32((number << 3) | BYTES)
    .string(text)
    .finish();
}
