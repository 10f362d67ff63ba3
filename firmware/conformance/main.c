/* conformance.elf: the request loop on the qemu board's UART, with a driver of its own that keeps to one rule: nothing a
 * host sends is lost, however early and however much at once. QEMU holds the sender back while the receive register or
 * the FIFO is full; the only danger is the moment when the FIFO, many times faster, is switched on (see below). */
#include "ast1030.h"
#include "board.h"
#include "core/board.h"
#include "semihosting.h"
#include "serve.h"

#define NVIC_ICPR(n) REG32(0xE000E280u + 4u * (n))
#define MCR_READY    0x03u
#define MCR_LOOPBACK 0x10u
#define FCR_FIFO_14  0xC1u /* on, interrupt at 14 bytes or when the line falls silent */
#define WAKE         2u    /* a timer */
#define SETTLE_US    1000u

int main(void);
void ep_qemu_serial_interrupt(void);

/* The board's interrupts call these; here scans, watchdog and UART interrupts never start. */
void ep_runtime_scan(void) {
}

void ep_runtime_alive(void) {
}

void ep_qemu_serial_interrupt(void) {
}

void ep_qemu_serial_init(void) {
  UART_IER(UART5) = 0;
  UART_LCR(UART5) = LCR_8N1 | LCR_DLAB;
  UART_DATA(UART5) = 1; /* the divisor: it sets how soon the FIFO takes the line for silent */
  UART_IER(UART5) = 0;
  UART_LCR(UART5) = LCR_8N1;
  UART_MCR(UART5) = MCR_READY;
}

/* The first byte; switches the FIFO on, which drops a byte that waits or comes in at that moment. (Done at start-up
 * without more ado, one start in ten lost a byte.) A byte that waits in the receive register keeps QEMU from fetching
 * the next, so wait for one, and until QEMU's main loop has gone to sleep over it. In loopback mode reading it doesn't
 * wake that loop; the switch follows with the very next instruction; and a timer wakes it afterwards. */
static uint8_t first_byte(void) {
  uint32_t byte;

  while ((UART_LSR(UART5) & LSR_RX_READY) == 0u) continue;
  uint64_t seen = ep_board_time_us();
  while (ep_board_time_us() - seen < SETTLE_US) continue;

  UART_MCR(UART5) = MCR_READY | MCR_LOOPBACK;
  __asm volatile("ldr %0, [%1]\n\tstr %2, [%1, #8]"
                 : "=&r"(byte)
                 : "r"(&UART_DATA(UART5)), "r"(FCR_FIFO_14)
                 : "memory");
  UART_MCR(UART5) = MCR_READY;

  TIMER_RELOAD(WAKE) = SETTLE_US;
  TIMER_COUNT(WAKE) = SETTLE_US;
  TIMER_CONTROL_REG |= TIMER_CONTROL(WAKE, CONTROL_1MHZ);
  TIMER_CONTROL_REG |= TIMER_CONTROL(WAKE, CONTROL_ENABLE | CONTROL_1MHZ);
  return (uint8_t)byte;
}

/* With interrupts masked a pending one still ends the WFI. Polling instead would starve QEMU's main loop, which has to
 * fetch the bytes. */
int ep_conformance_read(void) {
  static bool begun;
  if (!begun) {
    begun = true;
    uint8_t byte = first_byte();
    UART_IER(UART5) = IER_RX;
    return byte;
  }
  while ((UART_LSR(UART5) & LSR_RX_READY) == 0u) {
    NVIC_ICPR(UART5_IRQ / 32u) = 1u << (UART5_IRQ % 32u);
    if ((UART_LSR(UART5) & LSR_RX_READY) == 0u) wait_for_interrupt();
  }
  return (uint8_t)UART_DATA(UART5);
}

void ep_conformance_write(const char *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) {
    while ((UART_LSR(UART5) & LSR_TX_EMPTY) == 0u) continue;
    UART_DATA(UART5) = (uint8_t)bytes[i];
  }
}

int main(void) {
  (void)interrupts_off();
  interrupt_enable(UART5_IRQ, PRIORITY_SERIAL);
  ep_conformance_serve();
  ep_semihosting_exit(0);
}
