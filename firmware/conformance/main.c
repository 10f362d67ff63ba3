/* conformance.elf: the request loop on the qemu board's UART. Nothing is buffered beyond the UART's FIFO: QEMU then
 * holds the sender back, so that a host may send all its requests at once. */
#include "ast1030.h"
#include "core/board.h"
#include "semihosting.h"
#include "serve.h"

#define NVIC_ICPR(n) REG32(0xE000E280u + 4u * (n))

int main(void);

/* The board's interrupts call these; here neither scans nor the watchdog are ever started. */
void ep_runtime_scan(void) {
}

void ep_runtime_alive(void) {
}

/* Interrupts are masked: a pending one still ends the WFI, and polling alone would starve the emulator. */
static void wait_for_byte(void) {
  while ((UART_LSR(UART5) & LSR_RX_READY) == 0u) {
    NVIC_ICPR(UART5_IRQ / 32u) = 1u << (UART5_IRQ % 32u);
    if ((UART_LSR(UART5) & LSR_RX_READY) == 0u) wait_for_interrupt();
  }
}

int ep_conformance_read(void) {
  uint8_t byte;

  /* what came in before interrupts were masked */
  if (ep_board_serial_read(&byte, 1) == 1u) return byte;
  wait_for_byte();
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
  ep_conformance_serve();
  ep_semihosting_exit(0);
}
