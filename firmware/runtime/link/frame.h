/* Frames on the serial line: COBS, ended by 0x00, around a message followed by its CRC-32 (little endian).
 * Knows bytes, not messages. Main loop only. */
#ifndef EP_LINK_FRAME_H
#define EP_LINK_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "device.pb.h"
#include "link/cobs.h"

/* Largest frame before COBS: the largest message and its CRC. */
#define EP_FRAME_MAX      (edgeplug_Frame_size + 4u)
#define EP_FRAME_WIRE_MAX (EP_COBS_MAX(EP_FRAME_MAX) + 2u) /* a delimiter on each side */

typedef struct {
  uint32_t size;
  bool overflow;    /* the frame being received is too long; dropped at its end */
  uint32_t dropped; /* frames that failed: too long, no COBS, wrong CRC */
  uint8_t data[EP_COBS_MAX(EP_FRAME_MAX)];
} ep_frame_receiver_t;

/* Takes one received byte. When it ends a frame that holds, returns its message (without CRC, inside the
 * receiver until the next byte) and sets `size`; otherwise NULL. */
const uint8_t *ep_frame_receive(ep_frame_receiver_t *receiver, uint8_t byte, uint32_t *size);

/* Frames `size` bytes of `message` (which has 4 bytes of room behind it, for the CRC) into `wire`;
 * returns the bytes to send. */
uint32_t ep_frame_build(uint8_t *message, uint32_t size, uint8_t wire[EP_FRAME_WIRE_MAX]);

#endif
