/* Reading a file of the machine that QEMU runs on. */
#ifndef EP_BENCH_SEMIHOST_FILE_H
#define EP_BENCH_SEMIHOST_FILE_H

#include <stdint.h>

/* Reads up to `size` bytes of `name`; how many they were, 0 if there is no such file. */
uint32_t ep_semihost_read(const char *name, void *buffer, uint32_t size);

#endif
