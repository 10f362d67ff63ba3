/* Opcodes, fuel weights and signatures as C constants, all from opcodes.def. */
#ifndef EP_WASM_OPCODES_H
#define EP_WASM_OPCODES_H

/* EP_OP_i32_add = 0x6A ...; those behind the prefix 0xFC: EP_OP_memory_fill = 0x10B ... */
enum {
#define EP_WASM_OPCODE(code, id, text, fuel, signature)   EP_OP_##id = code,
#define EP_WASM_PREFIXED(code, id, text, fuel, signature) EP_OP_##id = 0x100 + code,
#include "opcodes.def"
#undef EP_WASM_OPCODE
#undef EP_WASM_PREFIXED
  EP_OP_prefix = 0xFC
};

/* Opcodes that no module may contain: load time writes them over others (rewrite.c says what stands behind them). They lie
 * where the binary format has none, or those of features that the engine leaves out. */
enum {
  EP_OP_const16 = 0x06,        /* i32.const of two bytes: the number as it is in memory */
  EP_OP_const24,               /* ... of three */
  EP_OP_const32_of_4,          /* ... of four */
  EP_OP_const32,               /* ... of five: in the first four */
  EP_OP_access_long = 0x1C,    /* behind a load or store with immediates of more than a byte each */
  EP_OP_call_wide,             /* an index of more than a byte */
  EP_OP_access_far,            /* any load or store with an offset of more than 16 bits */
  EP_OP_local_get_wide = 0x12, /* and the other four: indices of more than a byte */
  EP_OP_leave = 0x17,          /* the `end` of a body */
  EP_OP_blocks,                /* several `block`s or `loop`s without types */
  EP_OP_locals_with = 0xDD,    /* local.get, local.get, second */
  EP_OP_local_const_with,      /* local.get, i32.const, second */
  EP_OP_local_const16_with,
  EP_OP_locals_to = 0xEC, /* the same three with a second half that leaves nothing on the stack */
  EP_OP_local_const_to,
  EP_OP_local_const16_to,
  EP_OP_local_with = 0xF8, /* local.get, second */
  EP_OP_const_with,
  EP_OP_const16_with,
  EP_OP_const32_with
};

/* From local.get_wide to local.get, and so on. */
#define EP_OP_WIDE (EP_OP_local_get - EP_OP_local_get_wide)
/* From a first half that pushes to the one that doesn't. */
#define EP_OP_TO (EP_OP_locals_to - EP_OP_locals_with)
/* From a plain operation to a second half: WITH takes the first operand in a register and leaves its result on the operand
 * stack, SET takes both and writes a local, BRANCH takes both and branches. Comparisons get 0xC5 to 0xCE and 0xD0 to
 * 0xD9, arithmetic 0xDA to 0xE8 and 0xE9 to 0xF7, without the places of divisions, where the first halves above lie. */
#define EP_OP_COMPARE_BRANCH 0x7F
#define EP_OP_COMPARE_WITH   0x8A
#define EP_OP_COMPUTE_WITH   0x70
#define EP_OP_COMPUTE_SET    0x7F

/* EP_FUEL_i32_add = 1 ... */
enum {
#define EP_WASM_OPCODE(code, id, text, fuel, signature)   EP_FUEL_##id = fuel,
#define EP_WASM_PREFIXED(code, id, text, fuel, signature) EP_FUEL_##id = fuel,
#include "opcodes.def"
#undef EP_WASM_OPCODE
#undef EP_WASM_PREFIXED
};

/* What an instruction takes more if its immediate has two bytes: local and global ones, and call. Any byte beyond takes
 * one more. (i64.const: by its bytes.) */
#define EP_FUEL_LONG_INDEX      3
#define EP_FUEL_LONG_CALL       2
#define EP_FUEL_LONG_I64(bytes) ((bytes)*2u)
/* ... and a load or store, if its offset has. */
#define EP_FUEL_LONG_ACCESS 8
/* What a load or store takes more at the very end of memory; rare ones always. */
#define EP_FUEL_SLOW_ACCESS 7

/* What instructions take by length, besides their weight. */
#define EP_FUEL_LOCALS(zeroed)   ((zeroed) >> 2)       /* a call: locals set to zero */
#define EP_FUEL_UNWIND(arity)    (((arity) >> 1) + 2u) /* a branch that drops operands: values it keeps */
#define EP_FUEL_RESULTS(results) ((results) >> 1)      /* a return */
#define EP_FUEL_FILLED(bytes)    ((bytes) >> 2)        /* memory.fill */
#define EP_FUEL_COPIED(bytes)    ((bytes) >> 1) /* memory.copy, memory.init: byte by byte if not aligned alike */
#define EP_FUEL_ITEMS(items)     (items)        /* table.copy, table.init */

/* Signatures in a byte: bits 0-1 result (or stored value), bits 2-3 operand (or alignment), bit 4 two operands,
 * bits 6-7 what it is. Value types are 0x7F - code in the binary format (spec 5.3.1). */
enum { EP_SIG_I32, EP_SIG_I64, EP_SIG_F32, EP_SIG_F64 };
enum {
  EP_SIG_SPECIAL = 0,
  EP_SIG_NUMERIC = 1 << 6,
  EP_SIG_LOAD = 2 << 6,
  EP_SIG_STORE = 3 << 6,
  EP_SIG_CLASS = 3 << 6
};
#define EP_SIG_BINARY_BIT   0x10
#define EP_SIG_SIZE(access) (1u << ((access) >> 2 & 3u)) /* bytes of a load or store */

/* Those of all plain instructions, from i32.load on (validate.c). */
extern const unsigned char ep_wasm_signatures[];

#endif
