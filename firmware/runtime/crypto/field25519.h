/* Arithmetic modulo p = 2^255 − 19, for Ed25519. Variable time is fine here: verification handles public
 * data only. Outputs may be the same objects as inputs. */
#ifndef EP_CRYPTO_FIELD25519_H
#define EP_CRYPTO_FIELD25519_H

#include <stdbool.h>
#include <stdint.h>

/* Least significant limb first. Any of the 2^256 values is allowed and stands for its residue modulo p;
 * only ep_field_to_bytes() reduces fully. */
typedef struct {
  uint32_t limb[8];
} ep_field_t;

void ep_field_add(ep_field_t *out, const ep_field_t *a, const ep_field_t *b);
void ep_field_subtract(ep_field_t *out, const ep_field_t *a, const ep_field_t *b);
void ep_field_multiply(ep_field_t *out, const ep_field_t *a, const ep_field_t *b);

/* a to the power 2^times. */
void ep_field_square(ep_field_t *out, const ep_field_t *a, uint32_t times);

/* a to the power p − 2: 1/a, and 0 for 0. */
void ep_field_invert(ep_field_t *out, const ep_field_t *a);

/* a to the power (p − 5)/8. */
void ep_field_power_p58(ep_field_t *out, const ep_field_t *a);

/* 32 bytes little endian; all 256 bits count. */
void ep_field_from_bytes(ep_field_t *out, const uint8_t bytes[32]);

/* The one encoding below p. */
void ep_field_to_bytes(uint8_t bytes[32], const ep_field_t *a);

bool ep_field_is_zero(const ep_field_t *a);

#endif
