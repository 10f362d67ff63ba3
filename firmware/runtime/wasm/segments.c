/* Constant expressions (spec 3.3.7.1) and element and data segments (5.5.12, 5.5.14). Segments are read twice: first
 * checked with the rest of the module, then applied to table and memory (4.5.4). */
#include "wasm/load.h"
#include "wasm/opcodes.h"
#include "wasm/types.h"

#include <string.h>

static uint64_t ep_wasm_read_bits(LOADER_ uint32_t bytes) {
  uint64_t bits = 0;
  for (uint32_t i = 0; i < bytes; i++) bits |= (uint64_t)ep_wasm_read_byte(WITH) << (8u * i);
  return bits;
}

/* An imported, immutable global is the only variable in a constant. */
static uint64_t ep_wasm_read_constant_global(LOADER_ uint8_t *type) {
  const uint32_t index = ep_wasm_read_index(WITH_ loader->import_globals, EP_REFUSE_unknown_global);
  if (!ep_wasm_ok(WITH)) return 0;
  *type = loader->global_types[index];
  if ((*type & EP_WASM_MUTABLE) != 0u) ep_wasm_refuse(WITH_ EP_REFUSE_constant_expression);
  return loader->instance->globals[index];
}

/* In constants alone, since no code may have them yet. */
#define EP_CONSTANT_REF_NULL 0xD0u
#define EP_CONSTANT_REF_FUNC 0xD2u

/* Most instructions are no constants; some bytes are no instructions. */
static void ep_wasm_refuse_constant(LOADER_ uint8_t opcode) {
  ep_wasm_refuse(WITH_ opcode > EP_CONSTANT_REF_FUNC && opcode < EP_OP_prefix
                     ? EP_REFUSE_opcode
                     : EP_REFUSE_constant_expression);
}

static void ep_wasm_read_constant_end(LOADER) {
  if (ep_wasm_read_byte(WITH) != EP_OP_end) ep_wasm_refuse(WITH_ EP_REFUSE_constant_expression);
}

uint64_t ep_wasm_read_literal(LOADER_ uint8_t opcode) {
  if (opcode == EP_OP_i32_const) return (uint64_t)ep_wasm_read_signed(WITH_ 32);
  if (opcode == EP_OP_i64_const) return (uint64_t)ep_wasm_read_signed(WITH_ 64);
  return ep_wasm_read_bits(WITH_ opcode == EP_OP_f32_const ? 4u : 8u);
}

uint64_t ep_wasm_read_constant(LOADER_ uint8_t type) {
  uint64_t value = 0;
  uint8_t actual = EP_WASM_ANY;
  const uint8_t opcode = ep_wasm_read_byte(WITH);
  if (opcode >= EP_OP_i32_const && opcode <= EP_OP_f64_const) {
    value = ep_wasm_read_literal(WITH_ opcode);
    actual = EP_WASM_LITERAL(opcode);
  } else if (opcode == EP_OP_global_get) {
    value = ep_wasm_read_constant_global(WITH_ & actual);
  } else {
    ep_wasm_refuse_constant(WITH_ opcode);
  }
  if (actual != type) ep_wasm_refuse(WITH_ EP_REFUSE_type_mismatch);
  ep_wasm_read_constant_end(WITH);
  return value;
}

/* The kinds of element segments (5.5.12) are three bits. */
#define EP_ELEMENT_NOT_ACTIVE  1u
#define EP_ELEMENT_TABLE       2u /* active: with a table index; else declarative */
#define EP_ELEMENT_EXPRESSIONS 4u

static uint32_t ep_wasm_read_element_head(LOADER_ uint32_t *kind) {
  uint32_t offset = 0;
  *kind = ep_wasm_read_index(WITH_ 8, EP_REFUSE_segment_kind);
  if ((*kind & EP_ELEMENT_NOT_ACTIVE) == 0u) {
    if ((*kind & EP_ELEMENT_TABLE) != 0u) (void)ep_wasm_read_index(WITH_ 1, EP_REFUSE_unknown_table);
    if (!loader->instance->has_table) ep_wasm_refuse(WITH_ EP_REFUSE_unknown_table);
    offset = (uint32_t)ep_wasm_read_constant(WITH_ EP_WASM_I32);
  }
  if ((*kind & 3u) != 0u) {
    if ((*kind & EP_ELEMENT_EXPRESSIONS) != 0u)
      ep_wasm_read_element_type(WITH);
    else if (ep_wasm_read_byte(WITH) != 0u)
      ep_wasm_refuse(WITH_ EP_REFUSE_element_kind);
  }
  return offset;
}

/* One item: a function's index, or an expression, `ref.func` of one or `ref.null`. */
static uint16_t ep_wasm_read_item(LOADER_ uint32_t kind) {
  const bool expression = (kind & EP_ELEMENT_EXPRESSIONS) != 0u;
  const uint8_t opcode = expression ? ep_wasm_read_byte(WITH) : EP_CONSTANT_REF_FUNC;
  uint32_t index = EP_WASM_NULL;
  if (opcode == EP_CONSTANT_REF_FUNC)
    index = ep_wasm_read_index(WITH_ loader->instance->function_count, EP_REFUSE_unknown_function);
  else if (opcode == EP_CONSTANT_REF_NULL)
    ep_wasm_read_element_type(WITH);
  else
    ep_wasm_refuse_constant(WITH_ opcode);
  if (expression) ep_wasm_read_constant_end(WITH);
  return (uint16_t)index;
}

void ep_wasm_read_element(LOADER_ uint32_t index) {
  ep_wasm_instance_t *instance = loader->instance;
  uint16_t *to = NULL;
  uint32_t kind;
  uint32_t offset = ep_wasm_read_element_head(WITH_ & kind);
  uint32_t count = ep_wasm_read_count(WITH);
  if (loader->apply && (kind & EP_ELEMENT_NOT_ACTIVE) == 0u) {
    to = instance->table + offset;
    if (offset > instance->table_size || count > instance->table_size - offset)
      ep_wasm_refuse(WITH_ EP_REFUSE_element_segment);
  } else if (loader->apply && (kind & EP_ELEMENT_TABLE) == 0u) {
    to = ep_wasm_take(WITH_ count, sizeof *to);
    instance->elements[index].items = to;
    instance->elements[index].count = count;
  }
  for (; count > 0u && ep_wasm_ok(WITH); count--) {
    const uint16_t item = ep_wasm_read_item(WITH_ kind);
    if (to != NULL) *to++ = item;
  }
}

/* Beyond what the module itself declares it is a trap by the spec, beyond what it may have it is the limit. */
static void ep_wasm_apply_data(LOADER_ uint32_t offset, uint32_t size) {
  ep_wasm_instance_t *instance = loader->instance;
  uint64_t end = (uint64_t)offset + size;
  if (end > (uint64_t)instance->memory_pages * EP_WASM_PAGE)
    ep_wasm_refuse(WITH_ EP_REFUSE_data_segment);
  else if (end > instance->memory_size)
    ep_wasm_refuse(WITH_ EP_REFUSE_data_segment_limit);
  else
    memcpy(instance->memory + offset, instance->code + loader->at, size);
}

void ep_wasm_read_data(LOADER_ uint32_t index) {
  const bool apply = loader->apply;
  ep_wasm_instance_t *instance = loader->instance;
  uint32_t kind = ep_wasm_read_index(WITH_ 3, EP_REFUSE_segment_kind);
  uint32_t offset = 0;
  uint32_t size;
  if (kind != 1u) {
    if (kind == 2u) (void)ep_wasm_read_index(WITH_ 1, EP_REFUSE_unknown_memory);
    if (!instance->has_memory) ep_wasm_refuse(WITH_ EP_REFUSE_unknown_memory);
    offset = (uint32_t)ep_wasm_read_constant(WITH_ EP_WASM_I32);
  }
  size = ep_wasm_read_count(WITH);
  if (apply && kind == 1u && index < instance->data_count) {
    instance->data[index].items = instance->code + loader->at;
    instance->data[index].count = size;
  }
  if (apply && kind != 1u) ep_wasm_apply_data(WITH_ offset, size);
  ep_wasm_skip(WITH_ size);
}
