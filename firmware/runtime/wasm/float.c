#include "wasm/float.h"

#define SIGN64         0x8000000000000000ull
#define INF64          0x7FF0000000000000ull
#define ONE64          0x3FF0000000000000ull
#define HIDDEN64       0x0010000000000000ull
#define SIGN32         0x80000000u
#define INF32          0x7F800000u
#define HIDDEN32       0x00800000u
#define BIAS64         1023u
#define BIAS32         127u
#define EXPONENT(bits) ((uint32_t)((bits) >> 52) & 0x7FFu)

/* ---- apart and together again ---------------------------------------------------------------------------- */

/* mantissa * 2^(exponent - 63), the mantissa's top bit set. */
typedef struct {
  uint64_t mantissa;
  int32_t exponent;
} ep_wasm_parts_t;

static ep_wasm_parts_t ep_wasm_normalise(uint64_t mantissa, int32_t exponent) {
  const int32_t shift = __builtin_clzll(mantissa);
  const ep_wasm_parts_t parts = {mantissa << shift, exponent - shift};
  return parts;
}

/* An f64 without its sign, which is no NaN, no infinity and not 0. */
static ep_wasm_parts_t ep_wasm_unpack(uint64_t bits) {
  const int32_t exponent = (int32_t)(bits >> 52);
  const uint64_t mantissa = bits << 11;
  if (exponent == 0) return ep_wasm_normalise(mantissa & ~SIGN64, 1 - (int32_t)BIAS64);
  return (ep_wasm_parts_t){mantissa | SIGN64, exponent - (int32_t)BIAS64};
}

/* Shifted right; what falls off leaves its trace in the last bit. */
static __attribute__((noinline)) uint64_t ep_wasm_shift_sticky(uint64_t mantissa, int32_t shift) {
  if (shift == 0) return mantissa;
  if (shift > 63) return 1;
  return mantissa >> shift | ((mantissa << (64 - shift)) != 0u ? 1u : 0u);
}

/* mantissa * 2^(exponent - 63), not 0, normalised for a format of that bias: its biased exponent comes back, and a number
 * below the normal ones has its mantissa shifted to where those of exponent 1 stand. */
static inline __attribute__((always_inline)) int32_t ep_wasm_fit(uint64_t *mantissa, int32_t exponent,
                                                                 uint32_t bias) {
  const ep_wasm_parts_t parts = ep_wasm_normalise(*mantissa, exponent);
  const int32_t biased = parts.exponent + (int32_t)bias;
  *mantissa = biased < 1 ? ep_wasm_shift_sticky(parts.mantissa, 1 - biased) : parts.mantissa;
  return biased < 1 ? 1 : biased;
}

/* mantissa * 2^(exponent - 63), not 0, rounded, with the sign of `sign`; beyond the largest number it is infinity. The
 * mantissa's last bit may stand for any that were cut off below it. */
static uint64_t ep_wasm_pack64(uint64_t sign, uint64_t mantissa, int32_t exponent) {
  const int32_t biased = ep_wasm_fit(&mantissa, exponent, BIAS64);
  uint64_t kept = mantissa >> 11;
  const uint32_t rest = (uint32_t)mantissa << 21;
  sign &= SIGN64;
  if (biased > 2 * (int32_t)BIAS64) return sign | INF64;
  if (rest > SIGN32 || (rest == SIGN32 && (kept & 1u) != 0u)) kept++;
  return sign |
         (((uint64_t)(uint32_t)(biased - 1) << 52) + kept); /* a hidden bit counts one, and so does a carry */
}

static uint32_t ep_wasm_pack32(uint32_t sign, uint64_t mantissa, int32_t exponent) {
  const int32_t biased = ep_wasm_fit(&mantissa, exponent, BIAS32);
  uint32_t kept = (uint32_t)(mantissa >> 40);
  const uint32_t rest = (uint32_t)(mantissa >> 8) | ((mantissa & 0xFFu) != 0u ? 1u : 0u);
  sign &= SIGN32;
  if (biased > 2 * (int32_t)BIAS32) return sign | INF32;
  if (rest > SIGN32 || (rest == SIGN32 && (kept & 1u) != 0u)) kept++;
  return sign | (((uint32_t)(biased - 1) << 23) + kept);
}

uint64_t ep_wasm_promote(uint32_t bits) {
  const uint64_t sign = (uint64_t)(bits & SIGN32) << 32;
  if (ep_wasm_is_nan32(bits)) return EP_WASM_NAN64;
  bits &= ~SIGN32;
  if (bits == INF32) return sign | INF64;
  if (bits == 0u) return sign;
  if (bits < HIDDEN32) { /* subnormal: bits * 2^-149, of which the top bit becomes the hidden one */
    const uint32_t top = 31u - (uint32_t)__builtin_clz(bits);
    return sign | (((uint64_t)(BIAS64 - 149u + top - 1u) << 52) + ((uint64_t)bits << (52u - top)));
  }
  return sign | (((uint64_t)(BIAS64 - BIAS32) << 52) + ((uint64_t)bits << 29));
}

uint32_t ep_wasm_demote(uint64_t bits) {
  const uint32_t sign = (uint32_t)(bits >> 32) & SIGN32;
  ep_wasm_parts_t parts;
  if (ep_wasm_is_nan64(bits)) return EP_WASM_NAN32;
  bits &= ~SIGN64;
  if (bits == INF64) return sign | INF32;
  if (bits == 0u) return sign;
  parts = ep_wasm_unpack(bits);
  return ep_wasm_pack32(sign, parts.mantissa, parts.exponent);
}

/* ---- addition ---------------------------------------------------------------------------------------------- */

uint64_t ep_wasm_f64_add(uint64_t a, uint64_t b) {
  const bool unlike = ((a ^ b) & SIGN64) != 0u;
  ep_wasm_parts_t large, small;
  uint64_t sum;
  if ((a & ~SIGN64) < (b & ~SIGN64)) {
    const uint64_t other = a;
    a = b;
    b = other;
  }
  if ((a & ~SIGN64) == INF64) return unlike && (b & ~SIGN64) == INF64 ? EP_WASM_NAN64 : a;
  if ((b & ~SIGN64) == 0u) return (a & ~SIGN64) == 0u && unlike ? 0u : a;
  large = ep_wasm_unpack(a & ~SIGN64);
  small = ep_wasm_unpack(b & ~SIGN64);
  /* one bit for the carry; ten below the last one are enough to round by */
  sum = ep_wasm_shift_sticky(small.mantissa >> 1, large.exponent - small.exponent);
  sum = unlike ? (large.mantissa >> 1) - sum : (large.mantissa >> 1) + sum;
  return sum == 0u ? 0u : ep_wasm_pack64(a, sum, large.exponent + 1);
}

/* ---- multiplication and division ---------------------------------------------------------------------------- */

/* Of finite numbers: NaNs, infinities and zeros are gone. The upper half of the product, with a trace of the lower. */
static uint64_t ep_wasm_multiply_mantissas(uint64_t a, uint64_t b) {
  const uint64_t low_low = (a & UINT32_MAX) * (b & UINT32_MAX);
  const uint64_t high_low = (a >> 32) * (b & UINT32_MAX);
  const uint64_t low_high = (a & UINT32_MAX) * (b >> 32);
  const uint64_t middle = (high_low & UINT32_MAX) + (low_low >> 32) + (low_high & UINT32_MAX);
  const uint64_t high = (a >> 32) * (b >> 32) + (high_low >> 32) + (low_high >> 32) + (middle >> 32);
  return high | ((middle << 32 | (low_low & UINT32_MAX)) != 0u ? 1u : 0u);
}

/* Digit by digit, 56 bits of quotient: two more than decide the rounding, and a trace of the rest. */
static uint64_t ep_wasm_divide_mantissas(uint64_t a, uint64_t b) {
  uint64_t quotient = 0;
  a >>= 1; /* both have zeros below; the rest needs a bit more than the divisor */
  b >>= 1;
  for (uint32_t i = 0; i < 56u; i++) {
    quotient <<= 1;
    if (a >= b) {
      a -= b;
      quotient |= 1u;
    }
    a <<= 1;
  }
  return quotient << 8 | (a != 0u ? 1u : 0u);
}

/* To divide is to multiply by the inverse: that of 0 is infinity, and that of infinity 0. */
static uint64_t ep_wasm_f64_product(uint64_t a, uint64_t b, bool inverse) {
  const uint64_t sign = (a ^ b) & SIGN64;
  bool infinite, zero;
  ep_wasm_parts_t x, y;
  a &= ~SIGN64;
  b &= ~SIGN64;
  infinite = a == INF64 || b == (inverse ? 0u : INF64);
  zero = a == 0u || b == (inverse ? INF64 : 0u);
  if (infinite) return zero ? EP_WASM_NAN64 : sign | INF64;
  if (zero) return sign;
  x = ep_wasm_unpack(a);
  y = ep_wasm_unpack(b);
  if (inverse)
    return ep_wasm_pack64(sign, ep_wasm_divide_mantissas(x.mantissa, y.mantissa), x.exponent - y.exponent);
  return ep_wasm_pack64(sign, ep_wasm_multiply_mantissas(x.mantissa, y.mantissa),
                        x.exponent + y.exponent + 1);
}

uint64_t ep_wasm_f64_multiply(uint64_t a, uint64_t b) {
  return ep_wasm_f64_product(a, b, false);
}

uint64_t ep_wasm_f64_divide(uint64_t a, uint64_t b) {
  return ep_wasm_f64_product(a, b, true);
}

/* ---- rounding to integral values ------------------------------------------------------------------------- */

/* Whether the magnitude goes up, given the fraction cut off, half a unit, and whether what stays is odd. */
static bool ep_wasm_goes_up(ep_wasm_rounding_t rounding, bool negative, uint64_t fraction, uint64_t half,
                            bool odd) {
  switch (rounding) {
  case EP_CEIL: return !negative;
  case EP_FLOOR: return negative;
  case EP_NEAREST: return fraction > half || (fraction == half && odd);
  default: return false;
  }
}

/* `digits` behind the point. */
typedef struct {
  int32_t digits;
  int32_t bias;
} ep_wasm_format_t;

static const ep_wasm_format_t ep_wasm_format32 = {23, 127};
static const ep_wasm_format_t ep_wasm_format64 = {52, 1023};

/* `bits` without its sign, and no NaN. */
static uint64_t ep_wasm_round_magnitude(uint64_t bits, bool negative, ep_wasm_rounding_t rounding,
                                        const ep_wasm_format_t *format) {
  const int32_t digits = format->digits;
  const int32_t exponent = (int32_t)(bits >> digits) - format->bias;
  const uint64_t one = (uint64_t)format->bias << digits;
  uint64_t unit, fraction;
  if (exponent >= digits || bits == 0u) return bits;
  if (exponent < 0) { /* below 1: to 0 or 1; one half is a unit of the exponent below it */
    return ep_wasm_goes_up(rounding, negative, bits, one - (1ull << digits), false) ? one : 0u;
  }
  unit = 1ull << (digits - exponent);
  fraction = bits & (unit - 1u);
  if (fraction == 0u) return bits;
  bits -= fraction;
  /* for 1.x the unit is the lowest bit of the exponent, which is set as an odd number's must be; a carry out of the
   * mantissa goes into the exponent as it should */
  return ep_wasm_goes_up(rounding, negative, fraction, unit >> 1, (bits & unit) != 0u) ? bits + unit : bits;
}

uint64_t ep_wasm_f64_round(uint64_t bits, ep_wasm_rounding_t rounding) {
  const uint64_t sign = bits & SIGN64;
  return sign | ep_wasm_round_magnitude(bits & ~SIGN64, sign != 0u, rounding, &ep_wasm_format64);
}

uint32_t ep_wasm_f32_round(uint32_t bits, ep_wasm_rounding_t rounding) {
  const uint32_t sign = bits & SIGN32;
  if (ep_wasm_is_nan32(bits)) return EP_WASM_NAN32;
  return sign | (uint32_t)ep_wasm_round_magnitude(bits & ~SIGN32, sign != 0u, rounding, &ep_wasm_format32);
}

/* ---- square root ------------------------------------------------------------------------------------------- */

/* Digit by digit: with an even exponent two bits of the mantissa, and zeros after it, give one bit of the root. 54 are
 * one more than stay. */
uint64_t ep_wasm_f64_sqrt(uint64_t bits) {
  ep_wasm_parts_t parts;
  uint64_t root = 0;
  uint64_t rest = 0;
  int32_t odd;
  if ((bits & ~SIGN64) == 0u || bits == INF64) return bits;
  if ((bits & SIGN64) != 0u) return EP_WASM_NAN64;
  parts = ep_wasm_unpack(bits);
  odd = parts.exponent & 1;
  parts.mantissa >>= 1 - odd; /* the first pair of bits is 01, or 1x */
  for (uint32_t i = 0; i < 54u; i++) {
    const uint64_t trial = root << 2 | 1u;
    rest = rest << 2 | parts.mantissa >> 62;
    parts.mantissa <<= 2;
    root <<= 1;
    if (rest >= trial) {
      rest -= trial;
      root |= 1u;
    }
  }
  return ep_wasm_pack64(0, root << 10 | (rest != 0u ? 1u : 0u), (parts.exponent - odd) / 2);
}

/* ---- order ---------------------------------------------------------------------------------------------------- */

/* Numbers in the order of their values, -0 below +0, as integers. */
static int64_t ep_wasm_order(uint64_t bits) {
  return (int64_t)(bits ^ (uint64_t)((int64_t)bits >> 63) >> 1);
}

uint32_t ep_wasm_f64_compare(uint64_t a, uint64_t b) {
  if (ep_wasm_is_nan64(a) || ep_wasm_is_nan64(b)) return EP_UNORDERED;
  if (a == b || ((a | b) & ~SIGN64) == 0u) return EP_EQUAL; /* -0 and +0 */
  return ep_wasm_order(a) < ep_wasm_order(b) ? EP_LESS : EP_GREATER;
}

/* For f32 the bits stand in the upper half. Neither is a NaN. */
static uint64_t ep_wasm_extreme(uint64_t a, uint64_t b, bool maximum) {
  return (ep_wasm_order(a) < ep_wasm_order(b)) == maximum ? b : a;
}

uint64_t ep_wasm_f32_extreme(uint32_t a, uint32_t b, bool maximum) {
  if (ep_wasm_is_nan32(a) || ep_wasm_is_nan32(b)) return EP_WASM_NAN32;
  return ep_wasm_extreme((uint64_t)a << 32, (uint64_t)b << 32, maximum) >> 32;
}

uint64_t ep_wasm_f64_extreme(uint64_t a, uint64_t b, bool maximum) {
  return ep_wasm_extreme(a, b, maximum);
}

/* ---- integers ------------------------------------------------------------------------------------------------- */

ep_wasm_result_t ep_wasm_truncate(uint64_t bits, uint32_t form, uint64_t *integer) {
  const uint32_t top = (form & 1u) != 0u ? UINT32_MAX : INT32_MAX;
  const uint64_t most = (form & 2u) != 0u ? (uint64_t)top << 32 | UINT32_MAX : top;
  uint32_t exponent = EXPONENT(bits);
  bool negative = (bits & SIGN64) != 0u;
  uint64_t magnitude = (bits & (HIDDEN64 - 1u)) | HIDDEN64;
  uint64_t limit = !negative ? most : (form & 1u) != 0u ? 0u : most + 1u;
  ep_wasm_result_t result = EP_WASM_OK;
  *integer = 0;
  if (ep_wasm_is_nan64(bits)) return EP_WASM_TRAP_CONVERSION;
  if (exponent < BIAS64) return EP_WASM_OK;
  if (exponent < BIAS64 + 52u)
    magnitude >>= BIAS64 + 52u - exponent;
  else if (exponent < BIAS64 + 64u)
    magnitude <<= exponent - BIAS64 - 52u;
  if (exponent >= BIAS64 + 64u || magnitude > limit) {
    magnitude = limit;
    result = EP_WASM_TRAP_OVERFLOW;
  }
  *integer = negative ? 0u - magnitude : magnitude;
  if (form < 2u) *integer = (uint32_t)*integer;
  return result;
}

uint64_t ep_wasm_f32_from(uint64_t magnitude, bool negative) {
  return magnitude == 0u ? 0u : ep_wasm_pack32(negative ? SIGN32 : 0u, magnitude, 63);
}

uint64_t ep_wasm_f64_from(uint64_t magnitude, bool negative) {
  return magnitude == 0u ? 0u : ep_wasm_pack64(negative ? SIGN64 : 0u, magnitude, 63);
}
