/* SHA-512 (FIPS 180-4). State lives with the caller; any split of the input gives the same digest. */
#ifndef EP_CRYPTO_SHA512_H
#define EP_CRYPTO_SHA512_H

#include <stddef.h>
#include <stdint.h>

#define EP_SHA512_SIZE 64u

typedef struct {
  uint64_t state[8];
  uint64_t length; /* bytes so far */
  uint8_t block[128];
} ep_sha512_t;

void ep_sha512_init(ep_sha512_t *hash);
void ep_sha512_update(ep_sha512_t *hash, const void *data, size_t size);
void ep_sha512_final(ep_sha512_t *hash, uint8_t digest[64]);

#endif
