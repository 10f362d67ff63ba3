/* The parts of the stm32l552 board, for start-up: each is brought up once, in this order. */
#ifndef EP_STM32L552_BOARD_H
#define EP_STM32L552_BOARD_H

#include <stdbool.h>
#include <stdint.h>

/* 110 MHz, the clocks of all that is used, and the microsecond timer; stays at 4 MHz if the PLL doesn't come */
void ep_stm32_clock_init(void);
void ep_stm32_reset_init(void); /* reads and clears why the board started */
void ep_stm32_flash_init(void); /* checks the option bytes: two banks of 2 KiB pages, boot from the runtime */
void ep_stm32_serial_init(void);   /* LPUART1 on PG7 and PG8 */
void ep_stm32_channels_init(void); /* ADC1 on PA0 to PA3, TIM3 PWM on PC6 to PC9 */

/* The core clock that was reached, also that of the buses. */
extern uint32_t ep_stm32_core_hz;

/* Waits until the bits of `mask` are all set or all clear; false if they don't, in over 100 ms. For start-up. */
bool ep_stm32_wait(const volatile uint32_t *reg, uint32_t mask, bool set);

/* Tells the observer of a scan. [scan] */
void ep_stm32_observe(const float *outputs, uint32_t count, uint64_t scan, uint32_t swap_number);

/* Notes a CPU fault for the next boot, then resets. [scan] */
void ep_stm32_fault(void) __attribute__((noreturn));

/* What the vectors lead to. */
void ep_stm32_nmi(void);
void ep_stm32_scan_interrupt(void);
void ep_stm32_flash_interrupt(void);
void ep_stm32_serial_interrupt(void);

#endif
