#include "wasm/types.h"

#include <string.h>

#include "wasm/leb.h"

/* A vector of value types. */
static ep_wasm_types_t ep_wasm_types_at(const uint8_t *code, uint32_t offset) {
  const uint8_t *const at = code + offset;
  return EP_TYPES((uint32_t)(ep_wasm_leb_skip(at) - code), ep_wasm_leb_u32(at));
}

ep_wasm_signature_t ep_wasm_signature(const ep_wasm_instance_t *instance, uint32_t index) {
  const ep_wasm_types_t params = ep_wasm_types_at(instance->code, instance->types[index].offset);
  return EP_SIGNATURE(params,
                      ep_wasm_types_at(instance->code, EP_TYPES_OFFSET(params) + EP_TYPES_COUNT(params)));
}

bool ep_wasm_same_types(const ep_wasm_instance_t *instance, ep_wasm_types_t a, ep_wasm_types_t b) {
  const uint8_t *const code = instance->code;
  return EP_TYPES_COUNT(a) == EP_TYPES_COUNT(b) &&
         memcmp(code + EP_TYPES_OFFSET(a), code + EP_TYPES_OFFSET(b), EP_TYPES_COUNT(a)) == 0;
}

static const char *ep_wasm_types_match(const uint8_t *code, ep_wasm_types_t types, const char *text) {
  static const char letters[] = {'F', 'f', 'I', 'i'};
  const uint8_t *type = code + EP_TYPES_OFFSET(types);
  for (uint32_t i = EP_TYPES_COUNT(types); i > 0u; i--) {
    if (*text++ != letters[*type++ - EP_WASM_F64]) return "?";
  }
  return text;
}

bool ep_wasm_signature_is(const ep_wasm_instance_t *instance, ep_wasm_signature_t signature,
                          const char *text) {
  if (*text++ != '(') return false;
  text = ep_wasm_types_match(instance->code, EP_PARAMS(signature), text);
  if (*text++ != ')') return false;
  text = ep_wasm_types_match(instance->code, EP_RESULTS(signature), text);
  return *text == '\0';
}
