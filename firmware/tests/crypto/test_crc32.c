#include "check.h"

#include <stdint.h>

#include "crypto/crc32.h"

/* The definition, bit by bit. */
static uint32_t slow_crc32(const uint8_t *data, size_t size) {
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < size; i++) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}

int main(void) {
  TEST("the check value of CRC-32/ISO-HDLC is cbf43926") {
    CHECK_EQ(ep_crc32(0, "123456789", 9), 0xcbf43926u);
  }

  TEST("the CRC of nothing is 0, and nothing added changes no CRC") {
    CHECK_EQ(ep_crc32(0, NULL, 0), 0);
    CHECK_EQ(ep_crc32(0x12345678u, "", 0), 0x12345678u);
  }

  TEST("every byte value, and every split of a message, gives what the definition gives") {
    uint8_t data[256];
    for (unsigned i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 167 + 13);
    uint32_t expected = slow_crc32(data, sizeof data);
    for (size_t split = 0; split <= sizeof data; split++) {
      CHECK_EQ(ep_crc32(ep_crc32(0, data, split), data + split, sizeof data - split), expected);
      CHECK_EQ(ep_crc32(0, data, split), slow_crc32(data, split));
    }
  }

  TEST("no flip of one or two bits in 32 bytes goes unnoticed") {
    uint8_t data[32] = "a frame of the link, 32 bytes in";
    uint32_t good = ep_crc32(0, data, sizeof data);
    for (unsigned a = 0; a < 256; a++) {
      data[a / 8] ^= (uint8_t)(1u << a % 8);
      CHECK(ep_crc32(0, data, sizeof data) != good);
      for (unsigned b = a + 1; b < 256; b++) {
        data[b / 8] ^= (uint8_t)(1u << b % 8);
        CHECK(ep_crc32(0, data, sizeof data) != good);
        data[b / 8] ^= (uint8_t)(1u << b % 8);
      }
      data[a / 8] ^= (uint8_t)(1u << a % 8);
    }
  }
  return check_done();
}
