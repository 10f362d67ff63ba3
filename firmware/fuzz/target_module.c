/* Any bytes as a module: reader, validator, instantiation, what looks into a module before and after, and a few
 * instructions of each function.
 *
 * Input: limits, then the module.
 */
#include <string.h>

#include "engine.h"
#include "mutate.h"

#define FUEL 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static fuzz_engine_t engine;
  static const uint32_t memory[] = {16384, 2048, 8, 0}, slots[] = {128, 1024, 16, 0};
  uint32_t how, section_size = 0;
  const uint8_t *section;
  if (size < 1u) return 0;
  how = *data++;
  size--;
  engine.limits = (ep_wasm_limits_t){memory[how & 3u], slots[how >> 2 & 3u], 1u + (how >> 4)};
  section = ep_wasm_custom_section(data, (uint32_t)size, "edgeplug", &section_size);
  if (section != NULL) FUZZ_CHECK(section >= data && section_size <= size - (size_t)(section - data));
  if (fuzz_engine_load(&engine, data, (uint32_t)size, false) != EP_WASM_OK) return 0;
  FUZZ_CHECK(engine.instance.memory_size <= engine.limits.memory_bytes);
  (void)ep_wasm_find_export(&engine.instance, "scan", "()");
  (void)ep_wasm_find_export(&engine.instance, "handle", "(i)i");
  (void)ep_wasm_find_export(&engine.instance, "memory", NULL);
  /* What was let in though it is not valid shows when it runs. */
  (void)fuzz_engine_run(&engine, FUEL, false);
  return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
  if (size < 2u || max_size < 2u || seed % 16u == 0u) return LLVMFuzzerMutate(data, size, max_size);
  return 1u + fuzz_mutate_module(data + 1, size - 1u, max_size - 1u, seed >> 4);
}
