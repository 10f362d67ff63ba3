#include "crypto/ed25519.h"

#include <stdbool.h>
#include <string.h>

#include "crypto/field25519.h"
#include "crypto/sha512.h"

/* Points of −x² + y² = 1 + d·x²·y² in extended coordinates (Hisil, Wong, Carter, Dawson 2008): x = X/Z, y = Y/Z,
 * x·y = T/Z. Since −1 is a square modulo p and d is not, their addition is complete: it holds for every pair of points
 * on the curve, of small order, equal, or opposite, so that no input needs a case of its own. */
typedef struct {
  ep_field_t x, y, z, t;
} point_t;

/* A point in the form in which it is added: y + x, y − x, 2·d·x·y. */
typedef struct {
  ep_field_t sum, difference, product;
} affine_t;

/* The same, all of it times Z, and 2·Z. */
typedef struct {
  affine_t point;
  ep_field_t double_z;
} cached_t;

/* Odd multiples 1, 3, 5 ... 15 serve the digits of a 5-bit window. */
#define WINDOW       5
#define TABLE_POINTS (1 << (WINDOW - 2))

/* d = −121665/121666 modulo p */
static const ep_field_t curve_d = {
    {0x135978a3, 0x75eb4dca, 0x4141d8ab, 0x00700a4d, 0x7779e898, 0x8cc74079, 0x2b6ffe73, 0x52036cee}};
static const ep_field_t curve_2d = {
    {0x26b2f159, 0xebd69b94, 0x8283b156, 0x00e0149a, 0xeef3d130, 0x198e80f2, 0x56dffce7, 0x2406d9dc}};

/* 2^((p − 1)/4), a square root of −1 */
static const ep_field_t root_of_minus_1 = {
    {0x4a0ea0b0, 0xc4ee1b27, 0xad2fe478, 0x2f431806, 0x3dfbd7a7, 0x2b4d0099, 0x4fc1df0b, 0x2b832480}};

static const ep_field_t one = {{1}};

/* L = 2^252 + 27742317777372353535851937790883648493, the order of B */
static const uint32_t group_order[8] = {0x5cf5d3ed, 0x5812631a, 0xa2f79cd6, 0x14def9de, 0, 0, 0, 0x10000000};

/* 1·B, 3·B ... 15·B, where B has y = 4/5 and even x (RFC 8032 section 5.1), limbs least significant first.
 * tests/conformance/crypto-constants.test.ts computes them anew from the curve's equation. */
static const affine_t base_multiples[TABLE_POINTS] = {
    {{{0xf58c3b85, 0x2fbc93c6, 0xfb8c0e19, 0xcf932dc6, 0x643d42c2, 0x270b4898, 0x33d4ba65, 0x07cf9d3a}},
     {{0xd740913e, 0x9d103905, 0xd140beb3, 0xfd399f05, 0x688f8a09, 0xa5c18434, 0x98f81267, 0x44fd2f92}},
     {{0x877aaa68, 0xabc91205, 0xccaac49e, 0x26d9e823, 0xdd43598c, 0x5a1b7dcb, 0x9f0c65a8,
       0x6f117b68}}}, /* 1·B */
    {{{0x4cee9730, 0xaf25b0a8, 0xe8864b8a, 0x025a8430, 0x9f016732, 0xc11b5002, 0x9a80f8f4, 0x7a164e1b}},
     {{0xa4fcd265, 0x56611fe8, 0xe5c1ba7d, 0x3bd353fd, 0x214bd6bd, 0x8131f31a, 0x555bda62, 0x2ab91587}},
     {{0x0dd0d889, 0x14ae933f, 0x1c35da62, 0x58942322, 0x8cf2db4c, 0xd170e545, 0x12b9b4c6,
       0x5a2826af}}}, /* 3·B */
    {{{0x08a5bb33, 0xa212bc44, 0xc75eed02, 0x8d5048c3, 0x5abfec44, 0xdd1beb0c, 0x46e206eb, 0x2945ccf1}},
     {{0xa447d6ba, 0x7f9182c3, 0x4b2729b7, 0xd50014d1, 0xb864a087, 0xe33cf11c, 0xeb1b55f3, 0x154a7e73}},
     {{0x812a8285, 0xbcbbdbf1, 0xd0bdd1fc, 0x270e0807, 0x1bbda72d, 0xb41b670b, 0x6b3bb69a,
       0x43aabe69}}}, /* 5·B */
    {{{0x944ea3bf, 0x6b1a5cd0, 0xb39dc0d2, 0x7470353a, 0x28542e49, 0x71b25282, 0x283c927e, 0x461bea69}},
     {{0xaa3221b1, 0xba6f2c9a, 0x3bba23a7, 0x6ca02153, 0x92192c3a, 0x9dea764f, 0x2e5317e0, 0x1d6edd5d}},
     {{0x01b8b3a2, 0xf1836dc8, 0x053ea49a, 0xb3035f47, 0x5877adf3, 0x529c41ba, 0x6a0f90a7,
       0x7a9fbb1c}}}, /* 7·B */
    {{{0xa6a8632f, 0x9b2e678a, 0x51bc46c5, 0xa6509e6f, 0xc686f5b5, 0xceb233c9, 0x8add7f59, 0x34b9ed33}},
     {{0x039d8064, 0xf36e217e, 0xf520419b, 0x98a081b6, 0xe75eb044, 0x96cbc608, 0xfadc9c8f, 0x49c05a51}},
     {{0x9045af1b, 0x06b4e8bf, 0xa719d22f, 0xe2ff83e8, 0x93d4cf16, 0xaaf6fc29, 0x1b008b06,
       0x73c17202}}}, /* 9·B */
    {{{0x8a802ade, 0x2fbf0084, 0x02302e27, 0xe5d9fecf, 0x17703406, 0x113e8471, 0x546d8faf, 0x4275aae2}},
     {{0x49864348, 0x315f5b02, 0x77088381, 0x3ed6b369, 0x6a8deb95, 0xa3a07555, 0x29d5c77f, 0x18ab5980}},
     {{0xfd6089e9, 0xd82b2cc5, 0x3282e4a4, 0x031eb4a1, 0xb51a8622, 0x44311199, 0xb53df948,
       0x3dc65522}}}, /* 11·B */
    {{{0xa2007f6d, 0xbf70c222, 0xb5bcdedb, 0xbf84b39a, 0xfb07ba07, 0x537a0e12, 0xc346f241, 0x234fd7ee}},
     {{0x327fbf93, 0x506f013b, 0x9b776f6b, 0xaefcebc9, 0xaaad5968, 0x9d12b232, 0x176024a7, 0x0267882d}},
     {{0x732ea378, 0x5360a119, 0xdf8dd471, 0x2437e6b1, 0x91a7e533, 0xa2ef37f8, 0xaa097863,
       0x497ba6fd}}}, /* 13·B */
    {{{0x13cfeaa0, 0x24cecc03, 0x189c246d, 0x8648c28d, 0xc1f2d4d0, 0x2dbdbdfa, 0xf12de72b, 0x61e22917}},
     {{0x468ccf0b, 0x040bcd86, 0x2a9910d6, 0xd3829ba4, 0x07b25192, 0x75083008, 0x18d05ebf, 0x43b5cd42}},
     {{0x9bd0b516, 0x5d9a762f, 0x373fdeee, 0xeb38af4e, 0x93d64270, 0x032e5a7d, 0x0ae4d842,
       0x511d6121}}}, /* 15·B */
};

/* p = 2·p. `t` is computed only on demand: doubling itself doesn't read it. */
static void point_double(point_t *p, bool with_t) {
  ep_field_t a, b;

  ep_field_square(&a, &p->x, 1);
  ep_field_square(&b, &p->y, 1);
  ep_field_add(&p->x, &p->x, &p->y);
  ep_field_square(&p->x, &p->x, 1);
  ep_field_square(&p->z, &p->z, 1);
  ep_field_add(&p->z, &p->z, &p->z);
  /* with H = x² + y², G = x² − y², E = H − (x + y)², F = 2z² + G: all four negated against the paper, which the
   * products don't show */
  ep_field_add(&p->y, &a, &b);
  ep_field_subtract(&a, &a, &b);
  ep_field_subtract(&p->x, &p->y, &p->x);
  ep_field_add(&b, &p->z, &a);
  if (with_t) ep_field_multiply(&p->t, &p->x, &p->y);
  ep_field_multiply(&p->z, &b, &a);
  ep_field_multiply(&p->x, &p->x, &b);
  ep_field_multiply(&p->y, &p->y, &a);
}

/* p = p ± q. `double_z` is NULL for Z = 1. −q has y + x and y − x exchanged, and 2·d·x·y negated. */
static void point_add(point_t *p, const affine_t *q, const ep_field_t *double_z, bool minus, bool with_t) {
  ep_field_t a, b, c, d;

  ep_field_subtract(&a, &p->y, &p->x);
  ep_field_add(&b, &p->y, &p->x);
  ep_field_multiply(&a, &a, minus ? &q->sum : &q->difference);
  ep_field_multiply(&b, &b, minus ? &q->difference : &q->sum);
  ep_field_multiply(&c, &p->t, &q->product);
  if (double_z != NULL) {
    ep_field_multiply(&d, &p->z, double_z);
  } else {
    ep_field_add(&d, &p->z, &p->z);
  }
  ep_field_subtract(&p->x, &b, &a);
  ep_field_add(&p->y, &b, &a);
  ep_field_subtract(minus ? &b : &a, &d, &c);
  ep_field_add(minus ? &a : &b, &d, &c);
  if (with_t) ep_field_multiply(&p->t, &p->x, &p->y);
  ep_field_multiply(&p->z, &a, &b);
  ep_field_multiply(&p->x, &p->x, &a);
  ep_field_multiply(&p->y, &p->y, &b);
}

static void point_cache(cached_t *out, const point_t *p) {
  ep_field_add(&out->point.sum, &p->y, &p->x);
  ep_field_subtract(&out->point.difference, &p->y, &p->x);
  ep_field_multiply(&out->point.product, &p->t, &curve_2d);
  ep_field_add(&out->double_z, &p->z, &p->z);
}

static void point_encode(uint8_t bytes[32], const point_t *p) {
  ep_field_t inverse, coordinate;
  uint8_t x[32];

  ep_field_invert(&inverse, &p->z);
  ep_field_multiply(&coordinate, &p->x, &inverse);
  ep_field_to_bytes(x, &coordinate);
  ep_field_multiply(&coordinate, &p->y, &inverse);
  ep_field_to_bytes(bytes, &coordinate);
  bytes[31] |= (uint8_t)(x[0] << 7);
}

/* −1 times the point that `bytes` encode (RFC 8032 section 5.1.3); false if y isn't below p or no point has it. The
 * sign bit of a point with x = 0 is not looked at: those have order 1 and 2, and the caller refuses them. */
static bool point_decode_negated(point_t *p, const uint8_t bytes[32]) {
  ep_field_t u, v, w;
  uint8_t canonical[32];

  ep_field_from_bytes(&p->y, bytes);
  p->y.limb[7] &= 0x7fffffffu;
  ep_field_to_bytes(canonical, &p->y);
  canonical[31] |= bytes[31] & 0x80;
  if (memcmp(canonical, bytes, sizeof canonical) != 0) return false;

  /* x² = u/v with u = y² − 1, v = d·y² + 1; the candidate is u·v³·(u·v⁷)^((p − 5)/8) */
  ep_field_square(&u, &p->y, 1);
  ep_field_multiply(&v, &u, &curve_d);
  ep_field_subtract(&u, &u, &one);
  ep_field_add(&v, &v, &one);
  ep_field_square(&w, &v, 1);
  ep_field_multiply(&w, &w, &v);
  ep_field_multiply(&p->x, &w, &u);
  ep_field_square(&w, &w, 1);
  ep_field_multiply(&w, &w, &v);
  ep_field_multiply(&w, &w, &u);
  ep_field_power_p58(&w, &w);
  ep_field_multiply(&p->x, &p->x, &w);

  /* v·x² is u, or −u and x lacks a factor of √−1, or u/v is no square */
  ep_field_square(&w, &p->x, 1);
  ep_field_multiply(&w, &w, &v);
  ep_field_subtract(&v, &w, &u);
  if (!ep_field_is_zero(&v)) {
    ep_field_add(&v, &w, &u);
    if (!ep_field_is_zero(&v)) return false;
    ep_field_multiply(&p->x, &p->x, &root_of_minus_1);
  }

  ep_field_to_bytes(canonical, &p->x);
  if ((canonical[0] & 1) == bytes[31] >> 7) {
    static const ep_field_t zero;
    ep_field_subtract(&p->x, &zero, &p->x);
  }
  p->z = one;
  ep_field_multiply(&p->t, &p->x, &p->y);
  return true;
}

/* 8·p has x = 0 only for 8·p = 0: the other such point has order 2, and 8·p has odd order. */
static bool point_has_small_order(const point_t *p) {
  point_t q = *p;

  for (int i = 0; i < 3; i++) point_double(&q, false);
  return ep_field_is_zero(&q.x);
}

/* Signed odd digits of up to WINDOW bits with at least WINDOW − 1 zeros after each: Σ digit[i]·2^i = scalar, which is
 * below 2^253, so that the last carry finds a place. */
static void scalar_recode(int8_t digit[256], const uint8_t scalar[32]) {
  unsigned carry = 0;

  memset(digit, 0, 256);
  for (unsigned i = 0; i < 256;) {
    unsigned bits = scalar[i / 8];
    if (i / 8 < 31) bits |= (unsigned)scalar[i / 8 + 1] << 8;
    bits >>= i % 8;
    if ((bits & 1) == carry) {
      i++;
      continue;
    }
    int value = (int)((bits & ((1u << WINDOW) - 1)) + carry);
    carry = value >> (WINDOW - 1) != 0;
    digit[i] = (int8_t)(value - (int)(carry << WINDOW));
    i += WINDOW;
  }
}

static bool scalar_is_canonical(const uint8_t scalar[32]) {
  for (unsigned i = 8; i-- > 0;) {
    const uint8_t *byte = scalar + 4 * i;
    uint32_t word = byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 | (uint32_t)byte[3] << 24;
    if (word != group_order[i]) return word < group_order[i];
  }
  return false;
}

/* 64 bytes, little endian, modulo L: 16 bits more in each step. */
static void scalar_reduce(uint8_t out[32], const uint8_t wide[64]) {
  uint32_t r[9] = {0};

  for (unsigned i = 32; i-- > 0;) {
    for (unsigned j = 8; j > 0; j--) r[j] = r[j] << 16 | r[j - 1] >> 16;
    r[0] = r[0] << 16 | (uint32_t)wide[2 * i + 1] << 8 | wide[2 * i];

    /* L is 2^252 and a little, so the quotient by 2^252, 17 bits, is L's or too large by one */
    uint32_t quotient = r[8] << 4 | r[7] >> 28;
    int64_t carry = 0;
    for (unsigned j = 0; j < 8; j++) {
      carry += r[j] - (int64_t)quotient * group_order[j];
      r[j] = (uint32_t)carry;
      carry >>= 32;
    }
    carry += r[8];
    r[8] = 0;
    if (carry < 0) {
      uint64_t sum = 0;
      for (unsigned j = 0; j < 8; j++) {
        sum += (uint64_t)r[j] + group_order[j];
        r[j] = (uint32_t)sum;
        sum >>= 32;
      }
    }
  }
  for (unsigned i = 0; i < 32; i++) out[i] = (uint8_t)(r[i / 4] >> (8 * (i % 4)));
}

/* The functions below aren't inlined so that their large frames don't add up. */

static __attribute__((noinline)) void challenge(uint8_t k[32], const uint8_t signature[64],
                                                const uint8_t key[32], const uint8_t *message, size_t size) {
  ep_sha512_t hash;
  uint8_t digest[64];

  ep_sha512_init(&hash);
  ep_sha512_update(&hash, signature, 32);
  ep_sha512_update(&hash, key, 32);
  ep_sha512_update(&hash, message, size);
  ep_sha512_final(&hash, digest);
  scalar_reduce(k, digest);
}

static __attribute__((noinline)) void odd_multiples(cached_t table[TABLE_POINTS], const point_t *p) {
  point_t multiple = *p;
  cached_t twice;

  point_double(&multiple, true);
  point_cache(&twice, &multiple);
  multiple = *p;
  point_cache(&table[0], p);
  for (unsigned i = 1; i < TABLE_POINTS; i++) {
    point_add(&multiple, &twice.point, &twice.double_z, false, true);
    point_cache(&table[i], &multiple);
  }
}

/* p = [s]B + [k]p, both scalars along one run of 256 doublings. */
static __attribute__((noinline)) void multiply_and_add(point_t *p, const uint8_t s[32], const uint8_t k[32],
                                                       ep_ed25519_step_fn step, void *context) {
  cached_t multiples[TABLE_POINTS];
  int8_t s_digits[256], k_digits[256];

  odd_multiples(multiples, p);
  scalar_recode(s_digits, s);
  scalar_recode(k_digits, k);

  *p = (point_t){.y = one, .z = one};
  for (unsigned i = 256; i-- > 0;) {
    int digit_s = s_digits[i];
    int digit_k = k_digits[i];
    point_double(p, digit_s != 0 || digit_k != 0);
    if (digit_k != 0) {
      const cached_t *q = &multiples[(digit_k < 0 ? -digit_k : digit_k) / 2];
      point_add(p, &q->point, &q->double_z, digit_k < 0, digit_s != 0);
    }
    if (digit_s != 0) {
      const affine_t *q = &base_multiples[(digit_s < 0 ? -digit_s : digit_s) / 2];
      point_add(p, q, NULL, digit_s < 0, false);
    }
    if (step != NULL) step(context);
  }
}

int ep_ed25519_verify(const uint8_t signature[64], const uint8_t key[32], const uint8_t *message, size_t size,
                      ep_ed25519_step_fn step, void *context) {
  const uint8_t *s = signature + 32;
  uint8_t k[32], r[32];
  point_t p;

  if (!scalar_is_canonical(s)) return -1;
  if (!point_decode_negated(&p, key) || point_has_small_order(&p)) return -1;
  challenge(k, signature, key, message, size);
  multiply_and_add(&p, s, k, step, context);
  point_encode(r, &p);
  /* r is the one canonical encoding of a point on the curve, so an R that is neither is never equal to it */
  return memcmp(r, signature, sizeof r) == 0 ? 0 : -1;
}
