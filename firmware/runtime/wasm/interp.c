/* The interpreter: the bytes of the module as they lie, the side table for branches, one loop.
 *
 * Operands and locals of all frames are on one stack of 64-bit slots:
 *
 *   ... | caller's operands, the last of them being | arguments | other locals | caller (2 slots) | operands ...
 *                                                     ^ fp                                          ^ sp, when empty
 *
 * The topmost operand is not in memory but in `low` and `high`; `sp` is where it would be stored. With an empty
 * operand stack the two hold nothing, and what a push then stores is never read. Values are moved as integers: no
 * move, load, store, select or reinterpretation ever changes the bits of a NaN. Only an operation that calculates sees
 * a float.
 *
 * `ip` is the next byte to read. When a trap leaves an instruction, `ip` must be just behind its opcode, so that the
 * error can name its place: see `trapped`.
 *
 * Fuel: each instruction takes its weight from a register; taken branches and calls look whether it went below 0. What
 * the register doesn't hold (sliced calls) waits in instance->fuel.
 */
#include "wasm/interp.h"

#include <string.h>

#include "wasm/bulk.h"
#include "wasm/leb.h"
#include "wasm/numeric.h"
#include "wasm/opcodes.h"

/* gcc would join the dispatches of the handlers into one, which is what computed goto is there to avoid. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-gcse", "no-crossjumping")
#endif

#if defined(__wasm__) /* has no computed goto */
#define OP(id)                                                                                                         \
  case EP_OP_##id:                                                                                                     \
    fuel -= EP_FUEL_##id;
#define NEXT break
#else
#define OP(id)                                                                                                         \
  op_##id:                                                                                                             \
  fuel -= EP_FUEL_##id;
#define NEXT goto *handlers[*ip++]
#endif

#define LIKELY(condition)   __builtin_expect((condition), 1)
#define UNLIKELY(condition) __builtin_expect((condition), 0)

/* ---- the operand stack ---- */

#define TOP         ((uint64_t)high << 32 | low)
#define SET_TOP(v)  (slot = (v), low = (uint32_t)slot, high = (uint32_t)(slot >> 32))
#define PUSH        (*sp++ = TOP)
#define POP         (sp--, SET_TOP(*sp))
#define TRAP(cause)                                                                                                    \
  do {                                                                                                                 \
    result = (cause);                                                                                                  \
    goto trapped;                                                                                                      \
  } while (0)

/* ---- immediates ---- */

/* An unsigned number; one byte nearly always. */
#define READ_U32(name)                                                                                                 \
  uint32_t name = *ip++;                                                                                               \
  if (UNLIKELY(name >= 0x80u)) {                                                                                       \
    name = ep_wasm_wide_u32(ip - 1);                                                                                   \
    ip = ep_wasm_leb_skip(ip);                                                                                         \
  }

static __attribute__((noinline)) uint32_t ep_wasm_wide_u32(const uint8_t *p) {
  return ep_wasm_leb_u32(p);
}

static __attribute__((noinline)) int64_t ep_wasm_wide_s64(const uint8_t *p) {
  return ep_wasm_leb_s64(p);
}

/* ---- memory ---- */

static inline uint32_t ep_wasm_half(const uint8_t *p) {
  uint16_t value;
  memcpy(&value, p, sizeof value);
  return value;
}

/* Whether an access that isn't well inside memory is inside at all. */
static __attribute__((noinline)) bool ep_wasm_inside(const ep_wasm_instance_t *instance, uint32_t base,
                                                     uint32_t offset, uint32_t size) {
  return (uint64_t)base + offset + size <= instance->memory_size;
}

/* Addresses below `bound` are good for 8 bytes. */
static inline uint32_t ep_wasm_bound(const ep_wasm_instance_t *instance) {
  return instance->memory_size >= 8u ? instance->memory_size - 7u : 0u;
}

/* Reads alignment and offset of a memory instruction (both in one byte, nearly always) and points `place` at the
 * `size` bytes that it means. */
#define ADDRESS(base, size)                                                                                            \
  const uint32_t base_ = (base);                                                                                       \
  uint32_t offset_ = ep_wasm_half(ip);                                                                                 \
  uint32_t address_;                                                                                                   \
  uint8_t *place;                                                                                                      \
  if (LIKELY((offset_ & 0x8080u) == 0u)) {                                                                             \
    offset_ >>= 8;                                                                                                     \
    ip += 2;                                                                                                           \
  } else {                                                                                                             \
    ip = ep_wasm_leb_skip(ip);                                                                                         \
    offset_ = ep_wasm_wide_u32(ip);                                                                                    \
    ip = ep_wasm_leb_skip(ip);                                                                                         \
  }                                                                                                                    \
  if (UNLIKELY(__builtin_add_overflow(base_, offset_, &address_) || address_ >= bound) &&                              \
      !ep_wasm_inside(instance, base_, offset_, (size)))                                                               \
    goto out_of_bounds;                                                                                                \
  place = memory + address_;

#define LOAD(id, type, wide)                                                                                           \
  OP(id) {                                                                                                             \
    type value;                                                                                                        \
    ADDRESS(low, sizeof(type))                                                                                         \
    memcpy(&value, place, sizeof value);                                                                               \
    SET_TOP((uint64_t)(wide)value);                                                                                    \
    NEXT;                                                                                                              \
  }

/* To 32 bits; the upper half of the slot has no meaning then. */
#define LOAD32(id, type)                                                                                               \
  OP(id) {                                                                                                             \
    type value;                                                                                                        \
    ADDRESS(low, sizeof(type))                                                                                         \
    memcpy(&value, place, sizeof value);                                                                               \
    low = (uint32_t)value;                                                                                             \
    NEXT;                                                                                                              \
  }

#define STORE(id, type)                                                                                                \
  OP(id) {                                                                                                             \
    type value = (type)TOP;                                                                                            \
    ADDRESS((uint32_t)sp[-1], sizeof(type))                                                                            \
    memcpy(place, &value, sizeof value);                                                                               \
    sp -= 2;                                                                                                           \
    SET_TOP(*sp);                                                                                                      \
    NEXT;                                                                                                              \
  }

/* ---- arithmetic ---- */

#define BINARY32(id, expression)                                                                                       \
  OP(id) {                                                                                                             \
    const uint32_t b = low;                                                                                            \
    const uint32_t a = (uint32_t)*--sp;                                                                                \
    low = (uint32_t)(expression);                                                                                      \
    NEXT;                                                                                                              \
  }

#define UNARY32(id, expression)                                                                                        \
  OP(id) {                                                                                                             \
    const uint32_t a = low;                                                                                            \
    low = (uint32_t)(expression);                                                                                      \
    NEXT;                                                                                                              \
  }

#define BINARY64(id, expression)                                                                                       \
  OP(id) {                                                                                                             \
    const uint64_t b = TOP;                                                                                            \
    const uint64_t a = *--sp;                                                                                          \
    SET_TOP(expression);                                                                                               \
    NEXT;                                                                                                              \
  }

#define COMPARE64(id, expression)                                                                                      \
  OP(id) {                                                                                                             \
    const uint64_t b = TOP;                                                                                            \
    const uint64_t a = *--sp;                                                                                          \
    low = (expression) ? 1u : 0u;                                                                                      \
    NEXT;                                                                                                              \
  }

#define COMPARE_F32(id, operator)                                                                                      \
  OP(id) {                                                                                                             \
    const float b = ep_wasm_f32(low);                                                                                  \
    const float a = ep_wasm_f32((uint32_t)*--sp);                                                                      \
    low = a operator b ? 1u : 0u;                                                                                      \
    NEXT;                                                                                                              \
  }

#define BINARY_F32(id, operator)                                                                                       \
  OP(id) {                                                                                                             \
    const float b = ep_wasm_f32(low);                                                                                  \
    const float a = ep_wasm_f32((uint32_t)*--sp);                                                                      \
    low = ep_wasm_f32_result(a operator b);                                                                            \
    NEXT;                                                                                                              \
  }

#define OUTLINED_UNARY(id)  OP(id) goto numeric_unary;
#define OUTLINED_BINARY(id) OP(id) goto numeric_binary;

#define DIVIDE32(id, overflows, expression)                                                                            \
  OP(id) {                                                                                                             \
    const uint32_t b = low;                                                                                            \
    const uint32_t a = (uint32_t)sp[-1];                                                                               \
    if (UNLIKELY(b == 0u)) TRAP(EP_WASM_TRAP_DIVIDE_BY_ZERO);                                                          \
    if (UNLIKELY(overflows)) TRAP(EP_WASM_TRAP_OVERFLOW);                                                              \
    low = (uint32_t)(expression);                                                                                      \
    sp--;                                                                                                              \
    NEXT;                                                                                                              \
  }

/* ---- branches and frames ---- */

/* Follows the side table entry `branch`; operands move only where it says so. */
#define FOLLOW                                                                                                         \
  do {                                                                                                                 \
    const uint32_t unwind_ = branch->unwind;                                                                           \
    ip = code + branch->target;                                                                                        \
    branch = instance->branches + branch->branch;                                                                      \
    if (UNLIKELY(unwind_ != 0u)) {                                                                                     \
      unwind = unwind_;                                                                                                \
      goto unwinding;                                                                                                  \
    }                                                                                                                  \
    if (UNLIKELY(fuel < 0)) goto out_of_fuel;                                                                          \
  } while (0)

/* The caller's frame in EP_WASM_FRAME_SLOTS slots. The outermost call has none. */
#define FRAME_NONE 0xFFFFFFFFu

ep_wasm_result_t ep_wasm_interpret(ep_wasm_instance_t *instance, uint32_t index) {
#if !defined(__wasm__)
  static const void *const handlers[] = {
#define EP_WASM_OPCODE(opcode, id, text, weight, signature) [opcode] = &&op_##id,
#define EP_WASM_PREFIXED(opcode, id, text, weight, signature)
#include "wasm/opcodes.def"
#undef EP_WASM_OPCODE
#undef EP_WASM_PREFIXED
      [EP_OP_prefix] = &&op_prefix};
#endif
  const uint8_t *const code = instance->code;
  uint8_t *const memory = instance->memory;
  const ep_wasm_function_t *function = &instance->functions[index];
  const ep_wasm_branch_t *branch = instance->branches;
  const uint8_t *ip = code;
  const uint8_t *end = code; /* the running body's last instruction */
  uint64_t *sp = instance->stack + function->params;
  uint64_t *fp = instance->stack;
  uint32_t bound = ep_wasm_bound(instance);
  uint32_t low = 0;
  uint32_t high = 0;
  uint32_t depth = instance->call_depth;
  uint32_t unwind = 0;
  uint32_t caller = FRAME_NONE;
  int32_t fuel = instance->fuel;
  uint64_t slot;
  ep_wasm_result_t result = EP_WASM_OK;

  instance->fuel = 0;
  if (instance->sliced && fuel > (int32_t)EP_WASM_SLICE) {
    instance->fuel = fuel - (int32_t)EP_WASM_SLICE;
    fuel = (int32_t)EP_WASM_SLICE;
  }
  SET_TOP(*sp);
  goto call;

#if defined(__wasm__)
  for (;;) switch (*ip++) {
#endif

  /* ---- control (4.4.8) ---- */

  OP(unreachable) TRAP(EP_WASM_TRAP_UNREACHABLE);
  OP(nop) NEXT;
  OP(block) {
    ip = ep_wasm_leb_skip(ip);
    NEXT;
  }
  OP(loop) {
    ip = ep_wasm_leb_skip(ip);
    NEXT;
  }
  OP(if) {
    const uint32_t condition = low;
    POP;
    if (condition != 0u) {
      ip = ep_wasm_leb_skip(ip);
      branch++;
      NEXT;
    }
    ip = code + branch->target;
    branch = instance->branches + branch->branch;
    NEXT;
  }
  OP(else) {
    ip = code + branch->target;
    branch = instance->branches + branch->branch;
    NEXT;
  }
  OP(end) {
    if (UNLIKELY(ip > end)) {
      fuel -= EP_FUEL_return;
      goto returning;
    }
    NEXT;
  }
  OP(br) {
    FOLLOW;
    NEXT;
  }
  OP(br_if) {
    const uint32_t condition = low;
    POP;
    if (condition != 0u) {
      FOLLOW;
      NEXT;
    }
    ip = ep_wasm_leb_skip(ip);
    branch++;
    NEXT;
  }
  OP(br_table) {
    const uint32_t count = ep_wasm_wide_u32(ip);
    branch += low < count ? low : count;
    POP;
    FOLLOW;
    NEXT;
  }
  OP(return) goto returning;
  OP(call) {
    const uint8_t *const place = ip;
    READ_U32(callee)
    function = &instance->functions[callee];
    caller = (uint32_t)(ip - code);
    ip = place;
    goto call;
  }
  OP(call_indirect) {
    const uint32_t type = ep_wasm_wide_u32(ip);
    uint32_t callee;
    if (UNLIKELY(low >= instance->table_size)) TRAP(EP_WASM_TRAP_TABLE);
    callee = instance->table[low];
    if (UNLIKELY(callee == EP_WASM_NULL)) TRAP(EP_WASM_TRAP_ELEMENT);
    if (UNLIKELY(instance->functions[callee].type != instance->types[type].canonical)) TRAP(EP_WASM_TRAP_CALL_TYPE);
    POP;
    function = &instance->functions[callee];
    caller = (uint32_t)(ep_wasm_leb_skip(ip) + 1 - code);
    goto call;
  }

  /* ---- parametric, variables (4.4.4, 4.4.5) ---- */

  OP(drop) {
    POP;
    NEXT;
  }
  OP(select_t) {
    ip = ep_wasm_leb_skip(ip) + 1;
    goto selecting;
  }
  OP(select) {
  selecting:
    if (low != 0u) sp -= 2, SET_TOP(*sp);
    else SET_TOP(sp[-1]), sp -= 2;
    NEXT;
  }
  OP(local_get) {
    READ_U32(local)
    PUSH;
    SET_TOP(fp[local]);
    NEXT;
  }
  OP(local_set) {
    READ_U32(local)
    fp[local] = TOP;
    POP;
    NEXT;
  }
  OP(local_tee) {
    READ_U32(local)
    fp[local] = TOP;
    NEXT;
  }
  OP(global_get) {
    READ_U32(global)
    PUSH;
    SET_TOP(instance->globals[global]);
    NEXT;
  }
  OP(global_set) {
    READ_U32(global)
    instance->globals[global] = TOP;
    POP;
    NEXT;
  }

  /* ---- memory (4.4.7) ---- */

  LOAD32(i32_load, uint32_t)
  LOAD(i64_load, uint64_t, uint64_t)
  LOAD32(f32_load, uint32_t)
  LOAD(f64_load, uint64_t, uint64_t)
  LOAD32(i32_load8_s, int8_t)
  LOAD32(i32_load8_u, uint8_t)
  LOAD32(i32_load16_s, int16_t)
  LOAD32(i32_load16_u, uint16_t)
  LOAD(i64_load8_s, int8_t, int64_t)
  LOAD(i64_load8_u, uint8_t, uint64_t)
  LOAD(i64_load16_s, int16_t, int64_t)
  LOAD(i64_load16_u, uint16_t, uint64_t)
  LOAD(i64_load32_s, int32_t, int64_t)
  LOAD(i64_load32_u, uint32_t, uint64_t)
  STORE(i32_store, uint32_t)
  STORE(i64_store, uint64_t)
  STORE(f32_store, uint32_t)
  STORE(f64_store, uint64_t)
  STORE(i32_store8, uint8_t)
  STORE(i32_store16, uint16_t)
  STORE(i64_store8, uint8_t)
  STORE(i64_store16, uint16_t)
  STORE(i64_store32, uint32_t)
  OP(memory_size) {
    ip++;
    PUSH;
    low = instance->memory_pages;
    NEXT;
  }
  OP(memory_grow) {
    ip++;
    low = ep_wasm_grow(instance, low);
    bound = ep_wasm_bound(instance);
    NEXT;
  }

  /* ---- numbers (4.4.1, 4.3) ---- */

  OP(i32_const) {
    const uint32_t byte = *ip++;
    PUSH;
    if (UNLIKELY(byte >= 0x80u)) {
      low = (uint32_t)ep_wasm_wide_s64(ip - 1);
      ip = ep_wasm_leb_skip(ip);
      NEXT;
    }
    low = (uint32_t)((int32_t)(byte << 25) >> 25);
    NEXT;
  }
  OP(i64_const) {
    PUSH;
    SET_TOP((uint64_t)ep_wasm_wide_s64(ip));
    ip = ep_wasm_leb_skip(ip);
    NEXT;
  }
  OP(f32_const) {
    PUSH;
    memcpy(&low, ip, sizeof low);
    ip += 4;
    NEXT;
  }
  OP(f64_const) {
    PUSH;
    memcpy(&slot, ip, sizeof slot);
    SET_TOP(slot);
    ip += 8;
    NEXT;
  }

  UNARY32(i32_eqz, a == 0u)
  BINARY32(i32_eq, a == b)
  BINARY32(i32_ne, a != b)
  BINARY32(i32_lt_s, (int32_t)a < (int32_t)b)
  BINARY32(i32_lt_u, a < b)
  BINARY32(i32_gt_s, (int32_t)a > (int32_t)b)
  BINARY32(i32_gt_u, a > b)
  BINARY32(i32_le_s, (int32_t)a <= (int32_t)b)
  BINARY32(i32_le_u, a <= b)
  BINARY32(i32_ge_s, (int32_t)a >= (int32_t)b)
  BINARY32(i32_ge_u, a >= b)
  OP(i64_eqz) {
    low = (low | high) == 0u;
    NEXT;
  }
  COMPARE64(i64_eq, a == b)
  COMPARE64(i64_ne, a != b)
  OUTLINED_BINARY(i64_lt_s)
  OUTLINED_BINARY(i64_lt_u)
  OUTLINED_BINARY(i64_gt_s)
  OUTLINED_BINARY(i64_gt_u)
  OUTLINED_BINARY(i64_le_s)
  OUTLINED_BINARY(i64_le_u)
  OUTLINED_BINARY(i64_ge_s)
  OUTLINED_BINARY(i64_ge_u)
  COMPARE_F32(f32_eq, ==)
  COMPARE_F32(f32_ne, !=)
  COMPARE_F32(f32_lt, <)
  COMPARE_F32(f32_gt, >)
  COMPARE_F32(f32_le, <=)
  COMPARE_F32(f32_ge, >=)
  OUTLINED_BINARY(f64_eq)
  OUTLINED_BINARY(f64_ne)
  OUTLINED_BINARY(f64_lt)
  OUTLINED_BINARY(f64_gt)
  OUTLINED_BINARY(f64_le)
  OUTLINED_BINARY(f64_ge)

  UNARY32(i32_clz, a == 0u ? 32u : (uint32_t)__builtin_clz(a))
  UNARY32(i32_ctz, a == 0u ? 32u : (uint32_t)__builtin_ctz(a))
  OUTLINED_UNARY(i32_popcnt)
  BINARY32(i32_add, a + b)
  BINARY32(i32_sub, a - b)
  BINARY32(i32_mul, a * b)
  DIVIDE32(i32_div_s, a == 0x80000000u && b == UINT32_MAX, (int32_t)a / (int32_t)b)
  DIVIDE32(i32_div_u, false, a / b)
  DIVIDE32(i32_rem_s, false, b == UINT32_MAX ? 0 : (int32_t)a % (int32_t)b)
  DIVIDE32(i32_rem_u, false, a % b)
  BINARY32(i32_and, a & b)
  BINARY32(i32_or, a | b)
  BINARY32(i32_xor, a ^ b)
  BINARY32(i32_shl, a << (b & 31u))
  BINARY32(i32_shr_s, (int32_t)a >> (b & 31u))
  BINARY32(i32_shr_u, a >> (b & 31u))
  BINARY32(i32_rotl, a << (b & 31u) | a >> ((0u - b) & 31u))
  BINARY32(i32_rotr, a >> (b & 31u) | a << ((0u - b) & 31u))
  OUTLINED_UNARY(i64_clz)
  OUTLINED_UNARY(i64_ctz)
  OUTLINED_UNARY(i64_popcnt)
  BINARY64(i64_add, a + b)
  BINARY64(i64_sub, a - b)
  OUTLINED_BINARY(i64_mul)
  OUTLINED_BINARY(i64_div_s)
  OUTLINED_BINARY(i64_div_u)
  OUTLINED_BINARY(i64_rem_s)
  OUTLINED_BINARY(i64_rem_u)
  BINARY64(i64_and, a & b)
  BINARY64(i64_or, a | b)
  BINARY64(i64_xor, a ^ b)
  OUTLINED_BINARY(i64_shl)
  OUTLINED_BINARY(i64_shr_s)
  OUTLINED_BINARY(i64_shr_u)
  OUTLINED_BINARY(i64_rotl)
  OUTLINED_BINARY(i64_rotr)

  UNARY32(f32_abs, a & 0x7FFFFFFFu)
  UNARY32(f32_neg, a ^ 0x80000000u)
  OUTLINED_UNARY(f32_ceil)
  OUTLINED_UNARY(f32_floor)
  OUTLINED_UNARY(f32_trunc)
  OUTLINED_UNARY(f32_nearest)
  UNARY32(f32_sqrt, ep_wasm_f32_sqrt(a))
  BINARY_F32(f32_add, +)
  BINARY_F32(f32_sub, -)
  BINARY_F32(f32_mul, *)
  BINARY_F32(f32_div, /)
  OUTLINED_BINARY(f32_min)
  OUTLINED_BINARY(f32_max)
  BINARY32(f32_copysign, (a & 0x7FFFFFFFu) | (b & 0x80000000u))
  OP(f64_abs) {
    high &= 0x7FFFFFFFu;
    NEXT;
  }
  OP(f64_neg) {
    high ^= 0x80000000u;
    NEXT;
  }
  OUTLINED_UNARY(f64_ceil)
  OUTLINED_UNARY(f64_floor)
  OUTLINED_UNARY(f64_trunc)
  OUTLINED_UNARY(f64_nearest)
  OUTLINED_UNARY(f64_sqrt)
  OUTLINED_BINARY(f64_add)
  OUTLINED_BINARY(f64_sub)
  OUTLINED_BINARY(f64_mul)
  OUTLINED_BINARY(f64_div)
  OUTLINED_BINARY(f64_min)
  OUTLINED_BINARY(f64_max)
  BINARY64(f64_copysign, (a & 0x7FFFFFFFFFFFFFFFull) | (b & 0x8000000000000000ull))

  OP(i32_wrap_i64) NEXT;
  OUTLINED_UNARY(i32_trunc_f32_s)
  OUTLINED_UNARY(i32_trunc_f32_u)
  OUTLINED_UNARY(i32_trunc_f64_s)
  OUTLINED_UNARY(i32_trunc_f64_u)
  OP(i64_extend_i32_s) {
    high = (uint32_t)((int32_t)low >> 31);
    NEXT;
  }
  OP(i64_extend_i32_u) {
    high = 0;
    NEXT;
  }
  OUTLINED_UNARY(i64_trunc_f32_s)
  OUTLINED_UNARY(i64_trunc_f32_u)
  OUTLINED_UNARY(i64_trunc_f64_s)
  OUTLINED_UNARY(i64_trunc_f64_u)
  UNARY32(f32_convert_i32_s, ep_wasm_f32_bits((float)(int32_t)a))
  UNARY32(f32_convert_i32_u, ep_wasm_f32_bits((float)a))
  OUTLINED_UNARY(f32_convert_i64_s)
  OUTLINED_UNARY(f32_convert_i64_u)
  OUTLINED_UNARY(f32_demote_f64)
  OUTLINED_UNARY(f64_convert_i32_s)
  OUTLINED_UNARY(f64_convert_i32_u)
  OUTLINED_UNARY(f64_convert_i64_s)
  OUTLINED_UNARY(f64_convert_i64_u)
  OUTLINED_UNARY(f64_promote_f32)
  OP(i32_reinterpret_f32) NEXT;
  OP(i64_reinterpret_f64) NEXT;
  OP(f32_reinterpret_i32) NEXT;
  OP(f64_reinterpret_i64) NEXT;
  UNARY32(i32_extend8_s, (int8_t)(uint8_t)a)
  UNARY32(i32_extend16_s, (int16_t)(uint16_t)a)
  OP(i64_extend8_s) {
    SET_TOP((uint64_t)(int8_t)(uint8_t)low);
    NEXT;
  }
  OP(i64_extend16_s) {
    SET_TOP((uint64_t)(int16_t)(uint16_t)low);
    NEXT;
  }
  OP(i64_extend32_s) {
    high = (uint32_t)((int32_t)low >> 31);
    NEXT;
  }

#if defined(__wasm__)
  case EP_OP_prefix:
#else
op_prefix:
#endif
  {
    const uint32_t opcode = 0x100u + ep_wasm_wide_u32(ip);
    const uint8_t *immediate = ep_wasm_leb_skip(ip);
    *sp = TOP;
    if (opcode <= EP_OP_i64_trunc_sat_f64_u) {
      fuel -= EP_FUEL_i32_trunc_sat_f32_s;
      result = ep_wasm_numeric(opcode, sp);
      ip = immediate;
    } else {
      const bool drop = opcode == EP_OP_data_drop || opcode == EP_OP_elem_drop;
      int32_t length_fuel = 0;
      fuel -= EP_FUEL_memory_fill;
      result = ep_wasm_bulk(instance, opcode, ep_wasm_wide_u32(immediate), drop ? sp : sp - 2, &length_fuel);
      if (UNLIKELY(result != EP_WASM_OK)) goto trapped;
      fuel += length_fuel;
      ip = ep_wasm_leb_skip(immediate);
      if (opcode == EP_OP_memory_init || opcode == EP_OP_memory_copy || opcode == EP_OP_table_init ||
          opcode == EP_OP_table_copy)
        ip = ep_wasm_leb_skip(ip);
      if (!drop) sp -= 3;
    }
    SET_TOP(*sp);
    if (UNLIKELY(fuel < 0)) goto out_of_fuel;
    NEXT;
  }

numeric_unary:
  *sp = TOP;
  result = ep_wasm_numeric(ip[-1], sp);
  SET_TOP(*sp);
  if (UNLIKELY(result != EP_WASM_OK)) goto trapped;
  NEXT;

numeric_binary:
  *sp-- = TOP;
  result = ep_wasm_numeric(ip[-1], sp);
  SET_TOP(*sp);
  if (UNLIKELY(result != EP_WASM_OK)) goto trapped;
  NEXT;

  /* Drops operands below those that the branch takes along. */
unwinding: {
  const uint32_t drop = unwind & ((1u << EP_WASM_UNWIND_BITS) - 1u);
  const uint32_t arity = unwind >> EP_WASM_UNWIND_BITS;
  if (arity == 0u) {
    sp -= drop;
    SET_TOP(*sp);
  } else {
    for (uint64_t *p = sp - (arity - 1u); p < sp; p++) p[-(int32_t)drop] = *p;
    sp -= drop;
  }
  if (UNLIKELY(fuel < 0)) goto out_of_fuel;
  NEXT;
}

  /* Calls `function` with the topmost operands as arguments; `caller` is where to go on. */
call: {
  uint64_t *locals = sp + 1 - function->params;
  uint64_t *p;
  *sp = TOP;
  if (UNLIKELY(function->slots > (uint32_t)(instance->stack_end - locals))) goto stack_exhausted;
  if (function->start == 0u) {
    result = instance->host->imports[function->locals].call(instance, locals);
    if (UNLIKELY(result != EP_WASM_OK)) goto call_trapped;
    sp = function->results != 0u ? locals : locals - 1;
    SET_TOP(*sp);
    ip = code + caller;
    if (UNLIKELY(fuel < 0)) goto out_of_fuel;
    NEXT;
  }
  if (UNLIKELY(depth == 0u)) goto stack_exhausted;
  depth--;
  fuel -= (int32_t)EP_FUEL_LOCALS((uint32_t)function->locals - function->params);
  for (p = locals + function->params; p < locals + function->locals; p++) *p = 0;
  p[0] = (uint64_t)(uint32_t)(branch - instance->branches) << 32 | caller;
  p[1] = (uint64_t)index << 32 | (uint32_t)(locals - fp);
  index = (uint32_t)(function - instance->functions);
  fp = locals;
  sp = p + EP_WASM_FRAME_SLOTS;
  ip = code + function->start;
  end = code + function->end;
  branch = instance->branches + function->branch;
  if (UNLIKELY(fuel < 0)) goto out_of_fuel;
  NEXT;
}

  /* Leaves the running function with its results on top of the operands. */
returning: {
  const uint32_t results = instance->functions[index].results;
  const uint64_t *frame = fp + instance->functions[index].locals;
  const uint64_t place = frame[0];
  const uint64_t context = frame[1];
  if (results > 1u) {
    const uint64_t *from = sp - (results - 1u);
    for (uint32_t i = 0; i < results - 1u; i++) fp[i] = from[i];
  }
  sp = fp + results - 1;
  if (results == 0u) SET_TOP(*sp);
  depth++;
  if ((uint32_t)place == FRAME_NONE) {
    *sp = TOP;
    goto done;
  }
  fp -= (uint32_t)context;
  index = (uint32_t)(context >> 32);
  ip = code + (uint32_t)place;
  branch = instance->branches + (uint32_t)(place >> 32);
  end = code + instance->functions[index].end;
  NEXT;
}

  /* The register is used up: takes the next slice, or traps. */
out_of_fuel:
  if (fuel + instance->fuel < 0) {
    ip++; /* the place is that of the instruction that comes next */
    TRAP(EP_WASM_TRAP_FUEL);
  }
  fuel += instance->fuel;
  if (instance->host->fuel_step != NULL) instance->host->fuel_step(instance->host->context);
  instance->fuel = fuel > (int32_t)EP_WASM_SLICE ? fuel - (int32_t)EP_WASM_SLICE : 0;
  fuel -= instance->fuel;
  NEXT;

#if defined(__wasm__)
  }
#endif

out_of_bounds:
  ip = ep_wasm_leb_back(ep_wasm_leb_back(ip)); /* behind the opcode again */
  TRAP(EP_WASM_TRAP_MEMORY);

stack_exhausted:
  result = EP_WASM_TRAP_STACK;
call_trapped:
  if (caller == FRAME_NONE) goto done;

trapped:
  instance->error.function = index;
  instance->error.offset = (uint32_t)(ip - 1 - code);

done:
  instance->fuel += fuel;
  return result;
}
