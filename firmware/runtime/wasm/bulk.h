/* Bulk memory and table instructions (spec 4.4.6, 4.4.7). */
#ifndef EP_WASM_BULK_H
#define EP_WASM_BULK_H

#include "wasm/limits.h"
#include "wasm/opcodes.h"
#include "wasm/wasm.h"

/* Bits of an opcode: what it does, and whether to the table. */
enum { EP_BULK_INIT, EP_BULK_DROP, EP_BULK_COPY, EP_BULK_FILL, EP_BULK_TABLE = 4 };
_Static_assert((EP_OP_memory_init & 7) == EP_BULK_INIT && (EP_OP_data_drop & 7) == EP_BULK_DROP &&
                   (EP_OP_memory_copy & 7) == EP_BULK_COPY && (EP_OP_memory_fill & 7) == EP_BULK_FILL,
               "bits of the memory's opcodes");
_Static_assert((EP_OP_table_init & 7) == (EP_BULK_INIT | EP_BULK_TABLE) &&
                   (EP_OP_elem_drop & 7) == (EP_BULK_DROP | EP_BULK_TABLE) &&
                   (EP_OP_table_copy & 7) == (EP_BULK_COPY | EP_BULK_TABLE),
               "bits of the table's opcodes");

/* Carries out `opcode` (EP_OP_memory_init to EP_OP_table_copy, as far as their bits above say), which stands at `at` with its
 * indices; a[0..2] are the operands, if it has any. What it takes by length is charged to the
 * instance. */
ep_wasm_result_t ep_wasm_bulk(ep_wasm_instance_t *instance, uint32_t opcode, const uint8_t *at,
                              const uint64_t *a);

/* memory.grow by `pages`: the old size, or -1. */
static inline uint32_t ep_wasm_grow(ep_wasm_instance_t *instance, uint32_t pages) {
  const uint32_t before = instance->memory_pages;
  if (pages == 0u) return before;
#if EP_WASM_MEMORY_GROWS
  if (pages <= instance->memory_max_pages - before) {
    instance->memory_pages += pages;
    instance->memory_size = instance->memory_pages * EP_WASM_PAGE; /* zeroed by ep_wasm_load() */
    return before;
  }
#endif
  return UINT32_MAX;
}

#endif
