#include "crypto/sha512.h"

#include <string.h>

/* FIPS 180-4 section 4.2.3: the first 64 bits of the fractional parts of the cube roots of the first 80 primes. */
static const uint64_t round_constants[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538,
    0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe,
    0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2, 0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235,
    0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5, 0x983e5152ee66dfab,
    0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
    0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed,
    0x53380d139d95b3df, 0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218,
    0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8, 0x19a4c116b8d2d0c8, 0x1e376c085141ab53,
    0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373,
    0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c,
    0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6,
    0x113f9804bef90dae, 0x1b710b35131c471b, 0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc,
    0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
};

/* Section 5.3.5: the same of the square roots of the first 8 primes. */
static const uint64_t initial_state[8] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

static inline uint64_t rotate(uint64_t x, unsigned n) {
  return x >> n | x << (64 - n);
}

static inline uint64_t load_big_endian(const uint8_t byte[8]) {
  uint32_t high = (uint32_t)byte[0] << 24 | (uint32_t)byte[1] << 16 | (uint32_t)byte[2] << 8 | byte[3];
  uint32_t low = (uint32_t)byte[4] << 24 | (uint32_t)byte[5] << 16 | (uint32_t)byte[6] << 8 | byte[7];
  return (uint64_t)high << 32 | low;
}

/* Section 6.4.2. The eight working variables are a window that slides down through memory: `v[0]` is a and `v[7]`
 * is h; each round writes one new a below the window and turns d into e where it lies, so that nothing is moved.
 * The message schedule is a ring of 16 words. */
static void compress(uint64_t state[8], const uint8_t block[128]) {
  uint64_t schedule[16];
  uint64_t variables[16 + 8];

  for (unsigned t = 0; t < 16; t++) schedule[t] = load_big_endian(block + 8 * t);
  memcpy(variables, state, 64);

  for (unsigned t = 0; t < 80; t++) {
    uint64_t *v = &variables[15 - t % 16];
    uint64_t *w = &schedule[t % 16];

    if (t % 16 == 0) memcpy(v + 1, variables, 64);
    if (t >= 16) {
      uint64_t w15 = schedule[(t + 1) % 16];
      uint64_t w2 = schedule[(t + 14) % 16];
      *w += (rotate(w15, 1) ^ rotate(w15, 8) ^ w15 >> 7) + schedule[(t + 9) % 16] +
            (rotate(w2, 19) ^ rotate(w2, 61) ^ w2 >> 6);
    }

    uint64_t e = v[5];
    uint64_t t1 = v[8] + (rotate(e, 14) ^ rotate(e, 18) ^ rotate(e, 41)) + (((v[6] ^ v[7]) & e) ^ v[7]) +
                  round_constants[t] + *w;
    uint64_t a = v[1];
    uint64_t t2 = (rotate(a, 28) ^ rotate(a, 34) ^ rotate(a, 39)) + ((a & v[2]) | ((a | v[2]) & v[3]));
    v[4] += t1;
    v[0] = t1 + t2;
  }
  for (unsigned i = 0; i < 8; i++) state[i] += variables[i];
}

void ep_sha512_init(ep_sha512_t *hash) {
  memcpy(hash->state, initial_state, sizeof hash->state);
  hash->length = 0;
}

void ep_sha512_update(ep_sha512_t *hash, const void *data, size_t size) {
  const uint8_t *byte = data;
  size_t used = (size_t)(hash->length % sizeof hash->block);

  hash->length += size;
  while (size > 0) {
    size_t part = sizeof hash->block - used;
    if (part > size) part = size;
    if (part == sizeof hash->block) {
      compress(hash->state, byte);
    } else {
      memcpy(hash->block + used, byte, part);
      if (used + part == sizeof hash->block) compress(hash->state, hash->block);
    }
    used = 0;
    byte += part;
    size -= part;
  }
}

/* Section 5.1.2: a one bit, zeros, and the length in bits as 128 bits, of which uint64_t bytes fill 67. */
void ep_sha512_final(ep_sha512_t *hash, uint8_t digest[64]) {
  size_t used = (size_t)(hash->length % sizeof hash->block);

  hash->block[used++] = 0x80;
  if (used > 112) {
    memset(hash->block + used, 0, sizeof hash->block - used);
    compress(hash->state, hash->block);
    used = 0;
  }
  memset(hash->block + used, 0, 119 - used);
  hash->block[119] = (uint8_t)(hash->length >> 61);
  for (unsigned i = 0; i < 8; i++) hash->block[120 + i] = (uint8_t)(hash->length << 3 >> (56 - 8 * i));
  compress(hash->state, hash->block);
  for (unsigned i = 0; i < 64; i++) digest[i] = (uint8_t)(hash->state[i / 8] >> (56 - 8 * (i % 8)));
}
