/* The interpreter's machine: its state, its operand stack, and the way from one instruction to the next. For interp.c
 * alone: whoever includes it on Arm gives up eight registers in the whole file. */
#ifndef EP_WASM_MACHINE_H
#define EP_WASM_MACHINE_H

#include <string.h>

#include "wasm/opcodes.h"
#include "wasm/wasm.h"

/* On Arm what changes with every instruction lives in registers that gcc keeps for it in the whole file, so handlers
 * need no prologue and go from one to the next by a jump. Elsewhere it is in the instance, and a loop calls them. */
#if defined(EP_WASM_REGISTERS)
/* a loop of a handler mustn't become a call of memset: that would cost a stack frame */
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

/* What runs: an instance is in one call at most. */
typedef ep_wasm_instance_t ep_wasm_run_t;

/* What a frame keeps of its caller, behind its locals. */
typedef struct {
  const ep_wasm_function_t *function;
  const uint8_t *ip; /* NULL: the call came from outside */
  uint64_t *fp;
  const ep_wasm_branch_t *branch;
} ep_wasm_frame_t;

_Static_assert(sizeof(ep_wasm_frame_t) == EP_WASM_FRAME_SLOTS * sizeof(uint64_t), "a frame fills its slots");

#define UNLIKELY(condition) __builtin_expect((condition), 0)
#define INLINE              static inline __attribute__((always_inline))

/* ---- from instruction to instruction ------------------------------------------------------------------------ */

/* Every instruction takes one fuel on its way here; handlers take what their opcode's weight has beyond it. */
#define FUEL_OF_DISPATCH 1

#if defined(EP_WASM_REGISTERS)
typedef void went_t;
#define RUN  void
#define RUN_ /* and more parameters */
#define PASS
#define PASS_
#define IP     ep_wasm_ip
#define SP     ep_wasm_sp
#define FP     ep_wasm_fp
#define LOW    ep_wasm_low
#define HIGH   ep_wasm_high
#define FUEL   ep_wasm_fuel_left
#define BRANCH ep_wasm_branch
register const uint8_t *IP __asm__("r4");
register uint64_t *SP __asm__("r5");
register uint32_t LOW __asm__("r6");
register int32_t FUEL __asm__("r7");
register uint32_t HIGH __asm__("r8");
register uint64_t *FP __asm__("r9");
register const ep_wasm_branch_t *BRANCH __asm__("r10");
register ep_wasm_run_t *run __asm__("r11");

/* A handler. It never returns, so it needn't keep the way back nor make room on the stack: what a long one can't keep in
 * registers goes to 32 bytes that ep_wasm_interpret() left for all of them. The compiler must neither move it (the table counts
 * from its start) nor put a return behind it (tests/unit/wasm-dispatch.test.ts looks at what has become of them). */
#define LEAF __attribute__((naked, noinline, used, no_reorder))

/* To the second half of a fused instruction, whose operands are in r0 and r1. What else handlers find in registers
 * is named here, so that it is there. */
#define SECOND(...)                                                                                          \
  do {                                                                                                       \
    register const uint8_t *ip_ __asm__("r4") = IP;                                                          \
    register uint64_t *sp_ __asm__("r5") = SP;                                                               \
    register uint32_t low_ __asm__("r6") = LOW;                                                              \
    register int32_t fuel_ __asm__("r7") = FUEL;                                                             \
    register uint32_t high_ __asm__("r8") = HIGH;                                                            \
    __asm__ volatile("b ep_wasm_second"                                                                      \
                     :                                                                                       \
                     : "r"(ip_), "r"(sp_), "r"(low_), "r"(fuel_), "r"(high_), __VA_ARGS__                    \
                     : "memory");                                                                            \
    return;                                                                                                  \
  } while (0)
#define NEXT_WITH(second, a)                                                                                 \
  do {                                                                                                       \
    register uint32_t to_ __asm__("r3") = (second);                                                          \
    register uint32_t a_ __asm__("r0") = (a);                                                                \
    SECOND("r"(to_), "r"(a_));                                                                               \
  } while (0)
#define NEXT_TO(second, a, b)                                                                                \
  do {                                                                                                       \
    register uint32_t to_ __asm__("r3") = (second);                                                          \
    register uint32_t a_ __asm__("r0") = (a);                                                                \
    register uint32_t b_ __asm__("r1") = (b);                                                                \
    SECOND("r"(to_), "r"(a_), "r"(b_));                                                                      \
  } while (0)

/* The opcode that led to a handler is still in a register at its very beginning. */
#define OPCODE(name)                                                                                         \
  register uint32_t name##_ __asm__("r3");                                                                   \
  __asm__ volatile("" : "=r"(name##_));                                                                      \
  const uint32_t name = name##_
#else
typedef int went_t; /* 0: nowhere */
typedef int (*ep_wasm_handler_t)(ep_wasm_run_t *run);
/* second halves of fused instructions, in the table under that type */
typedef int (*ep_wasm_with_t)(ep_wasm_run_t *run, uint32_t a);
typedef int (*ep_wasm_to_t)(ep_wasm_run_t *run, uint32_t a, uint32_t b);
static const ep_wasm_handler_t ep_wasm_handlers[EP_OP_prefix + 1];
#define LEAF                  __attribute__((noinline, used))
#define RUN                   ep_wasm_run_t *const run
#define RUN_                  ep_wasm_run_t *const run,
#define PASS                  run
#define PASS_                 run,
#define IP                    run->ip
#define SP                    run->sp
#define FP                    run->fp
#define LOW                   run->low
#define HIGH                  run->high
#define FUEL                  run->left
#define BRANCH                run->branch
#define NEXT_WITH(second, a)  return ((ep_wasm_with_t)ep_wasm_handlers[second])(run, a)
#define NEXT_TO(second, a, b) return ((ep_wasm_to_t)ep_wasm_handlers[second])(run, a, b)
#define OPCODE(name)          const uint32_t name = IP[-1]
#endif

#define NEXT return next(PASS)

/* ---- the operand stack -------------------------------------------------------------------------------------- */

#define TOP ((uint64_t)HIGH << 32 | LOW)
#define SET_TOP(value)                                                                                       \
  do {                                                                                                       \
    const uint64_t value_ = (value);                                                                         \
    LOW = (uint32_t)value_;                                                                                  \
    HIGH = (uint32_t)(value_ >> 32);                                                                         \
  } while (0)

#if defined(EP_WASM_REGISTERS) /* one instruction each, of which gcc makes three */
#define STORE_TOP(slot) __asm__("strd %1, %2, [%3]" : "=m"(*(slot)) : "r"(LOW), "r"(HIGH), "r"(slot))
#define LOAD_TOP(slot)  __asm__("ldrd %0, %1, [%2]" : "=r"(LOW), "=r"(HIGH) : "r"(slot), "m"(*(slot)))
#define PUSH            __asm__ volatile("strd %1, %2, [%0], #8" : "+r"(SP) : "r"(LOW), "r"(HIGH) : "memory")
#define POP             __asm__ volatile("ldrd %1, %2, [%0, #-8]!" : "+r"(SP), "=r"(LOW), "=r"(HIGH) : : "memory")
#define POP_TWO         __asm__ volatile("ldrd %1, %2, [%0, #-16]!" : "+r"(SP), "=r"(LOW), "=r"(HIGH) : : "memory")
#define TAKE_BELOW(to)  __asm__ volatile("ldr %1, [%0, #-8]!" : "+r"(SP), "=r"(to) : : "memory")
#define TAKE_BELOW64(to)                                                                                     \
  do {                                                                                                       \
    uint32_t low_, high_;                                                                                    \
    __asm__ volatile("ldrd %1, %2, [%0, #-8]!" : "+r"(SP), "=r"(low_), "=r"(high_) : : "memory");            \
    (to) = (uint64_t)high_ << 32 | low_;                                                                     \
  } while (0)
/* Behind *p, and p to there. */
#define STORE_ZERO(p) __asm__ volatile("strd %1, %1, [%0, #8]!" : "+r"(p) : "r"(0) : "memory")
#else
#define STORE_ZERO(p)   (*++(p) = 0)
#define STORE_TOP(slot) (*(slot) = TOP)
#define LOAD_TOP(slot)  SET_TOP(*(slot))
#define PUSH            (*SP++ = TOP)
#define POP                                                                                                  \
  do {                                                                                                       \
    SP--;                                                                                                    \
    SET_TOP(*SP);                                                                                            \
  } while (0)
#define POP_TWO                                                                                              \
  do {                                                                                                       \
    SP--;                                                                                                    \
    POP;                                                                                                     \
  } while (0)
/* Take the operand below the top off the stack. */
#define TAKE_BELOW(to)   ((to) = (uint32_t) * --SP)
#define TAKE_BELOW64(to) ((to) = *--SP)
#endif

/* ---- immediates --------------------------------------------------------------------------------------------- */

/* Numbers in memory, as rewrite.c leaves them. A module never ends within an instruction. */
INLINE uint32_t half(const uint8_t *p) {
  uint16_t value;
  memcpy(&value, p, sizeof value);
  return value;
}

INLINE uint32_t word(const uint8_t *p) {
  uint32_t value;
  memcpy(&value, p, sizeof value);
  return value;
}

#endif
