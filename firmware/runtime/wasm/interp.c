/* The interpreter: the bytes of the module as rewrite.c left them, the side table for branches, one function for each opcode.
 *
 * Operands and locals of all frames are on one stack of 64-bit slots:
 *
 *   ... | caller's operands, the last of them being | arguments | other locals | caller's frame | operands ...
 *                                                     ^ FP                                        ^ SP, when empty
 *
 * The topmost operand is not in memory but in LOW and HIGH; SP is where it would be stored. With an empty operand stack
 * the two hold nothing, and what a push then stores is never read. Values are moved as integers: no move, load, store,
 * select or reinterpretation ever changes the bits of a NaN. Only an operation that calculates sees a float.
 *
 * IP is the next byte to read, BRANCH the side table's entry of the next branch. When a trap leaves an instruction, IP must
 * be just behind its opcode, so that the error can name its place.
 *
 * Fuel: each instruction takes its weight from FUEL; taken branches and calls look whether it went below 0. What FUEL
 * doesn't hold (sliced calls) waits in instance->fuel.
 */
#include "wasm/interp.h"

#include "wasm/bulk.h"
#include "wasm/leb.h"
#include "wasm/machine.h"
#include "wasm/numeric.h"

/* ---- dispatch ------------------------------------------------------------------------------------------------- */

#if defined(EP_WASM_REGISTERS)
/* Handlers by opcode: each is a symbol of the assembler, from which `next` makes its table. */
#define PLACE(opcode, handler) __asm__ volatile(".set .Lhandler_%c0, " #handler : : "i"(opcode));
#define PLACES_BEGIN           LEAF static void places(void) {
#define PLACES_END             }
#else
#define PLACE(opcode, handler) [opcode] = (ep_wasm_handler_t)(handler),
#define PLACES_BEGIN           static const ep_wasm_handler_t ep_wasm_handlers[EP_OP_prefix + 1] = {
#define PLACES_END                                                                                           \
  }                                                                                                          \
  ;
#endif

#define WIDE(id) PLACE(EP_OP_##id - EP_OP_WIDE, variable_wide)
#define COMPARED(id)                                                                                         \
  PLACE(EP_OP_##id + EP_OP_COMPARE_WITH, with_##id) PLACE(EP_OP_##id + EP_OP_COMPARE_BRANCH, branch_##id)
#define COMPUTED(id)                                                                                         \
  PLACE(EP_OP_##id + EP_OP_COMPUTE_WITH, with_##id) PLACE(EP_OP_##id + EP_OP_COMPUTE_SET, set_##id)
#define HANDLER(opcode, id, text, weight, signature) PLACE(opcode, op_##id)

#if defined(EP_WASM_REGISTERS)
#define EP_WASM_PLACES
#include "wasm/places.h"
#undef EP_WASM_PLACES

/* Jumps by a table of 16-bit distances behind the jump. */
LEAF static went_t next(RUN) {
  __asm__ volatile("ldrb r3, [r4], #1\n\t"
                   "subs r7, #1\n"
                   "ep_wasm_second:\n\t"
                   "tbh [pc, r3, lsl #1]\n"
                   ".Lhandlers:\n\t"
                   ".altmacro\n\t"
                   ".macro ep_wasm_place opcode\n\t"
                   ".ifdef .Lhandler_\\opcode\n\t"
                   ".hword (.Lhandler_\\opcode - .Lhandlers) / 2\n\t"
                   ".else\n\t"
                   ".hword 0\n\t"
                   ".endif\n\t"
                   ".endm\n\t"
                   ".set .Lopcode, 0\n\t"
                   ".rept %c0\n\t"
                   "ep_wasm_place %%.Lopcode\n\t"
                   ".set .Lopcode, .Lopcode + 1\n\t"
                   ".endr\n\t"
                   ".noaltmacro"
                   :
                   : "i"(EP_OP_prefix + 1));
}
#else
static went_t next(RUN) {
  (void)run;
  return 1;
}
#endif

/* An instruction: takes its fuel, then does what follows. */
#define OP(id)                                                                                               \
  INLINE went_t do_##id(RUN);                                                                                \
  LEAF static went_t op_##id(RUN) {                                                                          \
    FUEL -= EP_FUEL_##id - FUEL_OF_DISPATCH;                                                                 \
    return do_##id(PASS);                                                                                    \
  }                                                                                                          \
  INLINE went_t do_##id(RUN)

/* An instruction that does as another one does, for the same fuel. */
#define SAME(id, other)                                                                                      \
  _Static_assert((int)EP_FUEL_##id == (int)EP_FUEL_##other, #id " shares the handler of " #other);           \
  ALIAS(op_##id, op_##other)
#define ALIAS(name, other) static went_t name(RUN) __attribute__((used, alias(#other)));

OP(nop) {
  NEXT;
}

/* ---- ways out ----------------------------------------------------------------------------------------------- */

#if defined(EP_WASM_REGISTERS)
LEAF static void finish(ep_wasm_result_t result) {
  run->fuel += FUEL;
  /* whatever is on the stack by now, the way out is where r11 points to */
  __asm__ volatile("ldr sp, [r11]\n\t"
                   "pop {r3-r11, pc}"
                   :
                   : "r"(result));
}
#else
static went_t finish(RUN_ ep_wasm_result_t result) {
  run->result = result;
  run->fuel += FUEL;
  return 0;
}
#endif

LEAF static went_t trap(RUN_ ep_wasm_result_t result) {
  run->error.function = (uint32_t)(run->function - run->functions);
  run->error.offset = (uint32_t)(IP - 1 - run->code);
  return finish(PASS_ result);
}

/* FUEL is used up: takes the next slice, or traps at the instruction that comes next. */
LEAF static went_t refuel(RUN) {
  ep_wasm_instance_t *const instance = run;
  const int32_t left = FUEL + instance->fuel;
  if (left < 0) {
    IP++;
    return trap(PASS_ EP_WASM_TRAP_FUEL);
  }
  FUEL = left < (int32_t)EP_WASM_SLICE ? left : (int32_t)EP_WASM_SLICE;
  instance->fuel = left - FUEL;
  if (instance->host->fuel_step != NULL) instance->host->fuel_step(instance->host->context);
  NEXT;
}

/* The end of whatever may have used up the fuel. */
LEAF static went_t next_if_fuel(RUN) {
  if (UNLIKELY(FUEL < 0)) return refuel(PASS);
  NEXT;
}

/* ---- what loads end in, too --------------------------------------------------------------------------------- */

OP(i64_extend_i32_s) {
  HIGH = (uint32_t)((int32_t)LOW >> 31);
  NEXT;
}
SAME(i64_extend32_s, i64_extend_i32_s)
OP(i64_extend_i32_u) {
  HIGH = 0;
  NEXT;
}

/* ---- memory (4.4.7) -------------------------------------------------------------------------------------------- */

/* Bytes of a load or store. */
INLINE uint32_t size_of(uint32_t opcode) {
  return EP_SIG_SIZE(ep_wasm_signatures[opcode - EP_OP_i32_load]);
}

INLINE uint32_t safe_bound(const ep_wasm_instance_t *instance) {
  return instance->memory_size >= 8u ? instance->memory_size - 7u : 0u;
}

/* What `opcode` at `base` plus `offset` means, or NULL if that isn't all in memory. */
INLINE uint8_t *inside(RUN_ uint32_t opcode, uint32_t base, uint32_t offset) {
  const uint32_t size = size_of(opcode);
  const uint32_t memory_size = run->memory_size;
  uint32_t address;
  if (__builtin_add_overflow(base, offset, &address) || address >= memory_size ||
      memory_size - address < size)
    return NULL;
  return run->memory + address;
}

/* For a load or store that is rare, or at the very end of memory: where it goes. Takes its fuel. */
static __attribute__((noinline)) uint8_t *locate_slowly(RUN_ uint32_t base) {
  uint8_t *place = inside(PASS_ IP[-1], base, half(IP));
  FUEL -= EP_FUEL_i32_load - FUEL_OF_DISPATCH + EP_FUEL_SLOW_ACCESS;
#if defined(EP_WASM_REGISTERS)
  if (UNLIKELY(place == NULL)) {
    trap(PASS_ EP_WASM_TRAP_MEMORY);
    __builtin_unreachable();
  }
#endif
  IP += 2;
  return place;
}

/* The same for others, if eight bytes from there on are inside memory. */
static __attribute__((noinline)) uint8_t *locate(RUN_ uint32_t base) {
  uint32_t address;
  if (UNLIKELY(__builtin_add_overflow(base, half(IP), &address)) || UNLIKELY(address >= run->bound))
    return locate_slowly(PASS_ base);
  FUEL -= EP_FUEL_i32_load - FUEL_OF_DISPATCH;
  IP += 2;
  return run->memory + address;
}

/* Of a load the address is on top, of a store below it. */
static __attribute__((noinline)) uint8_t *locate_load(RUN) {
  return locate(PASS_ LOW);
}

static __attribute__((noinline)) uint8_t *locate_store(RUN) {
  return locate(PASS_(uint32_t) SP[-1]);
}

static __attribute__((noinline)) uint8_t *locate_rare_load(RUN) {
  return locate_slowly(PASS_ LOW);
}

static __attribute__((noinline)) uint8_t *locate_rare_store(RUN) {
  return locate_slowly(PASS_(uint32_t) SP[-1]);
}

#define ACCESS(id)                                                                                           \
  _Static_assert((int)EP_FUEL_##id == (int)EP_FUEL_i32_load, #id " takes as much as others");                \
  LEAF static went_t op_##id(RUN)

#if defined(EP_WASM_REGISTERS)
#define FOUND(place)
#else
#define FOUND(place)                                                                                         \
  if ((place) == NULL) {                                                                                     \
    IP -= 2;                                                                                                 \
    return trap(PASS_ EP_WASM_TRAP_MEMORY);                                                                  \
  }
#endif

/* To 32 bits the upper half of the slot has no meaning. */
#define LOAD32(id, type)                                                                                     \
  ACCESS(id) {                                                                                               \
    type value;                                                                                              \
    const uint8_t *const place = locate_load(PASS);                                                          \
    FOUND(place)                                                                                             \
    memcpy(&value, place, sizeof value);                                                                     \
    LOW = (uint32_t)value;                                                                                   \
    NEXT;                                                                                                    \
  }

/* Rare ones; `extend` makes 64 bits of 32. */
#define LOAD64(id, type, extend)                                                                             \
  ACCESS(id) {                                                                                               \
    type value;                                                                                              \
    const uint8_t *const place = locate_rare_load(PASS);                                                     \
    FOUND(place)                                                                                             \
    memcpy(&value, place, sizeof value);                                                                     \
    LOW = (uint32_t)value;                                                                                   \
    return op_i64_extend_i32_##extend(PASS);                                                                 \
  }

LEAF static went_t stored(RUN) {
  POP_TWO;
  NEXT;
}

#define STORE_BY(id, type, way)                                                                              \
  ACCESS(id) {                                                                                               \
    uint8_t *const place = way(PASS);                                                                        \
    const type bits = (type)TOP;                                                                             \
    FOUND(place)                                                                                             \
    memcpy(place, &bits, sizeof bits);                                                                       \
    return stored(PASS);                                                                                     \
  }

LOAD32(i32_load, uint32_t)
SAME(f32_load, i32_load)
LOAD32(i32_load8_s, int8_t)
LOAD32(i32_load8_u, uint8_t)
LOAD32(i32_load16_s, int16_t)
LOAD32(i32_load16_u, uint16_t)
ACCESS(i64_load) {
  const uint8_t *const place = locate_load(PASS);
  FOUND(place)
  LOW = word(place);
  HIGH = word(place + 4);
  NEXT;
}
SAME(f64_load, i64_load)
LOAD64(i64_load8_s, int8_t, s)
LOAD64(i64_load8_u, uint8_t, u)
LOAD64(i64_load16_s, int16_t, s)
LOAD64(i64_load16_u, uint16_t, u)
LOAD64(i64_load32_s, int32_t, s)
LOAD64(i64_load32_u, uint32_t, u)
STORE_BY(i32_store, uint32_t, locate_store)
SAME(f32_store, i32_store)
STORE_BY(i64_store, uint64_t, locate_store)
SAME(f64_store, i64_store)
STORE_BY(i32_store8, uint8_t, locate_store)
STORE_BY(i32_store16, uint16_t, locate_store)
STORE_BY(i64_store8, uint8_t, locate_rare_store)
STORE_BY(i64_store16, uint16_t, locate_rare_store)
STORE_BY(i64_store32, uint32_t, locate_rare_store)

/* Behind a load or store whose immediates have more than a byte each: what those take. */
LEAF static went_t access_long(RUN) {
  FUEL -= EP_FUEL_LONG_ACCESS - FUEL_OF_DISPATCH;
  NEXT;
}

/* An offset of 64 KiB or more. */
LEAF static went_t access_far(RUN) {
#if EP_WASM_MAX_MEMORY > EP_WASM_PAGE
  const uint8_t *const second = ep_wasm_leb_skip(IP);
  const uint32_t opcode = *IP & 0x7Fu;
  const uint32_t size = size_of(opcode);
  uint8_t *const place =
      inside(PASS_ opcode, opcode < EP_OP_i32_store ? LOW : (uint32_t)SP[-1], ep_wasm_leb_u32(second));
  if (place != NULL) {
    uint64_t value = 0;
    FUEL -= EP_FUEL_i32_load - FUEL_OF_DISPATCH + EP_FUEL_LONG_ACCESS;
    IP = ep_wasm_leb_skip(second);
    if (opcode >= EP_OP_i32_store) {
      for (uint32_t i = 0; i < size; i++) place[i] = (uint8_t)(TOP >> (8u * i));
      return stored(PASS);
    }
    for (uint32_t i = 0; i < size; i++) value |= (uint64_t)place[i] << (8u * i);
    if (opcode >= EP_OP_i32_load8_s && (opcode & 1u) == 0u) { /* the signed ones */
      const uint32_t unused = 64u - 8u * size;
      value = (uint64_t)((int64_t)(value << unused) >> unused);
    }
    SET_TOP(value);
    NEXT;
  }
#endif
  return trap(PASS_ EP_WASM_TRAP_MEMORY);
}

OP(memory_size) {
  IP++;
  PUSH;
  LOW = run->memory_pages;
  NEXT;
}

OP(memory_grow) {
  IP++;
  LOW = ep_wasm_grow(run, LOW);
#if EP_WASM_MEMORY_GROWS
  run->bound = safe_bound(run);
#endif
  NEXT;
}

/* ---- parametric, variables (4.4.4, 4.4.5) ------------------------------------------------------------------------ */

OP(drop) {
  POP;
  NEXT;
}

OP(select) {
  const uint64_t *from = SP -= 2;
  if (LOW == 0u) from++;
  LOAD_TOP(from);
  NEXT;
}

LEAF static went_t get_slot(RUN_ const uint64_t *slot) {
  PUSH;
  LOAD_TOP(slot);
  NEXT;
}

LEAF static went_t set_slot(RUN_ uint64_t *slot) {
  STORE_TOP(slot);
  POP;
  NEXT;
}

LEAF static went_t tee_slot(RUN_ uint64_t *slot) {
  STORE_TOP(slot);
  NEXT;
}

OP(local_get) {
  const uint64_t *const slot = FP + *IP++;
  PUSH;
  LOAD_TOP(slot);
  NEXT;
}

OP(local_set) {
  uint64_t *const slot = FP + *IP++;
  STORE_TOP(slot);
  POP;
  NEXT;
}

OP(local_tee) {
  return tee_slot(PASS_ FP + *IP++);
}

OP(global_get) {
  return get_slot(PASS_ run->globals + *IP++);
}

OP(global_set) {
  return set_slot(PASS_ run->globals + *IP++);
}

/* Indices of more than a byte. */
LEAF static went_t variable_wide(RUN) {
  OPCODE(opcode);
  uint64_t *const slot = (opcode >= EP_OP_global_get - EP_OP_WIDE ? run->globals : FP) + half(IP);
  FUEL -= EP_FUEL_local_get - FUEL_OF_DISPATCH + EP_FUEL_LONG_INDEX;
  IP += 2;
  if (opcode == EP_OP_local_tee - EP_OP_WIDE) return tee_slot(PASS_ slot);
  if (opcode == EP_OP_local_set - EP_OP_WIDE || opcode == EP_OP_global_set - EP_OP_WIDE)
    return set_slot(PASS_ slot);
  return get_slot(PASS_ slot);
}

/* ---- constants (4.4.1.1) -------------------------------------------------------------------------------------- */

OP(i32_const) {
  PUSH;
  LOW = (uint32_t)(int8_t)*IP++;
  NEXT;
}

LEAF static went_t const16(RUN) {
  PUSH;
  LOW = (uint32_t)(int16_t)half(IP);
  IP += 2;
  NEXT;
}

LEAF static went_t wide_const(RUN_ uint32_t value) {
  PUSH;
  LOW = value;
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

/* From its last byte to its first: shifts by 7 are cheap where those by a variable are not. */
LEAF static went_t i64_const_wide(RUN) {
  const uint8_t *const start = IP - 1;
  const uint8_t *p = IP = ep_wasm_leb_skip(IP);
  uint64_t value = (uint64_t)((int32_t)((uint32_t)p[-1] << 25) >> 31);
  FUEL -= (int32_t)(EP_FUEL_LONG_I64((uint32_t)(p - start)));
  do value = value << 7 | (*--p & 0x7Fu);
  while (p > start);
  SET_TOP(value);
  NEXT;
}

OP(i64_const) {
  const uint32_t byte = *IP++;
  PUSH;
  if (UNLIKELY(byte >= 0x80u)) return i64_const_wide(PASS);
  LOW = (uint32_t)((int32_t)(byte << 25) >> 25);
  HIGH = (uint32_t)((int32_t)LOW >> 31);
  NEXT;
}

_Static_assert((int)EP_FUEL_f32_const == (int)EP_FUEL_i32_const, "an f32 is a constant of four bytes");
ALIAS(op_f32_const, const32_of_4)

OP(f64_const) {
  const uint8_t *const at = IP;
  IP += 8;
  PUSH;
  LOW = word(at);
  HIGH = word(at + 4);
  NEXT;
}

/* ---- first halves of fused instructions (rewrite.c) ---------------------------------------------------------------- */

/* Each takes the fuel of its second half's operation too, which is that of i32.add: rewrite.c fuses no other. Where the
 * second half ends in a local.set or a branch, it takes one of its fuel, too. */
#define FUEL_FUSED_LOCAL (EP_FUEL_local_get + EP_FUEL_i32_add)
#define FUEL_FUSED_CONST (EP_FUEL_i32_const + EP_FUEL_i32_add)

INLINE uint32_t local(RUN_ uint32_t index) {
  return (uint32_t)FP[index & 0xFFu];
}

LEAF static went_t local_with(RUN) {
  const uint32_t bytes = half(IP);
  const uint32_t a = LOW;
  IP += 2;
  FUEL -= FUEL_FUSED_LOCAL - FUEL_OF_DISPATCH;
  LOW = local(PASS_ bytes);
  NEXT_WITH(bytes >> 8, a);
}

LEAF static went_t const_with(RUN) {
  const uint32_t a = LOW;
  const uint32_t second = IP[1];
  LOW = (uint32_t)(int8_t)*IP;
  IP += 2;
  FUEL -= FUEL_FUSED_CONST - FUEL_OF_DISPATCH;
  NEXT_WITH(second, a);
}

LEAF static went_t const16_with(RUN) {
  const uint32_t a = LOW;
  const uint32_t second = IP[2];
  LOW = (uint32_t)(int16_t)half(IP);
  IP += 3;
  FUEL -= FUEL_FUSED_CONST - FUEL_OF_DISPATCH;
  NEXT_WITH(second, a);
}

LEAF static went_t const32_with(RUN) {
  const uint32_t a = LOW;
  const uint32_t second = IP[5];
  LOW = word(IP);
  IP += 6;
  FUEL -= FUEL_FUSED_CONST - FUEL_OF_DISPATCH;
  NEXT_WITH(second, a);
}

LEAF static went_t locals_with(RUN) {
  const uint32_t bytes = word(IP);
  const uint32_t a = local(PASS_ bytes);
  IP += 4;
  FUEL -= EP_FUEL_local_get + FUEL_FUSED_LOCAL - FUEL_OF_DISPATCH;
  PUSH;
  LOW = local(PASS_ bytes >> 8);
  NEXT_WITH(bytes >> 16 & 0xFFu, a);
}

/* Two opcodes: one is a byte longer. */
LEAF static went_t local_const_with(RUN) {
  OPCODE(opcode);
  const uint32_t bytes = word(IP);
  const uint32_t a = local(PASS_ bytes);
  IP += 4u + (opcode & 1u);
  FUEL -= EP_FUEL_local_get + FUEL_FUSED_CONST - FUEL_OF_DISPATCH;
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
  OPCODE(opcode);
  const uint32_t bytes = word(IP);
  IP += 7u - (opcode & 1u);
  FUEL -= EP_FUEL_local_get + FUEL_FUSED_CONST;
  NEXT_TO(bytes >> 8 & 0xFFu, local(PASS_ bytes), (uint32_t)((int32_t)bytes >> 16));
}

_Static_assert((EP_OP_local_const_with & 1) == 0 && EP_OP_local_const16_with == EP_OP_local_const_with + 1 &&
                   (EP_OP_local_const_to & 1) == 1 && EP_OP_local_const16_to == EP_OP_local_const_to + 1,
               "which are odd");

/* ---- i32 (4.3.2) ------------------------------------------------------------------------------------------------ */

/* Second half of a fused operation; its fuel has been taken. */
LEAF static went_t set_local(RUN_ uint32_t value) {
  memcpy(FP + IP[-1], &value, sizeof value); /* the upper half of the slot has no meaning */
  NEXT;
}

/* What is done with two numbers, which fused instructions use too: `with` the first in a register and the second on the
 * stack, whose place the result takes; `set` with both in registers, the result goes to the local that the byte before
 * IP names. */
#define SET32(id, expression)                                                                                \
  LEAF static went_t set_##id(RUN_ uint32_t a, uint32_t b) {                                                 \
    return set_local(PASS_(uint32_t)(expression));                                                           \
  }

#define WITH32(id, expression)                                                                               \
  LEAF static went_t with_##id(RUN_ uint32_t a) {                                                            \
    const uint32_t b = LOW;                                                                                  \
    LOW = (uint32_t)(expression);                                                                            \
    NEXT;                                                                                                    \
  }

/* Alone, the first is on the stack, too. */
#if defined(EP_WASM_REGISTERS)
#define BINARY32(id, expression)                                                                             \
  SET32(id, expression)                                                                                      \
  OP(id) {                                                                                                   \
    register uint32_t a_ __asm__("r0");                                                                      \
    uint32_t a, b;                                                                                           \
    __asm__ volatile("ldr %0, [%1, #-8]!\n"                                                                  \
                     "with_" #id ":"                                                                         \
                     : "=r"(a_), "+r"(SP), "+r"(LOW));                                                       \
    a = a_;                                                                                                  \
    b = LOW;                                                                                                 \
    LOW = (uint32_t)(expression);                                                                            \
    NEXT;                                                                                                    \
  }
#else
#define BINARY32(id, expression)                                                                             \
  SET32(id, expression)                                                                                      \
  WITH32(id, expression)                                                                                     \
  OP(id) {                                                                                                   \
    uint32_t a;                                                                                              \
    TAKE_BELOW(a);                                                                                           \
    return with_##id(PASS_ a);                                                                               \
  }
#endif

/* Rarer alone: by way of the table. */
LEAF static went_t compute(RUN) {
  OPCODE(opcode);
  uint32_t a;
  TAKE_BELOW(a);
  NEXT_WITH(opcode + EP_OP_COMPUTE_WITH, a);
}

LEAF static went_t compare(RUN) {
  OPCODE(opcode);
  uint32_t a;
  TAKE_BELOW(a);
  NEXT_WITH(opcode + EP_OP_COMPARE_WITH, a);
}

#define BY_TABLE(id, way)                                                                                    \
  _Static_assert((int)EP_FUEL_##id == FUEL_OF_DISPATCH, #id " takes as much as i32.add");                    \
  ALIAS(op_##id, way)

#define RARE_BINARY32(id, expression)                                                                        \
  SET32(id, expression)                                                                                      \
  WITH32(id, expression)                                                                                     \
  BY_TABLE(id, compute)

#define UNARY32(id, expression)                                                                              \
  OP(id) {                                                                                                   \
    const uint32_t a = LOW;                                                                                  \
    LOW = (uint32_t)(expression);                                                                            \
    NEXT;                                                                                                    \
  }

BINARY32(i32_add, a + b)
BINARY32(i32_sub, a - b)
BINARY32(i32_xor, a ^ b)
RARE_BINARY32(i32_mul, a *b)
RARE_BINARY32(i32_and, a &b)
RARE_BINARY32(i32_or, a | b)
RARE_BINARY32(i32_shl, a << (b & 31u))
RARE_BINARY32(i32_shr_s, (int32_t)a >> (b & 31u))
RARE_BINARY32(i32_shr_u, a >> (b & 31u))
RARE_BINARY32(i32_rotl, a << (b & 31u) | a >> ((0u - b) & 31u))
RARE_BINARY32(i32_rotr, a >> (b & 31u) | a << ((0u - b) & 31u))
UNARY32(i32_clz, a == 0u ? 32u : (uint32_t)__builtin_clz(a))
UNARY32(i32_ctz, a == 0u ? 32u : (uint32_t)__builtin_ctz(a))
UNARY32(i32_extend8_s, (int8_t)(uint8_t)a)
UNARY32(i32_extend16_s, (int16_t)(uint16_t)a)

/* ---- comparisons ------------------------------------------------------------------------------------------------ */

LEAF static went_t is_true(RUN) {
  LOW = 1;
  NEXT;
}

LEAF static went_t is_false(RUN) {
  LOW = 0;
  NEXT;
}

/* A relation ends in one of two functions; on Arm by a branch with the condition that holds after `compared`. */
#if defined(EP_WASM_REGISTERS)
#define DECIDE(compared, condition, expression, yes, no)                                                     \
  __asm__ volatile(compared "\n\tb" condition " " #yes "\n\tb " #no)
#else
#define DECIDE(compared, condition, expression, yes, no)                                                     \
  if (expression) return yes(PASS);                                                                          \
  return no(PASS)
#endif

#define ANSWER(compared, condition, expression) DECIDE(compared, condition, expression, is_true, is_false)

#define COMPARE32(id, operator, type, condition)                                                             \
  LEAF static went_t with_##id(RUN_ uint32_t a) {                                                            \
    (void)a;                                                                                                 \
    ANSWER("cmp r0, r6", condition, (type)a operator(type) LOW);                                             \
  }                                                                                                          \
  BY_TABLE(id, compare)

COMPARE32(i32_eq, ==, uint32_t, "eq")
COMPARE32(i32_ne, !=, uint32_t, "ne")
COMPARE32(i32_lt_s, <, int32_t, "lt")
COMPARE32(i32_lt_u, <, uint32_t, "lo")
COMPARE32(i32_gt_s, >, int32_t, "gt")
COMPARE32(i32_gt_u, >, uint32_t, "hi")
COMPARE32(i32_le_s, <=, int32_t, "le")
COMPARE32(i32_le_u, <=, uint32_t, "ls")
COMPARE32(i32_ge_s, >=, int32_t, "ge")
COMPARE32(i32_ge_u, >=, uint32_t, "hs")

#if defined(EP_WASM_REGISTERS)
#define COMPARE_F32(id, operator, condition)                                                                 \
  OP(id) {                                                                                                   \
    ANSWER("vldmdb r5!, {s14-s15}\n\t"                                                                       \
           "vmov s15, r6\n\t"                                                                                \
           "vcmp.f32 s14, s15\n\t"                                                                           \
           "vmrs APSR_nzcv, fpscr",                                                                          \
           condition, );                                                                                     \
  }
#define EQUAL64 "ldrd r0, r1, [r5, #-8]!\n\tcmp r0, r6\n\tit eq\n\tcmpeq r1, r8"
#define COMPARE64(id, operator, condition)                                                                   \
  OP(id) {                                                                                                   \
    ANSWER(EQUAL64, condition, );                                                                            \
  }
#else
#define COMPARE_F32(id, operator, condition)                                                                 \
  OP(id) {                                                                                                   \
    const float b = ep_wasm_f32(LOW);                                                                        \
    const float a = ep_wasm_f32((uint32_t) * --SP);                                                          \
    ANSWER("", condition, a operator b);                                                                     \
  }
#define COMPARE64(id, operator, condition)                                                                   \
  OP(id) {                                                                                                   \
    const uint64_t a = *--SP;                                                                                \
    ANSWER("", condition, a operator TOP);                                                                   \
  }
#endif

OP(i32_eqz) {
  ANSWER("cmp r6, #0", "eq", LOW == 0u);
}
OP(i64_eqz) {
  ANSWER("orrs r6, r6, r8", "eq", TOP == 0u);
}
COMPARE64(i64_eq, ==, "eq")
COMPARE64(i64_ne, !=, "ne")
COMPARE_F32(f32_eq, ==, "eq")
COMPARE_F32(f32_ne, !=, "ne")
COMPARE_F32(f32_lt, <, "mi")
COMPARE_F32(f32_gt, >, "gt")
COMPARE_F32(f32_le, <=, "ls")
COMPARE_F32(f32_ge, >=, "ge")

/* ---- branches ----------------------------------------------------------------------------------------------------- */

/* Leaves `count` operands, the top among them, from `to` on. */
static __attribute__((noinline)) void settle(RUN_ uint64_t *to, uint32_t count) {
  const uint64_t *from = SP + 1 - count;
  if (count == 0u) {
    SP = to;
    POP;
    return;
  }
  while (from != SP) *to++ = *from++;
  SP = to;
}

/* Drops operands below those that a branch takes along. */
LEAF static went_t unwind(RUN_ uint32_t how) {
  const uint32_t drop = how & ((1u << EP_WASM_UNWIND_BITS) - 1u);
  const uint32_t arity = how >> EP_WASM_UNWIND_BITS;
  FUEL -= (int32_t)EP_FUEL_UNWIND(arity);
  settle(PASS_ SP + 1 - arity - drop, arity);
  return next_if_fuel(PASS);
}

/* What all branches take; the rest went with their dispatch, or with the first half of a fused one. */
#define FUEL_OF_BRANCH (EP_FUEL_br_if - FUEL_OF_DISPATCH)

/* Where a branch goes: by the side table's entry. Operands move only where that says so. The opcode lies two bytes before
 * IP; of those here, `if` and `else` don't look for fuel. */
LEAF static went_t branch(RUN) {
  const ep_wasm_branch_t *const entry = BRANCH;
  const uint8_t *const after = IP;
  const uint32_t how = entry->unwind;
  FUEL -= FUEL_OF_BRANCH;
  IP = run->code + entry->target;
  BRANCH = run->branches + entry->branch;
  if (UNLIKELY(how != 0u)) return unwind(PASS_ how);
  if (UNLIKELY(FUEL < 0) && after[-2] >= EP_OP_br) return refuel(PASS);
  NEXT;
}

/* Where it doesn't. */
LEAF static went_t go_on(RUN) {
  BRANCH++;
  FUEL -= FUEL_OF_BRANCH;
  NEXT;
}

_Static_assert((int)EP_FUEL_if == (int)EP_FUEL_br_if && (int)EP_FUEL_else == (int)EP_FUEL_br_if &&
                   (int)EP_FUEL_br == (int)EP_FUEL_br_if,
               "all branches take the same");
_Static_assert((int)EP_FUEL_local_set == FUEL_OF_DISPATCH, "fused, it takes no fuel of its own");
_Static_assert(EP_OP_else<EP_OP_br && EP_OP_br_if> EP_OP_br &&EP_OP_br_table > EP_OP_br,
               "these look for fuel");

#define BRANCH32(id, operator, type, condition)                                                              \
  LEAF static went_t branch_##id(RUN_ uint32_t a, uint32_t b) {                                              \
    (void)a, (void)b;                                                                                        \
    DECIDE("cmp r0, r1", condition, (type)a operator(type) b, branch, go_on);                                \
  }

BRANCH32(i32_eq, ==, uint32_t, "eq")
BRANCH32(i32_ne, !=, uint32_t, "ne")
BRANCH32(i32_lt_s, <, int32_t, "lt")
BRANCH32(i32_lt_u, <, uint32_t, "lo")
BRANCH32(i32_gt_s, >, int32_t, "gt")
BRANCH32(i32_gt_u, >, uint32_t, "hi")
BRANCH32(i32_le_s, <=, int32_t, "le")
BRANCH32(i32_le_u, <=, uint32_t, "ls")
BRANCH32(i32_ge_s, >=, int32_t, "ge")
BRANCH32(i32_ge_u, >=, uint32_t, "hs")

LEAF static went_t op_else(RUN) {
  IP++;
  return branch(PASS);
}

ALIAS(op_br, op_else)

LEAF static went_t op_if(RUN) {
  const uint32_t condition = LOW;
  POP;
  IP++;
  if (condition == 0u) return branch(PASS);
  return go_on(PASS);
}

LEAF static went_t op_br_if(RUN) {
  const uint32_t condition = LOW;
  POP;
  IP++;
  if (condition == 0u) return go_on(PASS);
  return branch(PASS);
}

LEAF static went_t op_br_table(RUN) {
  const uint32_t count = half(IP);
  BRANCH += LOW < count ? LOW : count;
  FUEL -= EP_FUEL_br_table - EP_FUEL_br;
  IP++;
  POP;
  return branch(PASS);
}

/* A branch of two bytes leads no further than this; what comes now is not so frequent, and goes by another one. */
LEAF static went_t next_from_afar(RUN) {
  return next(PASS);
}

#undef NEXT
#define NEXT return next_from_afar(PASS)

/* ---- control (4.4.8) ------------------------------------------------------------------------------------------ */

OP(unreachable) {
  return trap(PASS_ EP_WASM_TRAP_UNREACHABLE);
}

OP(block) {
  IP++;
  NEXT;
}

SAME(loop, block)
SAME(end, nop)

/* Several of them. */
LEAF static went_t blocks(RUN) {
  const uint32_t count = *IP;
  IP += 2u * count - 1u;
  FUEL -= (int32_t)count * EP_FUEL_block - FUEL_OF_DISPATCH;
  NEXT;
}

/* A call from the outermost function on lays its frame down like any other; nobody returns by it. */
#if defined(EP_WASM_REGISTERS)
#define SAVE_FRAME(frame)                                                                                    \
  do {                                                                                                       \
    register const ep_wasm_function_t *function_ __asm__("r2") = run->function;                              \
    __asm__ volatile("stmia %0, {r2, r4, r9, r10}"                                                           \
                     :                                                                                       \
                     : "r"(frame), "r"(function_), "r"(IP), "r"(FP), "r"(BRANCH)                             \
                     : "memory");                                                                            \
  } while (0)
#define RESTORE_FRAME(frame)                                                                                 \
  do {                                                                                                       \
    register const ep_wasm_function_t *function_ __asm__("r2");                                              \
    __asm__ volatile("ldmia %4, {r2, r4, r9, r10}"                                                           \
                     : "=r"(function_), "=r"(IP), "=r"(FP), "=r"(BRANCH)                                     \
                     : "r"(frame)                                                                            \
                     : "memory");                                                                            \
    run->function = function_;                                                                               \
  } while (0)
#else
#define SAVE_FRAME(frame)                                                                                    \
  (*(ep_wasm_frame_t *)(void *)(frame) = (ep_wasm_frame_t){run->function, IP, FP, BRANCH})
#define RESTORE_FRAME(frame)                                                                                 \
  do {                                                                                                       \
    const ep_wasm_frame_t *const frame_ = (const void *)(frame);                                             \
    run->function = frame_->function;                                                                        \
    BRANCH = frame_->branch;                                                                                 \
    IP = frame_->ip;                                                                                         \
    FP = frame_->fp;                                                                                         \
  } while (0)
#endif

/* A trap of a call, or of what goes on to `charged`, is at its own place, not where it returns to. */
LEAF static went_t trap_call(RUN_ ep_wasm_result_t result) {
  IP = run->calling;
  return trap(PASS_ result);
}

/* The end of what somebody else did, who found how much fuel it is to take. */
LEAF static went_t charged(RUN_ ep_wasm_result_t result) {
  FUEL -= run->charged;
  run->charged = 0;
  LOAD_TOP(SP);
  if (UNLIKELY(result != EP_WASM_OK)) return trap_call(PASS_ result);
  return next_if_fuel(PASS);
}

LEAF static went_t call_import(RUN_ const ep_wasm_function_t *function) {
  ep_wasm_result_t result;
  uint64_t *const args = SP + 1 - function->params;
  SP = function->results != 0u ? args : args - 1;
  result = run->host->imports[function->locals].call(run, args);
  return charged(PASS_ result);
}

/* Calls function `index` with the topmost operands as arguments (4.4.10); it returns to IP. */
LEAF static went_t call_function(RUN_ uint32_t index) {
  const ep_wasm_function_t *const function = run->functions + index;
  const uint32_t room = (uint32_t)(run->stack_end - SP);
  uint64_t *p = SP;
  uint32_t more;
  STORE_TOP(SP);
  if (UNLIKELY(function->slots > room + function->params - 1u)) return trap_call(PASS_ EP_WASM_TRAP_STACK);
  if (UNLIKELY(function->start == 0u)) return call_import(PASS_ function);
  if (UNLIKELY(run->depth == 0u)) return trap_call(PASS_ EP_WASM_TRAP_STACK);
  run->depth--;
  more = (uint32_t)function->locals - function->params;
  FUEL -= (int32_t)EP_FUEL_LOCALS(more);
  if (more > 0u) {
    do STORE_ZERO(p);
    while (--more > 0u);
  }
  p++;
  SAVE_FRAME(p);
  FP = p - function->locals;
  SP = p + EP_WASM_FRAME_SLOTS;
  run->function = function;
  IP = run->code + function->start;
  BRANCH = run->branches + function->branch;
  return next_if_fuel(PASS);
}

/* Leaves the running function with its results on top of the operands. */
LEAF static went_t op_return(RUN) {
  const ep_wasm_function_t *const function = run->function;
  uint64_t *const results = FP;
  const uint32_t count = function->results;
  FUEL -= (int32_t)EP_FUEL_RESULTS(count) + EP_FUEL_return - FUEL_OF_DISPATCH;
  run->depth++;
  RESTORE_FRAME(results + function->locals);
  settle(PASS_ results, count);
  if (UNLIKELY(IP == NULL)) {
    STORE_TOP(SP);
    return finish(PASS_ EP_WASM_OK);
  }
  return next(PASS);
}

/* The `end` of a body. */
LEAF static went_t leave(RUN) {
  FUEL -= EP_FUEL_end;
  return op_return(PASS);
}

OP(call) {
  run->calling = IP;
  return call_function(PASS_ * IP++);
}

LEAF static went_t call_wide(RUN) {
  const uint32_t index = half(IP);
  FUEL -= EP_FUEL_call - FUEL_OF_DISPATCH + EP_FUEL_LONG_CALL;
  run->calling = IP;
  IP += 2;
  return call_function(PASS_ index);
}

OP(call_indirect) {
  const ep_wasm_instance_t *const instance = run;
  const uint32_t element = LOW;
  uint32_t index;
  if (UNLIKELY(element >= instance->table_size)) return trap(PASS_ EP_WASM_TRAP_TABLE);
  index = instance->table[element];
  if (UNLIKELY(index == EP_WASM_NULL)) return trap(PASS_ EP_WASM_TRAP_ELEMENT);
  if (UNLIKELY(run->functions[index].type != half(IP))) return trap(PASS_ EP_WASM_TRAP_CALL_TYPE);
  run->calling = IP;
  IP += 2;
  POP;
  return call_function(PASS_ index);
}

/* ---- i32 divisions ----------------------------------------------------------------------------------------------- */

LEAF static went_t divide(RUN) {
  OPCODE(opcode);
  const uint32_t how = opcode - EP_OP_i32_div_s;
  const uint32_t b = LOW;
  const uint32_t a = (uint32_t)SP[-1];
  FUEL -= EP_FUEL_i32_div_s - FUEL_OF_DISPATCH;
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
  NEXT;
}

#define DIVIDE32(id)                                                                                         \
  _Static_assert((int)EP_FUEL_##id == (int)EP_FUEL_i32_div_s, #id " takes as much as i32.div_s");            \
  ALIAS(op_##id, divide)

DIVIDE32(i32_div_s)
DIVIDE32(i32_div_u)
DIVIDE32(i32_rem_s)
DIVIDE32(i32_rem_u)

/* ---- i64 (4.3.2) -------------------------------------------------------------------------------------------------- */

#define BINARY64(id, expression)                                                                             \
  OP(id) {                                                                                                   \
    const uint64_t b = TOP;                                                                                  \
    uint64_t a;                                                                                              \
    TAKE_BELOW64(a);                                                                                         \
    SET_TOP(expression);                                                                                     \
    NEXT;                                                                                                    \
  }

BINARY64(i64_add, a + b)
BINARY64(i64_sub, a - b)
BINARY64(i64_and, a &b)
BINARY64(i64_or, a | b)
BINARY64(i64_xor, a ^ b)
BINARY64(f64_copysign, (a & 0x7FFFFFFFFFFFFFFFull) | (b & 0x8000000000000000ull))

OP(i64_extend8_s) {
  LOW = (uint32_t)(int8_t)(uint8_t)LOW;
  return op_i64_extend_i32_s(PASS);
}
OP(i64_extend16_s) {
  LOW = (uint32_t)(int16_t)(uint16_t)LOW;
  return op_i64_extend_i32_s(PASS);
}
SAME(i32_wrap_i64, nop)
SAME(i32_reinterpret_f32, nop)
SAME(i64_reinterpret_f64, nop)
SAME(f32_reinterpret_i32, nop)
SAME(f64_reinterpret_i64, nop)

/* What numeric.c and float.c do. */
LEAF static went_t one(RUN_ uint64_t (*function)(uint64_t)) {
  SET_TOP(function(TOP));
  NEXT;
}

LEAF static went_t two(RUN_ uint64_t (*function)(uint64_t, uint64_t)) {
  const uint64_t b = TOP;
  uint64_t a;
  TAKE_BELOW64(a);
  SET_TOP(function(a, b));
  NEXT;
}

#define BY(way, id, function)                                                                                \
  OP(id) {                                                                                                   \
    return way(PASS_ function);                                                                              \
  }

BY(one, i32_popcnt, ep_wasm_i32_popcnt)
BY(one, i64_popcnt, ep_wasm_i64_popcnt)
BY(one, i64_clz, ep_wasm_i64_clz)
BY(one, i64_ctz, ep_wasm_i64_ctz)
BY(two, i64_mul, ep_wasm_i64_mul)
BY(two, i64_shl, ep_wasm_i64_shl)
BY(two, i64_shr_s, ep_wasm_i64_shr_s)
BY(two, i64_shr_u, ep_wasm_i64_shr_u)
BY(two, i64_rotl, ep_wasm_i64_rotl)
BY(two, i64_rotr, ep_wasm_i64_rotr)

/* A relation is the set of orders that fulfil it: eq, ne, lt, gt, le, ge, as the opcodes come. */
LEAF static went_t relate(RUN_ uint32_t relation, uint32_t order) {
  static const uint8_t relations[6] = {EP_EQUAL,
                                       EP_LESS | EP_GREATER | EP_UNORDERED,
                                       EP_LESS,
                                       EP_GREATER,
                                       EP_LESS | EP_EQUAL,
                                       EP_GREATER | EP_EQUAL};
  LOW = (relations[relation] & order) != 0u;
  NEXT;
}

/* Bit 0 of the opcode tells the signed ones: with the upper bits turned round they stand like unsigned numbers. */
OP(i64_lt_s) {
  const uint64_t flip = (uint64_t)IP[-1] << 63;
  const uint64_t b = TOP ^ flip;
  uint64_t a;
  TAKE_BELOW64(a);
  a ^= flip;
  return relate(PASS_ 2u + ((IP[-1] - (uint32_t)EP_OP_i64_lt_s) >> 1), a < b   ? EP_LESS
                                                                       : a > b ? EP_GREATER
                                                                               : EP_EQUAL);
}
_Static_assert((EP_OP_i64_lt_s & 1) == 1, "the signed ones are odd");
SAME(i64_lt_u, i64_lt_s)
SAME(i64_gt_s, i64_lt_s)
SAME(i64_gt_u, i64_lt_s)
SAME(i64_le_s, i64_lt_s)
SAME(i64_le_u, i64_lt_s)
SAME(i64_ge_s, i64_lt_s)
SAME(i64_ge_u, i64_lt_s)

/* One that may trap has left its result in place of its operand, or of the first one. */
LEAF static went_t trap_or_next(RUN_ ep_wasm_result_t result) {
  LOAD_TOP(SP);
  if (UNLIKELY(result != EP_WASM_OK)) return trap(PASS_ result);
  NEXT;
}

OP(i64_div_s) {
  STORE_TOP(SP);
  SP--;
  return trap_or_next(PASS_ ep_wasm_i64_divide(IP[-1], SP));
}
SAME(i64_div_u, i64_div_s)
SAME(i64_rem_s, i64_div_s)
SAME(i64_rem_u, i64_div_s)

/* ---- f32 (4.3.3) -------------------------------------------------------------------------------------------------- */

#if defined(EP_WASM_REGISTERS)
#define BINARY_F32(id, operator, instruction)                                                                \
  OP(id) {                                                                                                   \
    __asm__ volatile("vldmdb %0!, {s14-s15}\n\t"                                                             \
                     "vmov s15, %1\n\t" instruction " s14, s14, s15\n\t"                                     \
                     "vmov %1, s14"                                                                          \
                     : "+r"(SP), "+r"(LOW)                                                                   \
                     :                                                                                       \
                     : "s14", "s15", "memory");                                                              \
    NEXT;                                                                                                    \
  }
#else
#define BINARY_F32(id, operator, instruction)                                                                \
  OP(id) {                                                                                                   \
    const float b = ep_wasm_f32(LOW);                                                                        \
    const float a = ep_wasm_f32((uint32_t) * --SP);                                                          \
    LOW = ep_wasm_f32_result(a operator b);                                                                  \
    NEXT;                                                                                                    \
  }
#endif

BINARY_F32(f32_add, +, "vadd.f32")
BINARY_F32(f32_sub, -, "vsub.f32")
BINARY_F32(f32_mul, *, "vmul.f32")
BINARY_F32(f32_div, /, "vdiv.f32")
UNARY32(f32_sqrt, ep_wasm_f32_sqrt(a))
UNARY32(f32_abs, a & 0x7FFFFFFFu)
UNARY32(f32_neg, a ^ 0x80000000u)
UNARY32(f32_convert_i32_s, ep_wasm_f32_bits((float)(int32_t)a))
UNARY32(f32_convert_i32_u, ep_wasm_f32_bits((float)a))
OP(f32_copysign) {
  uint32_t a;
  TAKE_BELOW(a);
  LOW = (a & 0x7FFFFFFFu) | (LOW & 0x80000000u);
  NEXT;
}

OP(f32_ceil) {
  LOW = ep_wasm_f32_round(LOW, (ep_wasm_rounding_t)(IP[-1] - EP_OP_f32_ceil));
  NEXT;
}
SAME(f32_floor, f32_ceil)
SAME(f32_trunc, f32_ceil)
SAME(f32_nearest, f32_ceil)

/* Of minimum and maximum, the latter are odd. */
OP(f32_min) {
  uint32_t a;
  TAKE_BELOW(a);
  if (__builtin_isunordered(ep_wasm_f32(a), ep_wasm_f32(LOW)))
    LOW = EP_WASM_NAN32;
  else if (ep_wasm_below((uint64_t)a << 32, (uint64_t)LOW << 32) != (IP[-1] & 1u))
    LOW = (uint32_t)*SP;
  NEXT;
}
SAME(f32_max, f32_min)
_Static_assert((EP_OP_f32_max & EP_OP_f64_max & 1) == 1, "maxima are odd");

/* ---- f64 ---------------------------------------------------------------------------------------------------------- */

LEAF static went_t nan64(RUN) {
  SET_TOP(EP_WASM_NAN64);
  NEXT;
}

/* These of numeric.c know no NaN. */
LEAF static went_t one_f64(RUN_ uint64_t (*function)(uint64_t)) {
  if (ep_wasm_is_nan64(TOP)) return nan64(PASS);
  return one(PASS_ function);
}

LEAF static went_t extreme_f64(RUN) {
  SP--;
  if (ep_wasm_below(*SP, TOP) != (IP[-1] & 1u)) LOAD_TOP(SP);
  NEXT;
}

/* Without a function: minimum or maximum. */
LEAF static went_t two_f64(RUN_ uint64_t (*function)(uint64_t, uint64_t)) {
  if (ep_wasm_is_nan64(TOP) || ep_wasm_is_nan64(SP[-1])) {
    SP--;
    return nan64(PASS);
  }
  if (function == NULL) return extreme_f64(PASS);
  return two(PASS_ function);
}

OP(f64_abs) {
  HIGH &= 0x7FFFFFFFu;
  NEXT;
}
OP(f64_neg) {
  HIGH ^= 0x80000000u;
  NEXT;
}
BY(one_f64, f64_sqrt, ep_wasm_f64_sqrt)
BY(two_f64, f64_add, ep_wasm_f64_add)
OP(f64_sub) {
  HIGH ^= 0x80000000u;
  return two_f64(PASS_ ep_wasm_f64_add);
}
BY(two_f64, f64_mul, ep_wasm_f64_multiply)
BY(two_f64, f64_div, ep_wasm_f64_divide)

OP(f64_ceil) {
  if (ep_wasm_is_nan64(TOP)) return nan64(PASS);
  SET_TOP(ep_wasm_f64_round(TOP, (ep_wasm_rounding_t)(IP[-1] - EP_OP_f64_ceil)));
  NEXT;
}
SAME(f64_floor, f64_ceil)
SAME(f64_trunc, f64_ceil)
SAME(f64_nearest, f64_ceil)

OP(f64_min) {
  return two_f64(PASS_ NULL);
}
SAME(f64_max, f64_min)

OP(f64_eq) {
  const uint64_t b = TOP;
  uint32_t order;
  uint64_t a;
  TAKE_BELOW64(a);
  order = ep_wasm_f64_compare(a, b);
  return relate(PASS_ IP[-1] - (uint32_t)EP_OP_f64_eq, order);
}
SAME(f64_ne, f64_eq)
SAME(f64_lt, f64_eq)
SAME(f64_gt, f64_eq)
SAME(f64_le, f64_eq)
SAME(f64_ge, f64_eq)

/* ---- conversions (4.3.4) ------------------------------------------------------------------------------------------ */

BY(one, f32_convert_i64_s, ep_wasm_f32_from_signed)
BY(one, f32_convert_i64_u, ep_wasm_f32_from_unsigned)
BY(one, f32_demote_f64, ep_wasm_demote)
BY(one, f64_promote_f32, ep_wasm_promote)
BY(one, f64_convert_i64_s, ep_wasm_f64_from_signed)
BY(one, f64_convert_i64_u, ep_wasm_f64_from_unsigned)
OP(f64_convert_i32_s) {
  HIGH = (uint32_t)((int32_t)LOW >> 31);
  return one(PASS_ ep_wasm_f64_from_signed);
}
OP(f64_convert_i32_u) {
  HIGH = 0;
  return one(PASS_ ep_wasm_f64_from_unsigned);
}

/* `form`: bit 0 to unsigned, bit 1 from f64, bit 2 to 64 bits, as the saturating opcodes are numbered. */
LEAF static went_t truncate(RUN) {
  const uint32_t opcode = IP[-1];
  const uint32_t form =
      opcode - (opcode >= EP_OP_i64_trunc_f32_s ? EP_OP_i64_trunc_f32_s - 4u : EP_OP_i32_trunc_f32_s);
  STORE_TOP(SP);
  FUEL -= EP_FUEL_i32_trunc_f32_s - FUEL_OF_DISPATCH - (int32_t)(form >> 1 & 1u);
  return trap_or_next(PASS_ ep_wasm_truncate(form, SP));
}
#define TRUNCATE(id, less)                                                                                   \
  _Static_assert((int)EP_FUEL_##id == (int)EP_FUEL_i32_trunc_f32_s - (less),                                 \
                 #id " takes as much as others");                                                            \
  ALIAS(op_##id, truncate)
TRUNCATE(i32_trunc_f32_s, 0)
TRUNCATE(i32_trunc_f32_u, 0)
TRUNCATE(i32_trunc_f64_s, 1)
TRUNCATE(i32_trunc_f64_u, 1)
TRUNCATE(i64_trunc_f32_s, 0)
TRUNCATE(i64_trunc_f32_u, 0)
TRUNCATE(i64_trunc_f64_s, 1)
TRUNCATE(i64_trunc_f64_u, 1)

/* ---- behind the prefix ------------------------------------------------------------------------------------------ */

/* Behind the opcode stands the index of a segment, memory or table, and another one if the opcode is even. */
LEAF static went_t bulk(RUN_ uint32_t opcode) {
  uint32_t numbers = 3u - (opcode & 1u);
  ep_wasm_result_t result;
  run->calling = IP;
  if ((opcode & 3u) != EP_BULK_DROP) SP -= 3;
  result = ep_wasm_bulk(run, opcode, IP, SP + 1);
  FUEL -= EP_FUEL_memory_fill - FUEL_OF_DISPATCH;
  for (; numbers > 0u; numbers--) {
    do FUEL--;
    while (*IP++ >= 0x80u);
  }
  return charged(PASS_ result);
}
_Static_assert(((EP_BULK_INIT | EP_BULK_COPY) & 1) == 0 && (EP_BULK_DROP & EP_BULK_FILL & 1) == 1,
               "the even ones have two indices");

/* All opcodes there are below 128: whatever follows their first byte is filling. */
LEAF static went_t op_prefix(RUN) {
  const uint32_t opcode = *IP & 0x7Fu;
  STORE_TOP(SP);
  if (opcode > (EP_OP_i64_trunc_sat_f64_u & 0xFF)) return bulk(PASS_ opcode);
  do FUEL--;
  while (*IP++ >= 0x80u);
  FUEL -= EP_FUEL_i32_trunc_sat_f32_s - FUEL_OF_DISPATCH - 1;
  (void)ep_wasm_truncate(opcode, SP);
  LOAD_TOP(SP);
  NEXT;
}

/* ---- the run ------------------------------------------------------------------------------------------------------ */

#if !defined(EP_WASM_REGISTERS)
#include "wasm/places.h"
#endif

/* Sets up the stack as for a call of function `index` from nowhere. */
LEAF static went_t begin(RUN_ uint32_t index) {
  run->function = run->functions + index;
  run->calling = run->code;
  run->bound = safe_bound(run);
  run->depth = run->call_depth;
  SP = run->stack + run->function->params;
  IP = NULL;
  LOAD_TOP(SP);
  FUEL = run->fuel;
  if (run->sliced && FUEL > (int32_t)EP_WASM_SLICE) FUEL = (int32_t)EP_WASM_SLICE;
  run->fuel -= FUEL;
  return call_function(PASS_ index);
}

#if defined(EP_WASM_REGISTERS)
/* Keeps the caller's r4 to r11, which AAPCS promises to it, from the registers of this file; `finish` gives them back. */
__attribute__((naked)) ep_wasm_result_t ep_wasm_interpret(__attribute__((unused))
                                                          ep_wasm_instance_t *instance,
                                                          __attribute__((unused)) uint32_t index) {
  __asm__ volatile("push {r3-r11, lr}\n\t" /* r3: the stack stays aligned to 8 */
                   "str sp, [r0]\n\t"
                   "sub sp, #32\n\t" /* for what handlers can't keep in registers */
                   "mov r11, r0\n\t"
                   "mov r0, r1\n\t"
                   "b begin");
}
#else
ep_wasm_result_t ep_wasm_interpret(ep_wasm_instance_t *instance, uint32_t index) {
  ep_wasm_run_t *const run = instance;
  int going = begin(run, index);
  while (going != 0) {
    FUEL -= FUEL_OF_DISPATCH;
    going = ep_wasm_handlers[*IP++](run);
  }
  return run->result;
}
#endif
