/* The one seam of the fuzz targets. A real signature can't be found by mutation, so whatever lies behind the check
 * would hardly ever be reached: here a signature is good if it holds the key, the CRC-32 of the message, and zeros.
 * The real check has its own tests under the same sanitizers (firmware/tests/crypto). All else is the firmware's own.
 */
#include <string.h>

#include "board.h"
#include "crypto/crc32.h"
#include "crypto/ed25519.h"

void fuzz_sign(uint8_t signature[64], const uint8_t key[32], const uint8_t *message, size_t size) {
  uint32_t crc = ep_crc32(0, message, size);
  memset(signature, 0, 64);
  memcpy(signature, key, 32);
  memcpy(signature + 32, &crc, sizeof crc);
}

int ep_ed25519_verify(const uint8_t signature[64], const uint8_t key[32], const uint8_t *message, size_t size,
                      ep_ed25519_step_fn step, void *context) {
  uint8_t good[64];
  for (uint32_t i = 0; i < 256u && step != NULL; i++) step(context);
  fuzz_sign(good, key, message, size);
  return memcmp(good, signature, sizeof good) == 0 ? 0 : -1;
}
