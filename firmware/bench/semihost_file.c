#include "semihost_file.h"

#include <string.h>

/* Semihosting for AArch32 and AArch64, release 2.0, chapter 5. */
#define SYS_OPEN    0x01u
#define SYS_CLOSE   0x02u
#define SYS_READ    0x06u
#define READ_BINARY 1u

static int32_t semihost(uint32_t operation, const uint32_t *arguments) {
  register uint32_t r0 __asm("r0") = operation;
  register const uint32_t *r1 __asm("r1") = arguments;
  __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return (int32_t)r0;
}

uint32_t ep_semihost_read(const char *name, void *buffer, uint32_t size) {
  const uint32_t open[3] = {(uint32_t)(uintptr_t)name, READ_BINARY, (uint32_t)strlen(name)};
  const int32_t file = semihost(SYS_OPEN, open);
  if (file < 0) return 0;
  const uint32_t read[3] = {(uint32_t)file, (uint32_t)(uintptr_t)buffer, size};
  const uint32_t left = (uint32_t)semihost(SYS_READ, read);
  const uint32_t close[1] = {(uint32_t)file};
  (void)semihost(SYS_CLOSE, close);
  return left <= size ? size - left : 0u;
}
