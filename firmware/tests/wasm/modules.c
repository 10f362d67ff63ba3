#include "modules.h"

#include <string.h>

void module_bytes(module_t *module, const uint8_t *bytes, uint32_t size) {
  memcpy(module->bytes + module->size, bytes, size);
  module->size += size;
}

void module_start(module_t *module) {
  module->size = 0;
  module_bytes(module, (const uint8_t *)"\0asm\1\0\0\0", 8);
}

static uint32_t leb(uint8_t *to, uint32_t value) {
  uint32_t size = 0;
  do {
    to[size] = (uint8_t)((value & 0x7Fu) | (value > 0x7Fu ? 0x80u : 0u));
    value >>= 7;
    size++;
  } while (value != 0u);
  return size;
}

void module_section(module_t *module, uint8_t id, const uint8_t *contents, uint32_t size) {
  uint8_t head[6] = {id};
  module_bytes(module, head, 1u + leb(head + 1, size));
  module_bytes(module, contents, size);
}

void module_function(module_t *module, const char *params, const char *results, const uint8_t *body,
                     uint32_t size, int pages) {
  static uint8_t scratch[16000];
  uint32_t param_count = (uint32_t)strlen(params), result_count = (uint32_t)strlen(results), at = 0;
  module_start(module);
  scratch[at++] = 1;
  scratch[at++] = 0x60;
  at += leb(scratch + at, param_count);
  memcpy(scratch + at, params, param_count);
  at += param_count;
  scratch[at++] = (uint8_t)result_count;
  memcpy(scratch + at, results, result_count);
  module_section(module, 1, scratch, at + result_count);
  module_section(module, 3, (const uint8_t *)"\1\0", 2);
  if (pages >= 0) {
    const uint8_t memory[] = {1, 0, (uint8_t)pages};
    module_section(module, 5, memory, sizeof memory);
  }
  module_section(module, 7, (const uint8_t *)"\1\1f\0\0", 5);
  at = 0;
  scratch[at++] = 1;
  at += leb(scratch + at, size + 2u);
  scratch[at++] = 0; /* no locals */
  memcpy(scratch + at, body, size);
  at += size;
  scratch[at++] = 0x0B;
  module_section(module, 10, scratch, at);
}

static void count_validate(void *context) {
  ((engine_t *)context)->validate_steps++;
}

static void count_fuel(void *context) {
  ((engine_t *)context)->fuel_steps++;
}

void engine_start(engine_t *engine) {
  memset(engine, 0, sizeof *engine);
  engine->limits = (ep_wasm_limits_t){16384, 256, 16};
  engine->host =
      (ep_wasm_host_t){.context = engine, .validate_step = count_validate, .fuel_step = count_fuel};
}

ep_wasm_result_t engine_load(engine_t *engine, const module_t *module) {
  memcpy(engine->code, module->bytes, module->size);
  return ep_wasm_load(&engine->instance, engine->code, module->size, &engine->limits, &engine->host,
                      engine->arena, sizeof engine->arena, &engine->error);
}

ep_wasm_result_t engine_call(engine_t *engine, uint64_t *values) {
  int32_t function = ep_wasm_find_export(&engine->instance, "f", NULL);
  if (function < 0) return EP_WASM_UNLINKABLE;
  ep_wasm_set_fuel(&engine->instance, 1000000);
  return ep_wasm_invoke(&engine->instance, (uint32_t)function, values);
}
