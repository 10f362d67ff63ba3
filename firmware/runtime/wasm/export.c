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

int32_t ep_wasm_find_export(const ep_wasm_instance_t *instance, const char *name, const char *type) {
  uint32_t size = 0;
  while (name[size] != '\0') size++;
  return ep_wasm_find_function(instance, (const uint8_t *)name, size, type);
}

/* Sets the cursor to the contents of the custom section `name`, and where they end; false if there is none. */
static bool ep_wasm_enter_custom(LOADER_ uint32_t size, const char *name, uint32_t wanted) {
  ep_wasm_skip(WITH_ 8);
  while (ep_wasm_ok(WITH) && loader->at < size) {
    uint8_t id = ep_wasm_read_byte(WITH);
    uint32_t length = ep_wasm_read_u32(WITH);
    uint32_t end = loader->at + length;
    uint32_t name_size;
    const uint8_t *text;
    if (length > size - loader->at || !ep_wasm_ok(WITH)) return false;
    if (id == 0u) {
      loader->end = end;
      text = ep_wasm_read_name(WITH_ & name_size);
      if (ep_wasm_ok(WITH) && name_size == wanted && memcmp(text, name, wanted) == 0) return true;
      loader->end = size;
    }
    loader->at = end;
  }
  return false;
}

const uint8_t *ep_wasm_custom_section(const uint8_t *code, uint32_t size, const char *name,
                                      uint32_t *section_size) {
  ep_wasm_error_t error;
  ep_wasm_loader_t state;
  uint32_t wanted = 0;
  bool found;
  EP_WASM_BEGIN(&state);
  state.code = code;
  state.at = 0;
  state.end = size;
  state.result = EP_WASM_OK;
  state.error = &error;
  while (name[wanted] != '\0') wanted++;
  found = ep_wasm_enter_custom(WITH_ size, name, wanted);
  EP_WASM_FINISH;
  if (!found) return NULL;
  *section_size = state.end - state.at;
  return code + state.at;
}
