/* Consistent Overhead Byte Stuffing (Cheshire and Baker, 1999): bytes without 0x00, so that 0x00 can
 * end a frame. Knows nothing of what it carries. */
#ifndef EP_LINK_COBS_H
#define EP_LINK_COBS_H

#include <stddef.h>
#include <stdint.h>

/* Largest encoding of `size` bytes, delimiter not counted. */
#define EP_COBS_MAX(size) ((size) + (size) / 254u + 1u)

/* Encodes into `out`, which has room for EP_COBS_MAX(size); returns the bytes written. */
size_t ep_cobs_encode(const uint8_t *data, size_t size, uint8_t *out);

/* Decodes in place `size` bytes without delimiter; returns the decoded size, or −1 if they are no
 * COBS encoding. */
int32_t ep_cobs_decode(uint8_t *data, size_t size);

#endif
