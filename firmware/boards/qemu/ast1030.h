/* The registers of Aspeed's AST1030 that this board uses, as QEMU 7.2 models them. */
#ifndef EP_QEMU_AST1030_H
#define EP_QEMU_AST1030_H

#include "../cortex_m.h"

/* 16550 UARTs, registers four bytes apart. UART5 is QEMU's first -serial, UART1 its second. */
#define UART1            0x7E783000u
#define UART5            0x7E784000u
#define UART5_IRQ        8u
#define UART_DATA(uart)  REG32((uart) + 0x00u) /* RBR, THR; DLL while DLAB is set */
#define UART_IER(uart)   REG32((uart) + 0x04u) /* DLM while DLAB is set */
#define UART_FCR(uart)   REG32((uart) + 0x08u)
#define UART_LCR(uart)   REG32((uart) + 0x0Cu)
#define UART_MCR(uart)   REG32((uart) + 0x10u)
#define UART_LSR(uart)   REG32((uart) + 0x14u)
#define UART_FIFO        16u
#define IER_RX           1u
#define IER_TX           2u
#define LCR_8N1          3u
#define LCR_DLAB         0x80u
#define FCR_ENABLE_CLEAR 7u
#define LSR_RX_READY     1u
#define LSR_TX_EMPTY     0x20u

/* Firmware memory controller: SPI NOR behind it. */
#define FMC_CONF            REG32(0x7E620000u)
#define FMC_CTRL0           REG32(0x7E620010u)
#define FMC_CONF_WRITE0     (1u << 16)
#define FMC_CTRL_SELECTED   3u /* command mode, chip select active */
#define FMC_CTRL_DESELECTED 7u /* command mode, chip select idle */
#define FMC_WINDOW          0x80000000u

/* Eight down counters; fed with 1 MHz when CONTROL_1MHZ is set. Timer n has interrupt 16 + n. */
#define TIMER_COUNT(n)         REG32(0x7E782000u + 0x10u * (n))
#define TIMER_RELOAD(n)        REG32(0x7E782004u + 0x10u * (n))
#define TIMER_CONTROL_REG      REG32(0x7E782030u)
#define TIMER_STATUS           REG32(0x7E782034u) /* write 1 to acknowledge */
#define TIMER_CONTROL_CLEAR    REG32(0x7E78203Cu)
#define TIMER_CONTROL(n, bits) ((bits) << (4u * (n)))
#define CONTROL_ENABLE         1u
#define CONTROL_1MHZ           2u
#define CONTROL_INTERRUPT      4u
#define TIMER_IRQ(n)           (16u + (n))

#define WATCHDOG_RELOAD          REG32(0x7E785004u)
#define WATCHDOG_RESTART         REG32(0x7E785008u)
#define WATCHDOG_CTRL            REG32(0x7E78500Cu)
#define WATCHDOG_RESTART_KEY     0x4755u
#define WATCHDOG_CTRL_RESET_1MHZ 0x13u /* enabled, resets the system, counts microseconds */

#endif
