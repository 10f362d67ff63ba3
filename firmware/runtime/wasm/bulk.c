#include "wasm/bulk.h"

#include <string.h>

#include "wasm/leb.h"
#include "wasm/limits.h"
#include "wasm/opcodes.h"

static bool ep_wasm_inside(uint32_t at, uint32_t count, uint32_t size) {
  return at <= size && count <= size - at;
}

static uint8_t *ep_wasm_at(const ep_wasm_instance_t *instance, uint32_t address) {
  return instance->memory + address;
}

static ep_wasm_result_t ep_wasm_table_init(ep_wasm_instance_t *instance, const ep_wasm_segment_t *segment,
                                           uint32_t to, uint32_t from, uint32_t count, int32_t *fuel) {
  const uint8_t *p = instance->code + segment->offset;
  if (!ep_wasm_inside(from, count, segment->count) || !ep_wasm_inside(to, count, instance->table_size))
    return EP_WASM_TRAP_TABLE;
  *fuel -= (int32_t)EP_FUEL_ITEMS(from + count);
  for (; from > 0u; from--) p = ep_wasm_leb_skip(p);
  for (uint32_t i = 0; i < count; i++) {
    instance->table[to + i] = (uint16_t)ep_wasm_leb_u32(p);
    p = ep_wasm_leb_skip(p);
  }
  return EP_WASM_OK;
}

ep_wasm_result_t ep_wasm_bulk(ep_wasm_instance_t *instance, uint32_t opcode, uint32_t segment,
                              const uint64_t *a, int32_t *fuel) {
  uint32_t to, from, count;
  if (opcode == EP_OP_data_drop) {
    instance->data[segment].count = 0;
    return EP_WASM_OK;
  }
  if (opcode == EP_OP_elem_drop) {
    instance->elements[segment].count = 0;
    return EP_WASM_OK;
  }
  to = (uint32_t)a[0];
  from = (uint32_t)a[1];
  count = (uint32_t)a[2];
  switch (opcode) {
  case EP_OP_table_init:
    return ep_wasm_table_init(instance, &instance->elements[segment], to, from, count, fuel);
  case EP_OP_table_copy:
    if (!ep_wasm_inside(from, count, instance->table_size) ||
        !ep_wasm_inside(to, count, instance->table_size))
      return EP_WASM_TRAP_TABLE;
    *fuel -= (int32_t)EP_FUEL_ITEMS(count);
    if (count > 0u) memmove(instance->table + to, instance->table + from, count * sizeof *instance->table);
    return EP_WASM_OK;
  default: break;
  }
  if (!ep_wasm_inside(to, count, instance->memory_size)) return EP_WASM_TRAP_MEMORY;
  switch (opcode) {
  case EP_OP_memory_fill:
    *fuel -= (int32_t)EP_FUEL_FILLED(count);
    if (count > 0u) memset(ep_wasm_at(instance, to), (uint8_t)from, count);
    return EP_WASM_OK;
  case EP_OP_memory_copy:
    if (!ep_wasm_inside(from, count, instance->memory_size)) return EP_WASM_TRAP_MEMORY;
    if (count > 0u) memmove(ep_wasm_at(instance, to), ep_wasm_at(instance, from), count);
    break;
  default: /* memory.init */
    if (!ep_wasm_inside(from, count, instance->data[segment].count)) return EP_WASM_TRAP_MEMORY;
    if (count > 0u)
      memcpy(ep_wasm_at(instance, to), instance->code + instance->data[segment].offset + from, count);
  }
  *fuel -= (int32_t)EP_FUEL_COPIED(count);
  return EP_WASM_OK;
}

uint32_t ep_wasm_grow(ep_wasm_instance_t *instance, uint32_t pages) {
  uint32_t before = instance->memory_pages;
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
