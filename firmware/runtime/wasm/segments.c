/* Constant expressions (spec 3.3.7.1) and element and data segments (5.5.12, 5.5.14). Segments are read twice: first
 * checked with the rest of the module, then applied to table and memory (4.5.4). */
#include "wasm/load.h"
#include "wasm/opcodes.h"
#include "wasm/types.h"

#include <string.h>

static uint64_t ep_wasm_read_bits(ep_wasm_reader_t *reader, uint32_t bytes) {
  uint64_t bits = 0;
  for (uint32_t i = 0; i < bytes; i++) bits |= (uint64_t)ep_wasm_read_byte(reader) << (8u * i);
  return bits;
}

/* An imported, immutable global is the only variable in a constant. */
static uint64_t ep_wasm_read_constant_global(ep_wasm_loader_t *loader, uint8_t *type) {
  uint32_t index = ep_wasm_read_u32(&loader->reader);
  if (index >= loader->import_globals) ep_wasm_refuse(&loader->reader, EP_REFUSE_unknown_global);
  if (!ep_wasm_ok(&loader->reader)) return 0;
  *type = loader->global_types[index];
  if ((*type & EP_WASM_MUTABLE) != 0u) ep_wasm_refuse(&loader->reader, EP_REFUSE_constant_expression);
  return loader->instance->globals[index];
}

/* In constants alone, since no code may have them yet. */
#define EP_CONSTANT_REF_NULL 0xD0u
#define EP_CONSTANT_REF_FUNC 0xD2u

/* Most instructions are no constants; some bytes are no instructions. */
static void ep_wasm_refuse_constant(ep_wasm_reader_t *reader, uint8_t opcode) {
  ep_wasm_refuse(reader, opcode > EP_CONSTANT_REF_FUNC && opcode < EP_OP_prefix
                             ? EP_REFUSE_opcode
                             : EP_REFUSE_constant_expression);
}

static void ep_wasm_read_constant_end(ep_wasm_reader_t *reader) {
  if (ep_wasm_read_byte(reader) != EP_OP_end) ep_wasm_refuse(reader, EP_REFUSE_constant_expression);
}

uint64_t ep_wasm_read_constant(ep_wasm_loader_t *loader, uint8_t type) {
  ep_wasm_reader_t *reader = &loader->reader;
  uint64_t value = 0;
  uint8_t actual = EP_WASM_ANY;
  uint8_t opcode = ep_wasm_read_byte(reader);
  switch (opcode) {
  case EP_OP_i32_const:
    value = (uint32_t)ep_wasm_read_signed(reader, 32);
    actual = EP_WASM_I32;
    break;
  case EP_OP_i64_const:
    value = (uint64_t)ep_wasm_read_signed(reader, 64);
    actual = EP_WASM_I64;
    break;
  case EP_OP_f32_const:
    value = ep_wasm_read_bits(reader, 4);
    actual = EP_WASM_F32;
    break;
  case EP_OP_f64_const:
    value = ep_wasm_read_bits(reader, 8);
    actual = EP_WASM_F64;
    break;
  case EP_OP_global_get: value = ep_wasm_read_constant_global(loader, &actual); break;
  default: ep_wasm_refuse_constant(reader, opcode);
  }
  if (actual != type) ep_wasm_refuse(reader, EP_REFUSE_type_mismatch);
  ep_wasm_read_constant_end(reader);
  return value;
}

/* The kinds of element segments (5.5.12) are three bits. */
#define EP_ELEMENT_NOT_ACTIVE  1u
#define EP_ELEMENT_TABLE       2u /* active: with a table index; else declarative */
#define EP_ELEMENT_EXPRESSIONS 4u

static uint32_t ep_wasm_read_element_head(ep_wasm_loader_t *loader, uint32_t *kind) {
  ep_wasm_reader_t *reader = &loader->reader;
  uint32_t offset = 0;
  *kind = ep_wasm_read_u32(reader);
  if (*kind > 7u) ep_wasm_refuse(reader, EP_REFUSE_segment_kind);
  if ((*kind & EP_ELEMENT_NOT_ACTIVE) == 0u) {
    uint32_t table = (*kind & EP_ELEMENT_TABLE) != 0u ? ep_wasm_read_u32(reader) : 0u;
    if (table != 0u || !loader->instance->has_table) ep_wasm_refuse(reader, EP_REFUSE_unknown_table);
    offset = (uint32_t)ep_wasm_read_constant(loader, EP_WASM_I32);
  }
  if ((*kind & 3u) != 0u) {
    if ((*kind & EP_ELEMENT_EXPRESSIONS) != 0u)
      ep_wasm_read_element_type(reader);
    else if (ep_wasm_read_byte(reader) != 0u)
      ep_wasm_refuse(reader, EP_REFUSE_element_kind);
  }
  return offset;
}

/* One item: a function's index, or an expression, `ref.func` of one or `ref.null`. */
static uint16_t ep_wasm_read_item(ep_wasm_loader_t *loader, uint32_t kind) {
  ep_wasm_reader_t *reader = &loader->reader;
  const bool expression = (kind & EP_ELEMENT_EXPRESSIONS) != 0u;
  const uint8_t opcode = expression ? ep_wasm_read_byte(reader) : EP_CONSTANT_REF_FUNC;
  uint32_t index = EP_WASM_NULL;
  if (opcode == EP_CONSTANT_REF_FUNC) {
    index = ep_wasm_read_u32(reader);
    if (index >= loader->instance->function_count) ep_wasm_refuse(reader, EP_REFUSE_unknown_function);
  } else if (opcode == EP_CONSTANT_REF_NULL) {
    ep_wasm_read_element_type(reader);
  } else {
    ep_wasm_refuse_constant(reader, opcode);
  }
  if (expression) ep_wasm_read_constant_end(reader);
  return (uint16_t)index;
}

static void ep_wasm_read_element(ep_wasm_loader_t *loader, bool apply, uint32_t index) {
  ep_wasm_reader_t *reader = &loader->reader;
  ep_wasm_instance_t *instance = loader->instance;
  uint16_t *to = NULL;
  uint32_t kind;
  uint32_t offset = ep_wasm_read_element_head(loader, &kind);
  uint32_t count = ep_wasm_read_count(reader);
  if (apply && (kind & EP_ELEMENT_NOT_ACTIVE) == 0u) {
    to = instance->table + offset;
    if (offset > instance->table_size || count > instance->table_size - offset)
      ep_wasm_refuse(reader, EP_REFUSE_element_segment);
  } else if (apply && (kind & EP_ELEMENT_TABLE) == 0u) {
    to = ep_wasm_take(loader, count, sizeof *to);
    instance->elements[index].items = to;
    instance->elements[index].count = count;
  }
  for (; count > 0u && ep_wasm_ok(reader); count--) {
    const uint16_t item = ep_wasm_read_item(loader, kind);
    if (to != NULL) *to++ = item;
  }
}

void ep_wasm_read_elements(ep_wasm_loader_t *loader, bool apply) {
  uint32_t count = ep_wasm_open(loader, EP_SECTION_ELEMENT);
  if (apply) loader->instance->elements = ep_wasm_take(loader, count, sizeof(ep_wasm_segment_t));
  loader->instance->element_count = (uint16_t)count;
  for (uint32_t i = 0; i < count && ep_wasm_ok(&loader->reader); i++) ep_wasm_read_element(loader, apply, i);
  ep_wasm_close(loader);
}

/* Beyond what the module itself declares it is a trap by the spec, beyond what it may have it is the limit. */
static void ep_wasm_apply_data(ep_wasm_loader_t *loader, uint32_t offset, uint32_t size) {
  ep_wasm_instance_t *instance = loader->instance;
  uint64_t end = (uint64_t)offset + size;
  if (end > (uint64_t)instance->memory_pages * EP_WASM_PAGE)
    ep_wasm_refuse(&loader->reader, EP_REFUSE_data_segment);
  else if (end > instance->memory_size)
    ep_wasm_refuse(&loader->reader, EP_REFUSE_data_segment_limit);
  else
    memcpy(instance->memory + offset, instance->code + loader->reader.at, size);
}

static void ep_wasm_read_data_segment(ep_wasm_loader_t *loader, bool apply, uint32_t index) {
  ep_wasm_reader_t *reader = &loader->reader;
  ep_wasm_instance_t *instance = loader->instance;
  uint32_t kind = ep_wasm_read_u32(reader);
  uint32_t offset = 0;
  uint32_t size;
  if (kind > 2u) ep_wasm_refuse(reader, EP_REFUSE_segment_kind);
  if (kind != 1u) {
    uint32_t memory = kind == 2u ? ep_wasm_read_u32(reader) : 0u;
    if (memory != 0u || !instance->has_memory) ep_wasm_refuse(reader, EP_REFUSE_unknown_memory);
    offset = (uint32_t)ep_wasm_read_constant(loader, EP_WASM_I32);
  }
  size = ep_wasm_read_count(reader);
  if (apply && kind == 1u && index < instance->data_count) {
    instance->data[index].items = instance->code + reader->at;
    instance->data[index].count = size;
  }
  if (apply && kind != 1u) ep_wasm_apply_data(loader, offset, size);
  ep_wasm_skip(reader, size);
}

/* data_count is that of the data count section: memory.init and data.drop need it (5.5.16). */
void ep_wasm_read_data(ep_wasm_loader_t *loader, bool apply) {
  ep_wasm_instance_t *instance = loader->instance;
  uint32_t count = ep_wasm_open(loader, EP_SECTION_DATA);
  if (apply) instance->data = ep_wasm_take(loader, instance->data_count, sizeof(ep_wasm_segment_t));
  if (loader->sections[EP_SECTION_DATA_COUNT].at != 0u && count != instance->data_count)
    ep_wasm_refuse(&loader->reader, EP_REFUSE_data_count);
  for (uint32_t i = 0; i < count && ep_wasm_ok(&loader->reader); i++)
    ep_wasm_read_data_segment(loader, apply, i);
  ep_wasm_close(loader);
}
