#include "wasm/bulk.h"

#include <string.h>

#include "wasm/leb.h"
#include "wasm/opcodes.h"

static bool ep_wasm_inside(uint32_t at, uint32_t count, uint32_t size) {
  return at <= size && count <= size - at;
}

/* Function indices from the module's bytes, those before `from` skipped. */
static void ep_wasm_table_init(uint16_t *to, const uint8_t *items, uint32_t from, uint32_t count) {
  for (; from > 0u; from--) items = ep_wasm_leb_skip(items);
  for (; count > 0u; count--) {
    uint32_t item = 0;
    uint32_t shift = 0;
    uint32_t byte;
    do {
      byte = *items++;
      item |= (byte & 0x7Fu) << shift;
      shift += 7u;
    } while (byte >= 0x80u);
    *to++ = (uint16_t)item;
  }
}

ep_wasm_result_t ep_wasm_bulk(ep_wasm_instance_t *instance, uint32_t opcode, const uint8_t *at,
                              const uint64_t *a) {
  const uint32_t what = opcode & 3u;
  const bool table = (opcode & EP_BULK_TABLE) != 0u;
  const uint32_t size = table ? instance->table_size : instance->memory_size;
  ep_wasm_segment_t *const segment =
      (table ? instance->elements : instance->data) + ep_wasm_leb_u32(ep_wasm_leb_skip(at));
  const uint32_t available = what == EP_BULK_INIT ? segment->count : size;
  uint32_t to, from, count;
  if (what == EP_BULK_DROP) {
    /* It has no operands: what lies at `a` is nobody's. */
    segment->count = 0;
    return EP_WASM_OK;
  }
  to = (uint32_t)a[0];
  from = (uint32_t)a[1];
  count = (uint32_t)a[2];
  if (!ep_wasm_inside(to, count, size) || (what != EP_BULK_FILL && !ep_wasm_inside(from, count, available)))
    return table ? EP_WASM_TRAP_TABLE : EP_WASM_TRAP_MEMORY;
  if (table) {
    uint16_t *const items = instance->table;
    instance->charged = (int32_t)EP_FUEL_ITEMS(count);
    if (what == EP_BULK_COPY) {
      memmove(items + to, items + from, count * sizeof *items);
    } else {
      instance->charged += (int32_t)EP_FUEL_ITEMS(from);
      ep_wasm_table_init(items + to, instance->code + segment->offset, from, count);
    }
    return EP_WASM_OK;
  }
  if (what == EP_BULK_FILL) {
    instance->charged = (int32_t)EP_FUEL_FILLED(count);
    memset(instance->memory + to, (uint8_t)from, count);
    return EP_WASM_OK;
  }
  instance->charged = (int32_t)EP_FUEL_COPIED(count);
  if (what == EP_BULK_COPY)
    memmove(instance->memory + to, instance->memory + from, count);
  else
    memcpy(instance->memory + to, instance->code + segment->offset + from, count);
  return EP_WASM_OK;
}
