/* The link: LPUART1 at 115,200 baud, TX on PG7 and RX on PG8, where a Nucleo-L552ZE-Q has its debugger's
 * virtual COM port. Interrupts on both sides, a ring each way; indices run freely and are taken modulo the
 * ring's size, a power of two, and each is written by one side alone. The FIFOs bridge 0.7 ms in which no
 * interrupt is served. */
#include "board.h"
#include "core/board.h"
#include "stm32l552.h"

#define BAUD      115200u
#define RING_SIZE 4096u /* at least two frames of the link */

typedef struct {
  volatile uint8_t bytes[RING_SIZE];
  volatile uint32_t written;
  volatile uint32_t taken;
} ring_t;

static ring_t received, sending;
static volatile uint32_t overruns;

static bool ring_put(ring_t *ring, uint8_t byte) {
  const uint32_t written = ring->written;
  if (written - ring->taken == RING_SIZE) return false;
  ring->bytes[written % RING_SIZE] = byte;
  ring->written = written + 1u;
  return true;
}

static bool ring_take(ring_t *ring, uint8_t *byte) {
  const uint32_t taken = ring->taken;
  if (ring->written == taken) return false;
  *byte = ring->bytes[taken % RING_SIZE];
  ring->taken = taken + 1u;
  return true;
}

/* The pins that nobody uses stay as a reset leaves them, analog. */
void ep_stm32_serial_init(void) {
  PWR_CR2 = PWR_CR2_IOSV;
  GPIO_AFRL(GPIOG) = 0x80000000u; /* AF8 on pins 7 and 8 */
  GPIO_AFRH(GPIOG) = 0x00000008u;
  GPIO_MODER(GPIOG) = 0xFFFEBFFFu; /* alternate function */
  LPUART_CR1 = LPUART_CR1_FIFOEN;
  /* 256 × clock / baud, rounded; by hundredths, as it has 35 bits otherwise */
  LPUART_BRR = (ep_stm32_core_hz / 100u * 256u + BAUD / 200u) / (BAUD / 100u);
  LPUART_CR1 = LPUART_CR1_FIFOEN | LPUART_CR1_UE | LPUART_CR1_RE | LPUART_CR1_TE | LPUART_CR1_RXNEIE;
  interrupt_enable(LPUART1_IRQ, PRIORITY_SERIAL);
}

static void transmit_some(void) {
  uint8_t byte;
  for (uint32_t room = LPUART_FIFO; room > 0u && (LPUART_ISR & LPUART_ISR_TXE) != 0u; room--) {
    if (!ring_take(&sending, &byte)) {
      LPUART_CR1 &= ~LPUART_CR1_TXEIE;
      return;
    }
    LPUART_TDR = byte;
  }
}

/* A byte with an error flag is taken like any other: what it spoils is a frame, which its CRC tells. The
 * flags are cleared, as one that stays up would call again for ever. */
void ep_stm32_serial_interrupt(void) {
  if ((LPUART_ISR & LPUART_ISR_ORE) != 0u) overruns += 1u;
  LPUART_ICR = LPUART_ICR_ERRORS;
  while ((LPUART_ISR & LPUART_ISR_RXNE) != 0u)
    if (!ring_put(&received, (uint8_t)LPUART_RDR)) overruns += 1u;
  transmit_some();
}

uint32_t ep_board_serial_read(uint8_t *buffer, uint32_t size) {
  uint32_t count = 0;
  while (count < size && ring_take(&received, buffer + count)) count++;
  return count;
}

uint32_t ep_board_serial_write(const uint8_t *data, uint32_t size) {
  uint32_t count = 0;
  while (count < size && ring_put(&sending, data[count])) count++;
  /* the interrupt comes at once if the transmitter is idle, and switches itself off when all is sent */
  if (count > 0u) LPUART_CR1 |= LPUART_CR1_TXEIE;
  return count;
}

uint32_t ep_board_serial_overruns(void) {
  return overruns;
}
