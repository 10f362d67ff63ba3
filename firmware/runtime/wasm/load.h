/* What the parts of ep_wasm_load() share while a module is being loaded. */
#ifndef EP_WASM_LOAD_H
#define EP_WASM_LOAD_H

#include "wasm/limits.h"
#include "wasm/types.h"
#include "wasm/wasm.h"

/* EP_REFUSE_magic, ... */
typedef enum {
#define EP_WASM_REFUSAL(id, text) EP_REFUSE_##id,
#define EP_WASM_NEXT_RESULT(result)
#include "refusals.def"
#undef EP_WASM_REFUSAL
#undef EP_WASM_NEXT_RESULT
} ep_wasm_refusal_t;

/* Section ids (spec 5.5.2). */
enum {
  EP_SECTION_CUSTOM,
  EP_SECTION_TYPE,
  EP_SECTION_IMPORT,
  EP_SECTION_FUNCTION,
  EP_SECTION_TABLE,
  EP_SECTION_MEMORY,
  EP_SECTION_GLOBAL,
  EP_SECTION_EXPORT,
  EP_SECTION_START,
  EP_SECTION_ELEMENT,
  EP_SECTION_CODE,
  EP_SECTION_DATA,
  EP_SECTION_DATA_COUNT,
  EP_SECTION_IDS
};

typedef struct {
  uint32_t at; /* offset of the contents; 0 = the module has no such section */
  uint32_t end;
} ep_wasm_section_t;

typedef struct ep_wasm_block ep_wasm_block_t;

/* rewrite.c: what was before the instruction that is validated now. */
typedef struct {
  uint8_t kind;    /* the last instruction */
  uint8_t before;  /* the one before it */
  uint8_t opcode;  /* operation of a fused pair */
  uint16_t at;     /* where the last one begins */
  uint16_t second; /* of a fused pair: where its second half is */
} ep_wasm_fusing_t;

typedef struct {
  uintptr_t stack; /* on Arm, where the way out is kept; first, since assembler reads it */
  /* reader.c: a cursor over the module's bytes. The first failure sets `result` and ends the work: on Arm at once, elsewhere
   * it puts the cursor at the end, after which everything reads as 0; so callers check once per item, not once per byte. */
  const uint8_t *code;
  uint32_t at;  /* offset of the next byte */
  uint32_t end; /* of what may be read now: the section, the function body */
  ep_wasm_result_t result;
  ep_wasm_error_t *error;
  uint32_t number; /* LEB128 that was read last: rewrite.c's, when an instruction is through */
  ep_wasm_instance_t *instance;
  uint8_t *writable; /* the same bytes as `code` */
  ep_wasm_fusing_t fusing;
  const ep_wasm_limits_t *limits;
  uint8_t *arena;
  uint32_t arena_used;
  uint32_t arena_size;
  bool apply;            /* segments */
  uint8_t *global_types; /* value types, EP_WASM_MUTABLE added */
  uint32_t import_functions;
  uint32_t import_globals;
  uint32_t branch_count;
  uint32_t branch_room;
  /* validate.c */
  ep_wasm_block_t *blocks; /* from the body on */
  ep_wasm_block_t *top;    /* the innermost */
  uint8_t *operands;
  uint8_t *locals;
  uint32_t depth; /* open blocks, the body included */
  uint32_t height;
  uint32_t highest;
  uint32_t local_count;
  uint32_t next_step; /* offset from which the host hears of the next 64 bytes */
  /* what is long stands last: Arm reaches the first 128 bytes by shorter instructions */
  ep_wasm_section_t sections[EP_SECTION_IDS];
  uint32_t import; /* imports.c: offset of the one that is read */
  uint32_t
      unlinked; /* of the first that doesn't link, 0 if all do; told only if the module is valid in itself */
  const char *custom; /* export.c: the section that is looked for */
  uint32_t custom_size;
  bool found; /* it, or the import by another type */
} ep_wasm_loader_t;

#define EP_WASM_MUTABLE 0x80u

/* Nearly every function of loading works on the loader. On Arm it has a register of its own in their files, and calls
 * needn't pass it; elsewhere it is the first argument. */
#if defined(EP_WASM_REGISTERS)
register ep_wasm_loader_t *loader __asm__("r4");
#define LOADER  void
#define LOADER_ /* and more parameters */
#define WITH
#define WITH_
/* For who begins to work with one; afterwards, the caller's register is what it was. */
#define EP_WASM_BEGIN(its)                                                                                   \
  ep_wasm_loader_t *const before_ = loader;                                                                  \
  loader = (its)
#define EP_WASM_FINISH loader = before_
#define EP_WASM_ENDS   __attribute__((noreturn))
#else
#define LOADER             ep_wasm_loader_t *loader
#define LOADER_            ep_wasm_loader_t *loader,
#define WITH               loader
#define WITH_              loader,
#define EP_WASM_BEGIN(its) ep_wasm_loader_t *const loader = (its)
#define EP_WASM_FINISH
#define EP_WASM_ENDS
#endif

/* Does `work`, up to its end or to the first failure. */
void ep_wasm_attempt(LOADER_ void (*work)(LOADER));

/* reader.c */

/* Notes the first failure, at the present offset. */
EP_WASM_ENDS void ep_wasm_refuse(LOADER_ ep_wasm_refusal_t why);

/* Whether there was none. On Arm nobody is there any more to ask if there was. */
static inline __attribute__((always_inline)) bool ep_wasm_ok(LOADER) {
#if defined(EP_WASM_REGISTERS)
  return true;
#else
  return loader->result == EP_WASM_OK;
#endif
}

uint8_t ep_wasm_read_byte(LOADER);
void ep_wasm_skip(LOADER_ uint32_t size);
uint32_t ep_wasm_read_u32(LOADER);

/* A number below `count`; another one is refused, and 0 comes back. */
uint32_t ep_wasm_read_index(LOADER_ uint32_t count, ep_wasm_refusal_t why);

/* A signed LEB128 of 32, 33 or 64 bits (5.2.2). */
int64_t ep_wasm_read_signed(LOADER_ uint32_t bits);

/* A name: valid UTF-8 (5.2.4), in the module's bytes. */
const uint8_t *ep_wasm_read_name(LOADER_ uint32_t *size);

/* A numeric value type (5.3.1); reference and vector types are refused by name. */
uint8_t ep_wasm_read_value_type(LOADER);

/* A vector's length; each item takes a byte at least, so a length beyond the end is refused at once. */
uint32_t ep_wasm_read_count(LOADER);

/* Takes room for `count` items of `size` bytes out of the arena, zeroed; NULL and EP_WASM_LIMIT if it is full. */
void *ep_wasm_take(LOADER_ uint32_t count, uint32_t size);

/* Sets the reader to a section; false if it is absent. */
bool ep_wasm_enter(LOADER_ uint32_t id);

/* The same; its vector's length, 0 if it is absent. */
uint32_t ep_wasm_open(LOADER_ uint32_t id);

/* After a section's last item: nothing may be left. */
void ep_wasm_close(LOADER);

/* One of a section's items; `index` counts them. */
typedef void (*ep_wasm_item_t)(LOADER_ uint32_t index);

/* Reads a section that is a vector. */
void ep_wasm_each(LOADER_ uint32_t id, ep_wasm_item_t item);

/* Tells the host that work goes on. */
void ep_wasm_report(LOADER);

/* sections.c: everything but code and segments. */
void ep_wasm_survey(LOADER);
void ep_wasm_read_type(LOADER_ uint32_t index);
void ep_wasm_read_function(LOADER_ uint32_t index);
void ep_wasm_read_table(LOADER_ uint32_t index);
void ep_wasm_read_memory(LOADER_ uint32_t index);
void ep_wasm_read_global(LOADER_ uint32_t index);
void ep_wasm_read_exports(LOADER);
void ep_wasm_read_start(LOADER);
void ep_wasm_read_element_type(LOADER); /* 5.3.4: functions alone */
void ep_wasm_read_table_type(LOADER_ uint32_t *min, uint32_t *max);
void ep_wasm_read_memory_type(LOADER_ uint32_t *min, uint32_t *max);
uint8_t ep_wasm_read_global_type(LOADER);
void ep_wasm_add_global(LOADER_ uint8_t type, uint64_t value);
void ep_wasm_set_function_type(LOADER_ ep_wasm_function_t *function, uint32_t type);

/* imports.c */
void ep_wasm_read_import(LOADER_ uint32_t index);
/* What didn't link, if anything: "module.name", or "module.name: type". */
void ep_wasm_report_unlinked(LOADER);

/* segments.c: the immediate of a const instruction, and its type; a constant expression of the given type; an element or
 * data segment. */
uint64_t ep_wasm_read_literal(LOADER_ uint8_t opcode);
#define EP_WASM_LITERAL(opcode) ((uint8_t)(EP_WASM_I32 - ((opcode)-EP_OP_i32_const)))
uint64_t ep_wasm_read_constant(LOADER_ uint8_t type);
void ep_wasm_read_element(LOADER_ uint32_t index);
void ep_wasm_read_data(LOADER_ uint32_t index);

/* validate.c: all function bodies; makes the side table. */
void ep_wasm_read_code(LOADER);

/* rewrite.c: the valid instruction from `start` to where the reader is gets the form in which it runs. */
void ep_wasm_rewrite(LOADER_ uint32_t start);

#endif
