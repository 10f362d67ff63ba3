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

/* Value types somewhere in the module's bytes: the offset of the first, and how many. They are numbers, and not structs, since
 * Arm passes those in registers. */
typedef uint32_t ep_wasm_types_t;
#define EP_TYPES(offset, count) ((offset) | (count) << 16)
#define EP_TYPES_OFFSET(types)  ((types)&0xFFFFu)
#define EP_TYPES_COUNT(types)   ((types) >> 16)

/* One function type. */
typedef uint64_t ep_wasm_signature_t;
#define EP_SIGNATURE(params, results) ((uint64_t)(results) << 32 | (params))
#define EP_PARAMS(signature)          ((ep_wasm_types_t)(signature))
#define EP_RESULTS(signature)         ((ep_wasm_types_t)((signature) >> 32))

/* Type `index` of a module whose type section has been read. */
ep_wasm_signature_t ep_wasm_signature(const ep_wasm_instance_t *instance, uint32_t index);

bool ep_wasm_same_types(const ep_wasm_instance_t *instance, ep_wasm_types_t a, ep_wasm_types_t b);

/* Whether it is `text`, e.g. "(if)f". */
bool ep_wasm_signature_is(const ep_wasm_instance_t *instance, ep_wasm_signature_t signature,
                          const char *text);

#endif
