/* The parts of the stm32l552 board, for start-up: each is brought up once, in this order. */
#ifndef EP_STM32L552_BOARD_H
#define EP_STM32L552_BOARD_H

#include <stdbool.h>
#include <stdint.h>

void ep_stm32_clock_init(
    void); /* 110 MHz and the microsecond timer; stays at 4 MHz if the PLL doesn't come */
void ep_stm32_reset_init(void);    /* reads and clears why the board started */
void ep_stm32_flash_init(void);    /* checks that the flash has two banks of 2 KiB pages */
void ep_stm32_serial_init(void);   /* USART1 on PA9 and PA10 */
void ep_stm32_channels_init(void); /* ADC1 on PA0 to PA3, TIM3 PWM on PC6 to PC9 */

/* The core clock that was reached. */
uint32_t ep_stm32_core_hz(void);

/* From the NMI: true if a read of the flash driver caused it by a double word that ECC couldn't mend. [scan] */
bool ep_stm32_flash_ecc_failed(void);

/* Notes a CPU fault for the next boot, then resets. [scan] */
void ep_stm32_fault(void) __attribute__((noreturn));

#endif
