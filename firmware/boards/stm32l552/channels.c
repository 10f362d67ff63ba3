/* Inputs 0 to 3: the voltages at PA0 to PA3 (ADC1 inputs 5 to 8), in volts at a reference of 3.3 V. Outputs 0
 * to 3: PWM at PC6 to PC9 (TIM3), 0 to 100 percent, of 10 kHz at the full core clock; all four change with
 * the same period. */
#include "board.h"
#include "core/board.h"
#include "memory_map.h"
#include "stm32l552.h"

#define FIRST_INPUT        5u
#define FULL_SCALE_VOLTS   (3.3f / 4095.0f)
#define PWM_PERIOD         (CORE_HZ / 10000u)
#define PWM_MODE_PRELOADED 0x6868u /* two channels: mode 1, OCxPE */
#define PWM_RUNS           (TIM_CR1_CEN | TIM_CR1_ARPE)
#define CONVERSION_TURNS   200u /* bounds a wait in a scan: a conversion takes 1.1 µs */

static void pause_us(uint32_t micros) {
  const uint32_t begun = (uint32_t)ep_board_time_us();
  while ((uint32_t)ep_board_time_us() - begun <= micros) {
  }
}

/* Out of deep power-down, regulator, calibration, enable, in the order and with the pauses that RM0438 asks
 * for: the regulator takes 20 µs to start, and an enable within four ADC cycles after calibration is lost.
 * One that doesn't come up ends no conversion, and its inputs read 0. PA0 to PA3 are analog after a reset. */
static void adc_init(void) {
  ADC_CCR = ADC_CCR_HCLK_DIV2;
  ADC_CR = 0;
  ADC_CR = ADC_CR_ADVREGEN;
  pause_us(20);
  ADC_CR = ADC_CR_ADVREGEN | ADC_CR_ADCAL;
  (void)ep_stm32_wait(&ADC_CR, ADC_CR_ADCAL, false);
  pause_us(2); /* at 4 MHz, where a cycle takes longest */
  ADC_ISR = ADC_ISR_ADRDY;
  ADC_CR = ADC_CR_ADVREGEN | ADC_CR_ADEN;
  (void)ep_stm32_wait(&ADC_ISR, ADC_ISR_ADRDY, true);
  ADC_SMPR1 = 0x24924924u; /* 47.5 cycles each */
}

static void pwm_init(void) {
  GPIO_AFRL(GPIOC) = 0x22000000u; /* AF2 on pins 6 to 9 */
  GPIO_AFRH(GPIOC) = 0x00000022u;
  GPIO_MODER(GPIOC) = 0xFFFAAFFFu;
  TIM_ARR(TIM3) = PWM_PERIOD - 1u;
  TIM_CCMR1(TIM3) = PWM_MODE_PRELOADED;
  TIM_CCMR2(TIM3) = PWM_MODE_PRELOADED;
  TIM_CCER(TIM3) = 0x1111u;
  TIM_EGR(TIM3) = TIM_EGR_UG;
  TIM_CR1(TIM3) = PWM_RUNS;
}

void ep_stm32_channels_init(void) {
  adc_init();
  pwm_init();
}

static float convert(uint32_t input) {
  ADC_SQR1 = input << 6; /* a sequence of one */
  ADC_CR = ADC_CR_ADVREGEN | ADC_CR_ADEN | ADC_CR_ADSTART;
  for (uint32_t turn = 0; turn < CONVERSION_TURNS; turn++)
    if ((ADC_ISR & ADC_ISR_EOC) != 0u) return (float)(ADC_DR & 0xFFFu) * FULL_SCALE_VOLTS;
  return 0.0f;
}

void ep_board_inputs_read(float *inputs, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) inputs[i] = i < EP_MAP_INPUTS ? convert(FIRST_INPUT + i) : 0.0f;
}

static uint32_t duty(float percent) {
  if (!(percent > 0.0f)) return 0; /* NaN too */
  return percent < 100.0f ? (uint32_t)(percent * (0.01f * PWM_PERIOD)) : PWM_PERIOD;
}

void ep_board_outputs_write(const float *outputs, uint32_t count, uint64_t scan, uint32_t swap_number) {
  TIM_CR1(TIM3) = PWM_RUNS | TIM_CR1_UDIS; /* no period may begin with some channels new and some old */
  for (uint32_t i = 0; i < count && i < EP_MAP_OUTPUTS; i++) TIM_CCR(TIM3, i) = duty(outputs[i]);
  TIM_CR1(TIM3) = PWM_RUNS;
  ep_stm32_observe(outputs, count, scan, swap_number);
}
