/* The link: USART1 at 115,200 baud, TX on PA9 and RX on PA10. Interrupts on both sides, a ring each way; indices run freely
 * and are taken modulo the ring's size, a power of two, and each is written by one side alone. */
#include "board.h"
#include "core/board.h"
#include "stm32l552.h"

#define BAUD          115200u
#define RECEIVE_SIZE  2048u /* two frames of the link */
#define TRANSMIT_SIZE 4096u
#define CR1_ALWAYS    (USART_CR1_UE | USART_CR1_RE | USART_CR1_TE | USART_CR1_RXNEIE)

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

void ep_stm32_serial_interrupt(void);

void ep_stm32_serial_init(void) {
  RCC_AHB2ENR |= RCC_AHB2ENR_PORTS;
  RCC_APB2ENR |= RCC_APB2ENR_USART1;
  GPIO_AFRH(GPIOA) = (GPIO_AFRH(GPIOA) & ~0x00000FF0u) | 0x00000770u;   /* AF7 on pins 9 and 10 */
  GPIO_MODER(GPIOA) = (GPIO_MODER(GPIOA) & ~0x003C0000u) | 0x00280000u; /* alternate function */
  USART_CR1 = 0;
  USART_BRR = (ep_stm32_core_hz() + BAUD / 2u) / BAUD;
  USART_ICR = USART_ICR_ERRORS;
  USART_CR1 = CR1_ALWAYS;
  interrupt_enable(USART1_IRQ, PRIORITY_SERIAL);
}

static void receive_byte(uint8_t byte) {
  const uint32_t written = receive.written;
  if (written - receive.taken == RECEIVE_SIZE) {
    receive.overruns += 1u;
    return;
  }
  receive.bytes[written % RECEIVE_SIZE] = byte;
  receive.written = written + 1u;
}

void ep_stm32_serial_interrupt(void) {
  const uint32_t status = USART_ISR;
  if ((status & USART_ISR_ORE) != 0u) receive.overruns += 1u;
  USART_ICR = status & USART_ICR_ERRORS;
  if ((status & USART_ISR_RXNE) != 0u) receive_byte((uint8_t)USART_RDR);
  if ((status & USART_ISR_TXE) == 0u) return;
  const uint32_t taken = transmit.taken;
  if (taken == transmit.written) {
    USART_CR1 = CR1_ALWAYS;
    return;
  }
  USART_TDR = transmit.bytes[taken % TRANSMIT_SIZE];
  transmit.taken = taken + 1u;
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
  /* the interrupt comes at once if the transmitter is idle, and switches itself off when all is sent */
  if (count > 0u) USART_CR1 = CR1_ALWAYS | USART_CR1_TXEIE;
  return count;
}

uint32_t ep_board_serial_overruns(void) {
  return receive.overruns;
}
