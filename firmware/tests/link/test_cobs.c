#include "check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "link/cobs.h"

static uint64_t random_state;

static uint32_t random_next(void) {
  random_state += 0x9e3779b97f4a7c15u;
  uint64_t z = random_state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (uint32_t)(z >> 32);
}

/* Encodes into a heap block of exactly EP_COBS_MAX(size) bytes, so that the address sanitizer sees one byte more. */
static uint8_t *encode(const uint8_t *data, size_t size, size_t *encoded) {
  uint8_t *out = malloc(EP_COBS_MAX(size));
  *encoded = ep_cobs_encode(data, size, out);
  return out;
}

static bool survives(const uint8_t *data, size_t size) {
  size_t encoded;
  uint8_t *out = encode(data, size, &encoded);
  bool ok = encoded <= EP_COBS_MAX(size) && memchr(out, 0, encoded) == NULL &&
            ep_cobs_decode(out, encoded) == (int32_t)size && (size == 0 || memcmp(out, data, size) == 0);
  free(out);
  return ok;
}

static int32_t decode(const char *bytes, size_t size, uint8_t *out) {
  uint8_t *exact = malloc(size + !size);
  memcpy(exact, bytes, size);
  int32_t decoded = ep_cobs_decode(exact, size);
  if (decoded > 0) memcpy(out, exact, (size_t)decoded);
  free(exact);
  return decoded;
}

static void check_pair(const char *data, size_t size, const char *code, size_t code_size) {
  size_t encoded;
  uint8_t *out = encode((const uint8_t *)data, size, &encoded);
  CHECK_EQ(encoded, code_size);
  CHECK_BYTES(out, code, code_size);
  CHECK_EQ(ep_cobs_decode(out, encoded), size);
  CHECK_BYTES(out, data, size);
  free(out);
}

int main(void) {
  TEST("the examples of the COBS paper and of its Wikipedia page encode and decode") {
    check_pair("", 0, "\x01", 1);
    check_pair("\x00", 1, "\x01\x01", 2);
    check_pair("\x00\x00", 2, "\x01\x01\x01", 3);
    check_pair("\x00\x11\x00", 3, "\x01\x02\x11\x01", 4);
    check_pair("\x11\x22\x00\x33", 4, "\x03\x11\x22\x02\x33", 5);
    check_pair("\x11\x22\x33\x44", 4, "\x05\x11\x22\x33\x44", 5);
    check_pair("\x11\x00\x00\x00", 4, "\x02\x11\x01\x01\x01", 5);
  }

  TEST("groups of 254 bytes follow each other without a zero, and the last one needs nothing behind it") {
    uint8_t data[600];
    size_t encoded;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(1 + i % 255);

    uint8_t *out = encode(data, 254, &encoded);
    CHECK_EQ(encoded, 255);
    CHECK_EQ(out[0], 0xff);
    free(out);
    out = encode(data, 255, &encoded);
    CHECK_EQ(encoded, 257);
    CHECK_EQ(out[255], 2);
    CHECK_EQ(out[256], 255);
    free(out);
    out = encode(data, 508, &encoded);
    CHECK_EQ(encoded, 510);
    CHECK_EQ(out[255], 0xff);
    free(out);

    data[254] = 0; /* 254 bytes, then a zero: the zero takes a group of its own */
    out = encode(data, 255, &encoded);
    CHECK_EQ(encoded, 257);
    CHECK_EQ(out[255], 1);
    CHECK_EQ(out[256], 1);
    free(out);
    data[253] = 0;
    out = encode(data, 254, &encoded);
    CHECK_EQ(encoded, 255);
    CHECK_EQ(out[0], 254);
    CHECK_EQ(out[254], 1);
    free(out);
  }

  TEST("a full group with an empty one behind it, as other encoders write it, decodes to the same") {
    uint8_t other[256];
    memset(other, 7, sizeof other);
    other[0] = 0xff;
    other[255] = 1;
    CHECK_EQ(ep_cobs_decode(other, 256), 254);
    CHECK_EQ(other[0], 7);
    CHECK_EQ(other[253], 7);
  }

  TEST("what is no encoding is refused: nothing at all, a zero inside, a code that reaches past the end") {
    uint8_t out[16];
    CHECK_EQ(decode("", 0, out), -1);
    CHECK_EQ(decode("\x00", 1, out), -1);
    CHECK_EQ(decode("\x02", 1, out), -1);
    CHECK_EQ(decode("\x03\x11", 2, out), -1);
    CHECK_EQ(decode("\xff\x11", 2, out), -1);
    CHECK_EQ(decode("\x03\x11\x00", 3, out), -1);
    CHECK_EQ(decode("\x02\x11\x00", 3, out), -1);
    CHECK_EQ(decode("\x01\x01\x05\x01", 4, out), -1);
  }

  TEST("all strings of up to 6 bytes over {0, 1, 255} survive") {
    static const uint8_t letters[3] = {0, 1, 255};
    uint8_t data[6];
    for (size_t size = 0; size <= sizeof data; size++) {
      uint32_t count = 1;
      for (size_t i = 0; i < size; i++) count *= 3;
      for (uint32_t number = 0; number < count; number++) {
        uint32_t rest = number;
        for (size_t i = 0; i < size; i++, rest /= 3) data[i] = letters[rest % 3];
        CHECK(survives(data, size));
      }
    }
  }

  TEST("random data with few, many or no zeros survives at every size up to 1,100") {
    static uint8_t data[1100];
    random_state = 2;
    for (size_t size = 0; size <= sizeof data; size++) {
      for (uint32_t kind = 0; kind < 3; kind++) {
        for (size_t i = 0; i < size; i++) {
          uint32_t r = random_next();
          bool zero = kind == 1 ? (r & 0xff00u) == 0 : kind == 2 && (r & 0x100u);
          data[i] = zero ? 0 : (uint8_t)(1 + (r & 0xff) % 255);
        }
        if (!CHECK(survives(data, size))) printf("# size %zu kind %u\n", size, kind);
      }
    }
  }

  TEST("garbage never makes the decoder write or answer more than it was given") {
    random_state = 3;
    for (uint32_t round = 0; round < 20000; round++) {
      size_t size = random_next() % 64;
      uint8_t *garbage = malloc(size + !size);
      for (size_t i = 0; i < size; i++) garbage[i] = (uint8_t)(random_next() % (round % 2 ? 8 : 256));
      int32_t decoded = ep_cobs_decode(garbage, size);
      CHECK(decoded >= -1 && decoded < (int32_t)(size + !size));
      free(garbage);
    }
  }
  return check_done();
}
