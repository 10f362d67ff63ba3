#include "native.h"

#include <string.h>

#include "count.h"

/* tests/bench/workloads/agents_native.c */
int32_t n_vdet(float v);
float n_pid(float meas, float setp);
uint32_t n_crc(void);
int32_t n_json(int32_t len);
int32_t n_fib(int32_t n);
int32_t n_sieve(void);
extern uint8_t n_crcbuf[1024];
extern uint8_t n_jbuf[256];

static float as_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

#define COUNT(call)                                                                                          \
  do {                                                                                                       \
    from = ep_count_begin();                                                                                 \
    *value = (uint32_t)(call);                                                                               \
    to = ep_count_end();                                                                                     \
  } while (0)

uint64_t ep_native_call(uint32_t function, uint32_t first, uint32_t second, uint32_t *value) {
  const float x = as_float(first), y = as_float(second);
  ep_count_t from, to;
  switch (function) {
  case EP_NATIVE_VDET: COUNT(n_vdet(x)); break;
  case EP_NATIVE_PID: COUNT(bits_of(n_pid(x, y))); break;
  case EP_NATIVE_CRC: COUNT(n_crc()); break;
  case EP_NATIVE_JSON: COUNT(n_json((int32_t)first)); break;
  case EP_NATIVE_FIB: COUNT(n_fib((int32_t)first)); break;
  default: COUNT(n_sieve()); break;
  }
  return ep_count_between(from, to);
}

uint8_t *ep_native_buffer(uint32_t buffer) {
  return buffer == 0u ? n_crcbuf : n_jbuf;
}
