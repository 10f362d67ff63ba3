/* Why the board started, the watchdog, and resets. The AST1030 model has no reset-reason register, so a
 * mailbox in memory that start-up doesn't clear carries the word across: SRAM keeps its contents over any
 * reset and is zero in a new process. */
#include "ast1030.h"
#include "board.h"
#include "core/board.h"

#define MAGIC              0xED6E9106u
#define INTENT_NONE        0u
#define INTENT_RESET       0x52455345u
#define INTENT_FAULT       0x4641554Cu
#define WATCHDOG_PERIOD_US 150000u

static struct {
  uint32_t magic;
  uint32_t intent;
  uint32_t armed; /* the watchdog ran: a reset without intent is its doing */
} mailbox __attribute__((section(".noinit")));

static ep_reset_cause_t cause;

static ep_reset_cause_t read_cause(void) {
  if (mailbox.magic != MAGIC) return EP_RESET_POWER_ON;
  if (mailbox.intent == INTENT_FAULT) return EP_RESET_FAULT;
  if (mailbox.intent == INTENT_RESET) return EP_RESET_REQUESTED;
  if (mailbox.armed != 0u) return EP_RESET_WATCHDOG;
  return EP_RESET_POWER_ON;
}

void ep_qemu_reset_init(void) {
  cause = read_cause();
  mailbox.magic = MAGIC;
  mailbox.intent = INTENT_NONE;
  mailbox.armed = 0;
}

ep_reset_cause_t ep_board_reset_cause(void) {
  return cause;
}

static __attribute__((noreturn)) void reset_with(uint32_t intent) {
  mailbox.intent = intent;
  system_reset();
}

void ep_board_reset(void) {
  reset_with(INTENT_RESET);
}

void ep_qemu_fault(void) {
  reset_with(INTENT_FAULT);
}

void ep_board_watchdog_start(void) {
  WATCHDOG_CTRL = 0;
  WATCHDOG_RELOAD = WATCHDOG_PERIOD_US;
  WATCHDOG_RESTART = WATCHDOG_RESTART_KEY;
  mailbox.armed = 1;
  WATCHDOG_CTRL = WATCHDOG_CTRL_RESET_1MHZ;
}

void ep_board_watchdog_kick(void) {
  WATCHDOG_RESTART = WATCHDOG_RESTART_KEY;
}
