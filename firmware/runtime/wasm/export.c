/* What a module offers by name. */
#include <string.h>

#include "wasm/leb.h"
#include "wasm/load.h"
#include "wasm/types.h"

int32_t ep_wasm_find_function(const ep_wasm_instance_t *instance, const uint8_t *name, uint32_t size,
                              const char *type) {
  const uint8_t *at = instance->code + instance->exports;
  uint32_t count;
  if (instance->exports == 0u) return -1;
  count = ep_wasm_leb_u32(at);
  at = ep_wasm_leb_skip(at);
  for (; count > 0u; count--) { /* name, kind, index (spec 5.5.10) */
    uint32_t length = ep_wasm_leb_u32(at);
    const uint8_t *text = ep_wasm_leb_skip(at);
    uint8_t kind = text[length];
    uint32_t index = ep_wasm_leb_u32(text + length + 1u);
    at = ep_wasm_leb_skip(text + length + 1u);
    if (kind == 0u && length == size && memcmp(text, name, size) == 0) {
      const ep_wasm_signature_t signature = ep_wasm_signature(instance, instance->functions[index].type);
      return type == NULL || ep_wasm_signature_is(instance, signature, type) ? (int32_t)index : -1;
    }
  }
  return -1;
}

static uint32_t ep_wasm_length(const char *text) {
  uint32_t size = 0;
  while (text[size] != '\0') size++;
  return size;
}

int32_t ep_wasm_find_export(const ep_wasm_instance_t *instance, const char *name, const char *type) {
  return ep_wasm_find_function(instance, (const uint8_t *)name, ep_wasm_length(name), type);
}

/* Sets the cursor to the contents of a custom section, and where they end. */
static void ep_wasm_find_custom(LOADER) {
  const uint32_t size = loader->end;
  ep_wasm_skip(WITH_ 8);
  while (ep_wasm_ok(WITH) && loader->at < size) {
    const uint8_t id = ep_wasm_read_byte(WITH);
    const uint32_t length = ep_wasm_read_count(WITH);
    const uint32_t end = loader->at + length;
    if (id == 0u) {
      uint32_t name_size;
      const uint8_t *text;
      loader->end = end;
      text = ep_wasm_read_name(WITH_ & name_size);
      loader->found = ep_wasm_ok(WITH) && name_size == loader->custom_size &&
                      memcmp(text, loader->custom, name_size) == 0;
      if (!ep_wasm_ok(WITH) || loader->found) return;
      loader->end = size;
    }
    loader->at = end;
  }
}

const uint8_t *ep_wasm_custom_section(const uint8_t *code, uint32_t size, const char *name,
                                      uint32_t *section_size) {
  ep_wasm_error_t error;
  ep_wasm_loader_t state;
  EP_WASM_BEGIN(&state);
  state.code = code;
  state.at = 0;
  state.end = size;
  state.result = EP_WASM_OK;
  state.error = &error;
  state.custom = name;
  state.custom_size = ep_wasm_length(name);
  state.found = false;
  ep_wasm_attempt(WITH_ ep_wasm_find_custom);
  EP_WASM_FINISH;
  if (!state.found) return NULL;
  *section_size = state.end - state.at;
  return code + state.at;
}
