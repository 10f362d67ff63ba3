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
#define NSCR_LOCK          (1u << 31)
#define ECCR_ECCD          (1u << 31)
#define ECCR_ECCD2         (1u << 29)
#define OPTR_SWAP_BANK     (1u << 20)
#define OPTR_DBANK         (1u << 22)
#define OPTR_TZEN          (1u << 31)
#define ACR_LATENCY        0xFu
#define ACR_LATENCY_110MHZ 5u /* range 0: one wait state more after each 20 MHz */

/* Power control */
#define PWR_CR1      REG32(0x40007000u)
#define PWR_SR2      REG32(0x40007014u)
#define PWR_CR1_VOS  (3u << 9) /* 0 = range 0, up to 110 MHz */
#define PWR_SR2_VOSF (1u << 10)

/* Reset and clock control */
#define RCC_CR             REG32(0x40021000u)
#define RCC_CFGR           REG32(0x40021008u)
#define RCC_PLLCFGR        REG32(0x4002100Cu)
#define RCC_AHB2ENR        REG32(0x4002104Cu)
#define RCC_APB1ENR1       REG32(0x40021058u)
#define RCC_APB2ENR        REG32(0x40021060u)
#define RCC_CSR            REG32(0x40021094u)
#define RCC_CR_HSION       (1u << 8)
#define RCC_CR_HSIRDY      (1u << 10)
#define RCC_CR_PLLON       (1u << 24)
#define RCC_CR_PLLRDY      (1u << 25)
#define RCC_CFGR_SW_PLL    3u
#define RCC_CFGR_SWS_PLL   (3u << 2)
#define RCC_CFGR_SWS       (3u << 2)
#define RCC_CFGR_HPRE      (15u << 4)
#define RCC_CFGR_HPRE_DIV2 (8u << 4)
/* HSI16 / 4 × 55 / 2 = 110 MHz; the VCO takes 4 to 16 MHz and gives 64 to 344 */
#define RCC_PLLCFGR_110MHZ (2u | 3u << 4 | 55u << 8 | 1u << 24)
#define RCC_AHB2ENR_PORTS  0x5u /* GPIOA and GPIOC */
#define RCC_AHB2ENR_ADC    (1u << 13)
#define RCC_APB1ENR1_TIM2  (1u << 0)
#define RCC_APB1ENR1_TIM3  (1u << 1)
#define RCC_APB1ENR1_PWR   (1u << 28)
#define RCC_APB2ENR_USART1 (1u << 14)
#define RCC_CSR_RMVF       (1u << 23)
#define RCC_CSR_SFTRSTF    (1u << 28)
#define RCC_CSR_IWDGRSTF   (1u << 29)

/* General-purpose I/Os */
#define GPIOA            0x42020000u
#define GPIOC            0x42020800u
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

/* Universal synchronous receiver transmitter */
#define USART1_IRQ       61u
#define USART_CR1        REG32(0x40013800u)
#define USART_BRR        REG32(0x4001380Cu)
#define USART_ISR        REG32(0x4001381Cu)
#define USART_ICR        REG32(0x40013820u)
#define USART_RDR        REG32(0x40013824u)
#define USART_TDR        REG32(0x40013828u)
#define USART_CR1_UE     (1u << 0)
#define USART_CR1_RE     (1u << 2)
#define USART_CR1_TE     (1u << 3)
#define USART_CR1_RXNEIE (1u << 5)
#define USART_CR1_TXEIE  (1u << 7)
#define USART_ISR_ORE    (1u << 3)
#define USART_ISR_RXNE   (1u << 5)
#define USART_ISR_TXE    (1u << 7)
#define USART_ICR_ERRORS 0xFu /* parity, framing, noise, overrun */

/* Device electronic signature */
#define UID_ADDRESS 0x0BFA0590u

#define CORE_HZ 110000000u

#endif
