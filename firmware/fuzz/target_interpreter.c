/* Modules that validate are run under fuel, each function of them, three times: in one go, in slices, and without fused
 * instructions. All must see the same results, traps and their places, fuel and memory.
 *
 * Input: a byte of limits; bit 0 says whether a module follows as it is, or decisions for generate.c, which makes a
 * valid module of any bytes. The engine refusing such a one, but for its limits, is a finding too.
 */
#include <string.h>

#include "engine.h"
#include "generate.h"
#include "mutate.h"

#define MOST_FUEL 3000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static fuzz_engine_t engine;
  static uint8_t generated[GENERATE_ROOM];
  static const uint32_t memory[] = {1024, 16384}, slots[] = {256, 40};
  const uint8_t *module = data + 1;
  ep_wasm_result_t result;
  uint32_t how, digest;
  int32_t fuel;
  if (size < 1u) return 0;
  how = *data;
  size--;
  fuel = MOST_FUEL >> (how >> 3 & 3u);
  engine.limits = (ep_wasm_limits_t){memory[how >> 1 & 1u], slots[how >> 2 & 1u], 2u + (how >> 5)};
  if ((how & 1u) != 0u) {
    size = generate_module(module, size, generated);
    module = generated;
  }
  result = fuzz_engine_load(&engine, module, (uint32_t)size, false);
  if ((how & 1u) != 0u && result != EP_WASM_OK && result != EP_WASM_LIMIT &&
      result < EP_WASM_TRAP_UNREACHABLE) {
    fprintf(stderr, "a valid module is refused at %u: %s\n", engine.error.offset, engine.error.detail);
    abort();
  }
  if (result != EP_WASM_OK) return 0;
  digest = fuzz_engine_run(&engine, fuel, false);
  FUZZ_CHECK(fuzz_engine_load(&engine, module, (uint32_t)size, false) == EP_WASM_OK);
  FUZZ_CHECK(fuzz_engine_run(&engine, fuel, true) == digest);
  FUZZ_CHECK(fuzz_engine_load(&engine, module, (uint32_t)size, true) == EP_WASM_OK);
  FUZZ_CHECK(fuzz_engine_run(&engine, fuel, false) == digest);
  return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
  if (size < 2u || max_size < 2u || (data[0] & 1u) != 0u || seed % 16u == 0u) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  return 1u + fuzz_mutate_module(data + 1, size - 1u, max_size - 1u, seed >> 4);
}
