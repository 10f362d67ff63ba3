/* 110 MHz from HSI16 by the PLL, time by TIM2, the scan tick by SysTick. */
#include "board.h"
#include "core/board.h"
#include "memory_map.h"
#include "stm32l552.h"

#define MSI_HZ 4000000u
#define TURNS                                                                                                \
  100000u /* of a waiting loop: well over the longest start-up time of the data sheet at either clock */

uint32_t ep_stm32_core_hz;

static struct {
  uint32_t last;
  uint32_t wraps;
} extended;

bool ep_stm32_wait(const volatile uint32_t *reg, uint32_t mask, bool set) {
  for (uint32_t turn = 0; turn < TURNS; turn++)
    if ((*reg & mask) == (set ? mask : 0u)) return true;
  return false;
}

/* Voltage range 0 and the flash's wait states come before the clock goes up, and above 80 MHz it goes up in
 * two steps, with half the bus clock for at least 1 µs between them. Any step that fails leaves the board on
 * the clock that it booted with, which the serial line and the tick then follow. */
static bool run_fast(void) {
  PWR_CR1 = PWR_CR1_RANGE_0;
  if (!ep_stm32_wait(&PWR_SR2, PWR_SR2_VOSF, false)) return false;
  RCC_CR |= RCC_CR_HSION;
  if (!ep_stm32_wait(&RCC_CR, RCC_CR_HSIRDY, true)) return false;
  RCC_PLLCFGR = RCC_PLLCFGR_110MHZ;
  RCC_CR |= RCC_CR_PLLON;
  if (!ep_stm32_wait(&RCC_CR, RCC_CR_PLLRDY, true)) return false;
  FLASH_ACR = ACR_LATENCY_110MHZ;
  if (!ep_stm32_wait(&FLASH_ACR, ACR_LATENCY_110MHZ, true)) return false;
  RCC_CFGR = RCC_CFGR_HPRE_DIV2 | RCC_CFGR_SW_PLL;
  const bool switched = ep_stm32_wait(&RCC_CFGR, RCC_CFGR_SWS_PLL, true);
  for (volatile uint32_t microsecond = 0; microsecond < 60u; microsecond++) {
  }
  RCC_CFGR = switched ? RCC_CFGR_SW_PLL : RCC_CFGR_SW_MSI;
  return switched;
}

/* Registers are written whole here and by the others that bring up a part: what a reset leaves in them is
 * known. */
void ep_stm32_clock_init(void) {
  RCC_AHB2ENR = RCC_AHB2ENR_GPIOA | RCC_AHB2ENR_GPIOC | RCC_AHB2ENR_GPIOG | RCC_AHB2ENR_ADC;
  RCC_APB1ENR1 = RCC_APB1ENR1_PWR | RCC_APB1ENR1_TIM2 | RCC_APB1ENR1_TIM3;
  RCC_APB1ENR2 = RCC_APB1ENR2_LPUART1;
  ep_stm32_core_hz = run_fast() ? CORE_HZ : MSI_HZ;
  TIM_PSC(TIM2) = ep_stm32_core_hz / 1000000u - 1u;
  TIM_ARR(TIM2) = UINT32_MAX;
  TIM_EGR(TIM2) = TIM_EGR_UG; /* loads the prescaler */
  TIM_CR1(TIM2) = TIM_CR1_CEN;
}

/* The counter wraps every 71 minutes and is read at least once a tick, so no wrap goes unseen. Whoever is
 * interrupted between reading and comparing would see time go backwards: hence the short lock. */
uint64_t ep_board_time_us(void) {
  const uint32_t state = interrupts_off();
  const uint32_t now = TIM_CNT(TIM2);
  if (now < extended.last) extended.wraps += 1u;
  extended.last = now;
  const uint64_t time = ((uint64_t)extended.wraps << 32) | now;
  interrupts_restore(state);
  return time;
}

void ep_board_scan_start(void) {
  SYST_RVR = ep_stm32_core_hz / 1000000u * EP_MAP_TICK_MICROS - 1u;
  SYST_CVR = 0;
  SCB_SHPR(15u) = PRIORITY_SCAN;
  SYST_CSR = 7; /* core clock, interrupt, enabled */
}

void ep_stm32_scan_interrupt(void) {
  ep_runtime_scan();
}

uint32_t ep_board_scan_mask(void) {
  return priority_raise(PRIORITY_SCAN);
}

void ep_board_scan_unmask(uint32_t state) {
  priority_restore(state);
}
