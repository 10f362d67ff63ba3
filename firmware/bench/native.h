/* The C twins of the workloads in tests/bench/workloads, counted. */
#ifndef EP_BENCH_NATIVE_H
#define EP_BENCH_NATIVE_H

#include <stdint.h>

enum { EP_NATIVE_VDET, EP_NATIVE_PID, EP_NATIVE_CRC, EP_NATIVE_JSON, EP_NATIVE_FIB, EP_NATIVE_SIEVE };

/* Instructions of one call; floats come and go as their bits. */
uint64_t ep_native_call(uint32_t function, uint32_t first, uint32_t second, uint32_t *value);

/* 0: what the CRC goes over, 1: the text */
uint8_t *ep_native_buffer(uint32_t buffer);

#endif
