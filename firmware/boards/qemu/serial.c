/* The link's UART: interrupts on both sides, a ring each way. A ring's indices run freely and are taken modulo its
 * size, a power of two; each is written by one side alone, so no lock is needed. */
#include "ast1030.h"
#include "board.h"
#include "core/board.h"

#define RECEIVE_SIZE  2048u /* two frames of the link */
#define TRANSMIT_SIZE 4096u

static struct {
  uint8_t bytes[RECEIVE_SIZE];
  volatile uint32_t written; /* by the interrupt */
  volatile uint32_t taken;   /* by the main loop */
  volatile uint32_t overruns;
} receive;

static struct {
  uint8_t bytes[TRANSMIT_SIZE];
  volatile uint32_t written; /* by the main loop */
  volatile uint32_t taken;   /* by the interrupt */
} transmit;

void ep_qemu_serial_interrupt(void);

static void receive_byte(uint8_t byte) {
  const uint32_t written = receive.written;
  if (written - receive.taken == RECEIVE_SIZE) {
    receive.overruns += 1u;
    return;
  }
  receive.bytes[written % RECEIVE_SIZE] = byte;
  receive.written = written + 1u;
}

void ep_qemu_serial_init(void) {
  UART_IER(UART5) = 0;
  UART_LCR(UART5) = LCR_8N1 | LCR_DLAB;
  UART_DATA(UART5) = 1;
  UART_IER(UART5) = 0;
  UART_LCR(UART5) = LCR_8N1;
  /* the host may have sent before this image started, and switching the FIFO on clears what waits */
  if ((UART_LSR(UART5) & LSR_RX_READY) != 0u) receive_byte((uint8_t)UART_DATA(UART5));
  UART_FCR(UART5) = FCR_ENABLE_CLEAR;
  UART_MCR(UART5) = 3;
  UART_IER(UART5) = IER_RX;
  interrupt_enable(UART5_IRQ, PRIORITY_SERIAL);
}

/* TX_EMPTY means that the whole FIFO is free. */
static void transmit_some(void) {
  if ((UART_LSR(UART5) & LSR_TX_EMPTY) == 0u) return;
  uint32_t taken = transmit.taken;
  for (uint32_t room = UART_FIFO; room > 0u && taken != transmit.written; room--)
    UART_DATA(UART5) = transmit.bytes[taken++ % TRANSMIT_SIZE];
  transmit.taken = taken;
  if (taken == transmit.written) UART_IER(UART5) = IER_RX;
}

void ep_qemu_serial_interrupt(void) {
  ep_qemu_interrupts += 1u;
  while ((UART_LSR(UART5) & LSR_RX_READY) != 0u) receive_byte((uint8_t)UART_DATA(UART5));
  transmit_some();
}

uint32_t ep_board_serial_read(uint8_t *buffer, uint32_t size) {
  const uint32_t taken = receive.taken;
  const uint32_t waiting = receive.written - taken;
  const uint32_t count = size < waiting ? size : waiting;
  for (uint32_t i = 0; i < count; i++) buffer[i] = receive.bytes[(taken + i) % RECEIVE_SIZE];
  receive.taken = taken + count;
  return count;
}

uint32_t ep_board_serial_write(const uint8_t *data, uint32_t size) {
  const uint32_t written = transmit.written;
  const uint32_t room = TRANSMIT_SIZE - (written - transmit.taken);
  const uint32_t count = size < room ? size : room;
  for (uint32_t i = 0; i < count; i++) transmit.bytes[(written + i) % TRANSMIT_SIZE] = data[i];
  transmit.written = written + count;
  /* switching it on with an empty FIFO raises the interrupt at once; the interrupt switches it off */
  if (count > 0u) UART_IER(UART5) = IER_RX | IER_TX;
  return count;
}

uint32_t ep_qemu_serial_received(void) {
  return receive.written;
}

uint32_t ep_board_serial_overruns(void) {
  return receive.overruns;
}
