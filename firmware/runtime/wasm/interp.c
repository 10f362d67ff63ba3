/* The interpreter: the bytes of the module as rewrite.c left them, the side table for branches, one function for each opcode.
 *
 * Operands and locals of all frames are on one stack of 64-bit slots:
 *
 *   ... | caller's operands, the last of them being | arguments | other locals | caller (2 slots) | operands ...
 *                                                     ^ FP                                          ^ SP, when empty
 *
 * The topmost operand is not in memory but in LOW and HIGH; SP is where it would be stored. With an empty operand stack
 * the two hold nothing, and what a push then stores is never read. Values are moved as integers: no move, load, store,
 * select or reinterpretation ever changes the bits of a NaN. Only an operation that calculates sees a float.
 *
 * IP is the next byte to read. When a trap leaves an instruction, IP must be just behind its opcode, so that the error
 * can name its place.
 *
 * Fuel: each instruction takes its weight from FUEL; taken branches and calls look whether it went below 0. What FUEL
 * doesn't hold (sliced calls) waits in instance->fuel.
 */
#include "wasm/interp.h"

#include <string.h>

#include "wasm/bulk.h"
#include "wasm/leb.h"
#include "wasm/numeric.h"
#include "wasm/opcodes.h"

#define UNLIKELY(condition) __builtin_expect((condition), 0)

/* ---- state -------------------------------------------------------------------------------------------------- */

/* On Arm what changes with every instruction lives in registers that gcc keeps for it in this whole file, so handlers
 * need no prologue and go from one to the next by a jump. Elsewhere it is in memory, and a loop calls them. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__thumb2__) && defined(__OPTIMIZE__)
#define EP_WASM_REGISTERS
/* a loop of a handler mustn't become a call of memset: that would cost every path of it a stack frame */
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

/* One call from outside. */
typedef struct ep_wasm_run {
  uint8_t *memory;
  uint32_t bound; /* addresses below are good for 8 bytes */
  const uint8_t *code;
  const ep_wasm_branch_t *branches;
  const ep_wasm_branch_t *branch; /* side table entry of the next branch */
  const ep_wasm_function_t *functions;
  uint64_t *globals;
  ep_wasm_instance_t *instance;
  uint32_t index; /* of the running function, in bytes */
  uint32_t depth; /* calls that may still nest */
  ep_wasm_result_t result;
#if !defined(EP_WASM_REGISTERS)
  const uint8_t *ip;
  uint64_t *sp;
  uint64_t *fp;
  uint32_t low;
  uint32_t high;
  int32_t fuel;
#endif
} ep_wasm_run_t;

#if defined(EP_WASM_REGISTERS)
typedef void went_t;
typedef void (*ep_wasm_handler_t)(void);
#else
typedef int went_t; /* 0: nowhere */
typedef int (*ep_wasm_handler_t)(ep_wasm_run_t *run);
/* second halves of fused instructions, in the table under that type */
typedef int (*ep_wasm_with_t)(ep_wasm_run_t *run, uint32_t a);
typedef int (*ep_wasm_to_t)(ep_wasm_run_t *run, uint32_t a, uint32_t b);
#endif

#define ACCESSES     (EP_OP_memory_size - EP_OP_i32_load)
#define FIRST_WEIGHT EP_OP_i32_eqz

/* Handlers by opcode, and what else is reached through the same register. */
typedef struct {
  ep_wasm_handler_t handlers[EP_OP_prefix + 1];
  uint8_t weights[EP_OP_i64_extend32_s + 1 -
                  FIRST_WEIGHT]; /* of what numeric.c does, TWO added for two operands */
  uint8_t sizes[ACCESSES];       /* of loads and stores, bytes */
} ep_wasm_tables_t;

#if defined(EP_WASM_REGISTERS)
#define RUN  void
#define RUN_ /* and more parameters */
#define PASS
#define PASS_
#define IP   ep_wasm_ip
#define SP   ep_wasm_sp
#define FP   ep_wasm_fp
#define LOW  ep_wasm_low
#define HIGH ep_wasm_high
#define FUEL ep_wasm_fuel_left
register const uint8_t *IP __asm__("r4");
register uint64_t *SP __asm__("r5");
register uint32_t LOW __asm__("r6");
register int32_t FUEL __asm__("r7");
register uint32_t HIGH __asm__("r8");
register uint64_t *FP __asm__("r9");
register const ep_wasm_tables_t *tables __asm__("r10");
register ep_wasm_run_t *run __asm__("r11");

/* A handler that goes on to the next one by loading pc, which is one instruction where a tail call takes two. The compiler
 * doesn't know that nothing comes back from there: it would put a return behind it, and give the function a stack frame
 * that nobody takes away again. So it may do neither; such a handler needs no stack, calls nothing, and names all that
 * the next one finds in registers (tests/unit/wasm-dispatch.test.ts looks at what has become of it). */
#define LEAF __attribute__((naked, noinline, used))
#define LEAVE_WITH(way, ...)                                                                                 \
  do {                                                                                                       \
    register const uint8_t *ip_ __asm__("r4") = IP;                                                          \
    register uint64_t *sp_ __asm__("r5") = SP;                                                               \
    register uint32_t low_ __asm__("r6") = LOW;                                                              \
    register int32_t fuel_ __asm__("r7") = FUEL;                                                             \
    register uint32_t high_ __asm__("r8") = HIGH;                                                            \
    register uint64_t *fp_ __asm__("r9") = FP;                                                               \
    __asm__ volatile(way "ldr pc, [r10, r3, lsl #2]"                                                         \
                     : "+r"(ip_)                                                                             \
                     : "r"(sp_), "r"(low_), "r"(fuel_), "r"(high_), "r"(fp_), __VA_ARGS__                    \
                     : "memory");                                                                            \
    return;                                                                                                  \
  } while (0)
#define NEXT LEAVE_WITH("ldrb r3, [r4], #1\n\t", "r"(run))
#define NEXT_WITH(second, a)                                                                                 \
  do {                                                                                                       \
    register uint32_t to_ __asm__("r3") = (second);                                                          \
    register uint32_t a_ __asm__("r0") = (a);                                                                \
    LEAVE_WITH("", "r"(to_), "r"(a_));                                                                       \
  } while (0)
#define NEXT_TO(second, a, b)                                                                                \
  do {                                                                                                       \
    register uint32_t to_ __asm__("r3") = (second);                                                          \
    register uint32_t a_ __asm__("r0") = (a);                                                                \
    register uint32_t b_ __asm__("r1") = (b);                                                                \
    LEAVE_WITH("", "r"(to_), "r"(a_), "r"(b_));                                                              \
  } while (0)
#else
#define LEAF                  __attribute__((noinline, used))
static const ep_wasm_tables_t ep_wasm_handlers;
#define tables                (&ep_wasm_handlers)
#define RUN                   ep_wasm_run_t *const run
#define RUN_                  ep_wasm_run_t *const run,
#define PASS                  run
#define PASS_                 run,
#define IP                    run->ip
#define SP                    run->sp
#define FP                    run->fp
#define LOW                   run->low
#define HIGH                  run->high
#define FUEL                  run->fuel
#define NEXT                  return (void)run, 1
#define NEXT_WITH(second, a)  return ((ep_wasm_with_t)tables->handlers[second])(run, a)
#define NEXT_TO(second, a, b) return ((ep_wasm_to_t)tables->handlers[second])(run, a, b)
#endif
#if defined(EP_WASM_REGISTERS)
#define STOP return
#else
#define STOP return 0
#endif

/* To the next instruction, from functions that have a stack frame, or rarely run. */
LEAF static went_t next(RUN) {
  NEXT;
}
#define NEXT_OUT return next(PASS)

/* An instruction: takes its fuel, then does what follows. */
#define OP(id)     OP_AS(LEAF, id)
#define OP_FAR(id) OP_AS(__attribute__((used)), id) /* with calls */
#define OP_AS(attributes, id)                                                                                \
  static inline __attribute__((always_inline)) went_t do_##id(RUN);                                          \
  attributes static went_t op_##id(RUN) {                                                                    \
    FUEL -= EP_FUEL_##id;                                                                                    \
    return do_##id(PASS);                                                                                    \
  }                                                                                                          \
  static inline __attribute__((always_inline)) went_t do_##id(RUN)

/* An instruction that does as another one does, for the same fuel. */
#define SAME(id, other)                                                                                      \
  _Static_assert(EP_FUEL_##id == EP_FUEL_##other, #id " shares the handler of " #other);                     \
  static went_t op_##id(RUN) __attribute__((alias("op_" #other)));

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
#else
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
#endif

/* ---- ways out ----------------------------------------------------------------------------------------------- */

static went_t finish(RUN_ ep_wasm_result_t result) {
  run->result = result;
  run->instance->fuel += FUEL;
  STOP;
}

static __attribute__((noinline)) went_t trap(RUN_ ep_wasm_result_t result) {
  run->instance->error.function = run->index / (uint32_t)sizeof(ep_wasm_function_t);
  run->instance->error.offset = (uint32_t)(IP - 1 - run->code);
  return finish(PASS_ result);
}

/* FUEL is used up: takes the next slice, or traps at the instruction that comes next. */
static __attribute__((noinline)) went_t refuel(RUN) {
  ep_wasm_instance_t *instance = run->instance;
  int32_t left = FUEL + instance->fuel;
  if (left < 0) {
    IP++;
    return trap(PASS_ EP_WASM_TRAP_FUEL);
  }
  if (instance->host->fuel_step != NULL) instance->host->fuel_step(instance->host->context);
  FUEL = left < (int32_t)EP_WASM_SLICE ? left : (int32_t)EP_WASM_SLICE;
  instance->fuel = left - FUEL;
  NEXT_OUT;
}

/* The end of whatever may have used up the fuel. */
#define NEXT_IF_FUEL                                                                                         \
  do {                                                                                                       \
    if (UNLIKELY(FUEL < 0)) return refuel(PASS);                                                             \
    NEXT_OUT;                                                                                                \
  } while (0)

/* What rare instructions end in instead of NEXT: 2 bytes of theirs, not 12, for a branch more. It takes one fuel. */
LEAF static went_t op_nop(RUN) {
  FUEL -= EP_FUEL_nop;
  NEXT;
}

#define NEXT_AS_NOP                                                                                          \
  do {                                                                                                       \
    FUEL += EP_FUEL_nop;                                                                                     \
    return op_nop(PASS);                                                                                     \
  } while (0)

/* Ends of comparisons. */
LEAF static went_t is_true(RUN) {
  LOW = 1;
  NEXT;
}

LEAF static went_t is_false(RUN) {
  LOW = 0;
  NEXT;
}

#define ANSWER(condition)                                                                                    \
  do {                                                                                                       \
    if (condition) return is_true(PASS);                                                                     \
    return is_false(PASS);                                                                                   \
  } while (0)

/* ---- immediates --------------------------------------------------------------------------------------------- */

/* Two bytes at once: most immediates have one, and the second is the next opcode then. A module never ends within an
 * instruction, so both are there. */
static inline __attribute__((always_inline)) uint32_t half(const uint8_t *p) {
  uint16_t value;
  memcpy(&value, p, sizeof value);
  return value;
}

/* Four; nothing behind them is touched. */
static inline __attribute__((always_inline)) uint32_t word(const uint8_t *p) {
  uint32_t value;
  memcpy(&value, p, sizeof value);
  return value;
}

/* The number at `at`, and in the upper half how many bytes it has: Arm returns both in registers. */
static __attribute__((noinline)) uint64_t number_at(const uint8_t *at) {
  uint32_t byte = *at;
  uint32_t value = byte & 0x7Fu;
  uint32_t length = 1;
  while (UNLIKELY(byte >= 0x80u)) {
    byte = at[length];
    value |= (byte & 0x7Fu) << (7u * length);
    length++;
  }
  return (uint64_t)length << 32 | value;
}

#define NUMBER(number) ((uint32_t)(number))
#define LENGTH(number) ((uint32_t)((number) >> 32))

/* What follows an immediate that only the validator needed, if it has more than one byte; the first one says how many
 * more. */
LEAF static went_t skip_rest(RUN) {
  const uint32_t bytes = IP[-2];
  IP += bytes - 1u;
  FUEL -= (int32_t)EP_FUEL_LONG_WAY(bytes);
  NEXT_OUT;
}

/* The end of an instruction whose immediate is one that the interpreter doesn't need. */
#define SKIP_AND_NEXT                                                                                        \
  do {                                                                                                       \
    IP++;                                                                                                    \
    NEXT;                                                                                                    \
  } while (0)

/* ---- branches and frames ------------------------------------------------------------------------------------ */

static inline const ep_wasm_branch_t *branch_at(RUN_ uint32_t index) {
  return run->branches + index;
}

/* Drops operands below those that a branch takes along. */
static __attribute__((noinline)) went_t unwind(RUN_ uint32_t how) {
  const uint32_t drop = how & ((1u << EP_WASM_UNWIND_BITS) - 1u);
  const uint32_t arity = how >> EP_WASM_UNWIND_BITS;
  for (uint64_t *p = SP + 1 - arity; p < SP; p++) *(p - drop) = *p;
  SP -= drop;
  if (arity == 0u) LOAD_TOP(SP);
  FUEL -= (int32_t)EP_FUEL_UNWIND(arity);
  NEXT_IF_FUEL;
}

/* Where a branch goes: by the side table's entry. Operands move only where that says so. The opcode lies two bytes before
 * IP; of those here, `if` and `else` don't look for fuel. */
LEAF static went_t branch(RUN) {
  const ep_wasm_branch_t *entry = run->branch;
  const uint8_t *const after = IP;
  const uint32_t how = entry->unwind;
  IP = run->code + entry->target;
  run->branch = branch_at(PASS_ entry->branch);
  FUEL -= EP_FUEL_br_if;
  if (UNLIKELY(how != 0u)) return unwind(PASS_ how);
  if (UNLIKELY(FUEL < 0) && after[-2] >= EP_OP_br) return refuel(PASS);
  NEXT;
}

/* Where it doesn't. */
LEAF static went_t go_on(RUN) {
  run->branch++;
  FUEL -= EP_FUEL_br_if;
  NEXT;
}

_Static_assert((int)EP_FUEL_if == (int)EP_FUEL_br_if && (int)EP_FUEL_else == (int)EP_FUEL_br_if &&
                   (int)EP_FUEL_br == (int)EP_FUEL_br_if,
               "all branches take the same");
_Static_assert(EP_OP_else<EP_OP_br && EP_OP_br_if> EP_OP_br &&EP_OP_br_table > EP_OP_br,
               "these look for fuel");

/* The fuel that somebody else found the instruction to take. */
static inline void take_charge(RUN) {
  FUEL -= run->instance->charged;
  run->instance->charged = 0;
}

/* The caller of the outermost function. */
#define FRAME_NONE UINT32_MAX

static __attribute__((noinline)) went_t call_import(RUN_ const ep_wasm_function_t *function, uint64_t *args,
                                                    uint32_t caller) {
  ep_wasm_result_t result = run->instance->host->imports[function->locals].call(run->instance, args);
  take_charge(PASS);
  if (UNLIKELY(result != EP_WASM_OK)) return trap(PASS_ result);
  SP = function->results != 0u ? args : args - 1;
  LOAD_TOP(SP);
  IP = run->code + caller;
  NEXT_IF_FUEL;
}

/* Calls `function` with the topmost operands as arguments (4.4.10); it returns to the offset `caller`. */
static __attribute__((noinline)) went_t call_function(RUN_ const ep_wasm_function_t *function,
                                                      uint32_t caller) {
  uint64_t *locals = SP + 1 - function->params;
  uint64_t *p = SP + 1;
  STORE_TOP(SP);
  if (UNLIKELY(function->slots > (uint32_t)(run->instance->stack_end - locals)))
    return trap(PASS_ EP_WASM_TRAP_STACK);
  if (UNLIKELY(function->start == 0u)) return call_import(PASS_ function, locals, caller);
  if (UNLIKELY(run->depth == 0u)) return trap(PASS_ EP_WASM_TRAP_STACK);
  run->depth--;
  FUEL -= (int32_t)EP_FUEL_LOCALS((uint32_t)function->locals - function->params);
  while (p < locals + function->locals) *p++ = 0;
  p[0] = (uint64_t)(uint32_t)((const uint8_t *)run->branch - (const uint8_t *)run->branches) << 32 | caller;
  p[1] = (uint64_t)run->index << 32 | (uint32_t)((uint8_t *)locals - (uint8_t *)FP);
  run->index = (uint32_t)((const uint8_t *)function - (const uint8_t *)run->functions);
  FP = locals;
  SP = p + EP_WASM_FRAME_SLOTS;
  IP = run->code + function->start;
  run->branch = branch_at(PASS_ function->branch);
  NEXT_IF_FUEL;
}

static __attribute__((noinline)) went_t leave_outermost(RUN) {
  STORE_TOP(SP);
  return finish(PASS_ EP_WASM_OK);
}

static inline const ep_wasm_function_t *running(RUN) {
  return (const ep_wasm_function_t *)(const void *)((const uint8_t *)run->functions + run->index);
}

/* Leaves the running function with its results on top of the operands. */
static __attribute__((noinline)) went_t return_from(RUN) {
  const ep_wasm_function_t *function = running(PASS);
  const uint32_t results = function->results;
  const uint64_t *frame = FP + function->locals;
  const uint64_t place = frame[0];
  const uint64_t context = frame[1];
  FUEL -= (int32_t)EP_FUEL_RESULTS(results);
  for (uint32_t i = 1; i < results; i++) FP[i - 1u] = SP[(int32_t)(i - results)];
  SP = FP + results - 1;
  if (results == 0u) LOAD_TOP(SP);
  if (UNLIKELY((uint32_t)place == FRAME_NONE)) return leave_outermost(PASS);
  run->depth++;
  FP = (uint64_t *)(void *)((uint8_t *)FP - (uint32_t)context);
  run->index = (uint32_t)(context >> 32);
  IP = run->code + (uint32_t)place;
  run->branch = (const ep_wasm_branch_t *)(const void *)((const uint8_t *)run->branches + (place >> 32));
  NEXT_OUT;
}

/* ---- control (4.4.8) ------------------------------------------------------------------------------------------ */

OP(unreachable) {
  return trap(PASS_ EP_WASM_TRAP_UNREACHABLE);
}

OP(block) {
  SKIP_AND_NEXT;
}

SAME(loop, block)

/* Several of them. */
LEAF static went_t blocks(RUN) {
  const uint32_t count = *IP;
  IP += 2u * count - 1u;
  FUEL -= (int32_t)count * EP_FUEL_block;
  NEXT_OUT;
}

LEAF static went_t op_else(RUN) {
  IP++;
  return branch(PASS);
}

/* An immediate of more than a byte goes on as another instruction (rewrite.c). */
LEAF static went_t op_if(RUN) {
  const uint32_t condition = LOW;
  POP;
  IP++;
  if (condition != 0u) return go_on(PASS);
  return branch(PASS);
}

SAME(end, nop)

/* The `end` of a body. */
LEAF static went_t leave(RUN) {
  FUEL -= EP_FUEL_end + EP_FUEL_return;
  return return_from(PASS);
}

LEAF static went_t op_br(RUN) {
  IP++;
  return branch(PASS);
}

LEAF static went_t op_br_if(RUN) {
  const uint32_t condition = LOW;
  POP;
  IP++;
  if (condition != 0u) return branch(PASS);
  return go_on(PASS);
}

OP_FAR(br_table) {
  const uint64_t count = number_at(IP);
  const uint32_t label = LOW < NUMBER(count) ? LOW : NUMBER(count);
  FUEL -= (int32_t)EP_FUEL_LONG_WAY(LENGTH(count) - 1u) - EP_FUEL_br_if;
  POP;
  IP++;
  run->branch += label;
  return branch(PASS);
}

// clang-format off
OP(return) { // clang-format on
  return return_from(PASS);
}

/* A call moves IP only once it can't trap any more. */
static __attribute__((noinline)) went_t call_wide(RUN) {
  const uint64_t index = number_at(IP);
  FUEL -= (int32_t)EP_FUEL_LONG_WAY(LENGTH(index));
  return call_function(PASS_ & run->functions[NUMBER(index)], (uint32_t)(IP - run->code) + LENGTH(index));
}

OP(call) {
  const ep_wasm_function_t *function = run->functions + *IP;
  if (UNLIKELY(*IP >= 0x80u)) return call_wide(PASS);
  return call_function(PASS_ function, (uint32_t)(IP + 1 - run->code));
}

OP_FAR(call_indirect) {
  const ep_wasm_instance_t *instance = run->instance;
  const uint32_t element = LOW;
  const uint64_t type = number_at(IP);
  const ep_wasm_function_t *function;
  FUEL -= (int32_t)EP_FUEL_LONG_WAY(LENGTH(type) - 1u);
  if (UNLIKELY(element >= instance->table_size)) return trap(PASS_ EP_WASM_TRAP_TABLE);
  if (UNLIKELY(instance->table[element] == EP_WASM_NULL)) return trap(PASS_ EP_WASM_TRAP_ELEMENT);
  function = &run->functions[instance->table[element]];
  if (UNLIKELY(function->type != instance->types[NUMBER(type)].canonical))
    return trap(PASS_ EP_WASM_TRAP_CALL_TYPE);
  POP;
  return call_function(PASS_ function, (uint32_t)(IP - run->code) + LENGTH(type) + 1u);
}

/* ---- parametric, variables (4.4.4, 4.4.5) ------------------------------------------------------------------------ */

OP(drop) {
  POP;
  NEXT;
}

OP(select) {
  const uint32_t condition = LOW;
  SP -= 2;
  if (condition != 0u)
    LOAD_TOP(SP);
  else
    LOAD_TOP(SP + 1);
  NEXT;
}

/* What these five do with the slot that their immediate names. */
#define DO_local_get(slot)                                                                                   \
  PUSH;                                                                                                      \
  LOAD_TOP(slot)
#define DO_local_set(slot)                                                                                   \
  STORE_TOP(slot);                                                                                           \
  POP
#define DO_local_tee(slot)  STORE_TOP(slot)
#define DO_global_get(slot) DO_local_get(slot)
#define DO_global_set(slot) DO_local_set(slot)

static __attribute__((noinline)) went_t variable_wide(RUN) {
  const uint64_t index = number_at(IP);
  const uint32_t opcode = IP[-1] + (uint32_t)EP_OP_WIDE;
  uint64_t *slot = (opcode >= EP_OP_global_get ? run->globals : FP) + NUMBER(index);
  FUEL -= EP_FUEL_local_get + (int32_t)EP_FUEL_LONG_INDEX(LENGTH(index) - 1u);
  IP += LENGTH(index);
  if (opcode == EP_OP_local_get || opcode == EP_OP_global_get) {
    DO_local_get(slot);
    NEXT_OUT;
  }
  STORE_TOP(slot);
  if (opcode != EP_OP_local_tee) POP;
  NEXT_OUT;
}

#define VARIABLE(id, base)                                                                                   \
  OP(id) {                                                                                                   \
    const uint32_t index = *IP++;                                                                            \
    uint64_t *slot = (base) + index;                                                                         \
    DO_##id(slot);                                                                                           \
    NEXT;                                                                                                    \
  }

VARIABLE(local_get, FP)
VARIABLE(local_set, FP)
VARIABLE(local_tee, FP)
VARIABLE(global_get, run->globals)
VARIABLE(global_set, run->globals)

/* ---- memory (4.4.7) -------------------------------------------------------------------------------------------- */

static inline uint32_t safe_bound(const ep_wasm_instance_t *instance) {
  return instance->memory_size >= 8u ? instance->memory_size - 7u : 0u;
}

/* The end of every store. */
LEAF static went_t stored(RUN) {
  POP_TWO;
  NEXT;
}

/* Any load or store with any immediates at any address, for those that don't go the short way. */
__attribute__((noinline, used)) static went_t access_memory(RUN) {
  const uint8_t *const second = ep_wasm_leb_skip(IP); /* the alignment is but a hint */
  const uint64_t offset = number_at(second);
  const uint32_t length = (uint32_t)(second - IP) + LENGTH(offset);
  const uint32_t opcode = *IP & 0x7Fu; /* rewrite.c put it there */
  const uint32_t size = tables->sizes[opcode - EP_OP_i32_load];
  const uint32_t memory_size = run->instance->memory_size;
  uint8_t *place = run->memory;
  uint32_t address;
  FUEL -= EP_FUEL_LONG_ACCESS + (int32_t)EP_FUEL_LONG_ADDRESS(length);
  if (__builtin_add_overflow(opcode < EP_OP_i32_store ? LOW : (uint32_t)SP[-1], NUMBER(offset), &address) ||
      address >= memory_size || memory_size - address < size)
    return trap(PASS_ EP_WASM_TRAP_MEMORY);
  IP += length;
  place += address;
  if (opcode >= EP_OP_i32_store) { /* byte by byte out of the top's slot */
    STORE_TOP(SP);
    for (uint32_t i = 0; i < size; i++) place[i] = ((const uint8_t *)SP)[i];
    return stored(PASS);
  }
  LOW = size == 1u ? *place : size == 2u ? half(place) : word(place);
  HIGH = size == 8u ? word(place + 4) : 0u;
  if (opcode >= EP_OP_i32_load8_s && (opcode & 1u) == 0u) { /* the signed ones */
    const uint32_t unused = 32u - 8u * size;
    LOW = (uint32_t)((int32_t)(LOW << unused) >> unused);
    HIGH = (uint32_t)((int32_t)LOW >> 31);
  }
  NEXT_OUT;
}

/* Rare ones always go there, the others if their immediates are long. */
LEAF static went_t access_long(RUN) {
  FUEL -= EP_FUEL_i32_load;
  return access_memory(PASS);
}

#define LONG_WAY(id)                                                                                         \
  _Static_assert((int)EP_FUEL_##id == (int)EP_FUEL_i32_load, #id " takes as much as others");                \
  static went_t op_##id(RUN) __attribute__((alias("access_long")));

/* The short way: eight bytes from the address on are inside memory. Then
 * `place` is what the instruction means. */
#define ADDRESS(base)                                                                                        \
  uint8_t *const memory_ = run->memory;                                                                      \
  const uint32_t bound_ = run->bound;                                                                        \
  uint32_t address_;                                                                                         \
  uint8_t *place;                                                                                            \
  if (UNLIKELY(__builtin_add_overflow((base), (uint32_t)IP[1], &address_))) return access_memory(PASS);      \
  if (UNLIKELY(address_ >= bound_)) return access_memory(PASS);                                              \
  place = memory_ + address_;                                                                                \
  IP += 2;

/* To 32 bits; the upper half of the slot has no meaning then. */
#define LOAD32(id, type, end)                                                                                \
  OP(id) {                                                                                                   \
    type value;                                                                                              \
    ADDRESS(LOW)                                                                                             \
    memcpy(&value, place, sizeof value);                                                                     \
    LOW = (uint32_t)value;                                                                                   \
    end;                                                                                                     \
  }

#define STORE_AS(id, type)                                                                                   \
  OP(id) {                                                                                                   \
    ADDRESS((uint32_t)SP[-1])                                                                                \
    const type bits = (type)TOP;                                                                             \
    memcpy(place, &bits, sizeof bits);                                                                       \
    return stored(PASS);                                                                                     \
  }

OP(i64_load) {
  uint64_t bits;
  ADDRESS(LOW)
  memcpy(&bits, place, sizeof bits);
  SET_TOP(bits);
  NEXT_OUT;
}

LOAD32(i32_load, uint32_t, NEXT)
SAME(f32_load, i32_load)
SAME(f64_load, i64_load)
LOAD32(i32_load8_s, int8_t, NEXT_OUT)
LOAD32(i32_load8_u, uint8_t, NEXT)
LOAD32(i32_load16_s, int16_t, NEXT_OUT)
LOAD32(i32_load16_u, uint16_t, NEXT_OUT)
LONG_WAY(i64_load8_s)
LONG_WAY(i64_load8_u)
LONG_WAY(i64_load16_s)
LONG_WAY(i64_load16_u)
LONG_WAY(i64_load32_s)
LONG_WAY(i64_load32_u)
STORE_AS(i32_store, uint32_t)
STORE_AS(i64_store, uint64_t)
SAME(f32_store, i32_store)
SAME(f64_store, i64_store)
STORE_AS(i32_store8, uint8_t)
STORE_AS(i32_store16, uint16_t)
LONG_WAY(i64_store8)
LONG_WAY(i64_store16)
LONG_WAY(i64_store32)

OP(memory_size) {
  IP++;
  PUSH;
  LOW = run->instance->memory_pages;
  NEXT_AS_NOP;
}

OP_FAR(memory_grow) {
  IP++;
  LOW = ep_wasm_grow(run->instance, LOW);
  run->bound = safe_bound(run->instance);
  NEXT_AS_NOP;
}

/* ---- numbers (4.4.1, 4.3) ------------------------------------------------------------------------------------- */

/* Second half of a fused operation. */
LEAF static went_t set_local(RUN_ uint32_t value) {
  memcpy(FP + IP[-1], &value, sizeof value); /* the upper half of the slot has no meaning */
  FUEL -= EP_FUEL_local_set;
  NEXT;
}

/* Takes the operand below the top off the stack. */
#if defined(EP_WASM_REGISTERS)
#define TAKE_BELOW(to) __asm__ volatile("ldr %1, [%0, #-8]!" : "+r"(SP), "=r"(to) : : "memory")
#else
#define TAKE_BELOW(to) ((to) = (uint32_t) * --SP)
#endif

/* What is done with two numbers, which fused instructions use too: `with` the first in a register and the second on the
 * stack, whose place the result takes; `set` with both in registers, the result goes to the local that the byte before
 * IP names. */
#define COMPUTE32(id, expression)                                                                            \
  LEAF static went_t with_##id(RUN_ uint32_t a) {                                                            \
    const uint32_t b = LOW;                                                                                  \
    LOW = (uint32_t)(expression);                                                                            \
    NEXT;                                                                                                    \
  }                                                                                                          \
  LEAF static went_t set_##id(RUN_ uint32_t a, uint32_t b) {                                                 \
    return set_local(PASS_(uint32_t)(expression));                                                           \
  }

/* Alone, the first is on the stack, too. */
#define BINARY32(id, expression)                                                                             \
  COMPUTE32(id, expression)                                                                                  \
  OP(id) {                                                                                                   \
    uint32_t a;                                                                                              \
    TAKE_BELOW(a);                                                                                           \
    return with_##id(PASS_ a);                                                                               \
  }

/* Rarer alone: by way of the table. */
LEAF static went_t compute(RUN) {
  const uint32_t second = (uint32_t)IP[-1] + EP_OP_COMPUTE_WITH;
  uint32_t a;
  TAKE_BELOW(a);
  FUEL -= EP_FUEL_i32_add;
  NEXT_WITH(second, a);
}

LEAF static went_t compare(RUN) {
  const uint32_t second = (uint32_t)IP[-1] + EP_OP_COMPARE_WITH;
  uint32_t a;
  TAKE_BELOW(a);
  FUEL -= EP_FUEL_i32_eq;
  NEXT_WITH(second, a);
}

#define BY_TABLE(id, way)                                                                                    \
  _Static_assert((int)EP_FUEL_##id == (int)EP_FUEL_i32_add, #id " takes as much as i32.add");                \
  static went_t op_##id(RUN) __attribute__((alias(#way)));

#define RARE_BINARY32(id, expression)                                                                        \
  COMPUTE32(id, expression)                                                                                  \
  BY_TABLE(id, compute)

#define UNARY32(id, expression)                                                                              \
  OP(id) {                                                                                                   \
    const uint32_t a = LOW;                                                                                  \
    LOW = (uint32_t)(expression);                                                                            \
    NEXT;                                                                                                    \
  }

#define BINARY64(id, expression)                                                                             \
  OP(id) {                                                                                                   \
    const uint64_t b = TOP;                                                                                  \
    const uint64_t a = *--SP;                                                                                \
    SET_TOP(expression);                                                                                     \
    NEXT_AS_NOP;                                                                                             \
  }

#define COMPARE_F32(id, expression)                                                                          \
  OP(id) {                                                                                                   \
    const uint32_t b = LOW;                                                                                  \
    uint32_t a;                                                                                              \
    TAKE_BELOW(a);                                                                                           \
    ANSWER(expression);                                                                                      \
  }

#define COMPARE32(id, expression)                                                                            \
  LEAF static went_t with_##id(RUN_ uint32_t a) {                                                            \
    const uint32_t b = LOW;                                                                                  \
    ANSWER(expression);                                                                                      \
  }                                                                                                          \
  LEAF static went_t branch_##id(RUN_ uint32_t a, uint32_t b) {                                              \
    if (expression) return branch(PASS);                                                                     \
    return go_on(PASS);                                                                                      \
  }                                                                                                          \
  BY_TABLE(id, compare)

#define COMPARE64(id, expression)                                                                            \
  OP(id) {                                                                                                   \
    const uint64_t b = TOP;                                                                                  \
    const uint64_t a = *--SP;                                                                                \
    ANSWER(expression);                                                                                      \
  }

#define RARE_UNARY32(id, expression)                                                                         \
  OP(id) {                                                                                                   \
    const uint32_t a = LOW;                                                                                  \
    LOW = (uint32_t)(expression);                                                                            \
    NEXT_AS_NOP;                                                                                             \
  }

#define RARE_BINARY(id, expression)                                                                          \
  OP(id) {                                                                                                   \
    const uint32_t b = LOW;                                                                                  \
    uint32_t a;                                                                                              \
    TAKE_BELOW(a);                                                                                           \
    LOW = (uint32_t)(expression);                                                                            \
    NEXT_AS_NOP;                                                                                             \
  }

#define F32(bits) ep_wasm_f32(bits)

#define BINARY_F32(id, operator)                                                                             \
  OP(id) {                                                                                                   \
    const float b = ep_wasm_f32(LOW);                                                                        \
    const float a = ep_wasm_f32((uint32_t) * --SP);                                                          \
    LOW = ep_wasm_f32_result(a operator b);                                                                  \
    NEXT;                                                                                                    \
  }

/* i32.div_s, div_u, rem_s, rem_u. */
__attribute__((used)) static went_t divide(RUN) {
  const uint32_t how = IP[-1] - (uint32_t)EP_OP_i32_div_s;
  const uint32_t b = LOW;
  const uint32_t a = (uint32_t)SP[-1];
  FUEL -= EP_FUEL_i32_div_s;
  if (UNLIKELY(b == 0u)) return trap(PASS_ EP_WASM_TRAP_DIVIDE_BY_ZERO);
  if ((how & 1u) != 0u) {
    LOW = a / b;
  } else if (b == UINT32_MAX) { /* a negation, and -2^31 has none */
    if (UNLIKELY(how == 0u && a == 0x80000000u)) return trap(PASS_ EP_WASM_TRAP_OVERFLOW);
    LOW = 0u - a;
  } else {
    LOW = (uint32_t)((int32_t)a / (int32_t)b);
  }
  if (how >= 2u) LOW = a - LOW * b;
  SP--;
  NEXT_OUT;
}

#define DIVIDE32(id)                                                                                         \
  _Static_assert((int)EP_FUEL_##id == (int)EP_FUEL_i32_div_s, #id " takes as much as i32.div_s");            \
  static went_t op_##id(RUN) __attribute__((alias("divide")));

/* What numeric.c does, on one operand or two. */
static __attribute__((noinline)) went_t numeric(RUN_ uint32_t opcode) {
  ep_wasm_result_t result = ep_wasm_numeric(opcode, SP);
  SET_TOP(*SP);
  if (UNLIKELY(result != EP_WASM_OK)) return trap(PASS_ result);
  NEXT_OUT;
}

/* Weights of all instructions that numeric.c does, TWO added where there are two operands. */
#define TWO                    0x80u
#define SPECIAL                0u
#define UNARY(from, to)        0u
#define BINARY(from, to)       TWO
#define LOAD(type, alignment)  0u
#define STORE(type, alignment) 0u

__attribute__((used)) static went_t op_numeric(RUN) {
  const uint32_t opcode = IP[-1];
  const uint32_t weight = tables->weights[opcode - FIRST_WEIGHT];
  STORE_TOP(SP);
  FUEL -= (int32_t)(weight & ~TWO);
  if ((weight & TWO) != 0u) SP--;
  return numeric(PASS_ opcode);
}

#define OUTLINED(id) static went_t op_##id(RUN) __attribute__((alias("op_numeric")));

OP(i32_const) {
  PUSH;
  LOW = (uint32_t)(int8_t)*IP++;
  NEXT;
}

LEAF static went_t const16(RUN) {
  PUSH;
  LOW = (uint32_t)(int16_t)half(IP);
  IP += 2;
  FUEL -= EP_FUEL_i32_const;
  NEXT;
}

LEAF static went_t wide_const(RUN_ uint32_t value) {
  PUSH;
  LOW = value;
  FUEL -= EP_FUEL_i32_const;
  NEXT;
}

LEAF static went_t const24(RUN) {
  const uint32_t value = word(IP - 1);
  IP += 3;
  return wide_const(PASS_(uint32_t)((int32_t)value >> 8));
}

LEAF static went_t const32_of_4(RUN) {
  const uint32_t value = word(IP);
  IP += 4;
  return wide_const(PASS_ value);
}

LEAF static went_t const32(RUN) {
  const uint32_t value = word(IP);
  IP += 5;
  return wide_const(PASS_ value);
}

/* ---- first halves of fused instructions (rewrite.c) ---------------------------------------------------------------- */

/* Each takes the fuel of its second half's operation too, which is that of i32.add: rewrite.c fuses no other. */
#define FUEL_FUSED_LOCAL (EP_FUEL_local_get + EP_FUEL_i32_add)
#define FUEL_FUSED_CONST (EP_FUEL_i32_const + EP_FUEL_i32_add)

static inline __attribute__((always_inline)) uint32_t local(RUN_ uint32_t index) {
  return (uint32_t)FP[index & 0xFFu];
}

LEAF static went_t local_with(RUN) {
  const uint32_t bytes = half(IP);
  const uint32_t a = LOW;
  IP += 2;
  FUEL -= FUEL_FUSED_LOCAL;
  LOW = local(PASS_ bytes);
  NEXT_WITH(bytes >> 8, a);
}

LEAF static went_t const_with(RUN) {
  const uint32_t a = LOW;
  const uint32_t second = IP[1];
  LOW = (uint32_t)(int8_t)*IP;
  IP += 2;
  FUEL -= FUEL_FUSED_CONST;
  NEXT_WITH(second, a);
}

LEAF static went_t const16_with(RUN) {
  const uint32_t a = LOW;
  const uint32_t second = IP[2];
  LOW = (uint32_t)(int16_t)half(IP);
  IP += 3;
  FUEL -= FUEL_FUSED_CONST;
  NEXT_WITH(second, a);
}

LEAF static went_t const32_with(RUN) {
  const uint32_t a = LOW;
  const uint32_t second = IP[5];
  LOW = word(IP);
  IP += 6;
  FUEL -= FUEL_FUSED_CONST;
  NEXT_WITH(second, a);
}

LEAF static went_t locals_with(RUN) {
  const uint32_t bytes = word(IP);
  const uint32_t a = local(PASS_ bytes);
  IP += 4;
  FUEL -= EP_FUEL_local_get + FUEL_FUSED_LOCAL;
  PUSH;
  LOW = local(PASS_ bytes >> 8);
  NEXT_WITH(bytes >> 16 & 0xFFu, a);
}

LEAF static went_t local_const_with(RUN) {
  const uint32_t bytes = word(IP);
  const uint32_t a = local(PASS_ bytes);
  IP += 4;
  FUEL -= EP_FUEL_local_get + FUEL_FUSED_CONST;
  PUSH;
  LOW = (uint32_t)((int32_t)bytes >> 16);
  NEXT_WITH(bytes >> 8 & 0xFFu, a);
}

/* A byte longer. */
LEAF static went_t local_const16_with(RUN) {
  const uint32_t bytes = word(IP);
  const uint32_t a = local(PASS_ bytes);
  IP += 5;
  FUEL -= EP_FUEL_local_get + FUEL_FUSED_CONST;
  PUSH;
  LOW = (uint32_t)((int32_t)bytes >> 16);
  NEXT_WITH(bytes >> 8 & 0xFFu, a);
}

LEAF static went_t locals_to(RUN) {
  const uint32_t bytes = word(IP);
  IP += 6;
  FUEL -= EP_FUEL_local_get + FUEL_FUSED_LOCAL;
  NEXT_TO(bytes >> 16 & 0xFFu, local(PASS_ bytes), local(PASS_ bytes >> 8));
}

LEAF static went_t local_const_to(RUN) {
  const uint32_t bytes = word(IP);
  IP += 6;
  FUEL -= EP_FUEL_local_get + FUEL_FUSED_CONST;
  NEXT_TO(bytes >> 8 & 0xFFu, local(PASS_ bytes), (uint32_t)((int32_t)bytes >> 16));
}

LEAF static went_t local_const16_to(RUN) {
  const uint32_t bytes = word(IP);
  IP += 7;
  FUEL -= EP_FUEL_local_get + FUEL_FUSED_CONST;
  NEXT_TO(bytes >> 8 & 0xFFu, local(PASS_ bytes), (uint32_t)((int32_t)bytes >> 16));
}

/* From its last byte to its first: shifts by 7 are cheap where those by a variable are not. */
static __attribute__((noinline)) went_t i64_const_wide(RUN) {
  const uint8_t *const start = IP;
  const uint8_t *p = IP = ep_wasm_leb_skip(IP);
  uint64_t value = (*(p - 1) & 0x40u) != 0u ? UINT64_MAX : 0u;
  FUEL -= (int32_t)(EP_FUEL_LONG_I64((uint32_t)(p - start)));
  while (p > start) value = value << 7 | (*--p & 0x7Fu);
  SET_TOP(value);
  NEXT_OUT;
}

OP(i64_const) {
  const uint32_t byte = *IP;
  PUSH;
  if (UNLIKELY(byte >= 0x80u)) return i64_const_wide(PASS);
  LOW = (uint32_t)((int32_t)(byte << 25) >> 25);
  HIGH = (uint32_t)((int32_t)LOW >> 31);
  IP++;
  NEXT_AS_NOP;
}

OP(f32_const) {
  uint32_t bits;
  memcpy(&bits, IP, sizeof bits);
  PUSH;
  LOW = bits;
  IP += 4;
  NEXT;
}

OP(f64_const) {
  uint64_t bits;
  memcpy(&bits, IP, sizeof bits);
  PUSH;
  SET_TOP(bits);
  IP += 8;
  NEXT_AS_NOP;
}

OP(i32_eqz) {
  ANSWER(LOW == 0u);
}
COMPARE32(i32_eq, a == b)
COMPARE32(i32_ne, a != b)
COMPARE32(i32_lt_s, (int32_t)a < (int32_t)b)
COMPARE32(i32_lt_u, a < b)
COMPARE32(i32_gt_s, (int32_t)a > (int32_t)b)
COMPARE32(i32_gt_u, a > b)
COMPARE32(i32_le_s, (int32_t)a <= (int32_t)b)
COMPARE32(i32_le_u, a <= b)
COMPARE32(i32_ge_s, (int32_t)a >= (int32_t)b)
COMPARE32(i32_ge_u, a >= b)
OP(i64_eqz) {
  ANSWER((LOW | HIGH) == 0u);
}
COMPARE64(i64_eq, a == b)
COMPARE64(i64_ne, a != b)
OUTLINED(i64_lt_s)
OUTLINED(i64_lt_u)
OUTLINED(i64_gt_s)
OUTLINED(i64_gt_u)
OUTLINED(i64_le_s)
OUTLINED(i64_le_u)
OUTLINED(i64_ge_s)
OUTLINED(i64_ge_u)
COMPARE_F32(f32_eq, F32(a) == F32(b))
COMPARE_F32(f32_ne, F32(a) != F32(b))
COMPARE_F32(f32_lt, F32(a) < F32(b))
COMPARE_F32(f32_gt, F32(a) > F32(b))
COMPARE_F32(f32_le, F32(a) <= F32(b))
COMPARE_F32(f32_ge, F32(a) >= F32(b))
OUTLINED(f64_eq)
OUTLINED(f64_ne)
OUTLINED(f64_lt)
OUTLINED(f64_gt)
OUTLINED(f64_le)
OUTLINED(f64_ge)

RARE_UNARY32(i32_clz, a == 0u ? 32u : (uint32_t)__builtin_clz(a))
RARE_UNARY32(i32_ctz, a == 0u ? 32u : (uint32_t)__builtin_ctz(a))
OUTLINED(i32_popcnt)
BINARY32(i32_add, a + b)
BINARY32(i32_sub, a - b)
RARE_BINARY32(i32_mul, a *b)
DIVIDE32(i32_div_s)
DIVIDE32(i32_div_u)
DIVIDE32(i32_rem_s)
DIVIDE32(i32_rem_u)
RARE_BINARY32(i32_and, a &b)
RARE_BINARY32(i32_or, a | b)
BINARY32(i32_xor, a ^ b)
RARE_BINARY32(i32_shl, a << (b & 31u))
RARE_BINARY32(i32_shr_s, (int32_t)a >> (b & 31u))
RARE_BINARY32(i32_shr_u, a >> (b & 31u))
RARE_BINARY32(i32_rotl, a << (b & 31u) | a >> ((0u - b) & 31u))
RARE_BINARY32(i32_rotr, a >> (b & 31u) | a << ((0u - b) & 31u))
OUTLINED(i64_clz)
OUTLINED(i64_ctz)
OUTLINED(i64_popcnt)
BINARY64(i64_add, a + b)
BINARY64(i64_sub, a - b)
OUTLINED(i64_mul)
OUTLINED(i64_div_s)
OUTLINED(i64_div_u)
OUTLINED(i64_rem_s)
OUTLINED(i64_rem_u)
BINARY64(i64_and, a &b)
BINARY64(i64_or, a | b)
BINARY64(i64_xor, a ^ b)
OUTLINED(i64_shl)
OUTLINED(i64_shr_s)
OUTLINED(i64_shr_u)
OUTLINED(i64_rotl)
OUTLINED(i64_rotr)

RARE_UNARY32(f32_abs, a & 0x7FFFFFFFu)
RARE_UNARY32(f32_neg, a ^ 0x80000000u)
OUTLINED(f32_ceil)
OUTLINED(f32_floor)
OUTLINED(f32_trunc)
OUTLINED(f32_nearest)
RARE_UNARY32(f32_sqrt, ep_wasm_f32_sqrt(a))
BINARY_F32(f32_add, +)
BINARY_F32(f32_sub, -)
BINARY_F32(f32_mul, *)
BINARY_F32(f32_div, /)
OUTLINED(f32_min)
OUTLINED(f32_max)
RARE_BINARY(f32_copysign, (a & 0x7FFFFFFFu) | (b & 0x80000000u))
OP(f64_abs) {
  HIGH &= 0x7FFFFFFFu;
  NEXT_AS_NOP;
}
OP(f64_neg) {
  HIGH ^= 0x80000000u;
  NEXT_AS_NOP;
}
OUTLINED(f64_ceil)
OUTLINED(f64_floor)
OUTLINED(f64_trunc)
OUTLINED(f64_nearest)
OUTLINED(f64_sqrt)
OUTLINED(f64_add)
OUTLINED(f64_sub)
OUTLINED(f64_mul)
OUTLINED(f64_div)
OUTLINED(f64_min)
OUTLINED(f64_max)
BINARY64(f64_copysign, (a & 0x7FFFFFFFFFFFFFFFull) | (b & 0x8000000000000000ull))

SAME(i32_wrap_i64, nop)
OUTLINED(i32_trunc_f32_s)
OUTLINED(i32_trunc_f32_u)
OUTLINED(i32_trunc_f64_s)
OUTLINED(i32_trunc_f64_u)
OP(i64_extend_i32_s) {
  HIGH = (uint32_t)((int32_t)LOW >> 31);
  NEXT_AS_NOP;
}
OP(i64_extend_i32_u) {
  HIGH = 0;
  NEXT_AS_NOP;
}
OUTLINED(i64_trunc_f32_s)
OUTLINED(i64_trunc_f32_u)
OUTLINED(i64_trunc_f64_s)
OUTLINED(i64_trunc_f64_u)
RARE_UNARY32(f32_convert_i32_s, ep_wasm_f32_bits((float)(int32_t)a))
RARE_UNARY32(f32_convert_i32_u, ep_wasm_f32_bits((float)a))
OUTLINED(f32_convert_i64_s)
OUTLINED(f32_convert_i64_u)
OUTLINED(f32_demote_f64)
OUTLINED(f64_convert_i32_s)
OUTLINED(f64_convert_i32_u)
OUTLINED(f64_convert_i64_s)
OUTLINED(f64_convert_i64_u)
OUTLINED(f64_promote_f32)
SAME(i32_reinterpret_f32, nop)
SAME(i64_reinterpret_f64, nop)
SAME(f32_reinterpret_i32, nop)
SAME(f64_reinterpret_i64, nop)
RARE_UNARY32(i32_extend8_s, (int8_t)(uint8_t)a)
RARE_UNARY32(i32_extend16_s, (int16_t)(uint16_t)a)
OP(i64_extend8_s) {
  SET_TOP((uint64_t)(int8_t)(uint8_t)LOW);
  NEXT_AS_NOP;
}
OP(i64_extend16_s) {
  SET_TOP((uint64_t)(int16_t)(uint16_t)LOW);
  NEXT_AS_NOP;
}
OP(i64_extend32_s) {
  HIGH = (uint32_t)((int32_t)LOW >> 31);
  NEXT_AS_NOP;
}

/* ---- behind the prefix ------------------------------------------------------------------------------------------ */

/* `after` is behind the opcode: one index of a segment, memory or table stands there, or two. */
static __attribute__((noinline)) went_t bulk(RUN_ uint32_t opcode, const uint8_t *after) {
  const uint64_t segment = number_at(after);
  ep_wasm_result_t result;
  after += LENGTH(segment);
  if (opcode != EP_OP_data_drop && opcode != EP_OP_elem_drop) {
    if (opcode != EP_OP_memory_fill) after = ep_wasm_leb_skip(after);
    SP -= 3;
  }
  result = ep_wasm_bulk(run->instance, opcode, NUMBER(segment), SP + 1);
  if (UNLIKELY(result != EP_WASM_OK)) return trap(PASS_ result);
  take_charge(PASS);
  FUEL -= (int32_t)(after - IP);
  IP = after;
  LOAD_TOP(SP);
  NEXT_IF_FUEL;
}

static went_t op_prefix(RUN) {
  const uint64_t code = number_at(IP);
  const uint32_t opcode = 0x100u + NUMBER(code);
  STORE_TOP(SP);
  if (opcode > EP_OP_i64_trunc_sat_f64_u) {
    FUEL -= EP_FUEL_memory_fill;
    return bulk(PASS_ opcode, IP + LENGTH(code));
  }
  FUEL -= EP_FUEL_i32_trunc_sat_f32_s + (int32_t)LENGTH(code) - 1;
  IP += LENGTH(code);
  return numeric(PASS_ opcode);
}

/* ---- the run ------------------------------------------------------------------------------------------------------ */

/* those below the first one all go to its place, and are overwritten by it */
#define WEIGHT(opcode, id, text, weight, signature)                                                          \
  [opcode < FIRST_WEIGHT ? 0 : opcode - FIRST_WEIGHT] = (uint8_t)(weight | (signature)),
#define HANDLER(opcode, id, text, weight, signature) [opcode] = op_##id,
#define WIDE(id)                                     [EP_OP_##id - EP_OP_WIDE] = variable_wide
#define COMPARED(id)                                                                                         \
  [EP_OP_##id + EP_OP_COMPARE_WITH] = (ep_wasm_handler_t)with_##id,                                          \
                [EP_OP_##id + EP_OP_COMPARE_BRANCH] = (ep_wasm_handler_t)branch_##id
#define COMPUTED(id)                                                                                         \
  [EP_OP_##id + EP_OP_COMPUTE_WITH] = (ep_wasm_handler_t)with_##id,                                          \
                [EP_OP_##id + EP_OP_COMPUTE_SET] = (ep_wasm_handler_t)set_##id
#define EP_WASM_PREFIXED(opcode, id, text, weight, signature)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const ep_wasm_tables_t ep_wasm_handlers = {
    .handlers =
        {
#define EP_WASM_OPCODE HANDLER
#include "wasm/opcodes.def"
#undef EP_WASM_OPCODE
            WIDE(local_get),
            WIDE(local_set),
            WIDE(local_tee),
            WIDE(global_get),
            WIDE(global_set),
            [EP_OP_const16] = const16,
            [EP_OP_const32] = const32,
            [EP_OP_const24] = const24,
            [EP_OP_const32_of_4] = const32_of_4,
            [EP_OP_access] = access_long,
            [EP_OP_skip] = skip_rest,
            [EP_OP_leave] = leave,
            [EP_OP_blocks] = blocks,
            [EP_OP_locals_with] = locals_with,
            [EP_OP_local_const_with] = local_const_with,
            [EP_OP_local_const16_with] = local_const16_with,
            [EP_OP_locals_to] = locals_to,
            [EP_OP_local_const_to] = local_const_to,
            [EP_OP_local_const16_to] = local_const16_to,
            [EP_OP_local_with] = local_with,
            [EP_OP_const_with] = const_with,
            [EP_OP_const16_with] = const16_with,
            [EP_OP_const32_with] = const32_with,
            COMPARED(i32_eq),
            COMPARED(i32_ne),
            COMPARED(i32_lt_s),
            COMPARED(i32_lt_u),
            COMPARED(i32_gt_s),
            COMPARED(i32_gt_u),
            COMPARED(i32_le_s),
            COMPARED(i32_le_u),
            COMPARED(i32_ge_s),
            COMPARED(i32_ge_u),
            COMPUTED(i32_add),
            COMPUTED(i32_sub),
            COMPUTED(i32_mul),
            COMPUTED(i32_and),
            COMPUTED(i32_or),
            COMPUTED(i32_xor),
            COMPUTED(i32_shl),
            COMPUTED(i32_shr_s),
            COMPUTED(i32_shr_u),
            COMPUTED(i32_rotl),
            COMPUTED(i32_rotr),
            [EP_OP_prefix] = op_prefix,
        },
    .weights =
        {
#define EP_WASM_OPCODE WEIGHT
#include "wasm/opcodes.def"
#undef EP_WASM_OPCODE
        },
    .sizes = {4, 8, 4, 8, 1, 1, 2, 2, 1, 1, 2, 2, 4, 4, /* stores: */ 4, 8, 4, 8, 1, 2, 1, 2, 4}};
#pragma GCC diagnostic pop
#undef EP_WASM_PREFIXED

/* Sets up the stack as for a call of run->index from nowhere. */
static went_t begin(RUN) {
  ep_wasm_instance_t *instance = run->instance;
  const ep_wasm_function_t *function = running(PASS);
  FP = instance->stack;
  SP = instance->stack + function->params;
  IP = run->code;
  SET_TOP(*SP);
  FUEL = instance->fuel;
  if (instance->sliced && FUEL > (int32_t)EP_WASM_SLICE) FUEL = (int32_t)EP_WASM_SLICE;
  instance->fuel -= FUEL;
  return call_function(PASS_ function, FRAME_NONE);
}

#if defined(EP_WASM_REGISTERS)
/* Called by `enter` alone. */
__attribute__((used)) static void enter_registers(ep_wasm_run_t *the_run) {
  run = the_run;
  tables = &ep_wasm_handlers;
  begin();
}

/* Keeps the caller's r4 to r11, which AAPCS promises to it, from the registers of this file. */
__attribute__((naked)) static void enter(__attribute__((unused)) ep_wasm_run_t *the_run) {
  __asm__ volatile("push {r3-r11, lr}\n\t" /* r3: the stack stays aligned to 8 */
                   "bl enter_registers\n\t"
                   "pop {r3-r11, pc}");
}
#else
static void enter(RUN) {
  int going = begin(run);
  while (going != 0) going = tables->handlers[*run->ip++](run);
}
#endif

ep_wasm_result_t ep_wasm_interpret(ep_wasm_instance_t *instance, uint32_t index) {
  ep_wasm_run_t state;
  memset(&state, 0, sizeof state);
  state.instance = instance;
  state.code = instance->code;
  state.memory = instance->memory;
  state.bound = safe_bound(instance);
  state.branches = state.branch = instance->branches;
  state.functions = instance->functions;
  state.globals = instance->globals;
  state.index = index * (uint32_t)sizeof(ep_wasm_function_t);
  state.depth = instance->call_depth;
  enter(&state);
  return state.result;
}
