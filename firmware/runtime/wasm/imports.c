/* Imports (spec 5.5.5, 4.5.4): what the module asks for is looked up in what the host offers. */
#include "wasm/load.h"
#include "wasm/types.h"

#include <string.h>

typedef struct {
  const uint8_t *module;
  const uint8_t *name;
  uint32_t module_size;
  uint32_t name_size;
} ep_wasm_wanted_t;

static bool ep_wasm_text_is(const uint8_t *text, uint32_t size, const char *other) {
  for (uint32_t i = 0; i < size; i++) {
    if (other[i] == '\0' || text[i] != (uint8_t)other[i]) return false;
  }
  return other[size] == '\0';
}

static bool ep_wasm_wanted_is(const ep_wasm_wanted_t *wanted, const char *module, const char *name) {
  return ep_wasm_text_is(wanted->module, wanted->module_size, module) &&
         ep_wasm_text_is(wanted->name, wanted->name_size, name);
}

#if EP_WASM_EXTERNALS
/* Whether the host has something of that name, of whatever kind. */
static bool ep_wasm_is_offered(const ep_wasm_host_t *host, const ep_wasm_wanted_t *wanted) {
  bool offered = false;
  for (uint32_t i = 0; i < host->import_count; i++)
    offered |= ep_wasm_wanted_is(wanted, host->imports[i].module, host->imports[i].name);
  for (uint32_t i = 0; i < host->external_count; i++)
    offered |= ep_wasm_wanted_is(wanted, host->externals[i].module, host->externals[i].name);
  return offered;
}
#endif

static char *ep_wasm_append(char *to, const char *end, const uint8_t *part, uint32_t size) {
  for (; size > 0u && to < end; size--) {
    const char letter = (char)*part++;
    *to++ = (uint8_t)letter < 0x20u ? '?' : letter;
  }
  return to;
}

static void ep_wasm_read_wanted(LOADER_ ep_wasm_wanted_t *wanted) {
  wanted->module = ep_wasm_read_name(WITH_ & wanted->module_size);
  wanted->name = ep_wasm_read_name(WITH_ & wanted->name_size);
}

/* Keeps the first import that doesn't link. The module may still turn out to be invalid, which goes first. */
static void ep_wasm_unlinkable(LOADER_ bool found) {
  if (loader->unlinked != 0u) return;
  loader->unlinked = loader->import;
  loader->found = found;
}

void ep_wasm_report_unlinked(LOADER) {
  static const uint8_t marks[] = {'.', ':', ' ', 't', 'y', 'p', 'e'};
  ep_wasm_error_t *const error = loader->error;
  const char *const end = error->detail + sizeof error->detail - 1u;
  char *to = error->detail;
  ep_wasm_wanted_t wanted;
  if (loader->unlinked == 0u) return;
  loader->at = error->offset = loader->unlinked;
  loader->end = loader->instance->size;
  ep_wasm_read_wanted(WITH_ & wanted);
#if EP_WASM_EXTERNALS
  loader->found = ep_wasm_is_offered(loader->instance->host, &wanted);
#endif
  to = ep_wasm_append(to, end - 8, wanted.module, wanted.module_size);
  to = ep_wasm_append(to, end - 7, marks, 1);
  to = ep_wasm_append(to, end - 6, wanted.name, wanted.name_size);
  if (loader->found) to = ep_wasm_append(to, end, marks + 1, 6);
  *to = '\0';
  loader->result = EP_WASM_UNLINKABLE;
}

static void ep_wasm_import_function(LOADER_ const ep_wasm_wanted_t *wanted) {
  ep_wasm_instance_t *instance = loader->instance;
  ep_wasm_function_t *function = &instance->functions[instance->function_count++];
  const ep_wasm_host_t *host = instance->host;
  ep_wasm_signature_t signature;
  bool found = false;
  uint32_t type = ep_wasm_read_u32(WITH);
  loader->import_functions++;
  ep_wasm_set_function_type(WITH_ function, type);
  if (!ep_wasm_ok(WITH)) return;
  function->slots = function->params > 0u ? function->params : 1u;
  signature = ep_wasm_signature(instance, type);
  for (uint32_t i = 0; i < host->import_count; i++) {
    if (!ep_wasm_wanted_is(wanted, host->imports[i].module, host->imports[i].name)) continue;
    found = true;
    if (!ep_wasm_signature_is(instance, signature, host->imports[i].type)) continue;
    function->locals = (uint16_t)i;
    return;
  }
  ep_wasm_unlinkable(WITH_ found);
}

/* The host's table, memory or global of that name and kind. */
static const ep_wasm_external_t *ep_wasm_find_external(LOADER_ const ep_wasm_wanted_t *wanted, uint8_t kind) {
  const ep_wasm_host_t *host = loader->instance->host;
  bool found = false;
  for (uint32_t i = 0; EP_WASM_EXTERNALS && i < host->external_count; i++) {
    if (!ep_wasm_wanted_is(wanted, host->externals[i].module, host->externals[i].name)) continue;
    if (host->externals[i].kind == kind) return &host->externals[i];
    found = true;
  }
  ep_wasm_unlinkable(WITH_ found);
  return NULL;
}

/* Import matching of limits (4.5.3): at least the wanted minimum, at most the wanted maximum. */
static bool ep_wasm_limits_match(const ep_wasm_external_t *external, uint32_t min, uint32_t max,
                                 uint32_t range) {
  return external->min >= min && (max == range || external->max <= max);
}

static void ep_wasm_import_table(LOADER_ const ep_wasm_wanted_t *wanted) {
  uint32_t min, max;
  const ep_wasm_external_t *external;
  ep_wasm_read_table_type(WITH_ & min, &max);
  external = ep_wasm_find_external(WITH_ wanted, EP_WASM_TABLE);
  if (external == NULL) return;
  if (!ep_wasm_limits_match(external, min, max, UINT32_MAX)) ep_wasm_unlinkable(WITH_ true);
  loader->instance->table_size = external->min;
}

static void ep_wasm_import_memory(LOADER_ const ep_wasm_wanted_t *wanted) {
  uint32_t min, max;
  const ep_wasm_external_t *external;
  ep_wasm_read_memory_type(WITH_ & min, &max);
  external = ep_wasm_find_external(WITH_ wanted, EP_WASM_MEMORY);
  if (external == NULL) return;
  if (!ep_wasm_limits_match(external, min, max, EP_WASM_PAGE)) ep_wasm_unlinkable(WITH_ true);
  loader->instance->memory_pages = external->min;
  loader->instance->memory_max_pages = external->max;
}

static void ep_wasm_import_global(LOADER_ const ep_wasm_wanted_t *wanted) {
  uint8_t type = ep_wasm_read_global_type(WITH);
  const ep_wasm_external_t *external = ep_wasm_find_external(WITH_ wanted, EP_WASM_GLOBAL);
  if (external != NULL && external->type != type) ep_wasm_unlinkable(WITH_ true);
  ep_wasm_add_global(WITH_ type, external != NULL ? external->value : 0u);
  loader->import_globals++;
}

void ep_wasm_read_import(LOADER_ uint32_t index) {
  ep_wasm_wanted_t wanted;
  (void)index;
  loader->import = loader->at;
  ep_wasm_read_wanted(WITH_ & wanted);
  switch (ep_wasm_read_byte(WITH)) {
  case 0: ep_wasm_import_function(WITH_ & wanted); break;
  case 1: ep_wasm_import_table(WITH_ & wanted); break;
  case 2: ep_wasm_import_memory(WITH_ & wanted); break;
  case 3: ep_wasm_import_global(WITH_ & wanted); break;
  default: ep_wasm_refuse(WITH_ EP_REFUSE_import_kind);
  }
}
