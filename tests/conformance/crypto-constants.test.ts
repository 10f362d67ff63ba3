// Every constant of firmware/runtime/crypto, computed anew from its definition in the standard.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const CRYPTO = join(import.meta.dirname, "../../firmware/runtime/crypto");
const P = 2n ** 255n - 19n;

/** The hexadecimal and decimal numbers of the C array or struct `name`. */
function constants(file: string, name: string): bigint[] {
  const source = readFileSync(join(CRYPTO, file), "utf8");
  const found = new RegExp(`\\b${name}(?:\\[[^\\]]*\\])? = \\{([^;]*)\\};`).exec(source);
  if (found?.[1] === undefined) throw new Error(`${file} has no ${name}`);
  const text = found[1].replaceAll(/\/\*.*?\*\//gs, "");
  return Array.from(text.matchAll(/0x[0-9a-f]+|\d+/g), ([number]) => BigInt(number));
}

const mod = (value: bigint): bigint => ((value % P) + P) % P;

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let square = mod(base); exponent > 0n; exponent >>= 1n, square = mod(square * square))
    if (exponent & 1n) result = mod(result * square);
  return result;
}

const inverse = (value: bigint): bigint => power(value, P - 2n);
const limbs = (value: bigint): bigint[] =>
  Array.from({ length: 8 }, (_, n) => (value >> BigInt(32 * n)) & 0xffffffffn);

/** The largest integer whose `degree`-th power is at most `value`. */
function root(value: bigint, degree: bigint): bigint {
  let low = 0n;
  let high = 1n << 100n;
  while (low < high) {
    const middle = (low + high + 1n) / 2n;
    if (middle ** degree <= value) low = middle;
    else high = middle - 1n;
  }
  return low;
}

const primes: number[] = [];
for (let n = 2; primes.length < 80; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n);

const D = mod(-121665n * inverse(121666n));
const ROOT_OF_MINUS_1 = power(2n, (P - 1n) / 4n);

test("SHA-512's round constants are the cube roots of the first 80 primes", () => {
  expect(constants("sha512.c", "round_constants")).toEqual(
    primes.map((prime) => BigInt.asUintN(64, root(BigInt(prime) << 192n, 3n))),
  );
});

test("SHA-512's initial state is the square roots of the first 8 primes", () => {
  expect(constants("sha512.c", "initial_state")).toEqual(
    primes.slice(0, 8).map((prime) => BigInt.asUintN(64, root(BigInt(prime) << 128n, 2n))),
  );
});

test("the CRC table is each nibble's remainder", () => {
  const remainder = (n: number): bigint => {
    let crc = n;
    for (let bit = 0; bit < 4; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    return BigInt(crc >>> 0);
  };
  expect(constants("crc32.c", "table")).toEqual(Array.from({ length: 16 }, (_, n) => remainder(n)));
});

test("the curve's d and 2·d, the square root of −1, and the order of B are what RFC 8032 says", () => {
  expect(constants("ed25519.c", "curve_d")).toEqual(limbs(D));
  expect(constants("ed25519.c", "curve_2d")).toEqual(limbs(mod(2n * D)));
  expect(mod(ROOT_OF_MINUS_1 * ROOT_OF_MINUS_1)).toBe(P - 1n);
  expect(constants("ed25519.c", "root_of_minus_1")).toEqual(limbs(ROOT_OF_MINUS_1));
  expect(constants("ed25519.c", "group_order")).toEqual(
    limbs(2n ** 252n + 27742317777372353535851937790883648493n),
  );
});

test("the base point table is 1·B, 3·B ... 15·B as y + x, y − x and 2·d·x·y", () => {
  type Affine = readonly [bigint, bigint];
  const y = mod(4n * inverse(5n));
  const square = mod((y * y - 1n) * inverse(D * y * y + 1n));
  let x = power(square, (P + 3n) / 8n);
  if (mod(x * x) !== square) x = mod(x * ROOT_OF_MINUS_1);
  expect(mod(x * x)).toBe(square);
  if (x & 1n) x = P - x;

  const sum = ([x1, y1]: Affine, [x2, y2]: Affine): Affine => {
    const product = mod(D * x1 * x2 * y1 * y2);
    return [
      mod((x1 * y2 + x2 * y1) * inverse(1n + product)),
      mod((y1 * y2 + x1 * x2) * inverse(1n - product)),
    ];
  };
  const base: Affine = [x, y];
  const twice = sum(base, base);
  const expected: bigint[] = [];
  for (let n = 0, multiple = base; n < 8; n++, multiple = sum(multiple, twice)) {
    const [mx, my] = multiple;
    expected.push(...limbs(mod(my + mx)), ...limbs(mod(my - mx)), ...limbs(mod(2n * D * mx * my)));
  }
  expect(constants("ed25519.c", "base_multiples")).toEqual(expected);
});
