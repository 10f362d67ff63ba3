// A module for a measurement, byte by byte (WebAssembly core specification, section 5).

export const TYPE = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c };

export function unsigned(value, width = 0) {
  const bytes = [];
  do {
    bytes.push((value & 0x7f) | 0x80);
    value >>>= 7;
  } while (value !== 0 || bytes.length < width);
  bytes[bytes.length - 1] &= 0x7f;
  return bytes;
}

/** `width`: filled up to so many bytes, as the format allows. */
export function signed(value, width = 0) {
  const bytes = [];
  let rest = BigInt(value);
  for (;;) {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    const done = (rest === 0n && (byte & 0x40) === 0) || (rest === -1n && (byte & 0x40) !== 0);
    if (done && bytes.length + 1 >= width) return [...bytes, byte];
    bytes.push(byte | 0x80);
  }
}

const vector = (items) => [...unsigned(items.length), ...items.flat()];
const text = (string) => vector([...Buffer.from(string)].map((byte) => [byte]));
const section = (id, bytes) => [id, ...unsigned(bytes.length), ...bytes];
const signature = ([params, results]) => [
  0x60,
  ...vector(params.map((t) => [TYPE[t]])),
  ...vector(results.map((t) => [TYPE[t]])),
];

/**
 * types: [params, results] each; imports: {module, name, type}; functions: {type, locals: [[count, type]], body, name?};
 * one page of memory with `data` at 0, a table of eight functions, all `element`, and a passive copy of both.
 */
export function encodeModule({ types, imports = [], functions, element = 0, globals = 2 }) {
  const code = ({ locals = [], body }) => {
    const bytes = [...vector(locals.map(([count, type]) => [...unsigned(count), TYPE[type]])), ...body, 0x0b];
    return [...unsigned(bytes.length), ...bytes];
  };
  const exported = functions.flatMap(({ name }, index) =>
    name === undefined ? [] : [[...text(name), 0, ...unsigned(imports.length + index)]],
  );
  const elements = Array.from({ length: 8 }, () => unsigned(element));
  const bytes = Array.from({ length: 64 }, (_, index) => [index]);
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, vector(types.map(signature))),
    ...section(2, vector(imports.map(({ module, name, type }) => [...text(module), ...text(name), 0, type]))),
    ...section(3, vector(functions.map(({ type }) => unsigned(type)))),
    ...section(4, vector([[0x70, 0, 8]])),
    ...section(5, vector([[0, 1]])),
    ...section(6, vector(Array.from({ length: globals }, () => [TYPE.i32, 1, 0x41, 0, 0x0b]))),
    ...section(7, vector(exported)),
    ...section(
      9,
      vector([
        [0, 0x41, 0, 0x0b, ...vector(elements)],
        [1, 0, ...vector(elements)],
      ]),
    ),
    ...section(12, unsigned(1)),
    ...section(10, vector(functions.map(code))),
    ...section(11, vector([[1, ...vector(bytes)]])),
  ]);
}

/** Bytes of a module's code section. */
export function codeSize(module) {
  let at = 8;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = module[at++];
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < module.length) {
    const id = module[at++];
    const size = number();
    if (id === 10) return size;
    at += size;
  }
  return 0;
}
