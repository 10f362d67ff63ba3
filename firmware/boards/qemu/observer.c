/* The outside observer's line: each scan's outputs go out on the second UART as a COBS frame, ended by 0x00, of
 *
 *   u32 scan, u32 time in microseconds, u32 swap number, 4 × f32 output, u32 CRC-32 of what precedes
 *
 * all little endian. Whoever listens can tell missed scans, gaps in time and which agent made which output,
 * without asking the board. The ring bridges a listener that is away for seven seconds of the board's time, which may
 * be less than two on the wall (QEMU's socket itself holds next to nothing); what doesn't fit is dropped as a whole
 * frame and shows as a gap.
 */
#include <string.h>

#include "ast1030.h"
#include "board.h"
#include "core/board.h"

#define OUTPUTS     4u
#define RECORD_SIZE (12u + 4u * OUTPUTS + 4u)
#define FRAME_SIZE  (RECORD_SIZE + 2u) /* COBS adds one byte below 254, then the delimiter */
#define RING_SIZE   262144u

static struct {
  uint8_t bytes[RING_SIZE];
  uint32_t written;
  uint32_t taken;
} ring;

/* ISO-HDLC, bit by bit: 28 bytes a scan need no table. */
static uint32_t crc32(const uint8_t *data, uint32_t size) {
  uint32_t crc = UINT32_MAX;
  for (uint32_t i = 0; i < size; i++) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xEDB88320u & (0u - (crc & 1u)));
  }
  return ~crc;
}

static void put(uint8_t byte) {
  ring.bytes[ring.written++ % RING_SIZE] = byte;
}

static void put_frame(const uint8_t record[RECORD_SIZE]) {
  for (uint32_t from = 0; from <= RECORD_SIZE;) {
    uint32_t to = from;
    while (to < RECORD_SIZE && record[to] != 0u) to++;
    put((uint8_t)(to - from + 1u));
    while (from < to) put(record[from++]);
    from += 1u;
  }
  put(0);
}

static void send_some(void) {
  for (uint32_t bursts = 0; bursts < 8u && ring.taken != ring.written; bursts++) {
    if ((UART_LSR(UART1) & LSR_TX_EMPTY) == 0u) return;
    for (uint32_t room = UART_FIFO; room > 0u && ring.taken != ring.written; room--)
      UART_DATA(UART1) = ring.bytes[ring.taken++ % RING_SIZE];
  }
}

void ep_qemu_observer_init(void) {
  UART_IER(UART1) = 0;
  UART_LCR(UART1) = LCR_8N1 | LCR_DLAB;
  UART_DATA(UART1) = 1;
  UART_IER(UART1) = 0;
  UART_LCR(UART1) = LCR_8N1;
  UART_FCR(UART1) = FCR_ENABLE_CLEAR;
  UART_MCR(UART1) = 3;
  UART_DATA(UART1) = 0; /* ends the frame that a reset may have cut, or the first one would go with it */
}

void ep_qemu_observe(const float *outputs, uint32_t count, uint64_t scan, uint32_t swap_number) {
  uint8_t record[RECORD_SIZE] = {0};
  const uint32_t head[3] = {(uint32_t)scan, (uint32_t)ep_board_time_us(), swap_number};
  memcpy(record, head, sizeof head);
  memcpy(record + sizeof head, outputs, sizeof *outputs * (count < OUTPUTS ? count : OUTPUTS));
  const uint32_t crc = crc32(record, RECORD_SIZE - 4u);
  memcpy(record + RECORD_SIZE - 4u, &crc, sizeof crc);
  if (ring.written - ring.taken <= RING_SIZE - FRAME_SIZE) put_frame(record);
  send_some();
}
