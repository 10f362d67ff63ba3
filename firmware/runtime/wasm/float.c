#include "wasm/float.h"

#include "wasm/numeric.h"

#define SIGN64         0x8000000000000000ull
#define INF64          0x7FF0000000000000ull
#define HIDDEN64       0x0010000000000000ull
#define SIGN32         0x80000000u
#define INF32          0x7F800000u
#define HIDDEN32       0x00800000u
#define BIAS64         1023u
#define BIAS32         127u
#define EXPONENT(bits) ((uint32_t)((bits) >> 52) & 0x7FFu)

/* ---- apart and together again ---------------------------------------------------------------------------- */

/* A number apart: mantissa * 2^(exponent - 63), the mantissa's top bit set. */

static __attribute__((noinline)) uint64_t ep_wasm_normalise(uint64_t mantissa, int32_t *exponent) {
  uint32_t high = (uint32_t)(mantissa >> 32);
  uint32_t low = (uint32_t)mantissa;
  uint32_t shift;
  if (high == 0u) {
    high = low;
    low = 0;
    *exponent -= 32;
  }
  shift = (uint32_t)__builtin_clz(high);
  *exponent -= (int32_t)shift;
  return (uint64_t)(high << shift | low >> 1 >> (31u - shift)) << 32 | low << shift;
}

/* An f64 without its sign, which is no NaN, no infinity and not 0. */
static uint64_t ep_wasm_unpack(uint64_t bits, int32_t *exponent) {
  const uint32_t biased = (uint32_t)(bits >> 52);
  const uint64_t mantissa = bits << 11;
  *exponent = (int32_t)biased - (int32_t)BIAS64;
  if (biased != 0u) return mantissa | SIGN64;
  *exponent += 1;
  return ep_wasm_normalise(mantissa, exponent);
}

/* Shifted right; what falls off leaves its trace in the last bit. */
static __attribute__((noinline)) uint64_t ep_wasm_shift_sticky(uint64_t mantissa, uint32_t shift) {
  uint32_t high = (uint32_t)(mantissa >> 32);
  uint32_t low = (uint32_t)mantissa;
  uint32_t lost = 0;
  if (shift > 63u) return 1;
  if (shift > 31u) {
    lost = low;
    low = high;
    high = 0;
    shift -= 32u;
  }
  lost |= low & ((1u << shift) - 1u);
  low = low >> shift | high << 1 << (31u - shift);
  if (lost != 0u) low |= 1u;
  return (uint64_t)(high >> shift) << 32 | low;
}

/* mantissa * 2^(exponent - 63), not 0, rounded; beyond the largest number it is infinity. The mantissa's last bit may stand for any
 * that were cut off below it. */
static __attribute__((noinline)) uint64_t ep_wasm_pack(uint64_t mantissa, int32_t exponent, uint32_t bias) {
  uint32_t rest, biased;
  mantissa = ep_wasm_normalise(mantissa, &exponent);
  exponent += (int32_t)bias - 1; /* a hidden bit counts one, and so does a carry */
  if (exponent < 0) {
    mantissa = ep_wasm_shift_sticky(mantissa, (uint32_t)-exponent);
    exponent = 0;
  }
  if (bias == BIAS32) mantissa = mantissa >> 29 | (((uint32_t)mantissa << 3) != 0u);
  biased = (uint32_t)exponent;
  rest = (uint32_t)mantissa << 21;
  mantissa >>= 11;
  if (biased >= 2u * bias) {
    biased = 2u * bias + 1u;
    mantissa = 0;
  } else if (rest > SIGN32 || (rest == SIGN32 && (mantissa & 1u) != 0u)) {
    mantissa++;
  }
  return mantissa + (bias == BIAS32 ? biased << 23 : (uint64_t)(biased << 20) << 32);
}

static uint64_t ep_wasm_pack64(uint64_t sign, uint64_t mantissa, int32_t exponent) {
  return (sign & SIGN64) | ep_wasm_pack(mantissa, exponent, BIAS64);
}

uint64_t ep_wasm_promote(uint64_t bits) {
  const uint64_t sign = (bits & SIGN32) << 32;
  uint32_t magnitude = (uint32_t)bits & ~SIGN32;
  uint32_t more = BIAS64 - BIAS32;
  if (magnitude > INF32) return EP_WASM_NAN64;
  if (magnitude == 0u) return sign;
  if (magnitude == INF32) {
    more *= 2u;
  } else if (magnitude <
             HIDDEN32) { /* the top bit of a subnormal becomes the hidden one, and counts as such */
    const uint32_t shift = (uint32_t)__builtin_clz(magnitude) - 8u;
    magnitude <<= shift;
    more -= shift;
  }
  return sign | (((uint64_t)(more << 20) << 32) + ((uint64_t)magnitude << 29));
}

uint64_t ep_wasm_demote(uint64_t bits) {
  const uint32_t sign = (uint32_t)(bits >> 32) & SIGN32;
  int32_t exponent;
  uint64_t mantissa;
  if (ep_wasm_is_nan64(bits)) return EP_WASM_NAN32;
  bits &= ~SIGN64;
  if (bits == 0u) return sign;
  mantissa = ep_wasm_unpack(bits, &exponent); /* infinity is too large, as it should be */
  return sign | ep_wasm_pack(mantissa, exponent, BIAS32);
}

/* ---- addition ---------------------------------------------------------------------------------------------- */

uint64_t ep_wasm_f64_add(uint64_t a, uint64_t b) {
  const bool unlike = ((a ^ b) & SIGN64) != 0u;
  uint64_t sum, large;
  int32_t exponent, lower;
  if ((a & ~SIGN64) < (b & ~SIGN64)) {
    const uint64_t other = a;
    a = b;
    b = other;
  }
  if ((a & ~SIGN64) == INF64) return unlike && (b & ~SIGN64) == INF64 ? EP_WASM_NAN64 : a;
  if ((b & ~SIGN64) == 0u) return (a & ~SIGN64) == 0u && unlike ? 0u : a;
  large = ep_wasm_unpack(a & ~SIGN64, &exponent) >> 1;
  sum = ep_wasm_unpack(b & ~SIGN64, &lower) >> 1;
  /* one bit for the carry; ten below the last one are enough to round by */
  sum = ep_wasm_shift_sticky(sum, (uint32_t)(exponent - lower));
  sum = unlike ? large - sum : large + sum;
  return sum == 0u ? 0u : ep_wasm_pack64(a, sum, exponent + 1);
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

/* To divide is to multiply by the inverse: that of 0 is infinity, and that of infinity 0. The sign of `a` is the result's, that
 * of `b` says to divide. */
static __attribute__((noinline)) uint64_t ep_wasm_f64_product(uint64_t a, uint64_t b) {
  const uint64_t sign = a & SIGN64;
  const bool inverse = (b & SIGN64) != 0u;
  bool infinite, zero;
  int32_t exponent, other;
  a &= ~SIGN64;
  b &= ~SIGN64;
  infinite = a == INF64 || b == (inverse ? 0u : INF64);
  zero = a == 0u || b == (inverse ? INF64 : 0u);
  if (infinite) return zero ? EP_WASM_NAN64 : sign | INF64;
  if (zero) return sign;
  a = ep_wasm_unpack(a, &exponent);
  b = ep_wasm_unpack(b, &other);
  if (inverse)
    a = ep_wasm_divide_mantissas(a, b);
  else
    a = ep_wasm_multiply_mantissas(a, b);
  return ep_wasm_pack64(sign, a, inverse ? exponent - other : exponent + other + 1);
}

uint64_t ep_wasm_f64_multiply(uint64_t a, uint64_t b) {
  return ep_wasm_f64_product(a ^ (b & SIGN64), b & ~SIGN64);
}

uint64_t ep_wasm_f64_divide(uint64_t a, uint64_t b) {
  return ep_wasm_f64_product(a ^ (b & SIGN64), b | SIGN64);
}

/* ---- rounding to integral values ------------------------------------------------------------------------- */

/* Whether the magnitude goes up, as bits by the last one that stays and two that don't, the lower of which stands for all
 * that is cut off below it: for each rounding of positive and of negative numbers. */
static const uint8_t ep_wasm_up[8] = {0xEE, 0x00, 0x00, 0xEE, 0x00, 0x00, 0xC8, 0xC8};

/* `bits` has no sign, and is no NaN; an f32 has its digits where those of an f64 begin. */
static uint64_t ep_wasm_round(uint64_t bits, uint32_t bias, uint32_t up) {
  const int32_t exponent = (int32_t)(bits >> 52) - (int32_t)bias;
  uint32_t shift;
  if (exponent >= 52 || bits == 0u) return bits;
  bits = ep_wasm_shift_sticky((bits | HIDDEN64) << 11, (uint32_t)(61 - exponent));
  bits += (up >> (bits & 7u) & 1u) << 2;
  bits >>= 2;
  if (bits == 0u) return 0;
  shift = (uint32_t)ep_wasm_i64_clz(bits);
  return ((uint64_t)(bias + 62u - shift) << 52) + (ep_wasm_i64_shl(bits, shift) >> 11);
}

uint64_t ep_wasm_f64_round(uint64_t bits, ep_wasm_rounding_t rounding) {
  const uint64_t sign = bits & SIGN64;
  return sign | ep_wasm_round(bits & ~SIGN64, BIAS64, ep_wasm_up[2u * rounding + (uint32_t)(bits >> 63)]);
}

uint32_t ep_wasm_f32_round(uint32_t bits, ep_wasm_rounding_t rounding) {
  const uint32_t sign = bits & SIGN32;
  if (ep_wasm_is_nan32(bits)) return EP_WASM_NAN32;
  return sign | (uint32_t)(ep_wasm_round((uint64_t)(bits & ~SIGN32) << 29, BIAS32,
                                         ep_wasm_up[2u * rounding + (bits >> 31)]) >>
                           29);
}

/* ---- square root ------------------------------------------------------------------------------------------- */

/* Digit by digit: with an even exponent two bits of the mantissa, and zeros after it, give one bit of the root. 54 are
 * one more than stay. */
uint64_t ep_wasm_f64_sqrt(uint64_t bits) {
  uint64_t mantissa;
  uint64_t root = 0;
  uint64_t rest = 0;
  int32_t exponent, odd;
  if ((bits & ~SIGN64) == 0u || bits == INF64) return bits;
  if ((bits & SIGN64) != 0u) return EP_WASM_NAN64;
  mantissa = ep_wasm_unpack(bits, &exponent);
  odd = exponent & 1;
  if (odd == 0) mantissa >>= 1; /* the first pair of bits is 01, or 1x */
  for (uint32_t i = 0; i < 54u; i++) {
    const uint64_t trial = root << 2 | 1u;
    rest = rest << 2 | mantissa >> 62;
    mantissa <<= 2;
    root <<= 1;
    if (rest >= trial) {
      rest -= trial;
      root |= 1u;
    }
  }
  return ep_wasm_pack64(0, root << 10 | (rest != 0u ? 1u : 0u), (exponent - odd) / 2);
}

/* ---- order ---------------------------------------------------------------------------------------------------- */

/* Numbers in the order of their values, -0 below +0, as integers. */
static int64_t ep_wasm_order(uint64_t bits) {
  return (int64_t)(bits ^ (uint64_t)((int64_t)bits >> 63) >> 1);
}

bool ep_wasm_below(uint64_t a, uint64_t b) {
  return ep_wasm_order(a) < ep_wasm_order(b);
}

uint32_t ep_wasm_f64_compare(uint64_t a, uint64_t b) {
  if (ep_wasm_is_nan64(a) || ep_wasm_is_nan64(b)) return EP_UNORDERED;
  if (a == b || ((a | b) & ~SIGN64) == 0u) return EP_EQUAL; /* -0 and +0 */
  return ep_wasm_below(a, b) ? EP_LESS : EP_GREATER;
}

/* ---- integers ------------------------------------------------------------------------------------------------- */

ep_wasm_result_t ep_wasm_truncate(uint32_t form, uint64_t *a) {
  const uint64_t bits = (form & 2u) != 0u ? *a : ep_wasm_promote(*a);
  const bool is_signed = (form & 1u) == 0u;
  const bool narrow = (form & 4u) == 0u;
  const uint32_t exponent = EXPONENT(bits);
  const bool negative = (bits & SIGN64) != 0u;
  uint64_t magnitude = (bits & (HIDDEN64 - 1u)) | HIDDEN64;
  uint64_t limit = narrow ? UINT32_MAX : UINT64_MAX;
  ep_wasm_result_t result = EP_WASM_OK;
  *a = 0;
  if (ep_wasm_is_nan64(bits)) return EP_WASM_TRAP_CONVERSION;
  if (exponent < BIAS64) return EP_WASM_OK;
  if (is_signed)
    limit = (limit >> 1) + negative;
  else if (negative)
    limit = 0;
  if (exponent < BIAS64 + 52u)
    magnitude = ep_wasm_i64_shr_u(magnitude, BIAS64 + 52u - exponent);
  else
    magnitude = ep_wasm_i64_shl(magnitude, exponent - BIAS64 - 52u);
  if (exponent >= BIAS64 + 64u || magnitude > limit) {
    magnitude = limit;
    result = EP_WASM_TRAP_OVERFLOW;
  }
  if (negative) magnitude = 0u - magnitude;
  *a = narrow ? (uint32_t)magnitude : magnitude;
  return result;
}

uint64_t ep_wasm_f32_from_unsigned(uint64_t value) {
  return value == 0u ? 0u : ep_wasm_pack(value, 63, BIAS32);
}

uint64_t ep_wasm_f64_from_unsigned(uint64_t value) {
  return value == 0u ? 0u : ep_wasm_pack(value, 63, BIAS64);
}

uint64_t ep_wasm_f32_from_signed(uint64_t value) {
  if ((value & SIGN64) == 0u) return ep_wasm_f32_from_unsigned(value);
  return SIGN32 | ep_wasm_f32_from_unsigned(0u - value);
}

uint64_t ep_wasm_f64_from_signed(uint64_t value) {
  if ((value & SIGN64) == 0u) return ep_wasm_f64_from_unsigned(value);
  return SIGN64 | ep_wasm_f64_from_unsigned(0u - value);
}
