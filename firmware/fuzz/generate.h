#ifndef EP_FUZZ_GENERATE_H
#define EP_FUZZ_GENERATE_H

#include <stddef.h>
#include <stdint.h>

#define GENERATE_ROOM 16384u

/* Makes a valid WebAssembly module of any bytes: they are the decisions of a generator that keeps to the spec's rules.
 * Returns its size. Uses every instruction of opcodes.def. */
size_t generate_module(const uint8_t *decisions, size_t count, uint8_t module[GENERATE_ROOM]);

#endif
