// SHA-256 (FIPS 180-4) of each request. The reply is the digest, 32 bytes.
import { io } from "@edgeplug/sdk";

export { io_buffer } from "@edgeplug/sdk";

// FIPS 180-4 section 4.2.2
// prettier-ignore
const K: StaticArray<u32> = [
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

// prettier-ignore
const START: StaticArray<u32> = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

const hash = new StaticArray<u32>(8);
const schedule = new StaticArray<u32>(64);
const tail: usize = memory.data(128); // the last bytes of a message with its padding: one block or two

// @ts-ignore: decorator
@inline
function rotated(x: u32, by: u32): u32 {
  return rotr<u32>(x, by);
}

function compress(block: usize): void {
  for (let t = 0; t < 16; t++) unchecked((schedule[t] = bswap<u32>(load<u32>(block + (<usize>t << 2)))));
  for (let t = 16; t < 64; t++) {
    const w15 = unchecked(schedule[t - 15]);
    const w2 = unchecked(schedule[t - 2]);
    const s0 = rotated(w15, 7) ^ rotated(w15, 18) ^ (w15 >>> 3);
    const s1 = rotated(w2, 17) ^ rotated(w2, 19) ^ (w2 >>> 10);
    unchecked((schedule[t] = schedule[t - 16] + s0 + schedule[t - 7] + s1));
  }
  let a = unchecked(hash[0]);
  let b = unchecked(hash[1]);
  let c = unchecked(hash[2]);
  let d = unchecked(hash[3]);
  let e = unchecked(hash[4]);
  let f = unchecked(hash[5]);
  let g = unchecked(hash[6]);
  let h = unchecked(hash[7]);
  for (let t = 0; t < 64; t++) {
    const s1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
    const t1 = h + s1 + ((e & f) ^ (~e & g)) + unchecked(K[t]) + unchecked(schedule[t]);
    const s0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
    const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g;
    g = f;
    f = e;
    e = d + t1;
    d = c;
    c = b;
    b = a;
    a = t1 + t2;
  }
  unchecked((hash[0] += a));
  unchecked((hash[1] += b));
  unchecked((hash[2] += c));
  unchecked((hash[3] += d));
  unchecked((hash[4] += e));
  unchecked((hash[5] += f));
  unchecked((hash[6] += g));
  unchecked((hash[7] += h));
}

export function handle(size: i32): i32 {
  for (let i = 0; i < 8; i++) unchecked((hash[i] = START[i]));
  let at: i32 = 0;
  for (; at + 64 <= size; at += 64) compress(io + at);
  const rest = size - at;
  const padded: i32 = rest < 56 ? 64 : 128; // the length takes the last 8 bytes (FIPS 180-4 section 5.1.1)
  memory.fill(tail, 0, padded);
  memory.copy(tail, io + at, rest);
  store<u8>(tail + rest, 0x80);
  store<u32>(tail + padded - 4, bswap<u32>(<u32>size << 3));
  compress(tail);
  if (padded == 128) compress(tail + 64);
  for (let i = 0; i < 8; i++) store<u32>(io + (<usize>i << 2), bswap<u32>(unchecked(hash[i])));
  return 32;
}
