/* Function types as they stand in the type section. */
#ifndef EP_WASM_TYPES_H
#define EP_WASM_TYPES_H

#include "wasm/wasm.h"

/* Value types (spec 5.3.1); 0 stands for "any" where code can't be reached. */
#define EP_WASM_ANY 0x00u
#define EP_WASM_I32 0x7Fu
#define EP_WASM_I64 0x7Eu
#define EP_WASM_F32 0x7Du
#define EP_WASM_F64 0x7Cu

/* One function type: value types in the module's bytes. */
typedef struct {
  const uint8_t *params;
  const uint8_t *results;
  uint32_t param_count;
  uint32_t result_count;
} ep_wasm_signature_t;

/* Type `index` of a module whose type section has been read. */
ep_wasm_signature_t ep_wasm_signature(const ep_wasm_instance_t *instance, uint32_t index);

bool ep_wasm_signature_equal(const ep_wasm_signature_t *a, const ep_wasm_signature_t *b);

/* Whether it is `text`, e.g. "(if)f". */
bool ep_wasm_signature_is(const ep_wasm_signature_t *signature, const char *text);

#endif
