#include "wasm/bulk.h"

#include <string.h>

#include "wasm/leb.h"
#include "wasm/opcodes.h"

static bool ep_wasm_inside(uint32_t at, uint32_t count, uint32_t size) {
  return at <= size && count <= size - at;
}

ep_wasm_result_t ep_wasm_bulk(ep_wasm_instance_t *instance, uint32_t opcode, const uint8_t *at,
                              const uint64_t *a) {
  const uint32_t what = opcode & 3u;
  const bool table = (opcode & EP_BULK_TABLE) != 0u;
  const uint32_t scale = table ? 1u : 0u; /* of an item: two bytes or one */
  const uint32_t size = table ? instance->table_size : instance->memory_size;
  uint8_t *const whole = table ? (uint8_t *)instance->table : instance->memory;
  ep_wasm_segment_t *const segment =
      (table ? instance->elements : instance->data) + ep_wasm_leb_u32(ep_wasm_leb_skip(at));
  const uint8_t *const source = what == EP_BULK_INIT ? segment->items : whole;
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
  if (count == 0u) return EP_WASM_OK; /* a segment without items has no place either */
  if (what == EP_BULK_FILL) {
    instance->charged = (int32_t)EP_FUEL_FILLED(count);
    memset(whole + to, (uint8_t)from, count);
    return EP_WASM_OK;
  }
  instance->charged = (int32_t)(table ? EP_FUEL_ITEMS(count) : EP_FUEL_COPIED(count));
  memmove(whole + (to << scale), source + (from << scale), count << scale);
  return EP_WASM_OK;
}
