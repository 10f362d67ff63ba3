/* The functions that an agent may import: all in module `edgeplug`, and `env.abort`. */
#ifndef EP_CORE_HOST_FUNCTIONS_H
#define EP_CORE_HOST_FUNCTIONS_H

#include <stdint.h>

#include "wasm/wasm.h"

/* The table for ep_wasm_host_t; the host's context is the ep_bank_t that the instance lives in. */
enum { ep_host_import_count = 5 };
extern const ep_wasm_import_t ep_host_imports[ep_host_import_count];

#endif
