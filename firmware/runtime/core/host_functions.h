/* The functions that an agent may import: all in module `edgeplug`, and `env.abort`. */
#ifndef EP_CORE_HOST_FUNCTIONS_H
#define EP_CORE_HOST_FUNCTIONS_H

#include <stdint.h>

#include "wasm/wasm.h"

/* The table for ep_wasm_host_t; the host's context is the ep_bank_t that the instance lives in. */
#define EP_HOST_IMPORTS 5u
extern const ep_wasm_import_t ep_host_imports[EP_HOST_IMPORTS];

#endif
