#include "wasm/types.h"

#include <string.h>

#include "wasm/leb.h"

ep_wasm_signature_t ep_wasm_signature(const ep_wasm_instance_t *instance, uint32_t index) {
  const uint8_t *at = instance->code + instance->types[index].offset;
  ep_wasm_signature_t signature;
  signature.param_count = ep_wasm_leb_u32(at);
  signature.params = ep_wasm_leb_skip(at);
  at = signature.params + signature.param_count;
  signature.result_count = ep_wasm_leb_u32(at);
  signature.results = ep_wasm_leb_skip(at);
  return signature;
}

bool ep_wasm_signature_equal(const ep_wasm_signature_t *a, const ep_wasm_signature_t *b) {
  return a->param_count == b->param_count && a->result_count == b->result_count &&
         memcmp(a->params, b->params, a->param_count) == 0 &&
         memcmp(a->results, b->results, a->result_count) == 0;
}

static const char *ep_wasm_types_match(const uint8_t *types, uint32_t count, const char *text) {
  static const char letters[] = {'F', 'f', 'I', 'i'};
  for (uint32_t i = 0; i < count; i++) {
    if (text[i] != letters[types[i] - EP_WASM_F64]) return "?";
  }
  return text + count;
}

bool ep_wasm_signature_is(const ep_wasm_signature_t *signature, const char *text) {
  if (*text++ != '(') return false;
  text = ep_wasm_types_match(signature->params, signature->param_count, text);
  if (*text++ != ')') return false;
  text = ep_wasm_types_match(signature->results, signature->result_count, text);
  return *text == '\0';
}
