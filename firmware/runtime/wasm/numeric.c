#include "wasm/numeric.h"

#include "wasm/opcodes.h"

#define SIGN64 0x8000000000000000ull

/* ---- i64 (4.3.2) ------------------------------------------------------------------------------------------- */

static ep_wasm_result_t ep_wasm_divide(uint32_t opcode, uint64_t *a) {
  if (a[1] == 0u) return EP_WASM_TRAP_DIVIDE_BY_ZERO;
  if (opcode == EP_OP_i64_div_u) {
    a[0] /= a[1];
  } else if (opcode == EP_OP_i64_rem_u) {
    a[0] %= a[1];
  } else if (a[1] == UINT64_MAX) { /* by -1: a negation, and -2^63 has none */
    if (opcode == EP_OP_i64_div_s && a[0] == SIGN64) return EP_WASM_TRAP_OVERFLOW;
    a[0] = opcode == EP_OP_i64_div_s ? 0u - a[0] : 0u;
  } else if (opcode == EP_OP_i64_div_s) {
    a[0] = (uint64_t)((int64_t)a[0] / (int64_t)a[1]);
  } else {
    a[0] = (uint64_t)((int64_t)a[0] % (int64_t)a[1]);
  }
  return EP_WASM_OK;
}

static uint64_t ep_wasm_rotate_left(uint64_t value, uint64_t count) {
  return value << (count & 63u) | value >> ((0u - count) & 63u);
}

static inline __attribute__((always_inline)) uint32_t ep_wasm_popcount(uint32_t x) {
  x -= x >> 1 & 0x55555555u;
  x = (x & 0x33333333u) + (x >> 2 & 0x33333333u);
  x = (x + (x >> 4)) & 0x0F0F0F0Fu;
  return x * 0x01010101u >> 24;
}

/* ---- comparisons (4.3.2, 4.3.3) ----------------------------------------------------------------------------- */

/* A relation is the set of orders that fulfil it. */
/* eq, ne, lt, gt, le, ge: as the opcodes come */
static const uint8_t ep_wasm_relations[6] = {EP_EQUAL,
                                             EP_LESS | EP_GREATER | EP_UNORDERED,
                                             EP_LESS,
                                             EP_GREATER,
                                             EP_LESS | EP_EQUAL,
                                             EP_GREATER | EP_EQUAL};

static bool ep_wasm_relation_f64(uint32_t opcode, uint64_t a, uint64_t b) {
  return (ep_wasm_relations[opcode - EP_OP_f64_eq] & ep_wasm_f64_compare(a, b)) != 0u;
}

/* lt_s, lt_u, gt_s, gt_u, ... */
static bool ep_wasm_relation_i64(uint32_t opcode, uint64_t a, uint64_t b) {
  const uint32_t at = opcode - EP_OP_i64_lt_s;
  const uint64_t flip = (at & 1u) != 0u ? 0u : SIGN64; /* puts signed numbers in the order of unsigned ones */
  a ^= flip;
  b ^= flip;
  return (ep_wasm_relations[2u + (at >> 1)] & (a < b ? EP_LESS : a > b ? EP_GREATER : EP_EQUAL)) != 0u;
}

/* ---- floats --------------------------------------------------------------------------------------------------- */

static bool ep_wasm_negative(uint64_t value) {
  return (value & SIGN64) != 0u;
}

static uint64_t ep_wasm_magnitude(uint64_t value) {
  return ep_wasm_negative(value) ? 0u - value : value;
}

static uint64_t ep_wasm_sign_extend(uint64_t value) {
  return (uint64_t)(int64_t)(int32_t)(uint32_t)value;
}

static uint64_t ep_wasm_f64_from_signed(uint64_t value) {
  return ep_wasm_f64_from(ep_wasm_magnitude(value), ep_wasm_negative(value));
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
  if (opcode >= EP_OP_f64_ceil && opcode <= EP_OP_f64_max &&
      (ep_wasm_is_nan64(x) || (opcode >= EP_OP_f64_add && ep_wasm_is_nan64(y)))) {
    a[0] = EP_WASM_NAN64;
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
  case EP_OP_i64_ge_u: r = ep_wasm_relation_i64(opcode, x, y); break;
  case EP_OP_f64_eq:
  case EP_OP_f64_ne:
  case EP_OP_f64_lt:
  case EP_OP_f64_gt:
  case EP_OP_f64_le:
  case EP_OP_f64_ge: r = ep_wasm_relation_f64(opcode, x, y); break;
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
  case EP_OP_f32_nearest: r = ep_wasm_f32_round(x32, (ep_wasm_rounding_t)(opcode - EP_OP_f32_ceil)); break;
  case EP_OP_f32_min:
  case EP_OP_f32_max: r = ep_wasm_f32_extreme(x32, (uint32_t)y, opcode == EP_OP_f32_max); break;
  case EP_OP_f64_ceil:
  case EP_OP_f64_floor:
  case EP_OP_f64_trunc:
  case EP_OP_f64_nearest: r = ep_wasm_f64_round(x, (ep_wasm_rounding_t)(opcode - EP_OP_f64_ceil)); break;
  case EP_OP_f64_sqrt: r = ep_wasm_f64_sqrt(x); break;
  case EP_OP_f64_add: r = ep_wasm_f64_add(x, y); break;
  case EP_OP_f64_sub: r = ep_wasm_f64_add(x, y ^ SIGN64); break;
  case EP_OP_f64_mul: r = ep_wasm_f64_multiply(x, y); break;
  case EP_OP_f64_div: r = ep_wasm_f64_divide(x, y); break;
  case EP_OP_f64_min:
  case EP_OP_f64_max: r = ep_wasm_f64_extreme(x, y, opcode == EP_OP_f64_max); break;
  case EP_OP_i32_trunc_f32_s:
  case EP_OP_i32_trunc_f32_u:
  case EP_OP_i32_trunc_f64_s:
  case EP_OP_i32_trunc_f64_u: return ep_wasm_truncate_form(opcode - EP_OP_i32_trunc_f32_s, a);
  case EP_OP_i64_trunc_f32_s:
  case EP_OP_i64_trunc_f32_u:
  case EP_OP_i64_trunc_f64_s:
  case EP_OP_i64_trunc_f64_u: return ep_wasm_truncate_form(4u + opcode - EP_OP_i64_trunc_f32_s, a);
  case EP_OP_f32_convert_i64_s: r = ep_wasm_f32_from(ep_wasm_magnitude(x), ep_wasm_negative(x)); break;
  case EP_OP_f32_convert_i64_u: r = ep_wasm_f32_from(x, false); break;
  case EP_OP_f32_demote_f64: r = ep_wasm_demote(x); break;
  case EP_OP_f64_convert_i32_s: r = ep_wasm_f64_from_signed(ep_wasm_sign_extend(x)); break;
  case EP_OP_f64_convert_i32_u: r = ep_wasm_f64_from(x32, false); break;
  case EP_OP_f64_convert_i64_s: r = ep_wasm_f64_from_signed(x); break;
  case EP_OP_f64_convert_i64_u: r = ep_wasm_f64_from(x, false); break;
  default: r = ep_wasm_promote(x32); break; /* f64.promote_f32 */
  }
  a[0] = r;
  return EP_WASM_OK;
}
