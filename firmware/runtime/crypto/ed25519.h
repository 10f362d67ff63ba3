/* Ed25519 signature verification, strict (RFC 8032 section 5.1.7): S below L, canonical encodings of key
 * and R, no small-order key; the cofactorless equation, with R compared as bytes. Variable time: it
 * handles public data only. At most 3 KiB of stack. */
#ifndef EP_CRYPTO_ED25519_H
#define EP_CRYPTO_ED25519_H

#include <stddef.h>
#include <stdint.h>

/* Called 256 times in the course of one check, so that a main loop can report that it is alive; not at all
 * where S or the key is refused before anything has to be computed. */
typedef void (*ep_ed25519_step_fn)(void *context);

/* 0 if `signature` over `message` is good under `key`, −1 otherwise. `step` may be NULL. */
int ep_ed25519_verify(const uint8_t signature[64], const uint8_t key[32], const uint8_t *message, size_t size,
                      ep_ed25519_step_fn step, void *context);

#endif
