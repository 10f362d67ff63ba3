/* One instance of the WebAssembly engine, each part of it fenced in. */
#ifndef EP_FUZZ_ENGINE_H
#define EP_FUZZ_ENGINE_H

#include "fuzz.h"
#include "wasm/wasm.h"

typedef struct {
  ep_wasm_instance_t instance;
  ep_wasm_limits_t limits;
  ep_wasm_host_t host;
  ep_wasm_error_t error;
  uint32_t host_calls; /* of this run; the host functions answer by it */
} fuzz_engine_t;

/* Loads a copy of a module, which has just the room it needs, as an agent's bank would. What the parts of the arena are is checked, then each is moved to memory of
 * its own with poisoned ground around it: inside the arena an address that leads from one part into the next would go
 * unseen. `plain`: as ep_wasm_host_t has it. */
ep_wasm_result_t fuzz_engine_load(fuzz_engine_t *engine, const uint8_t *module, uint32_t size, bool plain);

/* Calls what the module exports, start function first, each with so much fuel; a digest of all that could be seen:
 * results, traps and their places, fuel left, memory, globals, table. */
uint32_t fuzz_engine_run(fuzz_engine_t *engine, int32_t fuel, bool sliced);

#endif
