/* conformance.elf: the request loop on the qemu board's UART, with a driver of its own. The FIFO stays off: switching
 * it on drops a byte that comes in between the look at the line status and the switch, and a host may send before this
 * image has started (with the FIFO, one start in ten lost a byte). Without it QEMU holds every next byte back until
 * the last one was read, so nothing is lost at any time, however much a host sends ahead; and it is no slower. */
#include "ast1030.h"
#include "board.h"
#include "core/board.h"
#include "semihosting.h"
#include "serve.h"

#define NVIC_ICPR(n) REG32(0xE000E280u + 4u * (n))

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
  UART_LCR(UART5) = LCR_8N1;
  UART_MCR(UART5) = 3;
}

/* With interrupts masked a pending one still ends the WFI. Polling instead would starve the emulator's own loop, which
 * has to fetch the byte. */
int ep_conformance_read(void) {
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
  UART_IER(UART5) = IER_RX;
  ep_conformance_serve();
  ep_semihosting_exit(0);
}
