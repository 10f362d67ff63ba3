/* Floats as bits, the same on every board: no instruction of an FPU and no float function of libgcc is in these
 * (libgcc's own f64 addition on Arm, for one, drops bits that decide a rounding). All round to the nearest, ties to
 * even (spec 4.3.3); NaN results are the positive canonical NaN, which the spec allows everywhere. */
#ifndef EP_WASM_FLOAT_H
#define EP_WASM_FLOAT_H

#include "wasm/wasm.h"

#define EP_WASM_NAN32 0x7FC00000u
#define EP_WASM_NAN64 0x7FF8000000000000ull

static inline bool ep_wasm_is_nan32(uint32_t bits) {
  return (bits & 0x7FFFFFFFu) > 0x7F800000u;
}

static inline bool ep_wasm_is_nan64(uint64_t bits) {
  return (bits & 0x7FFFFFFFFFFFFFFFull) > 0x7FF0000000000000ull;
}

/* f64.promote_f32, f32.demote_f64 (4.3.4); an f32 has the lower half. */
uint64_t ep_wasm_promote(uint64_t bits);
uint64_t ep_wasm_demote(uint64_t bits);

/* From here to ep_wasm_below() no f64 may be a NaN: the interpreter answers those for all of them. */
typedef enum { EP_CEIL, EP_FLOOR, EP_TRUNC, EP_NEAREST } ep_wasm_rounding_t;

/* To an integral value. */
uint32_t ep_wasm_f32_round(uint32_t bits, ep_wasm_rounding_t rounding);
uint64_t ep_wasm_f64_round(uint64_t bits, ep_wasm_rounding_t rounding);

uint64_t ep_wasm_f64_add(uint64_t a, uint64_t b);
uint64_t ep_wasm_f64_multiply(uint64_t a, uint64_t b);
uint64_t ep_wasm_f64_divide(uint64_t a, uint64_t b);
uint64_t ep_wasm_f64_sqrt(uint64_t bits);

/* Whether `a` is less than `b`, with -0 below +0. Of f32, the bits stand in the upper half. */
bool ep_wasm_below(uint64_t a, uint64_t b);

/* How two numbers stand; a NaN stands in no order. */
enum { EP_LESS = 1, EP_EQUAL = 2, EP_GREATER = 4, EP_UNORDERED = 8 };
uint32_t ep_wasm_f64_compare(uint64_t a, uint64_t b);

/* The integer that *a truncates to, in its place. `form`: bit 0 to unsigned, bit 1 from f64, bit 2 to 64 bits, as the
 * saturating opcodes are numbered. It is saturated in any case; what comes back is what a conversion that traps says
 * to it. */
ep_wasm_result_t ep_wasm_truncate(uint32_t form, uint64_t *a);

/* The float nearest to an integer. */
uint64_t ep_wasm_f32_from_signed(uint64_t value);
uint64_t ep_wasm_f32_from_unsigned(uint64_t value);
uint64_t ep_wasm_f64_from_signed(uint64_t value);
uint64_t ep_wasm_f64_from_unsigned(uint64_t value);

#endif
