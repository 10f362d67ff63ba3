#include "wasm/leb.h"

uint32_t ep_wasm_leb_u32(const uint8_t *p) {
  uint32_t value = 0;
  uint32_t shift = 0;
  do {
    value |= (uint32_t)(*p & 0x7Fu) << shift;
    shift += 7u;
  } while ((*p++ & 0x80u) != 0u);
  return value;
}
