#ifndef EP_FUZZ_MUTATE_H
#define EP_FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>

/* For LLVMFuzzerCustomMutator(): `data` is a WebAssembly module, more or less. */
size_t fuzz_mutate_module(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

#endif
