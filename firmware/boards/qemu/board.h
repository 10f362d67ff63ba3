/* The parts of the qemu board, for start-up: each is brought up once, in this order. */
#ifndef EP_QEMU_BOARD_H
#define EP_QEMU_BOARD_H

#include <stdint.h>

void ep_qemu_reset_init(void);    /* reads and clears the mailbox that tells why the board started */
void ep_qemu_clock_init(void);    /* the free-running microsecond timer */
void ep_qemu_flash_init(void);    /* the SPI NOR; its size and make are checked */
void ep_qemu_serial_init(void);   /* the link's UART and its interrupt */
void ep_qemu_observer_init(void); /* the second UART */
void ep_qemu_settings_init(void); /* what the harness wrote beside the board id */

/* Notes a CPU fault for the next boot, then resets. */
void ep_qemu_fault(void) __attribute__((noreturn));

/* The scan interrupt to leave out, counted from the start of the scans; 0 = none. For the test that
 * proves that a missed scan is noticed. */
uint32_t ep_qemu_masked_tick(void);

/* Counts what wakes a core that sleeps: each of the board's interrupts adds one, of different priorities, so that a sum
 * may come out too low, but never as it was. */
extern volatile uint32_t ep_qemu_interrupts;

/* Bytes of the link's UART that found room in its ring, modulo 2^32. */
uint32_t ep_qemu_serial_received(void);

/* When the present scan was due, in microseconds since boot: an exact multiple of the tick apart from the
 * others however late the interrupt came. [scan] */
uint64_t ep_qemu_scan_due_us(void);

/* Sends what the observer's UART still takes. [scan] */
void ep_qemu_observe(const float *outputs, uint32_t count, uint64_t scan, uint32_t swap_number);

#endif
