/* The interpreter (spec 4.4). */
#ifndef EP_WASM_INTERP_H
#define EP_WASM_INTERP_H

#include "wasm/wasm.h"

/* Runs function `index`, which is not an import, on the arguments at instance->stack[1...]; the results come to the
 * same place. Takes its fuel from instance->fuel. After a trap the instance's error says where. */
ep_wasm_result_t ep_wasm_interpret(ep_wasm_instance_t *instance, uint32_t index);

#endif
