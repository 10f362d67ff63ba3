#include "check.h"

#include <stdint.h>
#include <stdlib.h>

#include "crypto/sha512.h"
#include "hex.h"

static void digest_of(const void *data, size_t size, uint8_t digest[64]) {
  ep_sha512_t hash;
  ep_sha512_init(&hash);
  ep_sha512_update(&hash, data, size);
  ep_sha512_final(&hash, digest);
}

static void check_digest(const char *message, const char *expected_hex) {
  uint8_t digest[64], expected[64];
  CHECK_EQ(hex_decode(expected, expected_hex), 64);
  digest_of(message, strlen(message), digest);
  CHECK_BYTES(digest, expected, 64);
}

int main(void) {
  TEST("the examples that NIST publishes for FIPS 180-4 hold: abc, nothing, and two blocks") {
    check_digest("abc", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
    check_digest("", "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
                     "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e");
    check_digest("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                 "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
                 "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
                 "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909");
  }

  TEST("a million times the letter a gives NIST's digest, in pieces of 1,000 bytes") {
    uint8_t piece[1000], digest[64], expected[64];
    ep_sha512_t hash;
    memset(piece, 'a', sizeof piece);
    ep_sha512_init(&hash);
    for (int i = 0; i < 1000; i++) ep_sha512_update(&hash, piece, sizeof piece);
    ep_sha512_final(&hash, digest);
    hex_decode(expected, "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb"
                         "de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b");
    CHECK_BYTES(digest, expected, 64);
  }

  TEST("any split of a message into two updates gives the same digest, at every size around the block "
       "borders") {
    uint8_t data[400], whole[64], split[64];
    for (unsigned i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 31 + 7);
    static const size_t sizes[] = {1, 111, 112, 113, 119, 120, 127, 128, 129, 239, 240, 255, 256, 257, 400};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
      digest_of(data, sizes[s], whole);
      for (size_t at = 0; at <= sizes[s]; at++) {
        ep_sha512_t hash;
        ep_sha512_init(&hash);
        ep_sha512_update(&hash, data, at);
        ep_sha512_update(&hash, data + at, sizes[s] - at);
        ep_sha512_final(&hash, split);
        CHECK_BYTES(split, whole, 64);
      }
    }
  }

  TEST("byte by byte from any alignment gives the same digest") {
    uint8_t data[308], whole[64], single[64];
    for (unsigned i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 5);
    for (size_t offset = 0; offset < 8; offset++) {
      ep_sha512_t hash;
      digest_of(data + offset, 300, whole);
      ep_sha512_init(&hash);
      for (size_t i = 0; i < 300; i++) ep_sha512_update(&hash, data + offset + i, 1);
      ep_sha512_final(&hash, single);
      CHECK_BYTES(single, whole, 64);
    }
  }

  TEST("nothing is read beyond the message: blocks of exactly its size pass the address sanitizer") {
    for (size_t size = 0; size < 300; size++) {
      uint8_t digest[64];
      uint8_t *exact = malloc(size + !size);
      memset(exact, 1, size + !size);
      digest_of(exact, size, digest);
      free(exact);
    }
    CHECK(true);
  }
  return check_done();
}
