/* The registers of the STM32L552 that this board uses. TrustZone is off (option bit TZEN = 0), so these are the
 * non-secure ones. Names and bits are those of RM0438 and of ST's CMSIS device header. */
#ifndef EP_STM32L552_REGISTERS_H
#define EP_STM32L552_REGISTERS_H

#include "../cortex_m.h"

/* Embedded flash memory */
#define FLASH_ACR          REG32(0x40022000u)
#define FLASH_NSKEYR       REG32(0x40022008u)
#define FLASH_NSSR         REG32(0x40022020u)
#define FLASH_NSCR         REG32(0x40022028u)
#define FLASH_ECCR         REG32(0x40022030u)
#define FLASH_OPTR         REG32(0x40022040u)
#define FLASH_NSBOOTADD0R  REG32(0x40022044u)
#define FLASH_IRQ          6u
#define FLASH_KEY1         0x45670123u
#define FLASH_KEY2         0xCDEF89ABu
#define NSSR_EOP           (1u << 0)
#define NSSR_ERRORS        0x20FAu /* OPERR, PROGERR, WRPERR, PGAERR, SIZERR, PGSERR, OPTWERR */
#define NSSR_BSY           (1u << 16)
#define NSCR_PG            (1u << 0)
#define NSCR_PER           (1u << 1)
#define NSCR_PNB(page)     ((page) << 3)
#define NSCR_BKER          (1u << 11)
#define NSCR_STRT          (1u << 16)
#define NSCR_EOPIE         (1u << 24) /* without it, NSSR_EOP never comes up */
#define NSCR_ERRIE         (1u << 25) /* without it, OPERR never comes up */
#define NSCR_LOCK          (1u << 31)
#define ECCR_CORRECTED     (5u << 28) /* ECCC, ECCC2: one bit of a double word was wrong */
#define ECCR_DETECTED      (5u << 29) /* ECCD, ECCD2: more than one */
#define OPTR_SWAP_BANK     (1u << 20)
#define OPTR_DBANK         (1u << 22)
#define OPTR_NSWBOOT0      (1u << 26)
#define OPTR_NBOOT0        (1u << 27)
#define OPTR_TZEN          (1u << 31)
#define NSBOOTADD0R_FIELD  0xFFFFFF80u
#define ACR_LATENCY_110MHZ 5u /* range 0: one wait state more after each 20 MHz */

/* Power control */
#define PWR_CR1         REG32(0x40007000u)
#define PWR_CR2         REG32(0x40007004u)
#define PWR_SR2         REG32(0x40007014u)
#define PWR_CR1_RANGE_0 0u        /* the VOS field: up to 110 MHz */
#define PWR_CR2_IOSV    (1u << 9) /* the supply of PG2 to PG15 is there */
#define PWR_SR2_VOSF    (1u << 10)

/* Reset and clock control */
#define RCC_CR             REG32(0x40021000u)
#define RCC_CFGR           REG32(0x40021008u)
#define RCC_PLLCFGR        REG32(0x4002100Cu)
#define RCC_AHB2ENR        REG32(0x4002104Cu)
#define RCC_APB1ENR1       REG32(0x40021058u)
#define RCC_APB1ENR2       REG32(0x4002105Cu)
#define RCC_CSR            REG32(0x40021094u)
#define RCC_CR_HSION       (1u << 8)
#define RCC_CR_HSIRDY      (1u << 10)
#define RCC_CR_PLLON       (1u << 24)
#define RCC_CR_PLLRDY      (1u << 25)
#define RCC_CFGR_SW_MSI    0u
#define RCC_CFGR_SW_PLL    3u
#define RCC_CFGR_SWS_PLL   (3u << 2)
#define RCC_CFGR_HPRE_DIV2 (8u << 4)
/* HSI16 / 4 × 55 / 2 = 110 MHz; the VCO takes 4 to 16 MHz and gives 64 to 344 */
#define RCC_PLLCFGR_110MHZ   (2u | 3u << 4 | 55u << 8 | 1u << 24)
#define RCC_AHB2ENR_GPIOA    (1u << 0)
#define RCC_AHB2ENR_GPIOC    (1u << 2)
#define RCC_AHB2ENR_GPIOG    (1u << 6)
#define RCC_AHB2ENR_ADC      (1u << 13)
#define RCC_APB1ENR1_TIM2    (1u << 0)
#define RCC_APB1ENR1_TIM3    (1u << 1)
#define RCC_APB1ENR1_PWR     (1u << 28)
#define RCC_APB1ENR2_LPUART1 (1u << 0)
#define RCC_CSR_RMVF         (1u << 23)
#define RCC_CSR_BORRSTF      (1u << 27) /* power-on and brown-out */
#define RCC_CSR_SFTRSTF      (1u << 28)
#define RCC_CSR_WATCHDOGS    (3u << 29) /* IWDGRSTF, WWDGRSTF */

/* General-purpose I/Os */
#define GPIOA            0x42020000u
#define GPIOC            0x42020800u
#define GPIOG            0x42021800u
#define GPIO_MODER(port) REG32((port) + 0x00u)
#define GPIO_AFRL(port)  REG32((port) + 0x20u)
#define GPIO_AFRH(port)  REG32((port) + 0x24u)

/* Analog-to-digital converter */
#define ADC_ISR           REG32(0x42028000u)
#define ADC_CR            REG32(0x42028008u)
#define ADC_SMPR1         REG32(0x42028014u)
#define ADC_SQR1          REG32(0x42028030u)
#define ADC_DR            REG32(0x42028040u)
#define ADC_CCR           REG32(0x42028308u)
#define ADC_ISR_ADRDY     (1u << 0)
#define ADC_ISR_EOC       (1u << 2)
#define ADC_CR_ADEN       (1u << 0)
#define ADC_CR_ADSTART    (1u << 2)
#define ADC_CR_ADVREGEN   (1u << 28)
#define ADC_CR_ADCAL      (1u << 31)
#define ADC_CCR_HCLK_DIV2 (2u << 16)

/* General-purpose timers */
#define TIM2                    0x40000000u
#define TIM3                    0x40000400u
#define TIM_CR1(timer)          REG32((timer) + 0x00u)
#define TIM_EGR(timer)          REG32((timer) + 0x14u)
#define TIM_CCMR1(timer)        REG32((timer) + 0x18u)
#define TIM_CCMR2(timer)        REG32((timer) + 0x1Cu)
#define TIM_CCER(timer)         REG32((timer) + 0x20u)
#define TIM_CNT(timer)          REG32((timer) + 0x24u)
#define TIM_PSC(timer)          REG32((timer) + 0x28u)
#define TIM_ARR(timer)          REG32((timer) + 0x2Cu)
#define TIM_CCR(timer, channel) REG32((timer) + 0x34u + 4u * (channel))
#define TIM_CR1_CEN             1u
#define TIM_CR1_UDIS            2u
#define TIM_CR1_ARPE            0x80u
#define TIM_EGR_UG              1u

/* Independent watchdog */
#define IWDG_KR     REG32(0x40003000u)
#define IWDG_PR     REG32(0x40003004u)
#define IWDG_RLR    REG32(0x40003008u)
#define IWDG_SR     REG32(0x4000300Cu)
#define IWDG_START  0xCCCCu
#define IWDG_UNLOCK 0x5555u
#define IWDG_RELOAD 0xAAAAu

/* Low-power universal asynchronous receiver transmitter. With its FIFOs, of eight bytes each way, RXNE means
 * "not empty" and TXE "not full". */
#define LPUART1_IRQ       66u
#define LPUART_FIFO       8u
#define LPUART_CR1        REG32(0x40008000u)
#define LPUART_BRR        REG32(0x4000800Cu)
#define LPUART_ISR        REG32(0x4000801Cu)
#define LPUART_ICR        REG32(0x40008020u)
#define LPUART_RDR        REG32(0x40008024u)
#define LPUART_TDR        REG32(0x40008028u)
#define LPUART_CR1_UE     (1u << 0)
#define LPUART_CR1_RE     (1u << 2)
#define LPUART_CR1_TE     (1u << 3)
#define LPUART_CR1_RXNEIE (1u << 5)
#define LPUART_CR1_TXEIE  (1u << 7)
#define LPUART_CR1_FIFOEN (1u << 29) /* taken while UE is 0 */
#define LPUART_ISR_ORE    (1u << 3)
#define LPUART_ISR_RXNE   (1u << 5)
#define LPUART_ISR_TXE    (1u << 7)
#define LPUART_ICR_ERRORS 0xFu /* parity, framing, noise, overrun */

/* Instrumentation trace macrocell (Armv8-M) */
#define ITM_STIM0      REG32(0xE0000000u)
#define ITM_TER        REG32(0xE0000E00u)
#define ITM_TCR        REG32(0xE0000E80u)
#define ITM_STIM_READY 1u
#define ITM_TCR_ITMENA 1u

/* Debug support */
#define DBGMCU_APB1FZR1      REG32(0xE0044008u)
#define DBGMCU_APB1FZR1_IWDG (1u << 12)

/* Device electronic signature */
#define UID_ADDRESS 0x0BFA0590u

#define CORE_HZ 110000000u

#endif
