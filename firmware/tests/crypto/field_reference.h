/* Arithmetic modulo 2^255 − 19 in the slowest and plainest way, and a comparison of the real one with it over limbs
 * that sit on the edges. Shared by the native unit test (portable C) and the bench image (UMAAL on the Arm core). */
#ifndef EP_TESTS_CRYPTO_FIELD_REFERENCE_H
#define EP_TESTS_CRYPTO_FIELD_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "crypto/field25519.h"

static const uint32_t reference_p[8] = {0xffffffed, 0xffffffff, 0xffffffff, 0xffffffff,
                                        0xffffffff, 0xffffffff, 0xffffffff, 0x7fffffff};

/* a −= p if a >= p; answers whether it was. */
static inline bool reference_take_p(uint32_t a[8]) {
  uint32_t rest[8];
  int64_t borrow = 0;
  for (int i = 0; i < 8; i++) {
    borrow += (int64_t)a[i] - reference_p[i];
    rest[i] = (uint32_t)borrow;
    borrow >>= 32;
  }
  if (borrow < 0) return false;
  memcpy(a, rest, sizeof rest);
  return true;
}

static inline void reference_reduce(uint32_t a[8]) {
  while (reference_take_p(a)) continue;
}

/* a += b, all below p. */
static inline void reference_add(uint32_t a[8], const uint32_t b[8]) {
  uint64_t carry = 0;
  for (int i = 0; i < 8; i++) {
    carry += (uint64_t)a[i] + b[i];
    a[i] = (uint32_t)carry;
    carry >>= 32;
  }
  reference_reduce(a);
}

/* out = a·b by doubling and adding, bit after bit. */
static inline void reference_multiply(uint32_t out[8], const uint32_t a[8], const uint32_t b[8]) {
  memset(out, 0, 32);
  for (int bit = 255; bit >= 0; bit--) {
    uint32_t twice[8];
    memcpy(twice, out, sizeof twice);
    reference_add(out, twice);
    if (b[bit / 32] >> (bit % 32) & 1) reference_add(out, a);
  }
}

static inline uint32_t reference_random(uint64_t *state) {
  *state += 0x9e3779b97f4a7c15u;
  uint64_t z = *state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (uint32_t)(z >> 32);
}

/* Three limbs in four are from an edge, where carries run far or just don't. */
static inline void reference_draw(ep_field_t *out, uint64_t *state) {
  static const uint32_t edges[] = {0,          1,          2,          18,         19,         20,
                                   37,         38,         39,         0x7fffffec, 0x7fffffed, 0x7fffffff,
                                   0x80000000, 0x80000001, 0xffffffd9, 0xffffffda, 0xffffffdb, 0xffffffec,
                                   0xffffffed, 0xffffffee, 0xfffffffe, 0xffffffff};
  uint32_t fill = reference_random(state) % 4;
  for (int i = 0; i < 8; i++) {
    uint32_t r = reference_random(state);
    if (fill == 0 && i > 0 && i < 7) {
      out->limb[i] = out->limb[0] >> 31 ? 0xffffffffu : 0;
    } else {
      out->limb[i] = r % 4 == 0 ? reference_random(state) : edges[r / 4 % (sizeof edges / sizeof *edges)];
    }
  }
}

static inline bool reference_equal(const ep_field_t *actual, const uint32_t expected[8]) {
  uint32_t limbs[8];
  uint8_t bytes[32];
  memcpy(limbs, actual->limb, sizeof limbs);
  reference_reduce(limbs);
  if (memcmp(limbs, expected, sizeof limbs) != 0) return false;
  /* the encoding too: always below p */
  ep_field_to_bytes(bytes, actual);
  for (int i = 0; i < 32; i++) {
    if (bytes[i] != (uint8_t)(expected[i / 4] >> (8 * (i % 4)))) return false;
  }
  return true;
}

/* Whether sum, difference and product of `rounds` random pairs are right, into a third place and in place. */
static inline bool reference_agrees(uint64_t seed, uint32_t rounds) {
  static const ep_field_t zero;
  for (uint32_t round = 0; round < rounds; round++) {
    ep_field_t a, b, result;
    uint32_t ra[8], rb[8], expected[8];
    reference_draw(&a, &seed);
    reference_draw(&b, &seed);
    memcpy(ra, a.limb, sizeof ra);
    memcpy(rb, b.limb, sizeof rb);
    reference_reduce(ra);
    reference_reduce(rb);

    memcpy(expected, ra, sizeof ra);
    reference_add(expected, rb);
    ep_field_add(&result, &a, &b);
    if (!reference_equal(&result, expected)) return false;

    /* a − b + b = a, and 0 − b + b = 0 */
    ep_field_subtract(&result, &a, &b);
    memcpy(expected, result.limb, sizeof expected);
    reference_reduce(expected);
    if (!reference_equal(&result, expected)) return false;
    reference_add(expected, rb);
    if (memcmp(expected, ra, sizeof ra) != 0) return false;
    ep_field_subtract(&result, &zero, &b);
    ep_field_add(&result, &result, &b);
    if (!ep_field_is_zero(&result)) return false;

    reference_multiply(expected, ra, rb);
    ep_field_multiply(&result, &a, &b);
    if (!reference_equal(&result, expected)) return false;
    result = a;
    ep_field_multiply(&result, &result, &b);
    if (!reference_equal(&result, expected)) return false;
    result = b;
    ep_field_multiply(&result, &a, &result);
    if (!reference_equal(&result, expected)) return false;
    reference_multiply(expected, ra, ra);
    ep_field_square(&result, &a, 1);
    if (!reference_equal(&result, expected)) return false;
  }
  return true;
}

#endif
