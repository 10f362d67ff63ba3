/* Why the board started, the watchdog, and resets. RCC_CSR tells watchdog from software; a mailbox in memory that start-up
 * doesn't clear tells a fault's software reset from one that was asked for. */
#include "board.h"
#include "core/board.h"
#include "stm32l552.h"

#define INTENT_FAULT     0x4641554Cu
#define IWDG_PRESCALER_4 0u
#define IWDG_150_MS      1199u    /* at LSI 32 kHz / 4 */
#define TURNS            1000000u /* of a waiting loop; the registers take up to six cycles of LSI / 4 */

static uint32_t intent __attribute__((section(".noinit")));

static ep_reset_cause_t cause;

void ep_stm32_reset_init(void) {
  const uint32_t flags = RCC_CSR;
  if ((flags & RCC_CSR_IWDGRSTF) != 0u)
    cause = EP_RESET_WATCHDOG;
  else if ((flags & RCC_CSR_SFTRSTF) == 0u)
    cause = EP_RESET_POWER_ON;
  else
    cause = intent == INTENT_FAULT ? EP_RESET_FAULT : EP_RESET_REQUESTED;
  intent = 0;
  RCC_CSR |= RCC_CSR_RMVF;
}

ep_reset_cause_t ep_board_reset_cause(void) {
  return cause;
}

void ep_board_reset(void) {
  intent = 0;
  system_reset();
}

void ep_stm32_fault(void) {
  intent = INTENT_FAULT;
  system_reset();
}

/* Starting it switches LSI on. Should the registers stay busy, the watchdog runs with its reset
 * values, 512 ms: late is better than never. */
void ep_board_watchdog_start(void) {
  IWDG_KR = IWDG_START;
  IWDG_KR = IWDG_UNLOCK;
  IWDG_PR = IWDG_PRESCALER_4;
  IWDG_RLR = IWDG_150_MS;
  for (uint32_t turn = 0; turn < TURNS && IWDG_SR != 0u; turn++) {
  }
  IWDG_KR = IWDG_RELOAD;
}

void ep_board_watchdog_kick(void) {
  IWDG_KR = IWDG_RELOAD;
}
