#include "link/frame.h"

#include <string.h>

#include "crypto/crc32.h"

#define EP_FRAME_CRC_SIZE 4u

static void ep_frame_put_crc(uint8_t bytes[EP_FRAME_CRC_SIZE], uint32_t crc) {
  for (uint32_t index = 0; index < EP_FRAME_CRC_SIZE; index++) bytes[index] = (uint8_t)(crc >> (8u * index));
}

/* The message in a complete frame, or NULL. */
static const uint8_t *ep_frame_open(ep_frame_receiver_t *receiver, uint32_t *size) {
  uint8_t expected[EP_FRAME_CRC_SIZE];
  int32_t decoded = ep_cobs_decode(receiver->data, receiver->size);
  if (decoded <= (int32_t)EP_FRAME_CRC_SIZE) return NULL;
  *size = (uint32_t)decoded - EP_FRAME_CRC_SIZE;
  ep_frame_put_crc(expected, ep_crc32(0, receiver->data, *size));
  return memcmp(expected, receiver->data + *size, sizeof expected) == 0 ? receiver->data : NULL;
}

const uint8_t *ep_frame_receive(ep_frame_receiver_t *receiver, uint8_t byte, uint32_t *size) {
  const uint8_t *message = NULL;
  if (byte != 0u) {
    if (receiver->size < sizeof receiver->data) {
      receiver->data[receiver->size++] = byte;
    } else {
      receiver->overflow = true;
    }
    return NULL;
  }
  /* Two delimiters in a row are no frame: senders open with one to end whatever noise came before. */
  if (receiver->size > 0u) {
    if (!receiver->overflow) message = ep_frame_open(receiver, size);
    if (message == NULL) receiver->dropped++;
  }
  receiver->size = 0;
  receiver->overflow = false;
  return message;
}

uint32_t ep_frame_build(uint8_t *message, uint32_t size, uint8_t wire[EP_FRAME_WIRE_MAX]) {
  uint32_t length = 0;
  ep_frame_put_crc(message + size, ep_crc32(0, message, size));
  wire[length++] = 0;
  length += (uint32_t)ep_cobs_encode(message, size + EP_FRAME_CRC_SIZE, wire + length);
  wire[length++] = 0;
  return length;
}
