#include "observer.h"

#include <string.h>

#include "core/board.h"

/* ISO-HDLC, bit by bit: 28 bytes a scan need no table. */
static uint32_t crc32(const uint8_t *data, uint32_t size) {
  uint32_t crc = UINT32_MAX;
  for (uint32_t i = 0; i < size; i++) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xEDB88320u & (0u - (crc & 1u)));
  }
  return ~crc;
}

/* The frame's first and last byte are 0 when it comes here. From the back, each 0 becomes the distance to the
 * next one: that is COBS, where no distance reaches 255. */
static void stuff(uint8_t frame[EP_OBSERVER_FRAME]) {
  uint32_t next = EP_OBSERVER_FRAME - 1u;
  for (uint32_t i = next; i-- > 0u;)
    if (frame[i] == 0u) {
      frame[i] = (uint8_t)(next - i);
      next = i;
    }
}

void ep_observer_frame(uint8_t frame[EP_OBSERVER_FRAME], const float *outputs, uint32_t count, uint64_t scan,
                       uint32_t swap_number) {
  uint8_t *record = frame + 1;
  const uint32_t head[3] = {(uint32_t)scan, (uint32_t)ep_board_time_us(), swap_number};
  memset(frame, 0, EP_OBSERVER_FRAME);
  memcpy(record, head, sizeof head);
  memcpy(record + sizeof head, outputs,
         sizeof *outputs * (count < EP_OBSERVER_OUTPUTS ? count : EP_OBSERVER_OUTPUTS));
  const uint32_t crc = crc32(record, EP_OBSERVER_RECORD - 4u);
  memcpy(record + EP_OBSERVER_RECORD - 4u, &crc, sizeof crc);
  stuff(frame);
}
