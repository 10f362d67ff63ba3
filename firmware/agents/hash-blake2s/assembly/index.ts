// BLAKE2s-256 without a key (RFC 7693) of each request. The reply is the digest, 32 bytes.
import { io } from "@edgeplug/sdk";

export { io_buffer } from "@edgeplug/sdk";

// RFC 7693 section 2.6
// prettier-ignore
const IV: StaticArray<u32> = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

// RFC 7693 section 2.7
// prettier-ignore
const SIGMA: StaticArray<u8> = [
   0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15,
  14, 10,  4,  8,  9, 15, 13,  6,  1, 12,  0,  2, 11,  7,  5,  3,
  11,  8, 12,  0,  5,  2, 15, 13, 10, 14,  3,  6,  7,  1,  9,  4,
   7,  9,  3,  1, 13, 12, 11, 14,  2,  6,  5, 10,  4,  0, 15,  8,
   9,  0,  5,  7,  2,  4, 10, 15, 14,  1, 11, 12,  6,  8,  3, 13,
   2, 12,  6, 10,  0, 11,  8,  3,  4, 13,  7,  5, 15, 14,  1,  9,
  12,  5,  1, 15, 14, 13,  4, 10,  0,  7,  6,  3,  9,  2,  8, 11,
  13, 11,  7, 14, 12,  1,  3,  9,  5,  0, 15,  4,  8,  6,  2, 10,
   6, 15, 14,  9, 11,  3,  0,  8, 12,  2, 13,  7,  1,  4, 10,  5,
  10,  2,  8,  4,  7,  6,  1,  5, 15, 11,  9, 14,  3, 12, 13,  0,
];

const DIGEST: i32 = 32;
const BLOCK: i32 = 64;

const hash = new StaticArray<u32>(8);
const work = new StaticArray<u32>(16);
const tail: usize = memory.data(64); // the last block, zero padded

// RFC 7693 section 3.1
function mix(a: i32, b: i32, c: i32, d: i32, x: u32, y: u32): void {
  let va = unchecked(work[a]);
  let vb = unchecked(work[b]);
  let vc = unchecked(work[c]);
  let vd = unchecked(work[d]);
  va = va + vb + x;
  vd = rotr<u32>(vd ^ va, 16);
  vc = vc + vd;
  vb = rotr<u32>(vb ^ vc, 12);
  va = va + vb + y;
  vd = rotr<u32>(vd ^ va, 8);
  vc = vc + vd;
  vb = rotr<u32>(vb ^ vc, 7);
  unchecked((work[a] = va));
  unchecked((work[b] = vb));
  unchecked((work[c] = vc));
  unchecked((work[d] = vd));
}

// @ts-ignore: decorator
@inline
function word(block: usize, round: i32, index: i32): u32 {
  return load<u32>(block + (<usize>unchecked(SIGMA[round + index]) << 2));
}

// RFC 7693 section 3.2; messages are below 2^32 bytes, so the counter's high word stays 0
function compress(block: usize, counter: u32, last: bool): void {
  for (let i = 0; i < 8; i++) {
    unchecked((work[i] = hash[i]));
    unchecked((work[i + 8] = IV[i]));
  }
  unchecked((work[12] ^= counter));
  if (last) unchecked((work[14] = ~work[14]));
  for (let round = 0; round < 160; round += 16) {
    mix(0, 4, 8, 12, word(block, round, 0), word(block, round, 1));
    mix(1, 5, 9, 13, word(block, round, 2), word(block, round, 3));
    mix(2, 6, 10, 14, word(block, round, 4), word(block, round, 5));
    mix(3, 7, 11, 15, word(block, round, 6), word(block, round, 7));
    mix(0, 5, 10, 15, word(block, round, 8), word(block, round, 9));
    mix(1, 6, 11, 12, word(block, round, 10), word(block, round, 11));
    mix(2, 7, 8, 13, word(block, round, 12), word(block, round, 13));
    mix(3, 4, 9, 14, word(block, round, 14), word(block, round, 15));
  }
  for (let i = 0; i < 8; i++) unchecked((hash[i] ^= work[i] ^ work[i + 8]));
}

export function handle(size: i32): i32 {
  for (let i = 0; i < 8; i++) unchecked((hash[i] = IV[i]));
  unchecked((hash[0] ^= 0x01010000 | DIGEST)); // parameter block: digest length, no key, sequential mode
  let at: i32 = 0;
  for (; at + BLOCK < size; at += BLOCK) compress(io + at, at + BLOCK, false);
  memory.fill(tail, 0, BLOCK);
  memory.copy(tail, io + at, size - at);
  compress(tail, size, true);
  for (let i = 0; i < 8; i++) store<u32>(io + (<usize>i << 2), unchecked(hash[i]));
  return DIGEST;
}
