/* ep_wasm_load(): decoding and validation of a module, then its instantiation (spec 4.5.4) in the arena:
 *
 *   types | functions | globals | global types | side table | table | segments | value stack | linear memory
 */
#include "wasm/load.h"

#include <string.h>

void *ep_wasm_take(LOADER_ uint32_t count, uint32_t size) {
  const uint32_t align = size >= 8u ? 8u : size >= 2u ? 2u : 1u;
  uint32_t at = (loader->arena_used + align - 1u) & ~(align - 1u);
  uint8_t *room = loader->arena + at;
  if (at > loader->arena_size || count > (loader->arena_size - at) / size)
    ep_wasm_refuse(WITH_ EP_REFUSE_arena);
  if (!ep_wasm_ok(WITH)) return NULL;
  memset(room, 0, (size_t)count * size);
  loader->arena_used = at + count * size;
  return room;
}

/* Of functions and globals, imported and own ones stand together, since their indices run on. */
static void ep_wasm_take_records(LOADER) {
  ep_wasm_instance_t *instance = loader->instance;
  const uint32_t types = ep_wasm_open(WITH_ EP_SECTION_TYPE);
  const uint32_t imports = ep_wasm_open(WITH_ EP_SECTION_IMPORT);
  const uint32_t functions = imports + ep_wasm_open(WITH_ EP_SECTION_FUNCTION);
  const uint32_t globals = imports + ep_wasm_open(WITH_ EP_SECTION_GLOBAL);
  instance->types = ep_wasm_take(WITH_ types, sizeof *instance->types);
  instance->functions = ep_wasm_take(WITH_ functions, sizeof *instance->functions);
  instance->globals = ep_wasm_take(WITH_ globals, sizeof *instance->globals);
  loader->global_types = ep_wasm_take(WITH_ globals, 1);
}

/* Element and data segments: first they are only checked, later (`apply`) copied to table and memory. Those of data are as
 * many as the data count section says, if there is one; memory.init and data.drop need it (5.5.16). */
static void ep_wasm_read_elements(LOADER) {
  loader->instance->element_count = (uint16_t)ep_wasm_open(WITH_ EP_SECTION_ELEMENT);
  ep_wasm_each(WITH_ EP_SECTION_ELEMENT, ep_wasm_read_element);
}

static void ep_wasm_read_data_segments(LOADER) {
  const uint32_t count = ep_wasm_open(WITH_ EP_SECTION_DATA);
  if (loader->sections[EP_SECTION_DATA_COUNT].at != 0u && count != loader->instance->data_count)
    ep_wasm_refuse(WITH_ EP_REFUSE_data_count);
  ep_wasm_each(WITH_ EP_SECTION_DATA, ep_wasm_read_data);
}

/* Everything that doesn't depend on limits of this instance. */
static void ep_wasm_read_module(LOADER) {
  /* of the first six sections, as their ids come */
  static const ep_wasm_item_t items[] = {ep_wasm_read_type,  ep_wasm_read_import, ep_wasm_read_function,
                                         ep_wasm_read_table, ep_wasm_read_memory, ep_wasm_read_global};
  ep_wasm_instance_t *instance = loader->instance;
  if (instance->size > EP_WASM_MAX_MODULE) ep_wasm_refuse(WITH_ EP_REFUSE_module_size);
  ep_wasm_survey(WITH);
  ep_wasm_take_records(WITH);
  for (uint32_t id = EP_SECTION_TYPE; id <= EP_SECTION_GLOBAL; id++)
    ep_wasm_each(WITH_ id, items[id - EP_SECTION_TYPE]);
  ep_wasm_read_exports(WITH);
  ep_wasm_read_start(WITH);
  ep_wasm_read_elements(WITH);
  if (ep_wasm_enter(WITH_ EP_SECTION_DATA_COUNT)) { /* 5.5.15: a number alone */
    const uint32_t count = ep_wasm_read_u32(WITH);
    ep_wasm_close(WITH);
    if (count >= instance->size) ep_wasm_refuse(WITH_ EP_REFUSE_unexpected_end); /* two bytes each */
    instance->data_count = (uint16_t)count;
  }
  ep_wasm_read_code(WITH);
  ep_wasm_read_data_segments(WITH);
}

static void ep_wasm_take_memory(LOADER) {
  ep_wasm_instance_t *instance = loader->instance;
  uint32_t room = loader->limits->memory_bytes;
  if (room > EP_WASM_MAX_MEMORY) room = EP_WASM_MAX_MEMORY;
#if EP_WASM_MEMORY_GROWS
  const uint64_t declared = (uint64_t)instance->memory_pages * EP_WASM_PAGE;
  const uint64_t most = (uint64_t)instance->memory_max_pages * EP_WASM_PAGE;
  if (declared > room) ep_wasm_refuse(WITH_ EP_REFUSE_memory);
  instance->memory_size = (uint32_t)declared;
  if (room > most) room = (uint32_t)most;
  instance->memory_max_pages = room / EP_WASM_PAGE;
#else
  _Static_assert(EP_WASM_MAX_MEMORY <= EP_WASM_PAGE, "who declares a page has declared enough");
  if (instance->memory_pages == 0u) room = 0;
  instance->memory_size = room;
#endif
  instance->memory = ep_wasm_take(WITH_(room + 7u) / 8u, 8);
}

static void ep_wasm_take_table(LOADER) {
  ep_wasm_instance_t *instance = loader->instance;
  instance->table = ep_wasm_take(WITH_ instance->table_size, sizeof *instance->table);
  if (instance->table != NULL)
    memset(instance->table, 0xFF, (size_t)instance->table_size * sizeof *instance->table);
}

static void ep_wasm_instantiate(LOADER) {
  ep_wasm_instance_t *instance = loader->instance;
  ep_wasm_take_table(WITH);
  instance->stack = ep_wasm_take(WITH_ loader->limits->stack_slots, sizeof *instance->stack);
  instance->call_depth = loader->limits->call_depth;
  ep_wasm_take_memory(WITH);
  if (!ep_wasm_ok(WITH)) return;
  instance->stack_end = instance->stack + loader->limits->stack_slots;
  loader->apply = true;
  instance->elements = ep_wasm_take(WITH_ instance->element_count, sizeof *instance->elements);
  ep_wasm_read_elements(WITH);
  instance->data = ep_wasm_take(WITH_ instance->data_count, sizeof *instance->data);
  ep_wasm_read_data_segments(WITH);
}

ep_wasm_result_t ep_wasm_load(ep_wasm_instance_t *instance, uint8_t *code, uint32_t size,
                              const ep_wasm_limits_t *limits, const ep_wasm_host_t *host, void *arena,
                              uint32_t arena_size, ep_wasm_error_t *error) {
  ep_wasm_loader_t state = {.instance = instance,
                            .code = code,
                            .writable = code,
                            .end = size,
                            .error = error,
                            .limits = limits,
                            .arena = arena,
                            .arena_size = arena_size & ~7u};
  EP_WASM_BEGIN(&state);
  memset(instance, 0, sizeof *instance);
  memset(error, 0, sizeof *error);
  instance->code = code;
  instance->size = size;
  instance->host = host;
  instance->start = -1;
  ep_wasm_attempt(WITH_ ep_wasm_read_module);
  if (state.result == EP_WASM_OK) ep_wasm_report_unlinked(WITH);
  if (state.result == EP_WASM_OK) ep_wasm_attempt(WITH_ ep_wasm_instantiate);
  EP_WASM_FINISH;
  return state.result;
}
