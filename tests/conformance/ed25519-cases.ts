// Signatures that are good, bad, or a matter of opinion, made with the private scalars at hand and the points of small
// order, so that each one fulfils exactly the equations that its name says. And the link page's rules, written once
// more in the plainest way, as the judge.
import { createHash, createPublicKey, verify as verifyByOpenssl } from "node:crypto";
import * as ed from "@noble/ed25519";

export const L = 2n ** 252n + 27742317777372353535851937790883648493n;
export const P = 2n ** 255n - 19n;

ed.hashes.sha512 = (message) => Uint8Array.from(createHash("sha512").update(message).digest());

export interface SignatureCase {
  readonly name: string;
  readonly key: Uint8Array;
  readonly signature: Uint8Array;
  readonly message: Uint8Array;
}

/** Deterministic bytes: SHA-512 of a seed and a counter. */
export class Source {
  #counter = 0;
  constructor(readonly seed: string) {}

  bytes(size: number): Buffer {
    const parts: Buffer[] = [];
    for (let have = 0; have < size; have += 64) {
      parts.push(
        createHash("sha512")
          .update(`${this.seed}:${String(this.#counter++)}`)
          .digest(),
      );
    }
    return Buffer.concat(parts).subarray(0, size);
  }

  below(limit: number): number {
    return this.bytes(4).readUInt32LE() % limit;
  }

  scalar(): bigint {
    return fromLittle(this.bytes(64)) % L;
  }
}

export function fromLittle(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
}

export function toLittle(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse();
}

function times(point: ed.Point, scalar: bigint): ed.Point {
  let sum = ed.Point.ZERO;
  for (let addend = point; scalar > 0n; scalar >>= 1n, addend = addend.double()) {
    if (scalar & 1n) sum = sum.add(addend);
  }
  return sum;
}

function challenge(r: Uint8Array, key: Uint8Array, message: Uint8Array): bigint {
  return fromLittle(createHash("sha512").update(r).update(key).update(message).digest()) % L;
}

/** Of order 8; its multiples are all eight points of small order. */
const TORSION = ed.Point.fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a");

/** The rules of the link page: S below L, canonical encodings, no small-order key, cofactorless, R as bytes. */
export function strict({ key, signature, message }: SignatureCase): boolean {
  const r = signature.subarray(0, 32);
  const s = fromLittle(signature.subarray(32));
  if (s >= L) return false;
  let a: ed.Point;
  try {
    a = ed.Point.fromBytes(key, false);
  } catch {
    return false;
  }
  if (Buffer.compare(a.toBytes(), key) !== 0 || times(a, 8n).is0()) return false;
  const expected = times(ed.Point.BASE, s).add(times(a, challenge(r, key, message)).negate());
  return Buffer.compare(expected.toBytes(), r) === 0;
}

export function noble({ key, signature, message }: SignatureCase): boolean {
  try {
    return ed.verify(signature, message, key, { zip215: false });
  } catch {
    return false;
  }
}

export function openssl({ key, signature, message }: SignatureCase): boolean {
  try {
    const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), key]);
    return verifyByOpenssl(
      null,
      message,
      createPublicKey({ key: spki, format: "der", type: "spki" }),
      signature,
    );
  } catch {
    return false;
  }
}

function signed(
  name: string,
  {
    scalar,
    key,
    r,
    message,
  }: { scalar: bigint; key: Uint8Array; r: [bigint, Uint8Array]; message: Uint8Array },
): SignatureCase {
  const s = (r[0] + challenge(r[1], key, message) * scalar) % L;
  return { name, key, signature: Buffer.concat([r[1], toLittle(s)]), message };
}

/** Tries messages until `make` finds one for which its condition holds. */
function search(make: (message: Buffer) => SignatureCase | undefined): SignatureCase {
  for (let n = 0; n < 10_000; n++) {
    const found = make(Buffer.from(`message ${String(n)}`));
    if (found !== undefined) return found;
  }
  throw new Error("no such message among 10,000");
}

const SMALL_ORDER_NOT_CANONICAL = [
  ["x = 0 with a sign, order 1", "0100000000000000000000000000000000000000000000000000000000000080"],
  ["x = 0 with a sign, order 2", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"],
  ["y = p, order 4", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"],
  ["y = p with a sign, order 4", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"],
  ["y = p + 1, order 1", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"],
  ["y = p + 1 with a sign, order 1", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"],
] as const;

/** y as it stands, reduced, the sign taken as it is where x = 0: what a careless decoder makes of `hex`. */
function decodeCarelessly(hex: string): ed.Point {
  const bytes = Buffer.from(hex, "hex");
  const sign = (bytes[31] ?? 0) & 0x80;
  bytes[31] = (bytes[31] ?? 0) & 0x7f;
  const canonical = toLittle(fromLittle(bytes) % P);
  const point = ed.Point.fromBytes(canonical, false);
  return sign === 0 || point.x === 0n ? point : point.negate();
}

/** S = 0 and R = −k·A: holds for a key of small order without any private key. */
function forged(name: string, key: Uint8Array, a: ed.Point): SignatureCase {
  return search((message) => {
    for (let n = 0n; n < 8n; n++) {
      const r = times(TORSION, n);
      if (
        times(a, challenge(r.toBytes(), key, message))
          .negate()
          .equals(r)
      ) {
        return { name, key, signature: Buffer.concat([r.toBytes(), Buffer.alloc(32)]), message };
      }
    }
    return undefined;
  });
}

export type Opinion = "all agree" | "noble takes it" | "openssl takes it";

export interface EdgeCase extends SignatureCase {
  /** Who besides this engine says otherwise. */
  readonly opinion: Opinion;
}

/** The list of edge cases; each with what the others are known to say where they don't agree with the link page. */
export function edgeCases(): EdgeCase[] {
  const source = new Source("edge cases");
  const cases: EdgeCase[] = [];
  const add = (opinion: Opinion, ...found: SignatureCase[]): void => {
    for (const one of found) cases.push({ ...one, opinion });
  };

  const scalar = source.scalar();
  const a = times(ed.Point.BASE, scalar);
  const key = a.toBytes();
  const nonce = source.scalar();
  const r = times(ed.Point.BASE, nonce);
  const message = Buffer.from("the message");
  const plain = { scalar, key, r: [nonce, r.toBytes()] as [bigint, Uint8Array], message };
  const good = signed("a good signature", plain);
  add("all agree", good);
  add("all agree", signed("of the empty message", { ...plain, message: Buffer.alloc(0) }));
  add("all agree", signed("of 65,536 bytes", { ...plain, message: source.bytes(65_536) }));
  for (const [name, value] of [
    ["1", 1n],
    ["2", 2n],
    ["L − 1", L - 1n],
    ["(L + 1)/2", (L + 1n) / 2n],
    ["2^252", 2n ** 252n],
  ] as const) {
    const point = times(ed.Point.BASE, value);
    add("all agree", signed(`private scalar ${name}`, { ...plain, scalar: value, key: point.toBytes() }));
    add("all agree", signed(`nonce ${name}`, { ...plain, r: [value, point.toBytes()] }));
  }

  const s = fromLittle(good.signature.subarray(32));
  for (let n = 1n; s + n * L < 2n ** 256n; n++) {
    const signature = Buffer.concat([r.toBytes(), toLittle(s + n * L)]);
    add("all agree", { ...good, name: `S + ${String(n)}·L`, signature });
  }
  for (const [name, value] of [
    ["0", 0n],
    ["L", L],
    ["L − 1", L - 1n],
    ["L + 1", L + 1n],
    ["2^252", 2n ** 252n],
    ["2^253", 2n ** 253n],
    ["2^256 − 1", 2n ** 256n - 1n],
  ] as const) {
    add("all agree", {
      ...good,
      name: `S = ${name}`,
      signature: Buffer.concat([r.toBytes(), toLittle(value)]),
    });
  }
  add("all agree", { ...good, name: "−A instead of A", key: a.negate().toBytes() });
  add("all agree", {
    ...good,
    name: "−R instead of R",
    signature: Buffer.concat([r.negate().toBytes(), good.signature.subarray(32)]),
  });

  // keys of small order, with signatures that need no private key
  for (let n = 0n; n < 8n; n++) {
    const torsion = times(TORSION, n);
    add("openssl takes it", forged(`key of small order, ${String(n)}·T`, torsion.toBytes(), torsion));
  }
  for (const [name, hex] of SMALL_ORDER_NOT_CANONICAL) {
    add(
      "openssl takes it",
      forged(`key of small order, ${name}`, Buffer.from(hex, "hex"), decodeCarelessly(hex)),
    );
  }
  for (let low = 0xed; low <= 0xff; low++) {
    for (const high of [0x7f, 0xff]) {
      const bytes = Buffer.alloc(32, 0xff);
      bytes[0] = low;
      bytes[31] = high;
      add("all agree", { ...good, name: `key not below p: ${bytes.toString("hex")}`, key: bytes });
    }
  }
  for (let n = 0; n < 8; n++) {
    add("all agree", { ...good, name: `key with y = ${String(n)}`, key: toLittle(BigInt(n)) });
  }

  // keys of mixed order, A = a·B + n·T
  for (let n = 1n; n < 8n; n++) {
    const mixed = a.add(times(TORSION, n)).toBytes();
    const label = `key of mixed order, a·B + ${String(n)}·T`;
    add(
      "all agree",
      search((text) => {
        const k = challenge(r.toBytes(), mixed, text);
        return times(TORSION, (n * k) % 8n).is0()
          ? signed(`${label}, with a message that the torsion drops out of`, {
              ...plain,
              key: mixed,
              message: text,
            })
          : undefined;
      }),
    );
    add(
      "noble takes it",
      search((text) => {
        const k = challenge(r.toBytes(), mixed, text);
        return times(TORSION, (n * k) % 8n).is0()
          ? undefined
          : signed(`${label}, right only times 8`, { ...plain, key: mixed, message: text });
      }),
    );
    add(
      "all agree",
      search((text) => {
        for (let m = 1n; m < 8n; m++) {
          const shifted = r.add(times(TORSION, m)).toBytes();
          if ((challenge(shifted, mixed, text) * n + m) % 8n === 0n)
            return signed(`${label}, R of mixed order to match`, {
              ...plain,
              key: mixed,
              r: [nonce, shifted],
              message: text,
            });
        }
        return undefined;
      }),
    );
  }

  // R of mixed and of small order, with an honest key
  for (let n = 1n; n < 8n; n++) {
    const mixed = r.add(times(TORSION, n)).toBytes();
    add("noble takes it", signed(`R of mixed order, r·B + ${String(n)}·T`, { ...plain, r: [nonce, mixed] }));
    const small = times(TORSION, n).toBytes();
    add("noble takes it", signed(`R of small order, ${String(n)}·T`, { ...plain, r: [0n, small] }));
  }
  add(
    "all agree",
    signed("R = 0, which the equation allows", { ...plain, r: [0n, ed.Point.ZERO.toBytes()] }),
  );
  for (const [name, hex] of SMALL_ORDER_NOT_CANONICAL) {
    const bytes = Buffer.from(hex, "hex");
    add("all agree", signed(`R not canonical, ${name}`, { ...plain, r: [0n, bytes] }));
  }
  return cases;
}

/** Honest signatures, most of them spoilt somehow. */
export function randomCases(source: Source, count: number): SignatureCase[] {
  const cases: SignatureCase[] = [];
  const keys = Array.from({ length: 40 }, () => {
    const secret = new Uint8Array(source.bytes(32));
    return { secret, key: ed.getPublicKey(secret) };
  });
  for (let n = 0; n < count; n++) {
    const pair = keys[source.below(keys.length)];
    if (pair === undefined) throw new Error("unreachable");
    const message = new Uint8Array(source.bytes(source.below(400)));
    const one = { key: Uint8Array.from(pair.key), signature: ed.sign(message, pair.secret), message };
    const spoil = source.below(8);
    const flip = (bytes: Uint8Array): void => {
      const bit = source.below(bytes.length * 8);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    };
    if (spoil === 1) flip(one.signature.subarray(0, 32));
    else if (spoil === 2) flip(one.signature.subarray(32));
    else if (spoil === 3) flip(one.key);
    else if (spoil === 4 && message.length > 0) flip(one.message);
    else if (spoil === 5) one.key.set(source.bytes(32));
    else if (spoil === 6) one.signature.set(source.bytes(source.below(65)));
    cases.push({ name: `random ${String(n)}, spoilt in way ${String(spoil)}`, ...one });
  }
  return cases;
}
