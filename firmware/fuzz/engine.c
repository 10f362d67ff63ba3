#include "engine.h"

#include <stdlib.h>
#include <string.h>

#include <sanitizer/asan_interface.h>

#include "wasm/limits.h"
#include "wasm/types.h"

#define ARENA          49152u /* EP_ARENA_SIZE */
#define FENCE          64u
#define MOST_FUNCTIONS 24u /* called by one run */

static uint64_t arena[ARENA / 8u];
static uint8_t fenced[2u * ARENA + 16u * FENCE] __attribute__((aligned(8)));
static uint32_t fenced_used;

/* FNV-1a by words: fast, and any difference shows. */
static uint32_t digest_of(uint32_t digest, const void *bytes, uint32_t size) {
  const uint8_t *at = bytes;
  uint64_t hash = digest ^ 0xCBF29CE484222325u, word;
  for (; size >= 8u; size -= 8u, at += 8) {
    memcpy(&word, at, 8);
    hash = (hash ^ word) * 0x100000001B3u;
    hash ^= hash >> 29;
  }
  for (; size > 0u; size--) hash = (hash ^ *at++) * 0x100000001B3u;
  return (uint32_t)(hash ^ hash >> 32);
}

/* ---- host functions: what an agent may import, with answers that depend on nothing but their order ---------------- */

static ep_wasm_result_t host_input(ep_wasm_instance_t *instance, uint64_t *args) {
  fuzz_engine_t *engine = ep_wasm_context(instance);
  args[0] = 0x3F000000u + engine->host_calls++ * 0x10000u;
  return EP_WASM_OK;
}

static ep_wasm_result_t host_output(ep_wasm_instance_t *instance, uint64_t *args) {
  fuzz_engine_t *engine = ep_wasm_context(instance);
  engine->host_calls++;
  return (uint32_t)args[0] > 100u ? EP_WASM_TRAP_HOST : EP_WASM_OK;
}

static ep_wasm_result_t host_now(ep_wasm_instance_t *instance, uint64_t *args) {
  fuzz_engine_t *engine = ep_wasm_context(instance);
  args[0] = 0x100000000u * engine->host_calls++;
  return EP_WASM_OK;
}

static ep_wasm_result_t host_log(ep_wasm_instance_t *instance, uint64_t *args) {
  const uint8_t *text = ep_wasm_memory(instance, (uint32_t)args[0], (uint32_t)args[1]);
  fuzz_engine_t *engine = ep_wasm_context(instance);
  ep_wasm_charge(instance, 40);
  if (text == NULL) return EP_WASM_TRAP_MEMORY;
  engine->host_calls += digest_of(0, text, (uint32_t)args[1]) & 0xFFu;
  return EP_WASM_OK;
}

static ep_wasm_result_t host_abort(ep_wasm_instance_t *instance, uint64_t *args) {
  (void)instance;
  (void)args;
  return EP_WASM_TRAP_HOST;
}

static const ep_wasm_import_t imports[] = {{"edgeplug", "input", "(i)f", host_input},
                                           {"edgeplug", "output", "(if)", host_output},
                                           {"edgeplug", "now_us", "()I", host_now},
                                           {"edgeplug", "log", "(ii)", host_log},
                                           {"env", "abort", "(iiii)", host_abort}};

/* ---- the parts of an instance ----------------------------------------------------------------------------------- */

/* Moves `size` bytes of the arena behind a fence of their own. */
static void *fence(const void *part, uint32_t size) {
  uint8_t *to = fenced + fenced_used;
  uint32_t offset = (uint32_t)((const uint8_t *)part - (const uint8_t *)arena);
  FUZZ_CHECK((const uint8_t *)part >= (const uint8_t *)arena && offset <= ARENA && size <= ARENA - offset);
  FUZZ_CHECK(fenced_used + size + 2u * FENCE <= sizeof fenced);
  __asan_unpoison_memory_region(to, size);
  memcpy(to, part, size);
  fenced_used = (fenced_used + size + FENCE + 7u) & ~7u;
  return to;
}

/* Side table entries of the last function end somewhere before whatever was taken next: the table. */
static uint32_t branch_bytes(const ep_wasm_instance_t *instance) {
  const uint8_t *next =
      instance->table_size > 0u ? (const uint8_t *)instance->table : (const uint8_t *)instance->stack;
  uint32_t bytes = (uint32_t)(next - (const uint8_t *)instance->branches);
  FUZZ_CHECK(next >= (const uint8_t *)instance->branches);
  return bytes - bytes % (uint32_t)sizeof(ep_wasm_branch_t);
}

static uint8_t global_types[EP_WASM_MAX_MODULE];

/* Globals as far as they have a meaning: the upper half of an i32's or f32's slot has none. */
static uint32_t digest_of_globals(uint32_t digest, const ep_wasm_instance_t *instance) {
  for (uint32_t i = 0; i < instance->global_count; i++) {
    const uint8_t type = global_types[i] & 0x7Fu;
    const bool wide = type == EP_WASM_I64 || type == EP_WASM_F64;
    digest = digest_of(digest, instance->globals + i, wide ? 8u : 4u);
  }
  return digest;
}

static void fence_all(ep_wasm_instance_t *instance) {
  uint32_t slots = (uint32_t)(instance->stack_end - instance->stack);
  uint32_t branches = branch_bytes(instance);
  /* load.c puts them behind the globals */
  memcpy(global_types, instance->globals + instance->global_count, instance->global_count);
  __asan_poison_memory_region(fenced, sizeof fenced);
  fenced_used = FENCE;
  instance->functions =
      fence(instance->functions, instance->function_count * (uint32_t)sizeof(ep_wasm_function_t));
  instance->branches = fence(instance->branches, branches);
  instance->types = fence(instance->types, instance->type_count * (uint32_t)sizeof(ep_wasm_type_t));
  instance->globals = fence(instance->globals, instance->global_count * 8u);
  instance->table = fence(instance->table, instance->table_size * 2u);
  instance->data = fence(instance->data, instance->data_count * (uint32_t)sizeof(ep_wasm_segment_t));
  instance->elements =
      fence(instance->elements, instance->element_count * (uint32_t)sizeof(ep_wasm_segment_t));
  instance->stack = fence(instance->stack, slots * 8u);
  instance->stack_end = instance->stack + slots;
  instance->memory = fence(instance->memory, instance->memory_size);
}

ep_wasm_result_t fuzz_engine_load(fuzz_engine_t *engine, const uint8_t *module, uint32_t size, bool plain) {
  static uint8_t *code;
  ep_wasm_result_t result;
  engine->host = (ep_wasm_host_t){.imports = imports,
                                  .import_count = sizeof imports / sizeof imports[0],
                                  .context = engine,
                                  .plain = plain};
  free(code);
  code = malloc(size > 0u ? size : 1u);
  FUZZ_CHECK(code != NULL);
  memcpy(code, module, size);
  memset(arena, 0xA5, 512); /* nothing may count on zeros that were there before */
  result = ep_wasm_load(&engine->instance, code, size, &engine->limits, &engine->host, arena, sizeof arena,
                        &engine->error);
  FUZZ_CHECK((result == EP_WASM_OK) == (engine->error.detail[0] == '\0'));
  if (result == EP_WASM_OK) fence_all(&engine->instance);
  return result;
}

/* ---- running ------------------------------------------------------------------------------------------------------ */

static uint32_t call(fuzz_engine_t *engine, uint32_t function, int32_t fuel, uint32_t digest) {
  ep_wasm_instance_t *instance = &engine->instance;
  uint64_t values[EP_WASM_MAX_LOCALS];
  uint32_t params, results;
  ep_wasm_result_t result;
  int32_t left;
  ep_wasm_function_arity(instance, function, &params, &results);
  FUZZ_CHECK(params <= EP_WASM_MAX_LOCALS && results <= EP_WASM_MAX_RESULTS);
  for (uint32_t i = 0; i < params; i++) values[i] = i * 0x9E3779B97F4A7C15u + function;
  ep_wasm_set_fuel(instance, fuel);
  result = ep_wasm_invoke(instance, function, values);
  left = ep_wasm_fuel(instance);
  FUZZ_CHECK(left <= fuel);
  FUZZ_CHECK(result == EP_WASM_OK || result >= EP_WASM_TRAP_UNREACHABLE);
  FUZZ_CHECK(result != EP_WASM_TRAP_FUEL || left < 0);
  FUZZ_CHECK((result == EP_WASM_OK) == (ep_wasm_last_error(instance)->detail[0] == '\0'));
  if (result == EP_WASM_OK) {
    digest = digest_of(digest, values, results * 8u);
  } else {
    FUZZ_CHECK(ep_wasm_last_error(instance)->offset < instance->size);
    digest = digest_of(digest, ep_wasm_last_error(instance), sizeof(ep_wasm_error_t));
  }
  digest = digest_of(digest, &left, sizeof left);
  return digest + (uint32_t)result;
}

uint32_t fuzz_engine_run(fuzz_engine_t *engine, int32_t fuel, bool sliced) {
  ep_wasm_instance_t *instance = &engine->instance;
  uint32_t digest = 0, count = instance->function_count, memory = instance->memory_size;
  engine->host_calls = 0;
  ep_wasm_set_sliced(instance, sliced);
  if (instance->start >= 0) digest = call(engine, (uint32_t)instance->start, fuel, digest);
  if (count > MOST_FUNCTIONS) count = MOST_FUNCTIONS;
  /* All functions, exported or not: validation promises as much for each. */
  for (uint32_t function = 0; function < count; function++) digest = call(engine, function, fuel, digest);
  if (memory > 2048u) memory = 2048u;
  if (memory > 0u) digest = digest_of(digest, instance->memory, memory);
  digest = digest_of_globals(digest, instance);
  return digest_of(digest, instance->table, instance->table_size * 2u);
}
