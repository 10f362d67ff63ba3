/* Instructions on i64 that are rare or long (spec 4.3.2), and what the interpreter's own f32 instructions need of bits. All
 * take and give bits. */
#ifndef EP_WASM_NUMERIC_H
#define EP_WASM_NUMERIC_H

#include "wasm/float.h"

uint64_t ep_wasm_i32_popcnt(uint64_t a);
uint64_t ep_wasm_i64_popcnt(uint64_t a);
uint64_t ep_wasm_i64_clz(uint64_t a);
uint64_t ep_wasm_i64_ctz(uint64_t a);
uint64_t ep_wasm_i64_mul(uint64_t a, uint64_t b);
uint64_t ep_wasm_i64_shl(uint64_t a, uint64_t b);
uint64_t ep_wasm_i64_shr_s(uint64_t a, uint64_t b);
uint64_t ep_wasm_i64_shr_u(uint64_t a, uint64_t b);
uint64_t ep_wasm_i64_rotl(uint64_t a, uint64_t b);
uint64_t ep_wasm_i64_rotr(uint64_t a, uint64_t b);

/* i64.div_s, div_u, rem_s or rem_u (`opcode`) of a[0] and a[1]; the result goes to a[0]. EP_WASM_OK or a trap. */
ep_wasm_result_t ep_wasm_i64_divide(uint32_t opcode, uint64_t *a);

static inline float ep_wasm_f32(uint32_t bits) {
  union {
    uint32_t bits;
    float value;
  } u = {.bits = bits};
  return u.value;
}

static inline uint32_t ep_wasm_f32_bits(float value) {
  union {
    float value;
    uint32_t bits;
  } u = {.value = value};
  return u.bits;
}

/* The bits of an arithmetic result. On Arm the FPU itself delivers the canonical NaN (FPSCR.DN, set by
 * ep_wasm_invoke()). */
static inline uint32_t ep_wasm_f32_result(float value) {
#if defined(__ARM_FP)
  return ep_wasm_f32_bits(value);
#else
  return value != value ? EP_WASM_NAN32 : ep_wasm_f32_bits(value);
#endif
}

/* Square root of a f32, correctly rounded. */
static inline uint32_t ep_wasm_f32_sqrt(uint32_t bits) {
#if defined(__ARM_FP)
  float root;
  __asm__("vsqrt.f32 %0, %1" : "=t"(root) : "t"(ep_wasm_f32(bits)));
  return ep_wasm_f32_bits(root);
#else
  if (ep_wasm_is_nan32(bits)) return EP_WASM_NAN32;
  /* rounding twice is harmless: 53 >= 2 * 24 + 2 */
  return (uint32_t)ep_wasm_demote(ep_wasm_f64_sqrt(ep_wasm_promote(bits)));
#endif
}

#endif
