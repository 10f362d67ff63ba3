/* In place of boards/cortex_m_access.h, and in front of everything else, when a driver of the stm32l552 board
 * is compiled for these tests: its registers are those of chip.c, and so are its instructions. The driver's
 * own source is as it is. */
#ifndef EP_BOARDS_CORTEX_M_ACCESS_H
#define EP_BOARDS_CORTEX_M_ACCESS_H

#include <stdint.h>

#define REG32(address) (*(volatile uint32_t *)chip_at((uint32_t)(address)))
#define REG8(address)  (*(volatile uint8_t *)chip_at((uint32_t)(address)))

/* Where the model keeps what lies at `address`. */
volatile void *chip_at(uint32_t address);

void barrier(void);
uint32_t interrupts_off(void);
void interrupts_restore(uint32_t state);
uint32_t priority_raise(uint32_t level);
void priority_restore(uint32_t state);
void wait_for_interrupt(void);

#endif
