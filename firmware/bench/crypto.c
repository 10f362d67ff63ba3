#include <string.h>

#include "bench.h"
#include "crypto/crc32.h"
#include "crypto/ed25519.h"
#include "crypto/sha512.h"
#include "field_reference.h"

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

static uint8_t copy[256];

/* What the L5's flash driver does to read. */
void ep_bench_copy_256(void) {
  memcpy(copy, message, sizeof copy);
}

bool ep_bench_copy_good(void) {
  return memcmp(copy, message, sizeof copy) == 0;
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

/* A signature over `message`, made with node's crypto from the seed 0, 1, 2 ... 31. */
static const uint8_t key[32] = {0x03, 0xa1, 0x07, 0xbf, 0xf3, 0xce, 0x10, 0xbe, 0x1d, 0x70, 0xdd,
                                0x18, 0xe7, 0x4b, 0xc0, 0x99, 0x67, 0xe4, 0xd6, 0x30, 0x9b, 0xa5,
                                0x0d, 0x5f, 0x1d, 0xdc, 0x86, 0x64, 0x12, 0x55, 0x31, 0xb8};
static const uint8_t signature[64] = {
    0x47, 0x39, 0x98, 0x87, 0xfe, 0x2c, 0x5b, 0x7d, 0x4e, 0xb2, 0xfa, 0x84, 0xb3, 0x03, 0x7a, 0x44,
    0x7e, 0x34, 0x71, 0x1e, 0xae, 0x0c, 0x99, 0x05, 0x52, 0xae, 0xbf, 0x6f, 0x41, 0x35, 0x2a, 0x66,
    0xa8, 0x1f, 0xea, 0x0c, 0x87, 0x7c, 0xfa, 0x1c, 0x0a, 0x22, 0x69, 0x31, 0x48, 0xa4, 0xc2, 0x7e,
    0x40, 0xfb, 0xc3, 0xed, 0xf7, 0xa0, 0xaa, 0x44, 0x15, 0x52, 0xa9, 0x0c, 0x0f, 0xe4, 0x57, 0x05};

static uint32_t steps;
static int verdict;

static void count_step(void *context) {
  (void)context;
  steps++;
}

void ep_bench_ed25519_verify(void) {
  steps = 0;
  verdict = ep_ed25519_verify(signature, key, message, sizeof message, count_step, NULL);
}

bool ep_bench_ed25519_good(void) {
  return verdict == 0 && steps == 256;
}

static bool field_agrees;

/* The core's own multiplier, which no native test sees. */
void ep_bench_field_check(void) {
  field_agrees = reference_agrees(2, 2000);
}

bool ep_bench_field_good(void) {
  return field_agrees;
}
