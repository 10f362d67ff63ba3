/* What the runtime uses of <string.h>; the first four a freestanding compiler may also call by itself (C11 section 4).
 * Word by word where both sides are aligned alike: a copy of 13.5 KiB of code shouldn't take a scan. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* no loop here may become a call of the very function that it is in, in whatever image this is compiled for */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

typedef uint32_t __attribute__((may_alias)) word_t;

#define WORD                sizeof(word_t)
#define MISALIGNED(pointer) ((uintptr_t)(pointer) & (WORD - 1u))

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
  uint8_t *out = to;
  const uint8_t *in = from;
  if (MISALIGNED(out) == MISALIGNED(in)) {
    for (; size > 0u && MISALIGNED(out); size--) *out++ = *in++;
    for (; size >= WORD; size -= WORD, out += WORD, in += WORD) *(word_t *)out = *(const word_t *)in;
  }
  for (; size > 0u; size--) *out++ = *in++;
  return to;
}

void *memmove(void *to, const void *from, size_t size) {
  uint8_t *out = to;
  const uint8_t *in = from;
  /* a forward copy is right unless `to` lies inside [from, from + size) */
  if ((uintptr_t)out - (uintptr_t)in >= size) return memcpy(to, from, size);
  for (; size > 0u; size--) out[size - 1u] = in[size - 1u];
  return to;
}

void *memset(void *to, int value, size_t size) {
  uint8_t *out = to;
  const uint8_t byte = (uint8_t)value;
#ifdef __wasm_bulk_memory__ /* in Node an instruction does it; with few bytes its call costs more than the loop */
  if (size >= 128u) {
    __asm volatile("local.get %0\n\tlocal.get %1\n\tlocal.get %2\n\tmemory.fill 0" ::"r"(to), "r"(value),
                   "r"(size)
                   : "memory");
    return to;
  }
#endif
  for (; size > 0u && MISALIGNED(out); size--) *out++ = byte;
  const word_t word = byte * 0x01010101u;
  for (; size >= WORD; size -= WORD, out += WORD) *(word_t *)out = word;
  for (; size > 0u; size--) *out++ = byte;
  return to;
}

int memcmp(const void *left, const void *right, size_t size) {
  const uint8_t *a = left;
  const uint8_t *b = right;
  for (size_t i = 0; i < size; i++)
    if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
  return 0;
}

size_t strlen(const char *text) {
  size_t length = 0;
  while (text[length] != '\0') length++;
  return length;
}

int strcmp(const char *left, const char *right) {
  while (*left != '\0' && *left == *right) {
    left++;
    right++;
  }
  return (int)(uint8_t)*left - (int)(uint8_t)*right;
}
