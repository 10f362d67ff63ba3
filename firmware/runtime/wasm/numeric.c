#include "wasm/numeric.h"

#include "wasm/opcodes.h"

#define SIGN64         0x8000000000000000ull
#define INF64          0x7FF0000000000000ull
#define ONE64          0x3FF0000000000000ull
#define HIDDEN64       0x0010000000000000ull
#define SIGN32         0x80000000u
#define INF32          0x7F800000u
#define BIAS64         1023u
#define EXPONENT(bits) ((uint32_t)((bits) >> 52) & 0x7FFu)

typedef union {
  uint64_t bits;
  double value;
} ep_wasm_f64_t;

static double ep_wasm_f64(uint64_t bits) {
  const ep_wasm_f64_t u = {.bits = bits};
  return u.value;
}

static bool ep_wasm_is_nan64(uint64_t bits) {
  return (bits & ~SIGN64) > INF64;
}

static bool ep_wasm_is_nan32(uint32_t bits) {
  return (bits & ~SIGN32) > INF32;
}

static uint64_t ep_wasm_f64_result(double value) {
  const ep_wasm_f64_t u = {.value = value};
  return ep_wasm_is_nan64(u.bits) ? EP_WASM_NAN64 : u.bits;
}

/* f64.promote_f32 and f32.demote_f64 (4.3.4). NaNs don't reach the conversion itself. */
static uint64_t ep_wasm_promote(uint32_t bits) {
  if (ep_wasm_is_nan32(bits)) return EP_WASM_NAN64;
  return ep_wasm_f64_result((double)ep_wasm_f32(bits));
}

static uint32_t ep_wasm_demote(uint64_t bits) {
  if (ep_wasm_is_nan64(bits)) return EP_WASM_NAN32;
  return ep_wasm_f32_bits((float)ep_wasm_f64(bits));
}

/* ---- rounding to integral values (4.3.3: fceil, ffloor, ftrunc, fnearest) ------------------------------ */

typedef enum { EP_CEIL, EP_FLOOR, EP_TRUNC, EP_NEAREST } ep_wasm_rounding_t;

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

static uint64_t ep_wasm_round(uint64_t bits, ep_wasm_rounding_t rounding) {
  uint32_t exponent = EXPONENT(bits);
  uint64_t sign = bits & SIGN64;
  uint64_t magnitude = bits & ~SIGN64;
  uint64_t unit, fraction;
  if (ep_wasm_is_nan64(bits)) return EP_WASM_NAN64;
  if (exponent >= BIAS64 + 52u || magnitude == 0u) return bits;
  if (exponent < BIAS64) { /* below 1: to 0 or 1; one half is the bits before ONE64's exponent */
    return ep_wasm_goes_up(rounding, sign != 0u, magnitude, ONE64 - HIDDEN64, false) ? sign | ONE64 : sign;
  }
  unit = 1ull << (BIAS64 + 52u - exponent);
  fraction = bits & (unit - 1u);
  if (fraction == 0u) return bits;
  bits -= fraction;
  /* for 1.x the unit is the lowest bit of the exponent, which is set as an odd number's must be; a carry out of the
   * mantissa goes into the exponent as it should */
  return ep_wasm_goes_up(rounding, sign != 0u, fraction, unit >> 1, (bits & unit) != 0u) ? bits + unit : bits;
}

/* ---- square root ------------------------------------------------------------------------------------ */

/* x = m * 2^(e - 52) with e even and m of 53 or 54 bits; digit by digit, two bits of m and then zeros give one bit of
 * the root: 53 that stay and one that rounds. A tie can't happen: the rest would have to be 0 and the last digit 1. */
static uint64_t ep_wasm_sqrt(uint64_t bits) {
  int32_t exponent = (int32_t)EXPONENT(bits);
  uint64_t mantissa = bits & (HIDDEN64 - 1u);
  uint64_t root = 0;
  uint64_t rest = 0;
  if (ep_wasm_is_nan64(bits)) return EP_WASM_NAN64;
  if ((bits & ~SIGN64) == 0u || bits == INF64) return bits;
  if ((bits & SIGN64) != 0u) return EP_WASM_NAN64;
  if (exponent == 0) { /* subnormal */
    int32_t shift = __builtin_clzll(mantissa) - 11;
    mantissa <<= shift;
    exponent = 1 - shift;
  }
  mantissa |= HIDDEN64;
  exponent -= (int32_t)BIAS64;
  mantissa <<= (exponent & 1) != 0 ? 11 : 10; /* 54 bits at the top */
  exponent -= exponent & 1;
  for (uint32_t i = 0; i < 54u; i++) {
    uint64_t trial = root << 2 | 1u;
    rest = rest << 2 | mantissa >> 62;
    mantissa <<= 2;
    root <<= 1;
    if (rest >= trial) {
      rest -= trial;
      root |= 1u;
    }
  }
  root += root & 1u; /* up */
  return ((uint64_t)(exponent / 2 + (int32_t)BIAS64 - 1) << 52) +
         (root >> 1); /* the root's top bit counts one */
}

uint32_t ep_wasm_f32_sqrt(uint32_t bits) {
#if defined(__ARM_FP)
  float root;
  __asm__("vsqrt.f32 %0, %1" : "=t"(root) : "t"(ep_wasm_f32(bits)));
  return ep_wasm_f32_bits(root);
#else
  return ep_wasm_demote(
      ep_wasm_sqrt(ep_wasm_promote(bits))); /* rounding twice is harmless: 53 >= 2 * 24 + 2 */
#endif
}

/* ---- minimum, maximum, sign (4.3.3) --------------------------------------------------------------------- */

/* Numbers in the order of their values, -0 below +0, as integers. */
static int64_t ep_wasm_order(uint64_t bits) {
  return (int64_t)((bits & SIGN64) != 0u ? bits ^ ~SIGN64 : bits);
}

/* For f32 the bits stand in the upper half. Neither is a NaN. */
static uint64_t ep_wasm_extreme(uint64_t a, uint64_t b, bool maximum) {
  return (ep_wasm_order(a) < ep_wasm_order(b)) == maximum ? b : a;
}

static uint64_t ep_wasm_extreme32(uint32_t a, uint32_t b, bool maximum) {
  if (ep_wasm_is_nan32(a) || ep_wasm_is_nan32(b)) return EP_WASM_NAN32;
  return ep_wasm_extreme((uint64_t)a << 32, (uint64_t)b << 32, maximum) >> 32;
}

static uint64_t ep_wasm_extreme64(uint64_t a, uint64_t b, bool maximum) {
  if (ep_wasm_is_nan64(a) || ep_wasm_is_nan64(b)) return EP_WASM_NAN64;
  return ep_wasm_extreme(a, b, maximum);
}

/* ---- floats and integers (4.3.4) ------------------------------------------------------------------------ */

typedef struct {
  uint64_t most;  /* of magnitudes above 0 */
  uint64_t least; /* of magnitudes below 0 */
} ep_wasm_range_t;

static const ep_wasm_range_t ep_wasm_ranges[4] = {{INT32_MAX, (uint64_t)INT32_MAX + 1u},
                                                  {UINT32_MAX, 0},
                                                  {INT64_MAX, (uint64_t)INT64_MAX + 1u},
                                                  {UINT64_MAX, 0}};

/* `kind`: bit 0 unsigned, bit 1 64 bits. Gives the saturated integer in any case, and what a trapping conversion says
 * to it. */
static ep_wasm_result_t ep_wasm_truncate(uint64_t bits, uint32_t kind, uint64_t *integer) {
  const ep_wasm_range_t *range = &ep_wasm_ranges[kind];
  uint32_t exponent = EXPONENT(bits);
  bool negative = (bits & SIGN64) != 0u;
  uint64_t magnitude = (bits & (HIDDEN64 - 1u)) | HIDDEN64;
  uint64_t limit = negative ? range->least : range->most;
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
  if (kind < 2u) *integer = (uint32_t)*integer;
  return result;
}

/* The float of `size` mantissa bits (the hidden one included) nearest to an integer, ties to even. */
static uint64_t ep_wasm_from_integer(uint64_t magnitude, uint32_t size, uint32_t bias) {
  uint32_t top, cut;
  uint64_t mantissa;
  if (magnitude == 0u) return 0;
  top = 63u - (uint32_t)__builtin_clzll(magnitude);
  if (top < size) {
    mantissa = magnitude << (size - 1u - top);
  } else {
    uint64_t rest, half;
    cut = top + 1u - size;
    mantissa = magnitude >> cut;
    rest = magnitude & ((1ull << cut) - 1u);
    half = 1ull << (cut - 1u);
    if (rest > half || (rest == half && (mantissa & 1u) != 0u)) mantissa++;
  }
  return ((uint64_t)(top + bias - 1u) << (size - 1u)) +
         mantissa; /* the top bit counts one; a carry fits too */
}

static uint64_t ep_wasm_convert(uint64_t value, bool is_signed, uint32_t size, uint32_t bias, uint64_t sign) {
  bool negative = is_signed && (value & SIGN64) != 0u;
  uint64_t bits = ep_wasm_from_integer(negative ? 0u - value : value, size, bias);
  return negative ? bits | sign : bits;
}

static uint64_t ep_wasm_convert_f64(uint64_t value, bool is_signed) {
  return ep_wasm_convert(value, is_signed, 53, BIAS64, SIGN64);
}

static uint64_t ep_wasm_sign_extend(uint64_t value) {
  return (uint64_t)(int64_t)(int32_t)(uint32_t)value;
}

/* ---- i64 (4.3.2) ------------------------------------------------------------------------------------------- */

static ep_wasm_result_t ep_wasm_divide(uint32_t opcode, uint64_t *a) {
  bool overflow = a[0] == SIGN64 && a[1] == UINT64_MAX; /* -2^63 / -1 */
  if (a[1] == 0u) return EP_WASM_TRAP_DIVIDE_BY_ZERO;
  switch (opcode) {
  case EP_OP_i64_div_s:
    if (overflow) return EP_WASM_TRAP_OVERFLOW;
    a[0] = (uint64_t)((int64_t)a[0] / (int64_t)a[1]);
    break;
  case EP_OP_i64_rem_s: a[0] = overflow ? 0u : (uint64_t)((int64_t)a[0] % (int64_t)a[1]); break;
  case EP_OP_i64_div_u: a[0] /= a[1]; break;
  default: a[0] %= a[1]; break;
  }
  return EP_WASM_OK;
}

static uint64_t ep_wasm_rotate_left(uint64_t value, uint64_t count) {
  return value << (count & 63u) | value >> ((0u - count) & 63u);
}

static uint32_t ep_wasm_popcount(uint32_t x) {
  x -= x >> 1 & 0x55555555u;
  x = (x & 0x33333333u) + (x >> 2 & 0x33333333u);
  x = (x + (x >> 4)) & 0x0F0F0F0Fu;
  return x * 0x01010101u >> 24;
}

/* ---- comparisons (4.3.2, 4.3.3) ------------------------------------------------------------------------------ */

/* How two numbers stand; a NaN stands in no order. A relation is the set of those that fulfil it. */
enum { EP_LESS = 1, EP_EQUAL = 2, EP_GREATER = 4, EP_UNORDERED = 8 };

/* eq, ne, lt, gt, le, ge: as the opcodes come */
static const uint8_t ep_wasm_relations[6] = {EP_EQUAL,
                                             EP_LESS | EP_GREATER | EP_UNORDERED,
                                             EP_LESS,
                                             EP_GREATER,
                                             EP_LESS | EP_EQUAL,
                                             EP_GREATER | EP_EQUAL};

static uint32_t ep_wasm_compare(int64_t a, int64_t b) {
  return a < b ? EP_LESS : a > b ? EP_GREATER : EP_EQUAL;
}

static bool ep_wasm_compare_f64(uint32_t opcode, uint64_t a, uint64_t b) {
  uint32_t order = ep_wasm_is_nan64(a) || ep_wasm_is_nan64(b) ? EP_UNORDERED
                   : ((a | b) & ~SIGN64) == 0u                ? EP_EQUAL /* -0 and +0 */
                                               : ep_wasm_compare(ep_wasm_order(a), ep_wasm_order(b));
  return (ep_wasm_relations[opcode - EP_OP_f64_eq] & order) != 0u;
}

/* lt_s, lt_u, gt_s, gt_u, ... */
static bool ep_wasm_compare_i64(uint32_t opcode, uint64_t a, uint64_t b) {
  uint32_t at = opcode - EP_OP_i64_lt_s;
  uint64_t flip = (at & 1u) != 0u ? SIGN64 : 0u; /* puts unsigned numbers in the order of signed ones */
  return (ep_wasm_relations[2u + (at >> 1)] & ep_wasm_compare((int64_t)(a ^ flip), (int64_t)(b ^ flip))) !=
         0u;
}

/* ---- by opcode ---------------------------------------------------------------------------------------------- */

/* `form`: bit 0 to unsigned, bit 1 from f64, bit 2 to 64 bits, as the saturating opcodes are numbered. */
static ep_wasm_result_t ep_wasm_truncate_form(uint32_t form, uint64_t *a) {
  uint64_t bits = (form & 2u) != 0u ? a[0] : ep_wasm_promote((uint32_t)a[0]);
  return ep_wasm_truncate(bits, (form & 1u) | (form >> 1 & 2u), a);
}

ep_wasm_result_t ep_wasm_numeric(uint32_t opcode, uint64_t *a) {
  const uint64_t x = a[0];
  const uint64_t y = a[1]; /* one slot further on the stack; no operand if there is but one */
  const uint32_t x32 = (uint32_t)x;
  uint64_t r;
  if (opcode >= EP_OP_i32_trunc_sat_f32_s) {
    (void)ep_wasm_truncate_form(opcode - EP_OP_i32_trunc_sat_f32_s, a);
    return EP_WASM_OK;
  }
  switch (opcode) {
  case EP_OP_i64_lt_s:
  case EP_OP_i64_lt_u:
  case EP_OP_i64_gt_s:
  case EP_OP_i64_gt_u:
  case EP_OP_i64_le_s:
  case EP_OP_i64_le_u:
  case EP_OP_i64_ge_s:
  case EP_OP_i64_ge_u: r = ep_wasm_compare_i64(opcode, x, y); break;
  case EP_OP_f64_eq:
  case EP_OP_f64_ne:
  case EP_OP_f64_lt:
  case EP_OP_f64_gt:
  case EP_OP_f64_le:
  case EP_OP_f64_ge: r = ep_wasm_compare_f64(opcode, x, y); break;
  case EP_OP_i32_popcnt: r = ep_wasm_popcount(x32); break;
  case EP_OP_i64_clz: r = x == 0u ? 64u : (uint64_t)__builtin_clzll(x); break;
  case EP_OP_i64_ctz: r = x == 0u ? 64u : (uint64_t)__builtin_ctzll(x); break;
  case EP_OP_i64_popcnt: r = ep_wasm_popcount(x32) + ep_wasm_popcount((uint32_t)(x >> 32)); break;
  case EP_OP_i64_mul: r = x * y; break;
  case EP_OP_i64_div_s:
  case EP_OP_i64_div_u:
  case EP_OP_i64_rem_s:
  case EP_OP_i64_rem_u: return ep_wasm_divide(opcode, a);
  case EP_OP_i64_shl: r = x << (y & 63u); break;
  case EP_OP_i64_shr_s: r = (uint64_t)((int64_t)x >> (y & 63u)); break;
  case EP_OP_i64_shr_u: r = x >> (y & 63u); break;
  case EP_OP_i64_rotl: r = ep_wasm_rotate_left(x, y); break;
  case EP_OP_i64_rotr: r = ep_wasm_rotate_left(x, 0u - y); break;
  case EP_OP_f32_ceil:
  case EP_OP_f32_floor:
  case EP_OP_f32_trunc:
  case EP_OP_f32_nearest:
    /* all three steps exact */
    r = ep_wasm_demote(ep_wasm_round(ep_wasm_promote(x32), (ep_wasm_rounding_t)(opcode - EP_OP_f32_ceil)));
    break;
  case EP_OP_f32_min:
  case EP_OP_f32_max: r = ep_wasm_extreme32(x32, (uint32_t)y, opcode == EP_OP_f32_max); break;
  case EP_OP_f64_ceil:
  case EP_OP_f64_floor:
  case EP_OP_f64_trunc:
  case EP_OP_f64_nearest: r = ep_wasm_round(x, (ep_wasm_rounding_t)(opcode - EP_OP_f64_ceil)); break;
  case EP_OP_f64_sqrt: r = ep_wasm_sqrt(x); break;
  case EP_OP_f64_add: r = ep_wasm_f64_result(ep_wasm_f64(x) + ep_wasm_f64(y)); break;
  case EP_OP_f64_sub: r = ep_wasm_f64_result(ep_wasm_f64(x) - ep_wasm_f64(y)); break;
  case EP_OP_f64_mul: r = ep_wasm_f64_result(ep_wasm_f64(x) * ep_wasm_f64(y)); break;
  case EP_OP_f64_div: r = ep_wasm_f64_result(ep_wasm_f64(x) / ep_wasm_f64(y)); break;
  case EP_OP_f64_min:
  case EP_OP_f64_max: r = ep_wasm_extreme64(x, y, opcode == EP_OP_f64_max); break;
  case EP_OP_i32_trunc_f32_s:
  case EP_OP_i32_trunc_f32_u:
  case EP_OP_i32_trunc_f64_s:
  case EP_OP_i32_trunc_f64_u: return ep_wasm_truncate_form(opcode - EP_OP_i32_trunc_f32_s, a);
  case EP_OP_i64_trunc_f32_s:
  case EP_OP_i64_trunc_f32_u:
  case EP_OP_i64_trunc_f64_s:
  case EP_OP_i64_trunc_f64_u: return ep_wasm_truncate_form(4u + opcode - EP_OP_i64_trunc_f32_s, a);
  case EP_OP_f32_convert_i64_s:
  case EP_OP_f32_convert_i64_u:
    r = ep_wasm_convert(x, opcode == EP_OP_f32_convert_i64_s, 24, 127, SIGN32);
    break;
  case EP_OP_f32_demote_f64: r = ep_wasm_demote(x); break;
  case EP_OP_f64_convert_i32_s: r = ep_wasm_convert_f64(ep_wasm_sign_extend(x), true); break;
  case EP_OP_f64_convert_i32_u: r = ep_wasm_convert_f64(x32, false); break;
  case EP_OP_f64_convert_i64_s:
  case EP_OP_f64_convert_i64_u: r = ep_wasm_convert_f64(x, opcode == EP_OP_f64_convert_i64_s); break;
  default: r = ep_wasm_promote(x32); break; /* f64.promote_f32 */
  }
  a[0] = r;
  return EP_WASM_OK;
}
