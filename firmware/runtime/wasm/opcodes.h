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

/* EP_FUEL_i32_add = 1 ... */
enum {
#define EP_WASM_OPCODE(code, id, text, fuel, signature)   EP_FUEL_##id = fuel,
#define EP_WASM_PREFIXED(code, id, text, fuel, signature) EP_FUEL_##id = fuel,
#include "opcodes.def"
#undef EP_WASM_OPCODE
#undef EP_WASM_PREFIXED
};

/* What an instruction takes more if its immediates are longer than a byte each, by the bytes beyond those; local and
 * global instructions go a longer way then. */
#define EP_FUEL_LONG_WAY(bytes)   (bytes)
#define EP_FUEL_LONG_INDEX(bytes) ((bytes) + 2u)
#define EP_FUEL_LONG_I32(shift)   ((shift) / 14u + 2u) /* i32.const; `shift` is 7 a byte */
#define EP_FUEL_LONG_I64(bytes)   ((bytes)*2u)         /* i64.const */
/* ... and a load or store for the same reason, or because it is at the very end of memory (rare ones always), by all
 * bytes of its immediates. */
#define EP_FUEL_LONG_ACCESS         5
#define EP_FUEL_LONG_ADDRESS(bytes) (((bytes) + 1u) >> 1)

/* What instructions take by length, besides their weight. */
#define EP_FUEL_LOCALS(zeroed)   ((zeroed) >> 2)       /* a call: locals set to zero */
#define EP_FUEL_UNWIND(arity)    (((arity) >> 1) + 2u) /* a branch that drops operands: values it keeps */
#define EP_FUEL_RESULTS(results) ((results) >> 1)      /* a return */
#define EP_FUEL_FILLED(bytes)    ((bytes) >> 2)        /* memory.fill */
#define EP_FUEL_COPIED(bytes)    ((bytes) >> 1) /* memory.copy, memory.init: byte by byte if not aligned alike */
#define EP_FUEL_ITEMS(items)     (items)        /* table.copy, table.init (and items skipped to get there) */

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
#define EP_SIG_BINARY_BIT 0x10

#endif
