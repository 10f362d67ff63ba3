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

uint32_t ep_wasm_leb_u32(const uint8_t *p);

#endif
