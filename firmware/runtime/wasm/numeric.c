#include "wasm/numeric.h"

#include "wasm/opcodes.h"

#define SIGN64 0x8000000000000000ull

static __attribute__((noinline)) uint32_t ep_wasm_popcount(uint32_t x) {
  x -= x >> 1 & 0x55555555u;
  x = (x & 0x33333333u) + (x >> 2 & 0x33333333u);
  x = (x + (x >> 4)) & 0x0F0F0F0Fu;
  return x * 0x01010101u >> 24;
}

uint64_t ep_wasm_i32_popcnt(uint64_t a) {
  return ep_wasm_popcount((uint32_t)a);
}

uint64_t ep_wasm_i64_popcnt(uint64_t a) {
  return ep_wasm_popcount((uint32_t)a) + ep_wasm_popcount((uint32_t)(a >> 32));
}

static uint32_t ep_wasm_clz32(uint32_t a) {
  return a == 0u ? 32u : (uint32_t)__builtin_clz(a);
}

static uint32_t ep_wasm_ctz32(uint32_t a) {
  return a == 0u ? 32u : (uint32_t)__builtin_ctz(a);
}

uint64_t ep_wasm_i64_clz(uint64_t a) {
  const uint32_t high = (uint32_t)(a >> 32);
  return high != 0u ? ep_wasm_clz32(high) : 32u + ep_wasm_clz32((uint32_t)a);
}

uint64_t ep_wasm_i64_ctz(uint64_t a) {
  const uint32_t low = (uint32_t)a;
  return low != 0u ? ep_wasm_ctz32(low) : 32u + ep_wasm_ctz32((uint32_t)(a >> 32));
}

uint64_t ep_wasm_i64_mul(uint64_t a, uint64_t b) {
  return a * b;
}

__attribute__((noinline)) uint64_t ep_wasm_i64_shl(uint64_t a, uint64_t b) {
  return a << (b & 63u);
}

uint64_t ep_wasm_i64_shr_s(uint64_t a, uint64_t b) {
  return (uint64_t)((int64_t)a >> (b & 63u));
}

__attribute__((noinline)) uint64_t ep_wasm_i64_shr_u(uint64_t a, uint64_t b) {
  return a >> (b & 63u);
}

__attribute__((noinline)) uint64_t ep_wasm_i64_rotl(uint64_t a, uint64_t b) {
  return ep_wasm_i64_shl(a, b) | ep_wasm_i64_shr_u(a, 0u - b);
}

uint64_t ep_wasm_i64_rotr(uint64_t a, uint64_t b) {
  return ep_wasm_i64_rotl(a, 0u - b);
}

/* Of magnitudes: the quotient is negative if one of the two is, the rest if the first one is. */
ep_wasm_result_t ep_wasm_i64_divide(uint32_t opcode, uint64_t *a) {
  const bool is_signed = (opcode & 1u) != 0u;
  const bool rest = opcode >= EP_OP_i64_rem_s;
  uint64_t x = a[0];
  uint64_t y = a[1];
  bool negative = false;
  if (y == 0u) return EP_WASM_TRAP_DIVIDE_BY_ZERO;
  if (is_signed && (x & SIGN64) != 0u) {
    x = 0u - x;
    negative = true;
  }
  if (is_signed && (y & SIGN64) != 0u) {
    y = 0u - y;
    negative ^= !rest;
  }
  x = rest ? x % y : x / y;
  if (negative)
    x = 0u - x;
  else if (is_signed && (x & SIGN64) != 0u) /* 2^63, of -2^63 by -1 */
    return EP_WASM_TRAP_OVERFLOW;
  a[0] = x;
  return EP_WASM_OK;
}
_Static_assert((EP_OP_i64_div_s & EP_OP_i64_rem_s & 1) == 1 && ((EP_OP_i64_div_u | EP_OP_i64_rem_u) & 1) == 0,
               "the signed ones are odd");
