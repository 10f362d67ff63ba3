/* Bulk memory and table instructions (spec 4.4.6, 4.4.7). */
#ifndef EP_WASM_BULK_H
#define EP_WASM_BULK_H

#include "wasm/wasm.h"

/* Carries out `opcode` (as in opcodes.h, EP_OP_memory_init to EP_OP_table_copy). `segment` is the index that stands
 * first behind the opcode; a[0..2] are the operands, if it has any. `fuel` gets what it takes by length. */
ep_wasm_result_t ep_wasm_bulk(ep_wasm_instance_t *instance, uint32_t opcode, uint32_t segment,
                              const uint64_t *a, int32_t *fuel);

/* memory.grow by `pages`: the old size, or -1. */
uint32_t ep_wasm_grow(ep_wasm_instance_t *instance, uint32_t pages);

#endif
