#include <string.h>

#include "bench.h"
#include "crypto/crc32.h"
#include "crypto/sha512.h"

static uint8_t message[300]; /* 0, 1, 2 ... */

void ep_bench_message_prepare(void) {
  for (unsigned i = 0; i < sizeof message; i++) message[i] = (uint8_t)i;
}

static uint32_t crc;

void ep_bench_crc32_256(void) {
  crc = ep_crc32(0, message, 256);
}

bool ep_bench_crc32_good(void) {
  return crc == 0x29058c73u;
}

static ep_sha512_t hash;

void ep_bench_sha512_prepare(void) {
  ep_bench_message_prepare();
  ep_sha512_init(&hash);
}

void ep_bench_sha512_block(void) {
  ep_sha512_update(&hash, message, 128);
}

/* Of the bytes 0 to 127. */
bool ep_bench_sha512_good(void) {
  static const uint8_t expected[8] = {0x1d, 0xff, 0xd5, 0xe3, 0xad, 0xb7, 0x1d, 0x45};
  uint8_t digest[64];
  ep_sha512_final(&hash, digest);
  return memcmp(digest, expected, sizeof expected) == 0;
}
