/* Modules as bytes, put together section by section, for tests of the engine with the limits that boards have. */
#ifndef EP_TESTS_WASM_MODULES_H
#define EP_TESTS_WASM_MODULES_H

#include <stdint.h>

#include "wasm/wasm.h"

typedef struct {
  uint8_t bytes[20000];
  uint32_t size;
} module_t;

/* Starts with magic and version. */
void module_start(module_t *module);
void module_bytes(module_t *module, const uint8_t *bytes, uint32_t size);
void module_section(module_t *module, uint8_t id, const uint8_t *contents, uint32_t size);

/* A whole module: type `params` -> `results` (as value types, zero-terminated), one function of it with `body` (without
 * its locals and its `end`), exported as "f"; a memory of `pages` unless that is negative. */
void module_function(module_t *module, const char *params, const char *results, const uint8_t *body,
                     uint32_t size, int pages);

#define I32 "\x7f"
#define I64 "\x7e"

/* One instance with limits and arena as a board has them. */
typedef struct {
  uint64_t arena[49152 / 8];
  uint8_t code[20000]; /* what runs: a copy, since loading changes it */
  ep_wasm_instance_t instance;
  ep_wasm_limits_t limits;
  ep_wasm_host_t host;
  ep_wasm_error_t error;
  uint32_t validate_steps;
  uint32_t fuel_steps;
} engine_t;

void engine_start(engine_t *engine);
ep_wasm_result_t engine_load(engine_t *engine, const module_t *module);

/* Calls "f" with fuel to spare. */
ep_wasm_result_t engine_call(engine_t *engine, uint64_t *values);

#endif
