/* What the parts of ep_wasm_load() share while a module is being loaded. */
#ifndef EP_WASM_LOAD_H
#define EP_WASM_LOAD_H

#include "wasm/limits.h"
#include "wasm/reader.h"

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

/* Value types somewhere in the module's bytes. */
typedef struct {
  uint16_t offset;
  uint16_t count;
} ep_wasm_types_t;

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
  ep_wasm_reader_t reader; /* first, so that both have one address: most calls pass the one or the other */
  ep_wasm_instance_t *instance;
  uint8_t *code;
  ep_wasm_fusing_t fusing;
  const ep_wasm_limits_t *limits;
  uint8_t *arena;
  uint32_t arena_used;
  uint32_t arena_size;
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
  ep_wasm_result_t link_result; /* reported only if the module is valid in itself */
  ep_wasm_error_t link_error;
} ep_wasm_loader_t;

#define EP_WASM_MUTABLE 0x80u

/* Takes room for `count` items of `size` bytes out of the arena, zeroed; NULL and EP_WASM_LIMIT if it is full. */
void *ep_wasm_take(ep_wasm_loader_t *loader, uint32_t count, uint32_t size);

/* Sets the reader to a section; false if it is absent. */
bool ep_wasm_enter(ep_wasm_loader_t *loader, uint32_t id);

/* The same; its vector's length, 0 if it is absent. */
uint32_t ep_wasm_open(ep_wasm_loader_t *loader, uint32_t id);

/* After a section's last item: nothing may be left. */
void ep_wasm_close(ep_wasm_loader_t *loader);

/* sections.c: everything but code and segments. */
void ep_wasm_survey(ep_wasm_loader_t *loader);
void ep_wasm_read_types(ep_wasm_loader_t *loader);
void ep_wasm_read_functions(ep_wasm_loader_t *loader);
void ep_wasm_read_tables(ep_wasm_loader_t *loader);
void ep_wasm_read_memories(ep_wasm_loader_t *loader);
void ep_wasm_read_globals(ep_wasm_loader_t *loader);
void ep_wasm_read_exports(ep_wasm_loader_t *loader);
void ep_wasm_read_start(ep_wasm_loader_t *loader);
void ep_wasm_read_element_type(ep_wasm_reader_t *reader); /* 5.3.4: functions alone */
void ep_wasm_read_table_type(ep_wasm_loader_t *loader, uint32_t *min, uint32_t *max);
void ep_wasm_read_memory_type(ep_wasm_loader_t *loader, uint32_t *min, uint32_t *max);
uint8_t ep_wasm_read_global_type(ep_wasm_loader_t *loader);
void ep_wasm_set_function_type(ep_wasm_loader_t *loader, ep_wasm_function_t *function, uint32_t type);

/* imports.c */
void ep_wasm_read_imports(ep_wasm_loader_t *loader);

/* segments.c: a constant expression of the given type; element and data segments, first only checked, later
 * (`apply`) copied to table and memory. */
uint64_t ep_wasm_read_constant(ep_wasm_loader_t *loader, uint8_t type);
void ep_wasm_read_elements(ep_wasm_loader_t *loader, bool apply);
void ep_wasm_read_data(ep_wasm_loader_t *loader, bool apply);

/* validate.c: all function bodies; makes the side table. */
void ep_wasm_read_code(ep_wasm_loader_t *loader);

/* rewrite.c: the valid instruction from `start` to where the reader is gets the form in which it runs. */
void ep_wasm_rewrite(ep_wasm_loader_t *loader, uint32_t start);

#endif
