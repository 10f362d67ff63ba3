/* The module's sections (spec 5.5) and their validation (3.4), but for imports, segments and code. */
#include "wasm/load.h"
#include "wasm/types.h"

#include <string.h>

bool ep_wasm_enter(LOADER_ uint32_t id) {
  const ep_wasm_section_t *section = &loader->sections[id];
  if (!ep_wasm_ok(WITH) || section->at == 0u) {
    loader->at = loader->end; /* nothing to read: ep_wasm_close() agrees */
    return false;
  }
  loader->at = section->at;
  loader->end = section->end;
  return true;
}

uint32_t ep_wasm_open(LOADER_ uint32_t id) {
  return ep_wasm_enter(WITH_ id) ? ep_wasm_read_count(WITH) : 0u;
}

void ep_wasm_each(LOADER_ uint32_t id, ep_wasm_item_t item) {
  const uint32_t count = ep_wasm_open(WITH_ id);
  for (uint32_t i = 0; i < count && ep_wasm_ok(WITH); i++) item(WITH_ i);
  ep_wasm_close(WITH);
}

void ep_wasm_report(LOADER) {
  const ep_wasm_host_t *const host = loader->instance->host;
  if (host->validate_step != NULL) host->validate_step(host->context);
}

void ep_wasm_close(LOADER) {
  if (loader->at != loader->end) ep_wasm_refuse(WITH_ EP_REFUSE_size_mismatch);
}

/* Sections other than custom ones come once and in this order (5.5.16). */
static uint32_t ep_wasm_section_rank(uint32_t id) {
  if (id == EP_SECTION_DATA_COUNT) return 2u * EP_SECTION_ELEMENT + 1u;
  return 2u * id;
}

/* Magic and version (5.5.16), then where each section lies. */
void ep_wasm_survey(LOADER) {
  uint32_t last = 0;
  uint32_t magic = 0;
  uint32_t version = 0;
  ep_wasm_skip(WITH_ sizeof magic + sizeof version);
  if (ep_wasm_ok(WITH)) {
    memcpy(&magic, loader->code, sizeof magic);
    memcpy(&version, loader->code + sizeof magic, sizeof version);
  }
  if (magic != 0x6D736100u) ep_wasm_refuse(WITH_ EP_REFUSE_magic);
  if (version != 1u) ep_wasm_refuse(WITH_ EP_REFUSE_version);
  while (ep_wasm_ok(WITH) && loader->at < loader->instance->size) {
    uint32_t id = ep_wasm_read_byte(WITH);
    uint32_t size = ep_wasm_read_u32(WITH);
    uint32_t at = loader->at;
    uint32_t rank = ep_wasm_section_rank(id);
    ep_wasm_skip(WITH_ size);
    if (id >= EP_SECTION_IDS) ep_wasm_refuse(WITH_ EP_REFUSE_section_id);
    if (!ep_wasm_ok(WITH)) return;
    if (id == EP_SECTION_CUSTOM) {
      uint32_t name_size;
      loader->at = at;
      loader->end = at + size;
      (void)ep_wasm_read_name(WITH_ & name_size);
      if (!ep_wasm_ok(WITH)) return;
      loader->at = at + size;
      loader->end = loader->instance->size;
      continue;
    }
    if (rank <= last) ep_wasm_refuse(WITH_ EP_REFUSE_section_order);
    last = rank;
    loader->sections[id].at = at;
    loader->sections[id].end = at + size;
  }
}

static uint32_t ep_wasm_canonical_type(const ep_wasm_instance_t *instance, uint32_t index) {
  ep_wasm_signature_t type = ep_wasm_signature(instance, index);
  for (uint32_t i = 0; i < index; i++) {
    ep_wasm_signature_t other = ep_wasm_signature(instance, i);
    if (ep_wasm_same_types(instance, EP_PARAMS(type), EP_PARAMS(other)) &&
        ep_wasm_same_types(instance, EP_RESULTS(type), EP_RESULTS(other)))
      return i;
  }
  return index;
}

static void ep_wasm_read_value_types(LOADER_ uint32_t limit, ep_wasm_refusal_t why) {
  uint32_t count = ep_wasm_read_count(WITH);
  if (count > limit) ep_wasm_refuse(WITH_ why);
  for (uint32_t i = 0; i < count && ep_wasm_ok(WITH); i++) (void)ep_wasm_read_value_type(WITH);
}

/* A type of the type section (5.5.4). */
void ep_wasm_read_type(LOADER_ uint32_t index) {
  ep_wasm_instance_t *instance = loader->instance;
  if (ep_wasm_read_byte(WITH) != 0x60u) ep_wasm_refuse(WITH_ EP_REFUSE_function_type);
  instance->types[index].offset = (uint16_t)loader->at;
  ep_wasm_read_value_types(WITH_ EP_WASM_MAX_LOCALS, EP_REFUSE_parameters);
  ep_wasm_read_value_types(WITH_ EP_WASM_MAX_RESULTS, EP_REFUSE_results);
  if (!ep_wasm_ok(WITH)) return;
  instance->types[index].canonical = (uint16_t)ep_wasm_canonical_type(instance, index);
  instance->type_count = (uint16_t)(index + 1u);
  ep_wasm_report(WITH);
}

void ep_wasm_set_function_type(LOADER_ ep_wasm_function_t *function, uint32_t type) {
  ep_wasm_signature_t signature;
  if (type >= loader->instance->type_count) ep_wasm_refuse(WITH_ EP_REFUSE_unknown_type);
  if (!ep_wasm_ok(WITH)) return;
  signature = ep_wasm_signature(loader->instance, type);
  function->type = loader->instance->types[type].canonical;
  function->params = (uint16_t)EP_TYPES_COUNT(EP_PARAMS(signature));
  function->results = (uint16_t)EP_TYPES_COUNT(EP_RESULTS(signature));
}

/* A function of the function section (5.5.6); the records were made with those of the imports. */
void ep_wasm_read_function(LOADER_ uint32_t index) {
  ep_wasm_instance_t *instance = loader->instance;
  (void)index;
  ep_wasm_set_function_type(WITH_ & instance->functions[instance->function_count++], ep_wasm_read_u32(WITH));
}

/* Limits (5.3.7), within `range` (3.2.1). Without a maximum, `max` is `range`. */
static void ep_wasm_read_limits(LOADER_ uint32_t range, uint32_t *min, uint32_t *max) {
  uint8_t flags = ep_wasm_read_byte(WITH);
  if (flags > 1u) ep_wasm_refuse(WITH_ EP_REFUSE_limits_flags);
  *min = ep_wasm_read_u32(WITH);
  *max = flags == 1u ? ep_wasm_read_u32(WITH) : range;
  if (*min > range || *max > range) ep_wasm_refuse(WITH_ EP_REFUSE_size_out_of_range);
  if (*min > *max) ep_wasm_refuse(WITH_ EP_REFUSE_minimum_above_maximum);
}

void ep_wasm_read_element_type(LOADER) {
  const uint8_t type = ep_wasm_read_byte(WITH);
  if (type != 0x70u) ep_wasm_refuse(WITH_ type == 0x6Fu ? EP_REFUSE_reference_types : EP_REFUSE_element_type);
}

void ep_wasm_read_table_type(LOADER_ uint32_t *min, uint32_t *max) {
  ep_wasm_read_element_type(WITH);
  ep_wasm_read_limits(WITH_ UINT32_MAX, min, max);
  if (loader->instance->has_table) ep_wasm_refuse(WITH_ EP_REFUSE_multiple_tables);
  loader->instance->has_table = true;
}

void ep_wasm_read_memory_type(LOADER_ uint32_t *min, uint32_t *max) {
  ep_wasm_read_limits(WITH_ EP_WASM_PAGE, min, max);
  if (loader->instance->has_memory) ep_wasm_refuse(WITH_ EP_REFUSE_multiple_memories);
  loader->instance->has_memory = true;
}

/* Of the table and memory sections (5.5.7, 5.5.8). */
void ep_wasm_read_table(LOADER_ uint32_t index) {
  uint32_t max;
  (void)index;
  ep_wasm_read_table_type(WITH_ & loader->instance->table_size, &max);
}

void ep_wasm_read_memory(LOADER_ uint32_t index) {
  ep_wasm_instance_t *instance = loader->instance;
  (void)index;
  ep_wasm_read_memory_type(WITH_ & instance->memory_pages, &instance->memory_max_pages);
}

uint8_t ep_wasm_read_global_type(LOADER) {
  uint8_t type = ep_wasm_read_value_type(WITH);
  uint8_t mutability = ep_wasm_read_byte(WITH);
  if (mutability > 1u) ep_wasm_refuse(WITH_ EP_REFUSE_mutability);
  return mutability == 1u ? type | EP_WASM_MUTABLE : type;
}

/* The next global, of this type and value. */
void ep_wasm_add_global(LOADER_ uint8_t type, uint64_t value) {
  ep_wasm_instance_t *instance = loader->instance;
  const uint32_t index = instance->global_count++;
  loader->global_types[index] = type;
  instance->globals[index] = value;
}

/* A global of the global section (5.5.9). */
void ep_wasm_read_global(LOADER_ uint32_t index) {
  const uint8_t type = ep_wasm_read_global_type(WITH);
  (void)index;
  ep_wasm_add_global(WITH_ type, ep_wasm_read_constant(WITH_ type & (uint8_t)~EP_WASM_MUTABLE));
}

/* How many things of an export's kind there are. */
static uint32_t ep_wasm_kind_count(const ep_wasm_instance_t *instance, uint8_t kind) {
  switch (kind) {
  case 0: return instance->function_count;
  case 1: return instance->has_table ? 1u : 0u;
  case 2: return instance->has_memory ? 1u : 0u;
  default: return instance->global_count;
  }
}

/* One export (5.5.10); its name. */
static const uint8_t *ep_wasm_read_export(LOADER_ uint32_t *name_size) {
  const uint8_t *name = ep_wasm_read_name(WITH_ name_size);
  uint8_t kind = ep_wasm_read_byte(WITH);
  if (kind > 3u) ep_wasm_refuse(WITH_ EP_REFUSE_export_kind);
  (void)ep_wasm_read_index(WITH_ ep_wasm_kind_count(loader->instance, kind), EP_REFUSE_unknown_export);
  return name;
}

/* Export section (5.5.10). Names differ (3.4.10): each is compared with all that follow it. */
void ep_wasm_read_exports(LOADER) {
  uint32_t count = ep_wasm_open(WITH_ EP_SECTION_EXPORT);
  loader->instance->exports = loader->sections[EP_SECTION_EXPORT].at;
  for (uint32_t i = 0; i < count && ep_wasm_ok(WITH); i++) {
    uint32_t size, next;
    const uint8_t *name = ep_wasm_read_export(WITH_ & size);
    next = loader->at;
    for (uint32_t k = i + 1u; k < count && ep_wasm_ok(WITH); k++) {
      uint32_t other_size;
      const uint8_t *other = ep_wasm_read_export(WITH_ & other_size);
      if (ep_wasm_ok(WITH) && size == other_size && memcmp(name, other, size) == 0)
        ep_wasm_refuse(WITH_ EP_REFUSE_duplicate_export);
    }
    if (ep_wasm_ok(WITH)) loader->at = next;
    ep_wasm_report(WITH);
  }
  ep_wasm_close(WITH);
}

/* Start section (5.5.11): not a vector, a function of type () -> (). */
void ep_wasm_read_start(LOADER) {
  const ep_wasm_instance_t *instance = loader->instance;
  uint32_t index;
  if (!ep_wasm_enter(WITH_ EP_SECTION_START)) return;
  index = ep_wasm_read_index(WITH_ instance->function_count, EP_REFUSE_unknown_function);
  if (ep_wasm_ok(WITH) &&
      (instance->functions[index].params != 0u || instance->functions[index].results != 0u))
    ep_wasm_refuse(WITH_ EP_REFUSE_start_function);
  loader->instance->start = (int32_t)index;
  ep_wasm_close(WITH);
}
