/* The head of an instance: what ep_wasm_load() works out and a call needs. Only the engine looks inside. All
 * pointers lead into the caller's arena or the module's bytes. */
#ifndef EP_WASM_INSTANCE_H
#define EP_WASM_INSTANCE_H

/* A function of the module's index space. Offsets are in bytes from the module's first one. */
typedef struct {
  uint16_t start;  /* first instruction; 0 marks an import */
  uint16_t branch; /* its first side table entry */
  uint16_t type;   /* first structurally equal type, so that equal types have equal numbers */
  uint16_t params;
  uint16_t results;
  uint16_t locals; /* parameters included; an import: its place in the host's table */
  uint16_t slots;  /* value stack that one frame takes at most, from its first local on */
} ep_wasm_function_t;

/* A branch of the side table: where it leads and what it does to the operands. Branches of a body stand in the
 * order of their instructions (br_table: one each for its labels), so the interpreter walks along. */
typedef struct {
  uint16_t target; /* offset of the instruction that follows */
  uint16_t branch; /* side table entry that belongs to that place */
  uint16_t
      unwind; /* 0, or operands to drop below the topmost `arity`, as drop | arity << EP_WASM_UNWIND_BITS */
} ep_wasm_branch_t;

#define EP_WASM_UNWIND_BITS 11u

typedef struct {
  uint16_t offset;    /* of the parameter vector in the type section */
  uint16_t canonical; /* first structurally equal type */
} ep_wasm_type_t;

/* A data or element segment that bulk instructions may still use; dropped ones have count 0. */
typedef struct {
  const void *items; /* bytes of the module, or function indices as in the table */
  uint32_t count;
} ep_wasm_segment_t;

/* Whether the interpreter keeps what changes all the time in registers (machine.h). */
#if defined(__GNUC__) && !defined(__clang__) && defined(__thumb2__) && defined(__OPTIMIZE__)
#define EP_WASM_REGISTERS
#endif

struct ep_wasm_instance {
  uintptr_t way_out; /* of a call: its stack, on Arm; first, since assembler reads it */
  const uint8_t *code;
  const ep_wasm_host_t *host;
  ep_wasm_function_t *functions;
  ep_wasm_branch_t *branches;
  ep_wasm_type_t *types;
  uint64_t *globals;
  uint16_t *table; /* function indices, EP_WASM_NULL for none */
  ep_wasm_segment_t *data;
  ep_wasm_segment_t *elements;
  uint64_t *stack;
  uint64_t *stack_end;
  uint8_t *memory;
  uint32_t memory_size; /* bytes that may be accessed */
  uint32_t memory_pages;
  uint32_t memory_max_pages;
  uint32_t table_size;
  uint32_t size;    /* of the code */
  uint32_t exports; /* offset of the export section's contents, 0 if there is none */
  int32_t start;    /* start function, or -1 */
  int32_t fuel;
  int32_t charged; /* by the host function that runs now */
  uint32_t call_depth;
  uint16_t type_count;
  uint16_t function_count;
  uint16_t global_count;
  uint16_t data_count;
  uint16_t element_count;
  bool has_table;
  bool has_memory;
  bool sliced;
  ep_wasm_error_t error;
  /* of the call that runs */
  const ep_wasm_function_t *function; /* the one that runs */
  const uint8_t *calling;             /* behind the opcode of the last call */
  uint32_t bound;                     /* addresses below are good for 8 bytes */
  uint32_t depth;                     /* calls that may still nest */
#if !defined(EP_WASM_REGISTERS)
  const uint8_t *ip;
  uint64_t *sp;
  uint64_t *fp;
  const ep_wasm_branch_t *branch;
  uint32_t low;
  uint32_t high;
  int32_t left; /* of the fuel */
  ep_wasm_result_t result;
#endif
};

#define EP_WASM_NULL 0xFFFFu

/* Value stack slots between the locals and the operands of a frame, where the caller is kept as four pointers. */
#define EP_WASM_FRAME_SLOTS (sizeof(void *) / 2u)

_Static_assert(sizeof(struct ep_wasm_instance) <= 1024, "an instance's head stays within 1 KiB");
_Static_assert(sizeof(ep_wasm_branch_t) == 6, "a side table entry stays within 6 bytes");

#endif
