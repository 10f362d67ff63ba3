#include "crypto/field25519.h"

#include <string.h>

/* All three operations end alike: what lies at bit 255 and above, `high`, comes back in as 19·high, since
 * 2^255 = 19 modulo p. The low 255 bits plus 19·high stay below 2^256 for every `high` that can occur here
 * (at most 77), so that one pass suffices and no carry is left. */

#if defined(__ARM_FEATURE_DSP) && defined(__arm__) && !defined(EP_FIELD_PORTABLE)

/* Armv7E-M and Armv8-M with the DSP extension have UMAAL: hi:lo = x·y + lo + hi, which can't overflow. The functions
 * are naked, so their parameters are r0 (out), r1 (a), r2 (b), whether C thinks them used or not. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

__attribute__((naked)) void ep_field_add(ep_field_t *out, const ep_field_t *a, const ep_field_t *b) {
  __asm__("push {r4-r11, lr}\n\t"
          "ldm r1, {r3-r10}\n\t"
          "ldm r2!, {r1, r11, r12, lr}\n\t"
          "adds r3, r3, r1\n\t"
          "adcs r4, r4, r11\n\t"
          "adcs r5, r5, r12\n\t"
          "adcs r6, r6, lr\n\t"
          "ldm r2, {r1, r11, r12, lr}\n\t"
          "adcs r7, r7, r1\n\t"
          "adcs r8, r8, r11\n\t"
          "adcs r9, r9, r12\n\t"
          "adcs r10, r10, lr\n\t"
          "mov r1, #0\n\t"
          "adc r1, r1, #0\n\t"
          "lsl r1, r1, #1\n\t"
          "add r1, r1, r10, lsr #31\n\t"
          "bic r10, r10, #0x80000000\n\t"
          "mov r2, #19\n\t"
          "mul r1, r1, r2\n\t"
          "adds r3, r3, r1\n\t"
          "adcs r4, r4, #0\n\t"
          "adcs r5, r5, #0\n\t"
          "adcs r6, r6, #0\n\t"
          "adcs r7, r7, #0\n\t"
          "adcs r8, r8, #0\n\t"
          "adcs r9, r9, #0\n\t"
          "adc r10, r10, #0\n\t"
          "stm r0, {r3-r10}\n\t"
          "pop {r4-r11, pc}");
}

/* See the portable version for why −3 and the top bit. */
__attribute__((naked)) void ep_field_subtract(ep_field_t *out, const ep_field_t *a, const ep_field_t *b) {
  __asm__("push {r4-r11, lr}\n\t"
          "ldm r1, {r3-r10}\n\t"
          "ldm r2!, {r1, r11, r12, lr}\n\t"
          "subs r3, r3, r1\n\t"
          "sbcs r4, r4, r11\n\t"
          "sbcs r5, r5, r12\n\t"
          "sbcs r6, r6, lr\n\t"
          "ldm r2, {r1, r11, r12, lr}\n\t"
          "sbcs r7, r7, r1\n\t"
          "sbcs r8, r8, r11\n\t"
          "sbcs r9, r9, r12\n\t"
          "sbcs r10, r10, lr\n\t"
          /* 3 − 2·(no borrow) − (bit 255), times 19, is taken off */
          "mov r1, #0\n\t"
          "adc r1, r1, r1\n\t"
          "lsl r1, r1, #1\n\t"
          "add r1, r1, r10, lsr #31\n\t"
          "rsb r1, r1, #3\n\t"
          "orr r10, r10, #0x80000000\n\t"
          "mov r2, #19\n\t"
          "mul r1, r1, r2\n\t"
          "subs r3, r3, r1\n\t"
          "sbcs r4, r4, #0\n\t"
          "sbcs r5, r5, #0\n\t"
          "sbcs r6, r6, #0\n\t"
          "sbcs r7, r7, #0\n\t"
          "sbcs r8, r8, #0\n\t"
          "sbcs r9, r9, #0\n\t"
          "sbc r10, r10, #0\n\t"
          "stm r0, {r3-r10}\n\t"
          "pop {r4-r11, pc}");
}

/* One limb of b (r11) times four limbs of a (r3 to r6), onto the window c0 to c3. `t` comes in as what the product's
 * word `at` already holds, and leaves as the window's next word, so the five registers change roles row by row. */
#define ROW(limb, t, c0, c1, c2, c3, at)                                                                     \
  "umaal " c0 ", " t ", r3, " limb "\n\t"                                                                    \
  "umaal " c1 ", " t ", r4, " limb "\n\t"                                                                    \
  "umaal " c2 ", " t ", r5, " limb "\n\t"                                                                    \
  "umaal " c3 ", " t ", r6, " limb "\n\t"                                                                    \
  "str " c0 ", [sp, #4*" at "]\n\t"
#define ZERO(t, at) "mov " t ", #0\n\t"
#define WORD(t, at) "ldr " t ", [sp, #4*" at "]\n\t"

/* Four limbs of a times all of b. The last four words of the result stay in r10, r12, r7, r8. */
#define HALF(IN, w0, w1, w2, w3, w4, w5, w6, w7)                                                             \
  "mov r7, #0\n\t"                                                                                           \
  "mov r8, #0\n\t"                                                                                           \
  "mov r9, #0\n\t"                                                                                           \
  "mov r10, #0\n\t"                                                                                          \
  "ldrd r11, lr, [r2]\n\t" IN("r12", w0) ROW("r11", "r12", "r7", "r8", "r9", "r10", w0) IN("r7", w1)         \
      ROW("lr", "r7", "r8", "r9", "r10", "r12", w1) "ldrd r11, lr, [r2, #8]\n\t" IN("r8", w2)                \
          ROW("r11", "r8", "r9", "r10", "r12", "r7", w2) IN("r9", w3)                                        \
              ROW("lr", "r9", "r10", "r12", "r7", "r8", w3) "ldrd r11, lr, [r2, #16]\n\t" IN("r10", w4)      \
                  ROW("r11", "r10", "r12", "r7", "r8", "r9", w4) IN("r12", w5) ROW(                          \
                      "lr", "r12", "r7", "r8", "r9", "r10", w5) "ldrd r11, lr, [r2, #24]\n\t" IN("r7", w6)   \
                      ROW("r11", "r7", "r8", "r9", "r10", "r12", w6) IN("r8", w7)                            \
                          ROW("lr", "r8", "r9", "r10", "r12", "r7", w7)

__attribute__((naked)) void ep_field_multiply(ep_field_t *out, const ep_field_t *a, const ep_field_t *b) {
  __asm__("push {r0, r4-r11, lr}\n\t"
          "sub sp, sp, #64\n\t" /* the product's 16 words */
          "ldm r1!, {r3-r6}\n\t" HALF(ZERO, "0", "1", "2", "3", "4", "5", "6",
                                      "7") "strd r10, r12, [sp, #32]\n\t"
                                           "strd r7, r8, [sp, #40]\n\t"
                                           "ldm r1, {r3-r6}\n\t" HALF(WORD, "4", "5", "6", "7", "8", "9",
                                                                      "10", "11")
          /* words 8 to 15 times 2^256 = 38, onto words 0 to 7; the carry is in r0 */
          "ldm sp, {r1-r4}\n\t"
          "ldrd r5, r6, [sp, #32]\n\t"
          "ldrd r9, r11, [sp, #40]\n\t"
          "mov lr, #38\n\t"
          "mov r0, #0\n\t"
          "umaal r1, r0, r5, lr\n\t"
          "umaal r2, r0, r6, lr\n\t"
          "umaal r3, r0, r9, lr\n\t"
          "umaal r4, r0, r11, lr\n\t"
          "ldrd r5, r6, [sp, #16]\n\t"
          "ldrd r9, r11, [sp, #24]\n\t"
          "umaal r5, r0, r10, lr\n\t"
          "umaal r6, r0, r12, lr\n\t"
          "umaal r9, r0, r7, lr\n\t"
          "umaal r11, r0, r8, lr\n\t"
          "lsl r0, r0, #1\n\t"
          "add r0, r0, r11, lsr #31\n\t"
          "bic r11, r11, #0x80000000\n\t"
          "mov lr, #19\n\t"
          "mul r0, r0, lr\n\t"
          "adds r1, r1, r0\n\t"
          "adcs r2, r2, #0\n\t"
          "adcs r3, r3, #0\n\t"
          "adcs r4, r4, #0\n\t"
          "adcs r5, r5, #0\n\t"
          "adcs r6, r6, #0\n\t"
          "adcs r9, r9, #0\n\t"
          "adc r11, r11, #0\n\t"
          "ldr r0, [sp, #64]\n\t"
          "stm r0, {r1-r6, r9, r11}\n\t"
          "add sp, sp, #68\n\t"
          "pop {r4-r11, pc}");
}

#else

static void fold(ep_field_t *out, const uint32_t limb[8], uint32_t above) {
  uint32_t high = 2 * above + (limb[7] >> 31);
  uint64_t carry = (uint64_t)19 * high;

  for (unsigned i = 0; i < 7; i++) {
    carry += limb[i];
    out->limb[i] = (uint32_t)carry;
    carry >>= 32;
  }
  out->limb[7] = (limb[7] & 0x7fffffffu) + (uint32_t)carry;
}

void ep_field_add(ep_field_t *out, const ep_field_t *a, const ep_field_t *b) {
  uint32_t sum[8];
  uint64_t carry = 0;

  for (unsigned i = 0; i < 8; i++) {
    carry += (uint64_t)a->limb[i] + b->limb[i];
    sum[i] = (uint32_t)carry;
    carry >>= 32;
  }
  fold(out, sum, (uint32_t)carry);
}

/* With r = (a − b) modulo 2^256, r' its low 255 bits, t its bit 255 and c = 1 if nothing was borrowed,
 * a − b = r' + 2^255·(t + 2c − 2), so it stands for r' + 19·(t + 2c − 2). That may be negative; one more p makes
 * it r' + 2^255 − 19·(3 − 2c − t), which is neither negative nor as large as 2^256. */
void ep_field_subtract(ep_field_t *out, const ep_field_t *a, const ep_field_t *b) {
  int64_t carry = 0;
  ep_field_t r;

  for (unsigned i = 0; i < 8; i++) {
    carry += (int64_t)a->limb[i] - b->limb[i];
    r.limb[i] = (uint32_t)carry;
    carry >>= 32; /* 0 or −1: c − 1 */
  }
  carry = 19 * (2 * carry + (int64_t)(r.limb[7] >> 31) - 1);
  r.limb[7] |= 0x80000000u;
  for (unsigned i = 0; i < 8; i++) {
    carry += r.limb[i];
    out->limb[i] = (uint32_t)carry;
    carry >>= 32;
  }
}

void ep_field_multiply(ep_field_t *out, const ep_field_t *a, const ep_field_t *b) {
  uint32_t product[16] = {0};
  uint64_t t = 0;

  for (unsigned i = 0; i < 8; i++) {
    t = 0;
    for (unsigned j = 0; j < 8; j++) {
      t += (uint64_t)a->limb[j] * b->limb[i] + product[i + j];
      product[i + j] = (uint32_t)t;
      t >>= 32;
    }
    product[i + 8] = (uint32_t)t;
  }
  t = 0;
  for (unsigned i = 0; i < 8; i++) {
    t += (uint64_t)product[i + 8] * 38 + product[i];
    product[i] = (uint32_t)t;
    t >>= 32;
  }
  fold(out, product, (uint32_t)t);
}

#endif

void ep_field_square(ep_field_t *out, const ep_field_t *a, uint32_t times) {
  *out = *a;
  while (times-- > 0) ep_field_multiply(out, out, out);
}

/* a^(2^250 − 1), and a^11 by the way. Each line's exponent is what the comment says: n ones in binary, shifted left
 * by n and multiplied by n ones, are 2n ones. */
static void power_250_ones(ep_field_t *out, ep_field_t *a11, const ep_field_t *a) {
  ep_field_t t, ones5, ones10, ones50;

  ep_field_square(&t, a, 1);             /* 2 */
  ep_field_square(&ones5, &t, 2);        /* 8 */
  ep_field_multiply(&ones5, &ones5, a);  /* 9 */
  ep_field_multiply(a11, &ones5, &t);    /* 11 */
  ep_field_square(&t, a11, 1);           /* 22 */
  ep_field_multiply(&ones5, &t, &ones5); /* 31: 5 ones */
  ep_field_square(&t, &ones5, 5);
  ep_field_multiply(&ones10, &t, &ones5); /* 10 ones */
  ep_field_square(&t, &ones10, 10);
  ep_field_multiply(out, &t, &ones10); /* 20 ones */
  ep_field_square(&t, out, 20);
  ep_field_multiply(out, &t, out); /* 40 ones */
  ep_field_square(&t, out, 10);
  ep_field_multiply(&ones50, &t, &ones10); /* 50 ones */
  ep_field_square(&t, &ones50, 50);
  ep_field_multiply(out, &t, &ones50); /* 100 ones */
  ep_field_square(&t, out, 100);
  ep_field_multiply(out, &t, out); /* 200 ones */
  ep_field_square(&t, out, 50);
  ep_field_multiply(out, &t, &ones50); /* 250 ones */
}

/* p − 2 = 2^255 − 21 = (2^250 − 1)·2^5 + 11 */
void ep_field_invert(ep_field_t *out, const ep_field_t *a) {
  ep_field_t t, a11;

  power_250_ones(&t, &a11, a);
  ep_field_square(&t, &t, 5);
  ep_field_multiply(out, &t, &a11);
}

/* (p − 5)/8 = 2^252 − 3 = (2^250 − 1)·2^2 + 1 */
void ep_field_power_p58(ep_field_t *out, const ep_field_t *a) {
  ep_field_t t, a11;

  power_250_ones(&t, &a11, a);
  ep_field_square(&t, &t, 2);
  ep_field_multiply(out, &t, a);
}

void ep_field_from_bytes(ep_field_t *out, const uint8_t bytes[32]) {
  for (unsigned i = 0; i < 8; i++, bytes += 4)
    out->limb[i] = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

void ep_field_to_bytes(uint8_t bytes[32], const ep_field_t *a) {
  static const ep_field_t zero;
  ep_field_t low, above;
  uint64_t carry = 19;

  /* after this, low < 2^255 + 19 < 2p: at most one p is too much */
  ep_field_add(&low, a, &zero);
  /* low + 19 has bit 255 set exactly if low >= p, and is then low − p + 2^255 */
  for (unsigned i = 0; i < 8; i++) {
    carry += low.limb[i];
    above.limb[i] = (uint32_t)carry;
    carry >>= 32;
  }
  if (above.limb[7] >> 31) {
    low = above;
    low.limb[7] &= 0x7fffffffu;
  }
  for (unsigned i = 0; i < 32; i++) bytes[i] = (uint8_t)(low.limb[i / 4] >> (8 * (i % 4)));
}

bool ep_field_is_zero(const ep_field_t *a) {
  static const uint8_t zero[32];
  uint8_t bytes[32];

  ep_field_to_bytes(bytes, a);
  return memcmp(bytes, zero, sizeof bytes) == 0;
}
