/* LEB128 numbers of a module that has been validated: no checks are needed any more. */
#ifndef EP_WASM_LEB_H
#define EP_WASM_LEB_H

#include <stdint.h>

/* Behind the number that starts at `p`. */
static inline const uint8_t *ep_wasm_leb_skip(const uint8_t *p) {
  while ((*p++ & 0x80u) != 0u) {
  }
  return p;
}

/* Start of the number that ends before `p`; what stands before it must have its top bit clear. */
static inline const uint8_t *ep_wasm_leb_back(const uint8_t *p) {
  p -= 1;
  while ((p[-1] & 0x80u) != 0u) p -= 1;
  return p;
}

static inline uint32_t ep_wasm_leb_u32(const uint8_t *p) {
  uint32_t value = 0;
  uint32_t shift = 0;
  do {
    value |= (uint32_t)(*p & 0x7Fu) << shift;
    shift += 7u;
  } while ((*p++ & 0x80u) != 0u);
  return value;
}

static inline int64_t ep_wasm_leb_s64(const uint8_t *p) {
  uint64_t value = 0;
  uint32_t shift = 0;
  uint8_t byte;
  do {
    byte = *p++;
    value |= (uint64_t)(byte & 0x7Fu) << shift;
    shift += 7u;
  } while ((byte & 0x80u) != 0u);
  if (shift < 64u && (byte & 0x40u) != 0u) value |= ~(uint64_t)0 << shift;
  return (int64_t)value;
}

#endif
