/* Why the board started, the watchdog, and resets. RCC_CSR tells one reset from another; a mailbox in memory
 * that start-up doesn't clear tells a fault's software reset from one that was asked for. */
#include "board.h"
#include "core/board.h"
#include "stm32l552.h"

#define INTENT_FAULT     0x4641554Cu
#define IWDG_PRESCALER_4 0u
#define IWDG_150_MS                                                                                          \
  1103u                /* at LSI / 4, with LSI as slow as the data sheet lets it be: 29.5 kHz. 138 ms at 32 */
#define TURNS 1000000u /* of a waiting loop; the registers take up to six cycles of LSI / 4 */

static uint32_t intent __attribute__((section(".noinit")));

static ep_reset_cause_t cause;

/* The flags add up until they are cleared, which happens here, before anything of the runtime has run. So
 * beside that of a power-on, others tell of resets that no agent can be blamed for, and the mailbox holds
 * what a memory holds then. What is left besides (the reset pin, option bytes loaded anew) is somebody's
 * doing at the board, as switching it on is. */
static ep_reset_cause_t read_cause(void) {
  const uint32_t flags = RCC_CSR;
  if ((flags & RCC_CSR_BORRSTF) != 0u) return EP_RESET_POWER_ON;
  if ((flags & RCC_CSR_WATCHDOGS) != 0u) return EP_RESET_WATCHDOG;
  if ((flags & RCC_CSR_SFTRSTF) == 0u) return EP_RESET_POWER_ON;
  return intent == INTENT_FAULT ? EP_RESET_FAULT : EP_RESET_REQUESTED;
}

void ep_stm32_reset_init(void) {
  cause = read_cause();
  intent = 0;
  RCC_CSR |= RCC_CSR_RMVF;
  DBGMCU_APB1FZR1 |= DBGMCU_APB1FZR1_IWDG; /* the watchdog stands still while a debugger halts the core */
}

ep_reset_cause_t ep_board_reset_cause(void) {
  return cause;
}

static __attribute__((noreturn)) void reset_with(uint32_t why) {
  intent = why;
  system_reset();
}

void ep_board_reset(void) {
  reset_with(0);
}

void ep_stm32_fault(void) {
  reset_with(INTENT_FAULT);
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
