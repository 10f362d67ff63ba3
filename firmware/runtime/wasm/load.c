/* ep_wasm_load(): decoding and validation of a module, then its instantiation (spec 4.5.4) in the arena:
 *
 *   types | functions | globals | global types | side table | table | segments | value stack | linear memory
 */
#include "wasm/load.h"

#include <string.h>

#include "wasm/note.h"

void *ep_wasm_take(ep_wasm_loader_t *loader, uint32_t count, uint32_t size) {
  const uint32_t align = size >= 8u ? 8u : size >= 2u ? 2u : 1u;
  uint32_t at = (loader->arena_used + align - 1u) & ~(align - 1u);
  uint8_t *room = loader->arena + at;
  if (at > loader->arena_size || count > (loader->arena_size - at) / size)
    ep_wasm_refuse(&loader->reader, EP_REFUSE_arena);
  if (!ep_wasm_ok(&loader->reader)) return NULL;
  memset(room, 0, (size_t)count * size);
  loader->arena_used = at + count * size;
  return room;
}

/* Everything that doesn't depend on limits of this instance. */
static void ep_wasm_read_module(ep_wasm_loader_t *loader) {
  ep_wasm_instance_t *instance = loader->instance;
  ep_wasm_reader_t *reader = &loader->reader;
  ep_wasm_survey(loader);
  ep_wasm_read_types(loader);
  ep_wasm_read_imports(loader);
  ep_wasm_read_functions(loader);
  ep_wasm_read_tables(loader);
  ep_wasm_read_memories(loader);
  ep_wasm_read_globals(loader);
  ep_wasm_read_exports(loader);
  ep_wasm_read_start(loader);
  ep_wasm_read_elements(loader, false);
  if (ep_wasm_enter(loader, EP_SECTION_DATA_COUNT)) { /* 5.5.15: a number alone */
    uint32_t count;
    count = ep_wasm_read_u32(reader);
    ep_wasm_close(loader);
    if (count >= instance->size) ep_wasm_refuse(reader, EP_REFUSE_unexpected_end); /* two bytes each */
    instance->data_count = (uint16_t)count;
  }
  ep_wasm_read_code(loader);
  ep_wasm_read_data(loader, false);
}

static void ep_wasm_take_memory(ep_wasm_loader_t *loader) {
  ep_wasm_instance_t *instance = loader->instance;
  uint64_t declared = (uint64_t)instance->memory_pages * EP_WASM_PAGE;
  uint32_t room = loader->limits->memory_bytes;
  if (room > EP_WASM_MAX_MEMORY) room = EP_WASM_MAX_MEMORY;
#if EP_WASM_MEMORY_GROWS
  uint64_t most = (uint64_t)instance->memory_max_pages * EP_WASM_PAGE;
  if (declared > room) ep_wasm_refuse(&loader->reader, EP_REFUSE_memory);
  instance->memory_size = (uint32_t)declared;
  if (room > most) room = (uint32_t)most;
  instance->memory_max_pages = room / EP_WASM_PAGE;
#else
  if (room > declared) room = (uint32_t)declared;
  instance->memory_size = room;
#endif
  instance->memory = ep_wasm_take(loader, (room + 7u) / 8u, 8);
}

static void ep_wasm_take_table(ep_wasm_loader_t *loader) {
  ep_wasm_instance_t *instance = loader->instance;
  instance->table = ep_wasm_take(loader, instance->table_size, sizeof *instance->table);
  if (instance->table != NULL)
    memset(instance->table, 0xFF, (size_t)instance->table_size * sizeof *instance->table);
}

static void ep_wasm_instantiate(ep_wasm_loader_t *loader) {
  ep_wasm_instance_t *instance = loader->instance;
  ep_wasm_take_table(loader);
  instance->stack = ep_wasm_take(loader, loader->limits->stack_slots, sizeof *instance->stack);
  instance->call_depth = loader->limits->call_depth;
  ep_wasm_take_memory(loader);
  if (!ep_wasm_ok(&loader->reader)) return;
  instance->stack_end = instance->stack + loader->limits->stack_slots;
  ep_wasm_read_elements(loader, true);
  ep_wasm_read_data(loader, true);
}

ep_wasm_result_t ep_wasm_load(ep_wasm_instance_t *instance, uint8_t *code, uint32_t size,
                              const ep_wasm_limits_t *limits, const ep_wasm_host_t *host, void *arena,
                              uint32_t arena_size, ep_wasm_error_t *error) {
  ep_wasm_loader_t loader = {
      .instance = instance, .code = code, .limits = limits, .arena = arena, .arena_size = arena_size & ~7u};
  memset(instance, 0, sizeof *instance);
  memset(error, 0, sizeof *error);
  instance->code = code;
  instance->size = size;
  instance->host = host;
  instance->start = -1;
  loader.reader.code = code;
  loader.reader.error = error;
  loader.reader.end = size;
  if (size > EP_WASM_MAX_MODULE) ep_wasm_refuse(&loader.reader, EP_REFUSE_module_size);
  ep_wasm_read_module(&loader);
  if (ep_wasm_ok(&loader.reader) && loader.link_result != EP_WASM_OK) {
    loader.reader.result = loader.link_result;
    *error = loader.link_error;
  }
  ep_wasm_instantiate(&loader);
  return loader.reader.result;
}
